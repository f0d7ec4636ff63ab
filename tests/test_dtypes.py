"""Half precision: the compute dtype comes out, near the exact values."""

import keras
import numpy as np
import pytest
import reference
from gradients import compiled_if_quicker, double_precision
from keras import ops

import keras_convt

DTYPES = [
    "float16",
    "bfloat16",
    "float32",
    "float64",
    "mixed_float16",
    "mixed_bfloat16",
]
# Kernels of few and of many overlaps, with and without a stride, and large.
CASES = [
    # (On PyTorch, older versions of Keras warn of odd kernels with "same".)
    {"kernel_size": 4, "strides": 2, "channels": 32, "filters": 32},
    {"kernel_size": 16, "strides": 2, "channels": 64, "filters": 16},
    {"kernel_size": 16, "strides": 8, "channels": 64, "filters": 16},
    {"kernel_size": 7, "strides": 1, "channels": 256, "filters": 8},
    {"kernel_size": 300, "strides": 100, "channels": 32, "filters": 8},
    {"kernel_size": 2, "strides": 2, "channels": 64, "filters": 32},
    {"kernel_size": 16, "strides": 8, "channels": 64, "filters": 16}
    | {"implementation": "winograd"},
]


def float64(tensor):
    exact = "float64" if "64" in str(tensor.dtype) else "float32"
    return ops.convert_to_numpy(ops.cast(tensor, exact)).astype("float64")


def error(layer, x, weights, expected):
    """The root mean square of what is wrong with a layer's output."""
    layer.build(x.shape)
    layer.set_weights(weights)
    y = compiled_if_quicker(lambda x: layer(x))(ops.convert_to_tensor(x))
    assert keras.backend.standardize_dtype(y.dtype) == layer.compute_dtype
    return np.sqrt(np.mean((float64(y) - expected) ** 2))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", CASES)
def test_no_more_than_twice_the_error_of_the_built_in(
    case, dtype, rng, request
):
    case = dict(case)
    channels = case.pop("channels")
    implementation = case.pop("implementation", "auto")
    size, filters = case["kernel_size"], case["filters"]
    compute = dtype.removeprefix("mixed_")
    if dtype == "float64":
        double_precision(request)
    # Numbers that the compute dtype holds.
    x, kernel = (
        float64(ops.cast(rng.normal(size=shape), compute))
        for shape in ((2, 30, channels), (size, filters, channels))
    )
    expected = reference.conv_transpose(
        x, kernel, np.zeros(filters), strides=case["strides"], padding="same"
    )
    if compute != "float64":
        x = x.astype("float32")
    case |= {"padding": "same", "dtype": dtype}
    ours, theirs = (
        error(layer, x, [kernel, np.zeros(filters)], expected)
        for layer in (
            keras_convt.Conv1DTranspose(**case, implementation=implementation),
            keras.layers.Conv1DTranspose(**case),
        )
    )
    assert theirs > 0
    # The reference is float64 itself, and has such an error.
    assert ours <= max(2 * theirs, 1e-13)
