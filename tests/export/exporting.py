"""Models of many layers, exported at once and compared output by output."""

import keras
import numpy as np
import runtimes
from keras import ops
from tolerances import VALUES, difference

BACKEND = keras.backend.backend()

# What `model.export` makes: the format, the file, and the runtimes that read
# it, each with whether sizes may be left open.
EXPORTS = {
    "tensorflow": {
        "onnx": ("model.onnx", {runtimes.onnx: True}),
        "tf_saved_model": ("model", {runtimes.tf_saved_model: True}),
        "litert": ("model.tflite", {runtimes.litert: True}),
        "openvino": ("model.xml", {runtimes.openvino: True}),
    },
    "jax": {
        # OpenVINO has no rule for the XlaCallModule of a JAX model, but it
        # reads ONNX.
        "onnx": (
            "model.onnx",
            {runtimes.onnx: True, runtimes.openvino: True},
        ),
        # Keras has no LiteRT for JAX, but TensorFlow converts the SavedModel
        # of one size.
        "tf_saved_model": (
            "model",
            {runtimes.tf_saved_model: True, runtimes.converted_litert: False},
        ),
    },
    "torch": {
        "onnx": ("model.onnx", {runtimes.onnx: True}),
        "torch": ("model.pt2", {runtimes.torch: True}),
        "openvino": ("model.xml", {runtimes.openvino: True}),
        # It knows only the size that it saw.
        "litert": ("model.tflite", {runtimes.litert: False}),
    },
}[BACKEND]

TRACED = (2, (5, 4, 3))
# Batches and steps that no exporter has seen.
OTHERS = ((1, (7, 3, 5)), (3, (2, 6, 4)), (2, (1, 2, 1)))


def unconverted(case, kind):
    """Why a layer is not among those that are exported, or None if it is.

    A converter or a runtime refuses these with an error.
    """
    rank, is_open = case.rank, case.steps == "open"
    if BACKEND == "torch" and kind == "litert" and rank == 3:
        # The built-in layer fails in the same way, or ends the process.
        return "LiteRT 2.3 has no runtime for litert-torch's volumes"
    if BACKEND == "torch" and kind == "openvino":
        ones = (1,) * rank
        samples = {"tensor": ones, "number": case.longest(TRACED[1][:rank])}
        size = case.output_size
        if is_open and size and not case.takes(ones, samples[size]):
            return "Keras 3.15 traces it with sizes of 1, which do not fit"
    volume = rank == 3 and case.is_dilated and not is_open
    if BACKEND == "jax" and kind == "onnx" and volume:
        return "jax2onnx 0.17 has no convolution of volumes"
    return None


def build(cases):
    """A model with an input and an output for each case."""
    inputs, outputs = [], []
    for number, case in enumerate(cases):
        name = f"x{number:03}"
        batch, steps = TRACED[0], TRACED[1][: case.rank]
        if case.steps == "open":
            batch, open_steps = None, (None,) * case.rank
        else:
            open_steps = steps
        x = keras.Input(batch_shape=case.shape(batch, open_steps), name=name)
        inputs.append(x)
        arguments = {}
        if case.output_size == "tensor":
            samples = case.longest(steps) if batch else open_steps
            inputs.append(
                keras.Input(
                    batch_shape=case.shape(batch, samples, 1),
                    name=f"{name}size",
                )
            )
            arguments["output_size"] = inputs[-1]
        elif case.output_size == "number":
            arguments["output_size"] = case.longest(steps)
        outputs.append(case.layer()(x, **arguments))
    model = keras.Model(_unpacked(inputs), _unpacked(outputs))
    rng = np.random.default_rng(1234)
    for weight in model.weights:
        weight.assign(rng.normal(size=weight.shape))
    return model


def samples(cases):
    """Inputs by their names: of the sizes that were traced, then of others."""
    rng = np.random.default_rng(1234)
    for batch, steps in (TRACED, *OTHERS):
        given = {}
        for number, case in enumerate(cases):
            size = steps[: case.rank]
            if case.output_size == "number":
                # Of which it is the output's size.
                size = TRACED[1][: case.rank]
            name = f"x{number:03}"
            given[name] = rng.normal(size=case.shape(batch, size))
            if case.output_size == "tensor":
                shape = case.shape(batch, case.longest(size), 1)
                given[f"{name}size"] = rng.normal(size=shape)
        yield {name: x.astype("float32") for name, x in given.items()}
        if cases[0].steps == "fixed":
            return


def export(model, kind, path):
    arguments = {}
    if None not in model.inputs[0].shape:
        signature = [
            keras.InputSpec(shape=x.shape, dtype="float32", name=x.name)
            for x in model.inputs
        ]
        # A model with several inputs takes them as one list.
        arguments["input_signature"] = (
            [signature] if len(signature) > 1 else signature
        )
    elif kind == "torch":
        from torch.export import Dim

        shapes = [
            {axis: Dim.DYNAMIC for axis, n in enumerate(x.shape) if n is None}
            for x in model.inputs
        ]
        # Several inputs are one list, the only argument of the program.
        arguments["dynamic_shapes"] = (
            [(shapes,)] if len(shapes) > 1 else shapes[0]
        )
    model.export(path, format=kind, verbose=False, **arguments)


def wrong(cases, kind, folder):
    """What is wrong with the exported layers: a list of sentences."""
    keras.backend.clear_session()
    file, readers = EXPORTS[kind]
    path = str(folder / f"{len(list(folder.iterdir()))}_{file}")
    readers = {
        read: takes_open
        for read, takes_open in readers.items()
        if takes_open or cases[0].steps == "fixed"
    }
    try:
        model = build(cases)
        expected = [
            (given, _outputs(model(_unpacked(list(given.values())))))
            for given in samples(cases)
        ]
        export(model, kind, path)
        found = []
        for read in readers:
            run = read(path)
            for given, values in expected:
                for case, y, actual in zip(
                    cases, values, run(given), strict=True
                ):
                    if what := difference(actual, y, **VALUES):
                        found.append(f"{read.__name__}: {case}: {what}")
    except Exception as error:
        if len(cases) == 1:
            return [f"{cases[0]}: {type(error).__name__}: {error}"]
        # Which of them it was.
        half = len(cases) // 2
        return [
            *wrong(cases[:half], kind, folder),
            *wrong(cases[half:], kind, folder),
        ]
    return found


def _unpacked(items):
    return items if len(items) > 1 else items[0]


def _outputs(tensors):
    if not isinstance(tensors, list | tuple):
        tensors = [tensors]
    return [ops.convert_to_numpy(tensor) for tensor in tensors]
