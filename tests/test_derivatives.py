"""Derivatives of the layers, of first and second order, in every direction."""

import functools

import numpy as np
import pytest
import reference
from gradients import BACKEND, arrays, compiled_if_quicker, tensors
from keras import ops
from tolerances import GRADIENTS, SECOND_DERIVATIVES, VALUES, assert_close
from transform_cases import (
    CASES,
    WARNINGS,
    Case,
    each_case,
    each_small_case,
    normal,
)

pytestmark = WARNINGS


class AlongLines:
    """Sums of a case's output, as its input and weights move along lines.

    `self(t)` is `z`, with `z[i] = <w_i, A(x + t_0 v, K + t_1 V, b + t_2 c)>`.
    Its derivatives at t = 0, of which all those above the second vanish:
    `d z[i] / dt = <w_i, (A(v, K), A(x, V), c)>` and
    `d2 z[i] / dt_0 dt_1 = <w_i, A(v, V)>`.
    """

    def __init__(self, case, rng):
        self.case = case
        starts = case.inputs
        lines = [normal(rng, *start.shape) for start in starts]
        weights = normal(rng, 3, *case.output_shape)
        # So that the sums have the size of one product, however many.
        weights /= np.sqrt(weights[0].size, dtype="float32")
        self.starts, self.lines = tensors(starts), tensors(lines)
        (self.weights,) = tensors([weights])
        (self.origin,) = tensors([np.zeros(3)])

        def sums(y):
            return np.sum(weights * y, axis=tuple(range(1, weights.ndim)))

        (x, kernel, bias), (dx, dkernel, dbias) = starts, lines
        self.value = sums(case.expected(x, kernel, bias))
        self.jacobian = np.stack(
            [
                sums(case.expected(dx, kernel)),
                sums(case.expected(x, dkernel)),
                sums(np.broadcast_to(dbias, case.output_shape)),
            ],
            axis=1,
        )
        self.second = np.zeros((3, 3, 3))
        self.second[:, 0, 1] = sums(case.expected(dx, dkernel))
        self.second[:, 1, 0] = self.second[:, 0, 1]

        # And those of |z|**2 / 2.
        self.slope = self.value @ self.jacobian
        self.hessian = self.jacobian.T @ self.jacobian + np.tensordot(
            self.value, self.second, axes=1
        )

    def __call__(self, t):
        y = self.case(
            *(
                start + t[n] * line
                for n, (start, line) in enumerate(
                    zip(self.starts, self.lines, strict=True)
                )
            )
        )
        axes = tuple(range(1, len(self.weights.shape)))
        return ops.sum(self.weights * y, axis=axes)

    def half_square(self, t):
        return ops.sum(ops.square(self(t))) / 2


def _lines_on_jax(z):
    import jax

    def all_of_them(t):
        return {
            "value": [z(t)],
            "jacobian": [jax.jacfwd(z)(t), jax.jacrev(z)(t)],
            "second": [
                jax.jacfwd(jax.jacrev(z))(t),
                jax.jacrev(jax.jacfwd(z))(t),
                jax.jacrev(jax.jacrev(z))(t),
            ],
            "slope": [jax.grad(z.half_square)(t)],
            "hessian": [jax.hessian(z.half_square)(t)],
        }

    return compiled_if_quicker(all_of_them)(z.origin)


def _lines_on_torch(z):
    from torch import func

    t = z.origin
    return {
        "value": [z(t)],
        "jacobian": [func.jacfwd(z)(t), func.jacrev(z)(t)],
        "second": [
            func.jacfwd(func.jacrev(z))(t),
            func.jacrev(func.jacfwd(z))(t),
            func.jacrev(func.jacrev(z))(t),
        ],
        "slope": [func.grad(z.half_square)(t)],
        "hessian": [func.hessian(z.half_square)(t)],
    }


def _lines_on_tensorflow(z, compile):
    import tensorflow as tf

    # Without a graph, it cannot vectorize over what it has vectorized if that
    # is one of its own convolutions.
    pfor = compile is not None

    def all_of_them(t):
        with tf.GradientTape(persistent=True) as outer:
            outer.watch(t)
            with tf.GradientTape(persistent=True) as inner:
                inner.watch(t)
                value, half_square = z(t), z.half_square(t)
            slope = inner.gradient(half_square, t)
            jacobian = inner.jacobian(value, t, experimental_use_pfor=pfor)
        return {
            "value": [value],
            "jacobian": [jacobian],
            "second": [outer.jacobian(jacobian, t, experimental_use_pfor=pfor)],
            "slope": [slope],
            "hessian": [outer.jacobian(slope, t, experimental_use_pfor=pfor)],
        }

    if compile is not None:
        all_of_them = tf.function(all_of_them, jit_compile=compile == "xla")
    return all_of_them(z.origin)


LINES = {
    "jax": {"jit": _lines_on_jax},
    "torch": {"eager": _lines_on_torch},
    "tensorflow": {
        str(compile): functools.partial(_lines_on_tensorflow, compile=compile)
        for compile in (None, "graph", "xla")
    },
}[BACKEND]
# XLA takes long to compile, and treats all but the stride of 1 alike.
TOGETHER = [
    (name, way)
    for name in CASES
    for way in LINES
    if way != "xla" or name in ("k3 s2", "stride 1, two axes", "depthwise")
]


