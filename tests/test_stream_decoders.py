"""Codecs and vocoders of public configurations as streams."""

import decoders
import pytest
from gradients import compiled_if_quicker
from streams import check, randomize

from keras_convt import StreamingModel

pytestmark = pytest.mark.usefixtures("quick_weights")

# Output latency with the published strides and kernels, in output steps.
LATENCIES = {
    "encodec decoder": 0,
    "encodec encoder": 0,
    "mimi decoder": 0,
    "mimi encoder": 0,
    "dac decoder": 4757,
    "dac encoder": 8,
    "dac_24 decoder": 3141,
    "dac_24 encoder": 8,
    "hifi_gan": 6041,
    "vits": 3258,
}

# With all their stages these have more than seventy convolutions to compile.
FEWER = {
    "hifi_gan": {"upsample_rates": [4, 4], "upsample_kernel_sizes": [8, 8]},
    "vits": {"upsample_rates": [8, 2], "upsample_kernel_sizes": [16, 4]},
}


@pytest.mark.parametrize("name", LATENCIES)
def test_latency(name):
    stream = StreamingModel(decoders.small(name), [decoders.Snake])
    assert stream.output_latency == LATENCIES[name]
    if LATENCIES[name] == 0:
        # What is causal pays nothing for what is late.
        assert "count" not in stream.initial_state(1)
        flush = compiled_if_quicker(stream.flush)
        assert flush(stream.initial_state(1)).shape[1] == 0


@pytest.mark.parametrize(
    ("name", "batch", "kind"),
    [
        ("encodec decoder", 3, "mixed"),
        ("encodec encoder", 1, "one"),
        ("mimi decoder", 1, "one"),
        ("mimi encoder", 3, "mixed"),
        ("dac decoder", 1, "one"),
        ("dac encoder", 3, "all"),
        ("dac_24 decoder", 3, "all"),
        ("dac_24 encoder", 1, "one"),
        ("hifi_gan", 1, "one"),
        ("vits", 3, "all"),
    ],
)
def test_values(name, batch, kind, rng):
    model = randomize(decoders.small(name, **FEWER.get(name, {})), rng)
    check(model, rng, 5, batch, pointwise=[decoders.Snake], kinds=(kind,))
