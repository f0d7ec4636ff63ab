"""Exported steps of streams, run chunk by chunk by onnxruntime."""

import decoders
import keras
import numpy as np
import pytest
from gradients import compiled_if_quicker
from keras import layers, ops
from streams import randomize
from test_export import IGNORED
from tolerances import VALUES, assert_close

import keras_convt

pytestmark = [
    *(pytest.mark.filterwarnings(f"ignore::{c}") for c in IGNORED),
    pytest.mark.usefixtures("quick_weights"),
]
BACKEND = keras.backend.backend()


def late():
    """Padded on both sides, with branches, strides and pooling."""
    inputs = keras.Input((None, 3), name="sound")
    x = layers.Conv1D(4, 4, 2, "same", activation="elu")(inputs)
    x = layers.Add()([x, layers.Conv1D(4, 3, padding="same")(x)])
    x = keras_convt.Conv1DTranspose(3, 4, 2, "same")(x)
    x = layers.Concatenate()([x, inputs])
    return keras.Model(inputs, layers.Conv1D(2, 5, padding="same")(x))


def recurrent():
    inputs = keras.Input((None, 3), name="sound")
    x = layers.GRU(4, return_sequences=True)(inputs)
    x = keras_convt.Conv1DTranspose(2, 6, 3, "causal")(x)
    return keras.Model(inputs, x)


def codec(name):
    """The layers of a codec, with fewer strides than the published one."""
    return decoders.small(name, upsampling_ratios=[3, 2], num_filters=3)


MODELS = {
    "encodec decoder": lambda: codec("encodec decoder"),
    "mimi decoder": lambda: codec("mimi decoder"),
    "late": late,
    "recurrent": recurrent,
}

RECURRENT = ("encodec decoder", "recurrent")


def run(session, names, chunks, state):
    """All outputs of an exported step, one after another."""
    pieces = []
    for chunk in chunks:
        returned = session.run(
            None, dict(zip(names, [chunk, *state], strict=True))
        )
        pieces.append(returned[0])
        state = returned[1:]
    return np.concatenate(pieces, axis=1), state


@pytest.mark.parametrize(
    ("name", "steps"),
    [
        *((name, None) for name in MODELS),
        *((name, 2) for name in RECURRENT),
    ],
)
def test_a_step_in_onnxruntime(name, steps, tmp_path, rng):
    import onnxruntime

    model = randomize(MODELS[name](), rng)
    stream = keras_convt.StreamingModel(model)
    if BACKEND == "torch" and steps is None and name in RECURRENT:
        with pytest.raises(ValueError, match="`steps` must be a number on Py"):
            stream.as_model(batch_size=1, steps=steps)
        return
    exported = stream.as_model(batch_size=1, steps=steps)
    path = str(tmp_path / "step.onnx")
    exported.export(path, format="onnx", verbose=False)
    session = onnxruntime.InferenceSession(
        path, providers=["CPUExecutionProvider"]
    )
    names = [given.name for given in session.get_inputs()]
    x = rng.normal(size=(1, 12, model.inputs[0].shape[-1])).astype("float32")
    state = stream.initial_state(1)
    expected = []
    step = compiled_if_quicker(stream.step)
    for chunk in np.split(x, 6, axis=1):
        y, state = step(chunk, state)
        expected.append(ops.convert_to_numpy(y))
    expected = np.concatenate(expected, axis=1)
    begun = stream.initial_state(1)
    first = [ops.convert_to_numpy(begun[name]) for name in names[1:]]
    sizes = [[2] * 6, [4, 2, 6], [12]] if steps is None else [[2] * 6]
    for ends in map(np.cumsum, sizes):
        found, last = run(session, names, np.split(x, ends[:-1], 1), first)
        assert_close(found, expected, VALUES, f"chunks that end at {ends}")
        # The exported inputs have the names of the state.
        for name, value in zip(names[1:], last, strict=True):
            expected_value = ops.convert_to_numpy(state[name])
            assert_close(value, expected_value, VALUES, name)
