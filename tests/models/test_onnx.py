"""ONNX graphs: a stream, whose state goes in and out, and int8 weights."""

import re
from pathlib import Path

import keras
import numpy as np
import onnxruntime
import pytest
import torch
from decoders import (
    DAC,
    ENCODEC,
    HIFI_GAN,
    MIMI,
    VITS,
    configuration,
    dac_decoder,
    hifi_gan,
    mimi_decoder,
    seanet_decoder,
    vits_decoder,
)
from keras import layers, ops
from tolerances import VALUES, assert_close

import keras_convt
from keras_convt.streaming import StreamingModel


class Step(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model
        self.streaming = StreamingModel(model)
        self.names = sorted(self.streaming.initial_state(1))

    def forward(self, chunk, first, second, third):
        state = dict(zip(self.names, (first, second, third), strict=True))
        y, state = self.streaming.step(chunk, state)
        return (y, *(state[name] for name in self.names))


# PyTorch's exporter and its helpers warn of their own parts.
@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_the_state_goes_in_and_out(tmp_path, rng):
    model = keras.Sequential(
        [
            keras.Input((None, 4)),
            layers.Conv1D(8, 5, padding="causal", activation="tanh"),
            keras_convt.Conv1DTranspose(6, 7, 3, "causal", activation="tanh"),
            keras_convt.Conv1DTranspose(2, 4, 2, "causal", groups=2),
        ]
    )
    x = rng.normal(size=(1, 23, 4)).astype("float32")
    step = Step(model).eval()
    names = step.names
    state = step.streaming.initial_state(1)
    state = [state[name] for name in names]
    path = tmp_path / "step.onnx"
    torch.onnx.export(
        step,
        (ops.convert_to_tensor(x[:, :2]), *state),
        path,
        input_names=["chunk", *names],
        output_names=["samples", *(f"next_{name}" for name in names)],
        # Any number of steps.
        dynamic_shapes={
            "chunk": {1: torch.export.Dim("steps")},
            "first": None,
            "second": None,
            "third": None,
        },
    )
    session = onnxruntime.InferenceSession(
        path, providers=["CPUExecutionProvider"]
    )
    # All of the state went in: without it, these would not be inputs.
    assert [i.name for i in session.get_inputs()] == ["chunk", *names]
    state = [ops.convert_to_numpy(part) for part in state]
    pieces = []
    for chunk in np.split(x, [5, 6], axis=1):
        feed = dict(zip(["chunk", *names], [chunk, *state], strict=True))
        piece, *state = session.run(None, feed)
        pieces.append(piece)
    y = np.concatenate(pieces, axis=1)
    assert y.shape == (1, 23 * 6, 2)
    assert_close(y, model.predict(x, verbose=0), VALUES)


GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "lora-int8.md"


# PyTorch's exporter and its helpers warn of their own parts.
@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
def test_static_quantization_as_the_guide_shows_it(tmp_path, monkeypatch, rng):
    monkeypatch.chdir(tmp_path)
    model = hifi_gan(configuration(HIFI_GAN, upsample_initial_channel=128))
    for layer in model.layers:
        for weight in layer.weights:
            # Of a size that keeps that of a signal.
            transposed = isinstance(layer, keras_convt.Conv1DTranspose)
            axis = -1 if transposed else -2
            taps = weight.shape[0] / (layer.strides[0] if transposed else 1)
            scale = (
                (taps * weight.shape[axis]) ** -0.5
                if len(weight.shape) == 3
                else 0.1
            )
            weight.assign(scale * rng.normal(size=weight.shape))
    inputs = [rng.normal(size=(1, 40, 80)).astype("float32") for _ in range(4)]
    (code,) = re.findall(
        r"^```text\n(from onnxruntime.*?)^```",
        GUIDE.read_text("utf-8"),
        re.MULTILINE | re.DOTALL,
    )
    exec(compile(code, GUIDE.name, "exec"), {"model": model, "inputs": inputs})
    session = onnxruntime.InferenceSession(
        "decoder_int8.onnx", providers=["CPUExecutionProvider"]
    )
    # An input that it was not calibrated with.
    x = rng.normal(size=(1, 40, 80)).astype("float32")
    (y,) = session.run(None, {model.inputs[0].name: x})
    expected = model.predict(x, verbose=0)
    error = np.linalg.norm(y - expected) / np.linalg.norm(expected)
    # 26 dB, with a little room; not nothing, as it is rounded.
    assert 1e-3 < error < 0.08
    sizes = [
        (tmp_path / name).stat().st_size
        for name in ("decoder_int8.onnx", "decoder.onnx")
    ]
    # A quarter of the weights, and the graph.
    assert sizes[0] < 0.35 * sizes[1]


@pytest.mark.parametrize(
    ("name", "build"),
    [
        ("EnCodec", lambda: seanet_decoder(configuration(ENCODEC))),
        ("Mimi", lambda: mimi_decoder(configuration(MIMI))),
        ("DAC", lambda: dac_decoder(configuration(DAC))),
        ("HiFi-GAN", lambda: hifi_gan(configuration(HIFI_GAN))),
        ("VITS", lambda: vits_decoder(configuration(VITS))),
    ],
)
def test_the_share_of_weights_that_the_guide_says(name, build):
    # Without their values.
    with keras.device("meta"):
        model = build()
    ours = sum(
        layer.count_params()
        for layer in model._flatten_layers()
        if isinstance(layer, keras_convt.Conv1DTranspose)
    )
    count = model.count_params()
    (row,) = re.findall(
        rf"^\| {name}.* million .*$", GUIDE.read_text("utf-8"), re.MULTILINE
    )
    assert row.endswith(
        f"| {count / 1e6:.1f} million | {100 * ours / count:.0f} % |"
    )
