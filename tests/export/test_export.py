"""Exported models, run by the runtimes that they are exported for."""

import keras
import pytest
import runtimes
from export_models import MODELS, build, input_shape, step_axes
from keras import ops
from tolerances import VALUES, assert_close

BACKEND = keras.backend.backend()

# Converters warn of their own parts: of what they deprecate or leave out, of
# forking a process, and of sizes that they take for constants.
IGNORED = [
    "DeprecationWarning",
    "FutureWarning",
    "RuntimeWarning",
    "UserWarning",
    *(["torch.jit.TracerWarning"] if BACKEND == "torch" else []),
]
pytestmark = [
    pytest.mark.filterwarnings(f"ignore::{category}") for category in IGNORED
]

# Format to (what is asked of `model.export`, the name of the file, runtime).
FORMATS = {
    "onnx": ("onnx", "model.onnx", runtimes.onnx),
    "tf_saved_model": ("tf_saved_model", "model", runtimes.tf_saved_model),
    "litert": ("litert", "model.tflite", runtimes.litert),
    "openvino": ("openvino", "model.xml", runtimes.openvino),
    "torch": ("torch", "model.pt2", runtimes.torch),
}
if BACKEND == "jax":
    # OpenVINO has no rule for the XlaCallModule of a JAX model, but it reads
    # ONNX. Keras has no LiteRT for JAX, but TensorFlow converts the SavedModel.
    FORMATS["openvino"] = ("onnx", "model.onnx", runtimes.openvino)
    FORMATS["litert"] = ("tf_saved_model", "model", runtimes.converted_litert)

NOT_TORCH = "Keras exports torch.export programs with PyTorch only"
IMPOSSIBLE = {
    ("tensorflow", "torch"): NOT_TORCH,
    ("jax", "torch"): NOT_TORCH,
    ("torch", "tf_saved_model"): "Keras needs torch_xla for it",
}
STATIC_ONLY = {
    ("torch", "litert"): "LiteRT of a PyTorch model has the one shape it saw",
    ("jax", "litert"): "TensorFlow converts no unknown sizes of JAX to LiteRT",
}

# The built-in 3D layer fails in the same way.
UNCONVERTED = {
    ("torch", "litert"): (
        {"3D k3 s2 same"},
        "LiteRT has no runtime for what litert-torch makes of 3D convolutions",
    )
}

# One shape, or any batch and any number of steps. PyTorch traces a dynamic
# model with sizes of 1 or 2.
SIZES = {"fixed": [(2, 5)], "dynamic": [(2, 5), (1, 7), (3, 12)]}


def cases():
    """Every model in every format, and one skip for what cannot work."""
    for name in FORMATS:
        never = IMPOSSIBLE.get((BACKEND, name))
        if never is not None:
            yield skipped(name, never, name)
            continue
        for sizes in SIZES:
            fixed = STATIC_ONLY.get((BACKEND, name))
            if fixed is not None and sizes == "dynamic":
                yield skipped(name, fixed, f"{name}-{sizes}")
                continue
            without, reason = UNCONVERTED.get((BACKEND, name), (set(), None))
            if without:
                yield skipped(name, reason, f"{name}-unconverted")
            for model in MODELS:
                if model not in without:
                    yield pytest.param(
                        name, sizes, model, id=f"{name}-{sizes}-{model}"
                    )


def skipped(name, reason, label):
    return pytest.param(
        name, None, None, marks=pytest.mark.skip(reason=reason), id=label
    )


def export(model, name, kind, path, dynamic):
    arguments = {}
    if not dynamic:
        shape = input_shape(name, *SIZES["fixed"][0])
        arguments["input_signature"] = [
            keras.InputSpec(shape=shape, dtype="float32")
        ]
    elif kind == "torch":
        from torch.export import Dim

        arguments["dynamic_shapes"] = {
            axis: Dim(f"size_{axis}") for axis in (0, *step_axes(name))
        }
    model.export(path, format=kind, verbose=False, **arguments)


@pytest.mark.parametrize(("name", "sizes", "model_name"), cases())
def test_the_runtime_gives_the_model_s_values(
    name, sizes, model_name, tmp_path, rng
):
    kind, file, runtime = FORMATS[name]
    dynamic = sizes == "dynamic"
    model = build(model_name, None if dynamic else SIZES["fixed"][0][1], rng)
    inputs = [
        rng.normal(size=input_shape(model_name, *size)).astype("float32")
        for size in SIZES[sizes]
    ]
    expected = [ops.convert_to_numpy(model(x)) for x in inputs]
    path = str(tmp_path / file)
    export(model, model_name, kind, path, dynamic)
    run = runtime(path)
    for x, y in zip(inputs, expected, strict=True):
        (actual,) = run({model.inputs[0].name: x})
        assert_close(actual, y, VALUES, f"inputs of {x.shape}")
