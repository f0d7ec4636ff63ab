"""A stream as an ONNX graph: its state is an input and an output."""

import keras
import numpy as np
import onnxruntime
import pytest
import torch
from keras import layers, ops
from tolerances import VALUES, assert_close

import keras_convt
from keras_convt.streaming import StreamingModel


class Step(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model
        self.streaming = StreamingModel(model)

    def forward(self, chunk, first, second, third):
        y, state = self.streaming.step(chunk, (first, second, third))
        return (y, *state)


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
    state = step.streaming.initial_state(1)
    names = [f"state_{n}" for n in range(len(state))]
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
