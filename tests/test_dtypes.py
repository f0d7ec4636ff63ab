"""Half precision: the compute dtype comes out, near the exact values."""

import keras
import numpy as np
import pytest
import tolerances
from keras import ops

import keras_convt


@pytest.mark.parametrize(
    "dtype", ["float16", "bfloat16", "mixed_float16", "mixed_bfloat16"]
)
def test_dtypes(rng, dtype):
    layer = keras_convt.Conv1DTranspose(4, 4, 2, "same", dtype=dtype)
    x = rng.standard_normal((2, 5, 3)).astype("float32")
    y = layer(x)
    compute = dtype.removeprefix("mixed_")
    assert keras.backend.standardize_dtype(y.dtype) == compute
    exact = keras_convt.Conv1DTranspose(4, 4, 2, "same")
    exact.build(x.shape)
    exact.set_weights(
        [ops.convert_to_numpy(ops.cast(w, "float32")) for w in layer.weights]
    )
    difference = np.abs(
        ops.convert_to_numpy(ops.cast(y, "float32"))
        - ops.convert_to_numpy(exact(x))
    )
    assert difference.max() < tolerances.HALF_PRECISION[compute]