@pytest.mark.parametrize(("name", "way"), TOGETHER)
def test_jacobians_and_hessians_along_lines(name, way, rng):
    z = AlongLines(Case(name, rng), rng)
    for derivative, found in LINES[way](z).items():
        for value in arrays(found):
            expected = getattr(z, derivative)
            assert_close(value, expected, SECOND_DERIVATIVES, derivative)


def _input_jacobians_on_jax(case, x, weights):
    import jax

    def one(example):
        return case(example[None], *weights)[0]

    return [
        jax.jit(jax.vmap(jacobian(one)))(x)
        for jacobian in (jax.jacfwd, jax.jacrev)
    ]


def _input_jacobians_on_torch(case, x, weights):
    from torch import func

    def one(example):
        return case(example[None], *weights)[0]

    return [
        func.vmap(jacobian(one))(x) for jacobian in (func.jacfwd, func.jacrev)
    ]


def _input_jacobians_on_tensorflow(case, x, weights):
    import tensorflow as tf

    def jacobian(x, pfor):
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(x)
            y = case(x, *weights)
        return tape.batch_jacobian(y, x, experimental_use_pfor=pfor)

    compiled = tf.function(jacobian, jit_compile=True)
    return [jacobian(x, True), jacobian(x, False), compiled(x, True)]


@each_small_case
def test_jacobian_of_each_example(name, rng):
    case = Case(name, rng)
    x, kernel, _ = case.inputs
    jacobians = {
        "jax": _input_jacobians_on_jax,
        "tensorflow": _input_jacobians_on_tensorflow,
        "torch": _input_jacobians_on_torch,
    }[BACKEND]
    of_example = x.shape[1:]
    ones = np.eye(x[0].size).reshape(-1, *of_example)
    columns = np.moveaxis(case.expected(ones, kernel), 0, -1)
    expected = columns.reshape(*columns.shape[:-1], *of_example)
    x, *weights = tensors(case.inputs)
    for found in arrays(jacobians(case, x, weights)):
        # The layer is linear: the same for every example.
        assert_close(found, np.stack([expected] * len(found)), VALUES)


def _jvp_on_jax(function, starts, directions):
    import jax

    return jax.jit(lambda *d: jax.jvp(function, starts, d))(*directions)


def _jvp_on_torch(function, starts, directions):
    import torch

    return torch.func.jvp(function, starts, directions)


def _jvp_on_tensorflow(function, starts, directions):
    import tensorflow as tf

    with tf.autodiff.ForwardAccumulator(starts, directions) as forward:
        y = function(*starts)
    return y, forward.jvp(y)


JVP = {
    "jax": _jvp_on_jax,
    "tensorflow": _jvp_on_tensorflow,
    "torch": _jvp_on_torch,
}[BACKEND]


@each_case
def test_forward_derivative(name, rng):
    case = Case(name, rng)
    x, kernel, bias = case.inputs
    dx, dkernel, dbias = (normal(rng, *a.shape) for a in case.inputs)
    found = JVP(
        case, tuple(tensors(case.inputs)), tuple(tensors([dx, dkernel, dbias]))
    )
    y, dy = arrays(found)
    assert_close(y, case.expected(x, kernel, bias), GRADIENTS)
    expected = case.expected(dx, kernel, dbias) + case.expected(x, dkernel)
    assert_close(dy, expected, GRADIENTS)


@each_case
def test_forward_derivative_of_the_bias_alone(name, rng):
    case = Case(name, rng)
    x, kernel, bias = tensors(case.inputs)
    direction = normal(rng, *case.inputs[2].shape)
    found = JVP(
        lambda bias: case(x, kernel, bias), (bias,), tuple(tensors([direction]))
    )
    y, dy = arrays(found)
    assert_close(y, case.expected(*case.inputs), GRADIENTS)
    assert_close(dy, np.broadcast_to(direction, y.shape), GRADIENTS)


def _by_example_on_jax(loss, weights, examples):
    import jax

    slopes = jax.vmap(jax.grad(loss), in_axes=(None, 0))
    return jax.jit(slopes)(weights, examples)


def _by_example_on_torch(loss, weights, examples):
    from torch import func

    return func.vmap(func.grad(loss), in_dims=(None, 0))(weights, examples)


def _by_example_on_tensorflow(loss, weights, examples):
    import tensorflow as tf

    with tf.GradientTape() as tape:
        tape.watch(weights)
        losses = tf.vectorized_map(lambda e: loss(weights, e), examples)
    return tape.jacobian(losses, weights)


@each_case
def test_gradient_of_each_example(name, rng):
    """A gradient within a map: each example has one of its own."""
    case = Case(name, rng)
    x, kernel, bias = case.inputs
    upstream = normal(rng, *case.output_shape)

    def loss(weights, example):
        x, upstream = example
        return ops.sum(case(x[None], *weights)[0] * upstream)

    by_example = {
        "jax": _by_example_on_jax,
        "tensorflow": _by_example_on_tensorflow,
        "torch": _by_example_on_torch,
    }[BACKEND]
    slopes = by_example(
        loss, tuple(tensors([kernel, bias])), tuple(tensors([x, upstream]))
    )
    slopes = arrays(slopes)
    for n in range(len(x)):
        example = slice(n, n + 1)
        _, dkernel, dbias = reference.gradients(
            x[example], kernel, upstream[example], **case.sizes
        )
        assert_close(slopes[0][n], dkernel, GRADIENTS)
        assert_close(slopes[1][n], dbias, GRADIENTS)
