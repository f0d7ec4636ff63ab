"""Kernels of any size: right values, and a graph that does not grow."""

import numpy as np
import pytest
import reference
from gradients import BACKEND, value_and_gradients
from keras import ops
from tolerances import GRADIENTS, VALUES, assert_close

import keras_convt

CASES = [
    # steps, channels, filters, kernel_size, strides, padding
    ((30,), 3, 2, (70,), (2,), "same"),  # many chunks
    ((5,), 3, 2, (70,), (2,), "valid"),  # more chunks than steps
    ((1,), 3, 2, (40,), (1,), "valid"),  # one step: a matrix product
    ((1, 1), 4, 2, (5, 6), (1, 2), "valid"),
    ((1, 3), 4, 2, (5, 6), (1, 1), "same"),
    ((6, 5), 2, 2, (9, 7), (2, 2), "same"),
    ((3, 2, 3), 2, 2, (4, 3, 3), (1, 1, 1), "same"),
    ((3, 2, 3), 2, 2, (5, 3, 4), (2, 1, 2), ((1, 0), (0, -2), (3, 2))),
]
NAMES = ["auto", "overlap_add", "sub_pixel_convolution"]


@pytest.mark.parametrize("implementation", NAMES)
@pytest.mark.parametrize("case", CASES)
def test_values_and_gradients(case, implementation, rng):
    steps, channels, filters, kernel_size, strides, padding = case
    sizes = {"strides": strides, "padding": padding}
    x = rng.normal(size=(2, *steps, channels)).astype("float32")
    kernel = rng.normal(size=(*kernel_size, filters, channels))
    kernel = kernel.astype("float32")
    expected = reference.conv_transpose(x, kernel, **sizes)
    upstream = rng.normal(size=expected.shape).astype("float32")

    def weighted(x, kernel, weights):
        y = keras_convt.ops.conv_transpose(
            x, kernel, implementation=implementation, **sizes
        )
        return ops.sum(y * weights)

    _, slopes = value_and_gradients(
        weighted, [x, kernel, upstream], compile="if quicker"
    )
    dx, dkernel, _ = reference.gradients(x, kernel, upstream, **sizes)
    assert_close(slopes[0], dx, GRADIENTS, "inputs")
    assert_close(slopes[1], dkernel, GRADIENTS, "kernel")
    assert_close(slopes[2], expected, VALUES, "outputs")


@pytest.mark.skipif(BACKEND != "jax", reason="counts what JAX compiles")
@pytest.mark.parametrize("implementation", NAMES)
@pytest.mark.parametrize("steps", [4, 600])
def test_the_graph_does_not_grow_with_the_kernel(steps, implementation):
    import jax

    def operations(kernel_size):
        def loss(x, kernel):
            y = keras_convt.ops.conv_transpose(
                x, kernel, 2, "same", implementation=implementation
            )
            return ops.sum(ops.square(y))

        x = np.ones((1, steps, 3), "float32")
        kernel = np.ones((kernel_size, 2, 3), "float32")
        return len(jax.make_jaxpr(jax.grad(loss, (0, 1)))(x, kernel).eqns)

    assert operations(1024) == operations(64) < 100


@pytest.mark.skipif(BACKEND != "jax", reason="asks XLA for its memory")
@pytest.mark.parametrize(
    ("shape", "kernel_shape", "strides"),
    [
        ((8, 1, 1, 50), (28, 28, 1, 50), 1),
        ((1, 32, 32, 32, 4), (5, 5, 5, 4, 4), 1),
        ((1, 20000, 4), (64, 4, 4), 2),
    ],
)
def test_memory_of_a_training_step(shape, kernel_shape, strides):
    import jax

    def loss(x, kernel):
        y = keras_convt.ops.conv_transpose(x, kernel, strides, "valid")
        return ops.sum(ops.square(y))

    x, kernel = np.ones(shape, "float32"), np.ones(kernel_shape, "float32")
    step = jax.jit(jax.grad(loss, (0, 1))).lower(x, kernel).compile()
    outputs = reference.conv_transpose(
        x[:1, ..., :1], kernel[..., :1, :1], strides=strides
    )
    whole = 4 * outputs.size * shape[0] * kernel_shape[-2]
    used = step.memory_analysis().temp_size_in_bytes
    # A few times the inputs and the outputs, never all contributions.
    assert used <= 4 * (whole + x.nbytes + kernel.nbytes)
