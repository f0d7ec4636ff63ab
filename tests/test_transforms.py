"""The layers within what users do to functions: compile, map, differentiate.

A transposed convolution is linear in its input, its kernel and its bias, so
every derivative of whatever order is again one of the reference. Backends
differentiate and map each formulation by rules of their own, so the cases meet
every one that is chosen.
"""

import functools

import keras
import numpy as np
import pytest
import reference
from gradients import (
    BACKEND,
    arrays,
    compiled_if_quicker,
    tensors,
    value_and_derivative,
)
from keras import ops
from tolerances import GRADIENTS, SECOND_DERIVATIVES, VALUES, assert_close

import keras_convt
from keras_convt.ops.formulations import FORMULATIONS

pytestmark = [
    pytest.mark.filterwarnings(f"ignore:{words}")
    for words in (
        # TorchDynamo, of gradients of tensors that have none, and of Keras's
        # rules for dtypes.
        "The .grad attribute of a Tensor:UserWarning",
        ".*Dynamo detected a call to a `functools.lru_cache`:UserWarning",
        # PyTorch of itself, when it first differentiates forward.
        "`torch.jit.script` is deprecated:DeprecationWarning",
    )
]

CONVOLUTION = keras_convt.Conv1DTranspose
DEPTHWISE = keras_convt.DepthwiseConv1DTranspose
# The layer, its arguments, and the steps and channels of its input.
CASES = {
    "k3 s2": (
        CONVOLUTION,
        {"filters": 3, "kernel_size": 3, "strides": 2},
        4,
        2,
    ),
    "k = s": (
        CONVOLUTION,
        {"filters": 3, "kernel_size": 2, "strides": 2},
        4,
        2,
    ),
    "stride 1": (
        CONVOLUTION,
        {"filters": 3, "kernel_size": 5, "padding": "same"},
        4,
        2,
    ),
    "groups": (
        CONVOLUTION,
        {
            "filters": 4,
            "kernel_size": 4,
            "strides": 2,
            "padding": "causal",
            "groups": 2,
        },
        4,
        4,
    ),
    "depthwise": (
        DEPTHWISE,
        {"kernel_size": 4, "strides": 2, "padding": "same"},
        4,
        3,
    ),
    "large kernel": (
        CONVOLUTION,
        {"filters": 8, "kernel_size": 260, "strides": 130},
        3,
        2,
    ),
    "two axes": (
        keras_convt.Conv2DTranspose,
        {
            "filters": 2,
            "kernel_size": (3, 4),
            "strides": (2, 3),
            "padding": "same",
        },
        (3, 2),
        2,
    ),
}
# Where every output is differentiated apart.
SMALL = [name for name in CASES if name != "large kernel"]
if BACKEND == "tensorflow":
    # Of a size from which it uses its own kernels.
    CASES |= {
        "much work": (
            CONVOLUTION,
            {"filters": 64, "kernel_size": 3, "strides": 2, "padding": "same"},
            360,
            64,
        ),
        "much work, dilated": (
            CONVOLUTION,
            {
                "filters": 64,
                "kernel_size": 3,
                "dilation_rate": 2,
                "padding": "same",
            },
            360,
            64,
        ),
    }

each_case = pytest.mark.parametrize("name", CASES)
each_small_case = pytest.mark.parametrize("name", SMALL)


def normal(rng, *shape):
    return rng.normal(size=shape).astype("float32")


class Case:
    """A layer as a function of its input, its kernel and its bias."""

    def __init__(self, name, rng, batch=2):
        cls, arguments, steps, channels = CASES[name]
        steps = steps if isinstance(steps, tuple) else (steps,)
        self.layer = cls(**arguments)
        self.layer.build((None, *steps, channels))
        self.inputs = [
            normal(rng, batch, *steps, channels),
            *(normal(rng, *w.shape) for w in self.layer.weights),
        ]
        self.layer.set_weights(self.inputs[1:])
        self.sizes = {
            "groups": channels if cls is DEPTHWISE else 1,
            **{
                key: value
                for key, value in arguments.items()
                if key not in ("filters", "kernel_size")
            },
        }
        self.output_shape = self.expected(*self.inputs).shape

    def __call__(self, x, kernel, bias):
        y, _ = self.layer.stateless_call([kernel, bias], [], x)
        return y

    def expected(self, x, kernel, bias=None):
        return reference.conv_transpose(x, kernel, bias, **self.sizes)


CHOICES = {
    "jax": {"by_group", "convolution", "overlap_add", "shift_multiply_add"},
    "tensorflow": {
        "by_group",
        "convolution",
        "native",
        "overlap_add",
        "overlap_add_by_chunk",
    },
    "torch": {"convolution", "native", "overlap_add"},
}


def test_the_cases_meet_every_formulation_chosen(rng, monkeypatch):
    used = set()

    def recorded(name, function, *arguments):
        used.add(name)
        return function(*arguments)

    for name, function in list(FORMULATIONS.items()):
        monkeypatch.setitem(
            FORMULATIONS, name, functools.partial(recorded, name, function)
        )
    cases = [Case(name, rng) for name in CASES]

    def all_of_them(*inputs):
        return [case(*i) for case, i in zip(cases, inputs, strict=True)]

    compiled_if_quicker(all_of_them)(*(tensors(c.inputs) for c in cases))
    assert used == CHOICES[BACKEND]


# --- maps -------------------------------------------------------------------


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


