"""Every formulation against the reference, and what has none."""

import keras
import numpy as np
import pytest
import reference
import tolerances
from formulations import NAMES, REFUSALS, computes
from gradients import BACKEND, value_and_gradients
from keras import ops

import keras_convt
from keras_convt.ops.backend import backend

# rank, kernel_size, strides, dilation_rate, groups, padding: each with what
# one formulation or another has to treat apart.
CASES = [
    (1, 4, 2, 1, 1, "same"),  # chunks of a whole stride
    (1, 5, 3, 1, 2, "valid"),  # a narrower last chunk, groups
    (1, 2, 3, 1, 1, "valid"),  # zeros past the last tap
    (1, 3, 2, 3, 1, (1, -2)),  # strides with dilation, zeros at the end
    (1, 3, 1, 2, 2, (3, 0)),  # a crop beyond the kernel's reach
    (1, 3, 2, 1, 4, "causal"),  # depthwise
    (1, 5, 2, 1, 4, (3, 1)),  # depthwise, more chunks than two
    (2, (3, 2), (2, 1), 1, 4, "same"),  # depthwise images
    (1, 3, 1, 5, 4, "same"),  # depthwise, chunks of zeros alone
    (1, 3, 2, 5, 4, (3, -2)),  # and phases of zeros alone
    (2, 2, 1, (3, 1), 4, "valid"),
    (1, 1, 1, 1, 1, 0),
    (2, (3, 4), (2, 3), 1, 2, "same"),
    (2, 2, 2, 1, 1, "valid"),
    (3, (2, 3, 1), (2, 1, 1), 1, 1, "same"),
    (3, 2, 1, (1, 2, 1), 1, "valid"),
    (2, (2, 4), 2, 1, 1, "valid"),  # two strides on the second axis alone
    (3, (4, 4, 3), 2, 1, 1, "same"),
]


