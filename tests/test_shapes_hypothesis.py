"""Lengths of the output, over far more sizes than the sweeps can run."""

import keras
import pytest
import reference
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from keras import ops

import keras_convt

# The slowest examples compile; how long one takes is not what is tested.
relaxed = {
    "deadline": None,
    "derandomize": True,
    "suppress_health_check": [HealthCheck.too_slow],
}
LAYERS = [
    keras_convt.Conv1DTranspose,
    keras_convt.Conv2DTranspose,
    keras_convt.Conv3DTranspose,
]


@st.composite
def configurations(draw, largest=40, ranks=(1, 2, 3)):
    """(steps, kernel_size, sizes) that a layer takes, with an output."""
    rank = draw(st.sampled_from(ranks))

    def per_axis(low, high):
        return tuple(
            draw(st.integers(low, high), label="size") for _ in range(rank)
        )

    steps = per_axis(1, largest)
    kernel_size = per_axis(1, 12)
    dilated = draw(st.booleans())
    strides = (1,) * rank if dilated else per_axis(1, 9)
    rates = per_axis(1, 4) if dilated else (1,) * rank
    names = ["valid", "same", "crop"] + ["causal"] * (rank == 1)
    padding = draw(st.sampled_from(names))
    if padding == "crop":
        pairs = []
        for length, k, s, d in zip(
            steps, kernel_size, strides, rates, strict=True
        ):
            full = (length - 1) * s + reference.effective(k, d)
            left = draw(st.integers(0, full - 1))
            right = draw(st.integers(-5, full - 1 - left))
            pairs.append((left, right))
        padding = pairs[0] if rank == 1 else tuple(pairs)
    output_padding = None
    if padding != "causal" and draw(st.booleans()):
        output_padding = tuple(draw(st.integers(0, s - 1)) for s in strides)
    sizes = {
        "strides": strides,
        "padding": padding,
        "output_padding": output_padding,
        "dilation_rate": rates,
    }
    return steps, kernel_size, sizes


def nonempty(steps, kernel_size, sizes):
    lengths = reference.output_lengths(steps, kernel_size, **sizes)
    return lengths if min(lengths) > 0 else None


@settings(max_examples=300, **relaxed)
@given(configurations(), st.sampled_from([1, 2, 3]), st.booleans())
def test_computed(configuration, groups, first):
    steps, kernel_size, sizes = configuration
    lengths = nonempty(*configuration)
    if lengths is None:
        return
    layer = LAYERS[len(steps) - 1](
        6,
        kernel_size,
        groups=groups,
        data_format="channels_first" if first else "channels_last",
        **sizes,
    )
    shape = (5, 12, *steps) if first else (5, *steps, 12)
    expected = (5, 6, *lengths) if first else (5, *lengths, 6)
    assert tuple(layer.compute_output_shape(shape)) == expected


@settings(max_examples=25, **relaxed)
@given(configurations(largest=6, ranks=(1, 2)))
def test_symbolic_and_eager(configuration):
    steps, kernel_size, sizes = configuration
    lengths = nonempty(*configuration)
    if lengths is None:
        return
    layer = LAYERS[len(steps) - 1](
        3, kernel_size, kernel_initializer="zeros", **sizes
    )
    shape = (2, *steps, 2)
    assert tuple(layer(keras.KerasTensor(shape)).shape) == (2, *lengths, 3)
    assert tuple(layer(ops.zeros(shape)).shape) == (2, *lengths, 3)


@settings(max_examples=25, **relaxed)
@given(st.data())
def test_output_size(data):
    """Every legal size is given, its neighbors outside are not."""
    length, k = data.draw(st.integers(1, 8)), data.draw(st.integers(1, 9))
    s = data.draw(st.integers(1, 6))
    padding = data.draw(
        st.sampled_from(["valid", "same", "causal", (0, 1), (k - 1, 0)])
    )
    legal = reference.legal_output_sizes(length, k, s, 1, padding)
    if not legal:
        return
    layer = keras_convt.Conv1DTranspose(
        1, k, s, padding, kernel_initializer="zeros"
    )
    x = keras.KerasTensor((2, length, 1))
    n = data.draw(st.sampled_from(legal))
    assert tuple(layer(x, output_size=n).shape) == (2, n, 1)
    for outside in (legal[0] - 1, legal[-1] + 1):
        with pytest.raises(ValueError, match="output_size"):
            layer(x, output_size=outside)