@each_case
def test_map_of_the_backend(name, rng):
    """Over an axis that is not the batch: the examples come last as well."""
    case = Case(name, rng)
    x, kernel, bias = case.inputs
    more = np.stack([x, -x, normal(rng, *x.shape)], axis=-1)
    weights = tensors([kernel, bias])
    mapped = {
        "jax": _map_on_jax,
        "tensorflow": _map_on_tensorflow,
        "torch": _map_on_torch,
    }[BACKEND]
    (y,) = arrays([mapped(lambda x: case(x, *weights), *tensors([more]))])
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
    mapped = {
        "jax": _map_on_jax,
        "tensorflow": _map_on_tensorflow,
        "torch": _map_on_torch,
    }[BACKEND]
    (y,) = arrays([mapped(lambda b: case(*shared, b), *tensors([biases]))])
    for n in range(2):
        expected = case.expected(x, kernel, biases[:, n])
        assert_close(y[..., n], expected, GRADIENTS)


# --- derivatives ------------------------------------------------------------


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
    if way != "xla" or name in ("k3 s2", "stride 1", "depthwise")
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


@each_case
def test_forward_derivative(name, rng):
    case = Case(name, rng)
    x, kernel, bias = case.inputs
    dx, dkernel, dbias = (normal(rng, *a.shape) for a in case.inputs)
    jvp = {
        "jax": _jvp_on_jax,
        "tensorflow": _jvp_on_tensorflow,
        "torch": _jvp_on_torch,
    }[BACKEND]
    found = jvp(
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
    jvp = {
        "jax": _jvp_on_jax,
        "tensorflow": _jvp_on_tensorflow,
        "torch": _jvp_on_torch,
    }[BACKEND]
    found = jvp(
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


# --- fit --------------------------------------------------------------------

RATE, STEPS = 0.1, 3
MODES = {
    "run_eagerly": {"run_eagerly": True},
    "jit_compile=False": {"jit_compile": False},
    "jit_compile=True": {"jit_compile": True},
}


@pytest.fixture(params=MODES)
def mode(request, monkeypatch):
    """Arguments of `compile`, for each way that Keras runs a step."""
    if BACKEND == "torch" and MODES[request.param].get("jit_compile"):
        import torch

        if keras.__version__.startswith("3.8"):
            pytest.skip("TorchDynamo fails in the losses of Keras 3.8")
        # Without the code generator behind the graph, as in gradients.py.
        torch._dynamo.reset()
        monkeypatch.setattr(
            torch, "compile", functools.partial(torch.compile, backend="eager")
        )
    return MODES[request.param]


def test_fit_has_the_losses_of_the_definition(mode, rng):
    """Plain descent, through two formulations on every backend.

    Large kernels are left out: TorchDynamo takes half a minute for them.
    """
    names = ["stride 1", "depthwise", "k3 s2"]
    shape, layers, sizes = (4, 2), [], []
    for name in names:
        cls, arguments, *_ = CASES[name]
        layers.append(cls(**arguments))
        sizes.append(
            {
                "strides": arguments.get("strides", 1),
                "padding": arguments.get("padding", "valid"),
                "groups": 3 if cls is DEPTHWISE else 1,
            }
        )
    model = keras.Sequential([keras.Input(shape), *layers])
    model.compile(keras.optimizers.SGD(RATE), "mse", **mode)
    x, y = normal(rng, 2, *shape), normal(rng, 2, *model.output_shape[1:])
    kernels = [layer.get_weights()[0].astype("float64") for layer in layers]
    biases = [layer.get_weights()[1].astype("float64") for layer in layers]

    expected = []
    for _ in range(STEPS):
        inputs = [x]
        for kernel, bias, size in zip(kernels, biases, sizes, strict=True):
            inputs.append(
                reference.conv_transpose(inputs[-1], kernel, bias, **size)
            )
        error = inputs.pop() - y
        expected.append(np.mean(error**2))
        upstream = 2 * error / error.size
        for n in reversed(range(len(layers))):
            upstream, dkernel, dbias = reference.gradients(
                inputs[n], kernels[n], upstream, **sizes[n]
            )
            kernels[n] -= RATE * dkernel
            biases[n] -= RATE * dbias

    history = model.fit(x, y, epochs=STEPS, shuffle=False, verbose=0).history
    assert_close(history["loss"], expected, GRADIENTS)
    # By a hundred times what they may be wrong.
    assert np.ptp(expected) > 0.01, expected
    for layer, kernel, bias in zip(layers, kernels, biases, strict=True):
        assert_close(layer.get_weights()[0], kernel, GRADIENTS, layer.name)
        assert_close(layer.get_weights()[1], bias, GRADIENTS, layer.name)


class Penalised(keras.Sequential):
    """Its loss is |d/dx sum(y * self(x)**2) / 2|**2, a gradient penalty."""

    def compute_loss(
        self, x=None, y=None, y_pred=None, sample_weight=None, training=True
    ):
        def energy(x):
            return ops.sum(y * ops.square(self(x))) / 2

        _, (slope,) = value_and_derivative(energy, [x])
        return ops.sum(ops.square(slope))


@pytest.mark.parametrize("name", ["stride 1", "groups"])
def test_fit_with_a_gradient_penalty(name, mode, rng):
    case = Case(name, rng)
    x, kernel, bias = case.inputs
    weights = normal(rng, *case.output_shape)
    _, dkernel, dbias, penalty = reference.penalty_gradients(
        x, kernel, bias, weights, **case.sizes
    )
    # A step of the size of the weights.
    rate = 1 / np.abs(dkernel).max()
    model = Penalised([keras.Input(x.shape[1:]), case.layer])
    model.compile(keras.optimizers.SGD(rate), **mode)
    history = model.fit(x, weights, shuffle=False, verbose=0).history
    assert_close(history["loss"], [penalty], SECOND_DERIVATIVES)
    after = case.layer.get_weights()
    assert_close(after[0], kernel - rate * dkernel, SECOND_DERIVATIVES)
    assert_close(after[1], bias - rate * dbias, SECOND_DERIVATIVES)