@pytest.mark.parametrize("implementation", ["auto", *NAMES])
@pytest.mark.parametrize("case", CASES)
def test_values_and_gradients(rng, case, implementation):
    rank, kernel_size, strides, dilation_rate, groups, padding = case
    kernel_size = (
        (kernel_size,) * rank if isinstance(kernel_size, int) else kernel_size
    )
    if not computes(
        implementation, strides, groups, 4, kernel_size, dilation_rate
    ):
        with pytest.raises(ValueError, match=REFUSALS[implementation]):
            keras_convt.ops.conv_transpose(
                np.ones((1, *(4,) * rank, 4), "float32"),
                np.ones((*kernel_size, 4 // groups, 4), "float32"),
                strides,
                dilation_rate=dilation_rate,
                groups=groups,
                implementation=implementation,
            )
        return
    sizes = {
        "strides": strides,
        "padding": padding,
        "dilation_rate": dilation_rate,
        "groups": groups,
    }
    x = rng.standard_normal((2, *(5, 4, 3)[:rank], 4)).astype("float32")
    kernel = rng.standard_normal((*kernel_size, 4 // groups, 4))
    kernel = kernel.astype("float32")
    expected = reference.conv_transpose(x, kernel, **sizes)
    upstream = rng.standard_normal(expected.shape).astype("float32")

    def outputs(x, kernel):
        return keras_convt.ops.conv_transpose(
            x, kernel, implementation=implementation, **sizes
        )

    y = ops.convert_to_numpy(outputs(x, kernel))
    tolerances.assert_close(y, expected, tolerances.VALUES)
    weights = ops.convert_to_tensor(upstream)
    _, slopes = value_and_gradients(
        lambda x, kernel: ops.sum(outputs(x, kernel) * weights), [x, kernel]
    )
    dx, dkernel, _ = reference.gradients(x, kernel, upstream, **sizes)
    tolerances.assert_close(slopes[0], dx, tolerances.GRADIENTS)
    tolerances.assert_close(slopes[1], dkernel, tolerances.GRADIENTS)


@pytest.mark.parametrize(
    ("kernel_size", "padding"),
    [
        ((4,), "valid"),
        ((5,), "same"),
        ((4,), "same"),
        ((3,), (1, -2)),
        ((2, 3), "same"),
        ((3, 2), "valid"),
        ((2, 1, 2), "valid"),
    ],
)
@pytest.mark.parametrize(
    ("implementation", "strides"),
    [
        ("native", 1),
        ("convolution", 1),
        ("winograd", 2),
        ("winograd_transposed", 2),
    ],
)
def test_within_xla(kernel_size, padding, implementation, strides, rng):
    if strides == 2:
        # More than one stride, and two at the most.
        kernel_size = tuple(min(max(k, 3), 4) for k in kernel_size)
    x = rng.standard_normal((2, *(5, 4, 3)[: len(kernel_size)], 3))
    x = x.astype("float32")
    kernel = rng.standard_normal((*kernel_size, 2, 3)).astype("float32")
    sizes = {"strides": strides, "padding": padding}
    expected = reference.conv_transpose(x, kernel, **sizes)
    upstream = rng.standard_normal(expected.shape).astype("float32")

    def weighted(x, kernel, weights):
        y = keras_convt.ops.conv_transpose(
            x, kernel, implementation=implementation, **sizes
        )
        return ops.sum(y * weights)

    value, slopes = value_and_gradients(
        weighted, [x, kernel, upstream], compile="xla"
    )
    dx, dkernel, _ = reference.gradients(x, kernel, upstream, **sizes)
    scale = np.abs(expected * upstream).sum()
    assert abs(value - (expected * upstream).sum()) < 1e-6 * scale
    tolerances.assert_close(slopes[0], dx, tolerances.GRADIENTS)
    tolerances.assert_close(slopes[1], dkernel, tolerances.GRADIENTS)
    tolerances.assert_close(slopes[2], expected, tolerances.VALUES)


@pytest.mark.parametrize(
    "implementation", ["native", "overlap_add", "winograd"]
)
def test_unknown_steps_and_batch(rng, implementation):
    inputs = keras.Input((None, 3))
    kernel = rng.standard_normal((4, 2, 3)).astype("float32")
    model = keras.Model(
        inputs,
        keras_convt.ops.conv_transpose(
            inputs, kernel, 2, "same", implementation=implementation
        ),
    )
    for steps in (1, 5, 6):
        x = rng.standard_normal((2, steps, 3)).astype("float32")
        tolerances.assert_close(
            model.predict(x, verbose=0),
            reference.conv_transpose(x, kernel, strides=2, padding="same"),
            tolerances.VALUES,
        )


@pytest.mark.parametrize("implementation", ["auto", *NAMES])
def test_a_formulation_adds_the_bias(rng, implementation):
    """Also to the zeros past the end, and in sizes that are not known."""
    strides, groups = next(
        (strides, groups)
        for groups in (1, 4)
        for strides in (2, 1)
        if computes(implementation, strides, groups, 4, kernel_size=3)
    )
    sizes = {"strides": strides, "padding": (1, -2), "groups": groups}
    kernel = rng.standard_normal((3, 4 // groups, 4)).astype("float32")
    bias = rng.standard_normal(4).astype("float32")
    layer = keras_convt.Conv1DTranspose(
        4, 3, **sizes, implementation=implementation
    )
    model = keras.Sequential([keras.Input((None, 4)), layer])
    layer.set_weights([kernel, bias])
    for steps in (1, 5):
        x = rng.standard_normal((2, steps, 4)).astype("float32")
        tolerances.assert_close(
            model.predict(x, verbose=0),
            reference.conv_transpose(x, kernel, **sizes) + bias,
            tolerances.VALUES,
        )


def test_what_is_refused_of_a_symbolic_input():
    with pytest.raises(ValueError, match="'convolution' is for strides of 1"):
        keras_convt.ops.conv_transpose(
            keras.Input((None, 3)),
            np.ones((4, 2, 3), "float32"),
            2,
            implementation="convolution",
        )


@pytest.mark.parametrize("implementation", ["auto", *NAMES])
@pytest.mark.parametrize("shape", [(0, 5, 4), (2, 0, 4)])
def test_without_positions(shape, implementation):
    """Empty batches and empty signals, with groups of one channel if it can."""
    strides, groups = next(
        (strides, groups)
        for groups in (4, 1)
        for strides in (2, 1)
        if computes(implementation, strides, groups, 4, kernel_size=3)
    )
    y = keras_convt.ops.conv_transpose(
        np.ones(shape, "float32"),
        np.ones((3, 4 // groups, 4), "float32"),
        strides,
        "same",
        groups=groups,
        implementation=implementation,
    )
    assert tuple(y.shape) == (shape[0], shape[1] * strides, 4)


@pytest.mark.skipif(
    BACKEND != "torch", reason="torch.compile is of PyTorch alone"
)
@pytest.mark.filterwarnings(
    # Of rules for dtypes, which Keras keeps.
    "ignore:.*Dynamo detected a call to a `functools.lru_cache`:UserWarning"
)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("implementation", [*NAMES, "auto"])
def test_one_graph_of_torch_compile(implementation, dtype, rng):
    import torch

    strides, groups = next(
        (strides, groups)
        for groups in (1, 4)
        for strides in (2, 1)
        if computes(implementation, strides, groups, 4, kernel_size=3)
    )
    x, kernel = (
        torch.tensor(rng.normal(size=shape)).to(getattr(torch, dtype))
        for shape in ((2, 9, 4), (3, 4 // groups, 4))
    )

    def function(x, kernel):
        return keras_convt.ops.conv_transpose(
            x, kernel, strides, groups=groups, implementation=implementation
        )

    torch.compiler.reset()
    compiled = torch.compile(function, backend="eager", fullgraph=True)
    assert torch.equal(compiled(x, kernel), function(x, kernel))


@pytest.mark.skipif(
    BACKEND != "torch", reason="only PyTorch asks for the processor"
)
@pytest.mark.parametrize("wide", [True, False])
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize(
    ("kernel_size", "strides", "padding"),
    [
        ((5,), 2, "same"),
        ((4,), 2, (1, -3)),
        ((3,), 1, "same"),
        # Large kernels, whose gradients are computed in another way.
        ((33,), 2, "same"),
        ((44,), 2, "same"),
        ((44,), 2, (5, -3)),
        ((3, 4), 2, "same"),
        ((3, 3), 2, ((1, 0), (0, -2))),
        ((3, 2, 3), 2, "same"),
        ((5, 3, 3), 1, "same"),
    ],
)
def test_with_and_without_wide_vectors(
    wide, data_format, dtype, kernel_size, strides, padding, rng, monkeypatch
):
    """What a processor has changes the way, and not the numbers."""
    monkeypatch.setattr(backend, "_has_wide_vectors", wide)
    rank = len(kernel_size)
    x = rng.integers(-3, 4, (2, *(6, 5, 4)[:rank], 3)).astype("float32")
    kernel = rng.integers(-3, 4, (*kernel_size, 2, 3)).astype("float32")
    sizes = {"strides": strides, "padding": padding}
    expected = reference.conv_transpose(x, kernel, **sizes)
    upstream = rng.integers(-1, 2, expected.shape).astype("float32")
    first = data_format == "channels_first"

    def weighted(x, kernel):
        x, kernel = ops.cast(x, dtype), ops.cast(kernel, dtype)
        y = keras_convt.ops.conv_transpose(
            ops.moveaxis(x, -1, 1) if first else x,
            kernel,
            data_format=data_format,
            **sizes,
        )
        y = ops.moveaxis(y, 1, -1) if first else y
        return ops.sum(ops.multiply(ops.cast(y, "float32"), upstream))

    value, slopes = value_and_gradients(weighted, [x, kernel])
    half = dtype != "float32"
    assert np.isclose(
        value,
        (expected * upstream).sum(),
        rtol=0,
        atol=(1e-2 if half else 1e-5) * np.abs(expected * upstream).sum(),
    )
    exact = reference.gradients(x, kernel, upstream, **sizes)[:2]
    for slope, right in zip(slopes, exact, strict=True):
        bound = (2e-2 if half else 1e-5) * np.abs(right).max()
        np.testing.assert_allclose(slope, right, rtol=0, atol=bound)


@pytest.mark.skipif(BACKEND != "jax", reason="uses JAX's own functions")
def test_derivatives_by_one_argument_and_of_second_order(rng):
    import jax

    x, kernel = (
        jax.numpy.asarray(rng.normal(size=size), "float32")
        for size in ((2, 5, 3), (5, 2, 3))
    )

    def derivatives(implementation):
        def function(x, kernel):
            y = keras_convt.ops.conv_transpose(
                x, kernel, 2, "same", implementation=implementation
            )
            return ops.sum(y**3)

        tangent = ops.ones_like(x)
        return [
            jax.grad(function, 0)(x, kernel),
            jax.grad(function, 1)(x, kernel),
            jax.jvp(lambda x: function(x, kernel), (x,), (tangent,))[1],
            jax.hessian(function, 1)(x, kernel),
            jax.jacfwd(jax.grad(function, 0), 1)(x, kernel),
            jax.vmap(jax.grad(function), (0, None))(x[:, None], kernel),
        ]

    for got, right in zip(
        derivatives("native_with_products"),
        derivatives("overlap_add"),
        strict=True,
    ):
        scale = np.abs(right).max()
        np.testing.assert_allclose(got, right, rtol=0, atol=1e-5 * scale)


@pytest.mark.skipif(
    BACKEND != "tensorflow", reason="uses TensorFlow's own functions"
)
@pytest.mark.parametrize("in_graph", [False, True])
def test_derivatives_of_second_order_on_tapes(rng, in_graph):
    import tensorflow as tf

    x, kernel = (
        tf.Variable(rng.normal(size=size), dtype="float32")
        for size in ((1, 4, 3, 4, 3), (3, 3, 3, 2, 3))
    )

    def derivatives(implementation):
        with tf.GradientTape() as second:
            with tf.GradientTape() as first:
                y = keras_convt.ops.conv_transpose(
                    x, kernel, 2, "same", implementation=implementation
                )
                loss = ops.sum(y**3)
            by_x, by_kernel = first.gradient(loss, [x, kernel])
            both = ops.sum(by_x**2) + ops.sum(by_kernel**2)
        return [by_x, by_kernel, *second.gradient(both, [x, kernel])]

    if in_graph:
        derivatives = tf.function(derivatives)
    for got, right in zip(
        derivatives("native_with_products"),
        derivatives("overlap_add"),
        strict=True,
    ):
        scale = np.abs(right).max()
        np.testing.assert_allclose(got, right, rtol=0, atol=1e-5 * scale)


@pytest.mark.skipif(
    BACKEND not in ("jax", "tensorflow"), reason="others replace no gradients"
)
def test_gradients_are_those_of_the_other_function():
    """An unequal one shows which of the two is differentiated."""
    arguments = [ops.convert_to_tensor([value]) for value in (3.0, 5.0)]

    def function(x):
        return backend.with_gradients_of(
            lambda a, b, scale: scale * a * b,
            lambda a, b, scale: 2 * scale * a * b,
            (x, arguments[1]),
            (7.0,),
        )[0]

    value, slope = value_and_gradient(function, arguments[0])
    assert (value, slope) == (7 * 3 * 5, 2 * 7 * 5)


def value_and_gradient(function, x):
    if BACKEND == "jax":
        import jax

        value, slope = jax.value_and_grad(function)(x)
    else:
        import tensorflow as tf

        with tf.GradientTape() as tape:
            tape.watch(x)
            value = function(x)
        slope = tape.gradient(value, x)
    return float(value), float(slope[0])


def test_an_unknown_implementation():
    with pytest.raises(ValueError, match=r"`implementation`.*'fft'"):
        keras_convt.ops.conv_transpose(
            np.ones((1, 2, 1)), np.ones((2, 1, 1)), implementation="fft"
        )
