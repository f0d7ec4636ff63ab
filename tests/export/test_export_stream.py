"""Exported steps of streams, run chunk by chunk in their runtimes."""

import decoders
import keras
import numpy as np
import pytest
import runtimes
from gradients import compiled_if_quicker
from keras import layers, ops
from streams import inference, randomize
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


# Format to whether steps may be open. On JAX, LiteRT is made of the SavedModel
# and OpenVINO reads the ONNX file.
FORMATS = {
    "tensorflow": {"tf_saved_model": True, "litert": True, "openvino": True},
    "jax": {"tf_saved_model": True, "litert": False, "openvino": True},
    "torch": {"torch": True, "litert": False},
}[BACKEND]


def cannot(kind, name):
    """Why a model's step has no such export, or None."""
    loops = "Keras's loop over steps becomes operations that it does not have"
    if name not in RECURRENT:
        return None
    return {
        ("tensorflow", "litert"): loops,
        ("tensorflow", "openvino"): loops,
        ("jax", "litert"): "it has no uint32, of the layer's random numbers",
    }.get((BACKEND, kind))


def exported(model, kind, folder, steps):
    """The exported step as a function from arrays to arrays."""
    given = {}
    if steps is not None or kind == "torch":
        # Keras else leaves the batch open.
        given["input_signature"] = [
            [
                keras.InputSpec(shape=x.shape, dtype=x.dtype, name=x.name)
                for x in model.inputs
            ]
        ]
    if steps is None and kind == "torch":
        from torch.export import Dim

        shapes = [{}] * (len(model.inputs) - 1)
        given["dynamic_shapes"] = [([{1: Dim.DYNAMIC}, *shapes],)]
    file, read = {
        "tf_saved_model": ("step", runtimes.tf_saved_model),
        "litert": ("step.tflite", runtimes.litert),
        "openvino": ("step.xml", runtimes.openvino),
        "torch": ("step.pt2", runtimes.torch),
    }[kind]
    if BACKEND == "jax" and kind == "openvino":
        kind, file = "onnx", "step.onnx"
    if BACKEND == "jax" and kind == "litert":
        kind, file, read = "tf_saved_model", "step", runtimes.converted_litert
    model.export(str(folder / file), format=kind, verbose=False, **given)
    return read(str(folder / file))


@pytest.mark.parametrize("name", ["mimi decoder", "late", "recurrent"])
@pytest.mark.parametrize("kind", FORMATS)
def test_a_step_in_another_runtime(kind, name, tmp_path, rng):
    if why := cannot(kind, name):
        pytest.skip(why)
    model = randomize(MODELS[name](), rng)
    stream = keras_convt.StreamingModel(model)
    # A torch.export program has no room for half a block.
    takes_open = FORMATS[kind] and not (
        BACKEND == "torch" and (name in RECURRENT or stream.block_size > 1)
    )
    x = rng.normal(size=(1, 12, model.inputs[0].shape[-1])).astype("float32")
    state = {
        name: ops.convert_to_numpy(value)
        for name, value in stream.initial_state(1).items()
    }
    with inference():
        expected = _run(compiled_if_quicker(stream.step), x, [2] * 6, state)
    steps = None if takes_open else 2
    step = exported(stream.as_model(1, steps), kind, tmp_path, steps)

    def run(chunk, state):
        y, *after = step({"chunk": chunk, **state})
        return y, dict(zip(state, after, strict=True))

    for sizes in [[2] * 6, [4, 2, 6]] if takes_open else [[2] * 6]:
        found = _run(run, x, sizes, state)
        assert_close(found, expected, VALUES, f"chunks of {sizes}")


def _run(step, x, sizes, state):
    pieces = []
    for chunk in np.split(x, np.cumsum(sizes)[:-1], axis=1):
        y, state = step(chunk, state)
        pieces.append(ops.convert_to_numpy(y))
    return np.concatenate(pieces, axis=1)
