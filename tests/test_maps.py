"""The layers within maps over examples, weights and other axes."""

import functools

import numpy as np
from gradients import BACKEND, arrays, compiled_if_quicker, tensors
from keras import ops
from tolerances import GRADIENTS, assert_close
from transform_cases import CASES, WARNINGS, Case, each_case, normal

from keras_convt.ops.formulations import FORMULATIONS

pytestmark = WARNINGS

CHOICES = {
    "jax": {
        "by_group",
        "convolution",
        "overlap_add",
        "shift_multiply_add",
        "winograd",
    },
    "tensorflow": {
        "by_group",
        "convolution",
        "native",
        "overlap_add_by_chunk",
        "winograd",
    },
    "torch": {"convolution", "native", "overlap_add", "winograd"},
}


def test_the_cases_meet_every_formulation_chosen(rng, monkeypatch):
    used = set()

    def recorded(name, function, *arguments, **keywords):
        used.add(name)
        return function(*arguments, **keywords)

    for name, function in list(FORMULATIONS.items()):
        monkeypatch.setitem(
            FORMULATIONS, name, functools.partial(recorded, name, function)
        )
    cases = [Case(name, rng) for name in CASES]

    def all_of_them(*inputs):
        return [case(*i) for case, i in zip(cases, inputs, strict=True)]

    compiled_if_quicker(all_of_them)(*(tensors(c.inputs) for c in cases))
    assert used == CHOICES[BACKEND]


@each_case
def test_vectorized_map_over_examples(name, rng):
    case = Case(name, rng)
    x, kernel, bias = case.inputs

    def one(example):
        return case.layer(example[None])[0]

    mapped = compiled_if_quicker(lambda x: ops.vectorized_map(one, x))
    (y,) = arrays([mapped(*tensors([x]))])
    assert_close(y, case.expected(x, kernel, bias), GRADIENTS)


@each_case
def test_vectorized_map_over_weights(name, rng):
    """As an ensemble does: each member has a kernel and a bias of its own."""
    case = Case(name, rng)
    x, kernel, bias = case.inputs
    kernels, biases = normal(rng, 3, *kernel.shape), normal(rng, 3, *bias.shape)
    (x_tensor,) = tensors([x])

    @compiled_if_quicker
    def mapped(*weights):
        return ops.vectorized_map(lambda w: case(x_tensor, *w), weights)

    (y,) = arrays([mapped(*tensors([kernels, biases]))])
    for member in range(3):
        assert_close(
            y[member],
            case.expected(x, kernels[member], biases[member]),
            GRADIENTS,
        )


def _map_on_jax(function, x):
    import jax

    return jax.jit(jax.vmap(function, in_axes=-1, out_axes=-1))(x)


def _map_on_torch(function, x):
    import torch

    # In two parts, as for what is too large at once.
    return torch.func.vmap(function, in_dims=-1, out_dims=-1, chunk_size=2)(x)


def _map_on_tensorflow(function, x):
    import tensorflow as tf

    y = tf.vectorized_map(
        function,
        tf.experimental.numpy.moveaxis(x, -1, 0),
        # Every operation has a rule of its own for a map.
        fallback_to_while_loop=False,
    )
    return tf.experimental.numpy.moveaxis(y, 0, -1)


MAP = {
    "jax": _map_on_jax,
    "tensorflow": _map_on_tensorflow,
    "torch": _map_on_torch,
}[BACKEND]


@each_case
def test_map_of_the_backend(name, rng):
    """Over an axis that is not the batch: the examples come last as well."""
    case = Case(name, rng)
    x, kernel, bias = case.inputs
    more = np.stack([x, -x, normal(rng, *x.shape)], axis=-1)
    weights = tensors([kernel, bias])
    (y,) = arrays([MAP(lambda x: case(x, *weights), *tensors([more]))])
    for n in range(3):
        expected = case.expected(more[..., n], kernel, bias)
        assert_close(y[..., n], expected, GRADIENTS)


@each_case
def test_map_over_the_bias_alone(name, rng):
    """As of an ensemble that shares its kernel."""
    case = Case(name, rng)
    x, kernel, bias = case.inputs
    biases = np.stack([bias, 2 * bias], axis=-1)
    shared = tensors([x, kernel])
    (y,) = arrays([MAP(lambda b: case(*shared, b), *tensors([biases]))])
    for n in range(2):
        expected = case.expected(x, kernel, biases[:, n])
        assert_close(y[..., n], expected, GRADIENTS)
