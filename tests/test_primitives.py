"""The products and zeros that stand for Keras's own."""

import numpy as np
import pytest
import tolerances
from gradients import double_precision, value_and_gradients
from keras import ops

from keras_convt.ops.backend import backend

# Few rows and many: PyTorch has a library for each.
ROWS = [(3,), (2, 5), (2, 40), (2, 5, 9)]


@pytest.mark.parametrize("positions", ROWS)
def test_products(rng, positions):
    first = rng.standard_normal((*positions, 16)).astype("float32")
    second = rng.standard_normal((16, 24)).astype("float32")
    tolerances.assert_close(
        ops.convert_to_numpy(
            backend.matmul(
                ops.convert_to_tensor(first), ops.convert_to_tensor(second)
            )
        ),
        first.astype("float64") @ second.astype("float64"),
        tolerances.VALUES,
    )


@pytest.mark.parametrize("positions", ROWS)
def test_gradients_of_products(rng, positions):
    first = rng.standard_normal((*positions, 16)).astype("float32")
    second = rng.standard_normal((16, 24)).astype("float32")
    upstream = rng.standard_normal((*positions, 24)).astype("float32")
    weights = ops.convert_to_tensor(upstream)
    _, (dfirst, dsecond) = value_and_gradients(
        lambda a, b: ops.sum(backend.matmul(a, b) * weights), [first, second]
    )
    tolerances.assert_close(dfirst, upstream @ second.T, tolerances.GRADIENTS)
    tolerances.assert_close(
        dsecond,
        first.reshape(-1, 16).T @ upstream.reshape(-1, 24),
        tolerances.GRADIENTS,
    )


@pytest.mark.parametrize("positions", ROWS)
def test_products_of_float64_are_not_rounded(rng, positions, request):
    double_precision(request)
    first = rng.standard_normal((*positions, 16))
    second = rng.standard_normal((16, 24))
    tensors = [ops.convert_to_tensor(a, "float64") for a in (first, second)]
    np.testing.assert_allclose(
        ops.convert_to_numpy(backend.matmul(*tensors)),
        first @ second,
        rtol=1e-12,
    )


def test_zeros(rng):
    array = rng.standard_normal((2, 3, 4)).astype("float32")
    zeros = [(0, 0), (2, 1), (0, 3)]
    np.testing.assert_array_equal(
        ops.convert_to_numpy(backend.pad(ops.convert_to_tensor(array), zeros)),
        np.pad(array, zeros),
    )
