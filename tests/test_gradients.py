"""Gradients of input, kernel and bias, and gradients of gradients.

The subset: the shortest kernel, one shorter and one longer than most strides,
an even and an odd one; every padding; and of the legal output sizes the two
ends, where most is cropped and where most zeros are appended. Values have the
whole range (test_values.py), and a gradient can go wrong in ways that values do
not only where a formulation starts to differ: at k < s, k = s, k > s.
"""

import formulations
import keras
import numpy as np
import pytest
import reference
from gradients import (
    double_precision,
    penalty_and_gradients,
    value_and_gradients,
)
from keras import ops
from tolerances import GRADIENTS, SECOND_DERIVATIVES, Failures, assert_close

import keras_convt
from keras_convt.ops.backend import backend

# TorchDynamo looks at the gradients of tensors that have none, and says so.
pytestmark = pytest.mark.filterwarnings(
    "ignore:The .grad attribute of a Tensor:UserWarning"
)

NAMES = ("input", "kernel", "bias")


def normal(rng, *shape):
    return rng.normal(size=shape).astype("float32")


def with_bias(x, kernel, bias, configuration):
    """The op and a bias: what a layer computes, as a function of all three."""
    y = keras_convt.ops.conv_transpose(x, kernel, **configuration)
    if configuration.get("data_format") == "channels_first":
        bias = ops.reshape(bias, (-1, 1))
    return y + bias


def arrays_for(rng, k, groups, configuration, length=3):
    x = normal(rng, 2, length, 4)
    if configuration.get("data_format") == "channels_first":
        x = np.ascontiguousarray(np.swapaxes(x, 1, 2))
    weights = normal(rng, k, 4 // groups, 4), normal(rng, 4)
    shape = reference.conv_transpose(x, *weights, **configuration).shape
    return [x, *weights], normal(rng, *shape)


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("padding", ["valid", "same", "causal", (2, -3)])
@pytest.mark.parametrize("s", [1, 2, 3, 5])
def test_input_kernel_and_bias(s, padding, data_format, rng):
    cases = []
    for k in (1, 2, 3, 6, 7):
        # Groups take turns with the kernels, so each meets each stride.
        groups = {1: 1, 2: 2, 3: 4, 6: 2, 7: 1}[k]
        legal = reference.legal_output_sizes(3, k, s, 1, padding)
        for n in {None, legal[0], legal[-1]}:
            configuration = {
                "strides": s,
                "padding": padding,
                "output_size": n,
                "groups": groups,
                "data_format": data_format,
            }
            inputs, upstream = arrays_for(rng, k, groups, configuration)
            if upstream.size:
                cases.append((inputs, upstream, configuration))

    # One scalar of all cases: its gradients are those of each case.
    def loss(*variables):
        total = 0.0
        for index, (_, upstream, configuration) in enumerate(cases):
            y = with_bias(*variables[3 * index : 3 * index + 3], configuration)
            total = total + ops.sum(ops.multiply(y, upstream))
        return total

    flat = [array for inputs, _, _ in cases for array in inputs]
    # Traced here and eager below: one graph is several times quicker on JAX.
    _, slopes = value_and_gradients(loss, flat, compile="if quicker")
    failures = Failures()
    for index, (inputs, upstream, configuration) in enumerate(cases):
        expected = reference.gradients(*inputs[:2], upstream, **configuration)
        for name, slope, wanted in zip(
            NAMES, slopes[3 * index : 3 * index + 3], expected, strict=True
        ):
            failures.compare(
                slope,
                wanted,
                GRADIENTS,
                of=name,
                kernel=inputs[1].shape,
                **configuration,
            )
    failures.report()


@pytest.mark.parametrize("implementation", ["native", "convolution"])
@pytest.mark.parametrize(
    "copied", ["as here", True] if backend.name == "torch" else ["as here"]
)
@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("channels", [4, 16, 50])
def test_volumes(channels, groups, copied, implementation, rng, monkeypatch):
    """In the memory formats of PyTorch that they have on one CPU or another."""
    if copied is True:
        monkeypatch.setattr(backend, "_copies_volumes", True)
    for kernel_size, strides in (
        ((2, 3, 1), 1),
        ((3, 2, 4), 2),
        ((1, 2, 2), 3),
    ):
        if implementation == "convolution" and strides > 1:
            continue
        configuration = {"strides": strides, "padding": "same"}
        configuration["groups"] = groups
        x = normal(rng, 2, 2, 3, 4, channels)
        kernel = normal(rng, *kernel_size, 6 // groups, channels)
        y = reference.conv_transpose(x, kernel, **configuration)
        upstream = normal(rng, *y.shape)

        def loss(x, kernel, configuration=configuration, upstream=upstream):
            y = keras_convt.ops.conv_transpose(
                x, kernel, **configuration, implementation=implementation
            )
            return ops.sum(ops.multiply(y, upstream))

        _, slopes = value_and_gradients(loss, [x, kernel], compile="if quicker")
        expected = reference.gradients(x, kernel, upstream, **configuration)
        for slope, wanted in zip(slopes, expected[:2], strict=True):
            assert_close(slope, wanted, GRADIENTS)


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize(
    ("kernel_size", "strides", "implementation"),
    [
        ((16,), 2, "native"),
        ((12,), 1, "convolution"),
        ((4, 4), 2, "native"),
        ((3, 4), 1, "convolution"),
    ],
)
def test_many_weights(
    kernel_size, strides, implementation, groups, data_format, rng
):
    """PyTorch puts kernels of 65,536 weights in order in two steps."""
    configuration = {"strides": strides, "padding": "same", "groups": groups}
    channels, filters = 72 * groups, 80
    x = normal(rng, 2, *(3, 2)[: len(kernel_size)], channels)
    kernel = normal(rng, *kernel_size, filters // groups, channels)
    y = reference.conv_transpose(x, kernel, **configuration)
    upstream = normal(rng, *y.shape)
    first = data_format == "channels_first"

    def loss(x, kernel):
        y = keras_convt.ops.conv_transpose(
            ops.moveaxis(x, -1, 1) if first else x,
            kernel,
            **configuration,
            data_format=data_format,
            implementation=implementation,
        )
        y = ops.moveaxis(y, 1, -1) if first else y
        return ops.sum(ops.multiply(y, upstream))

    value, slopes = value_and_gradients(loss, [x, kernel], compile="if quicker")
    assert_close(value, np.sum(y * upstream), GRADIENTS)
    expected = reference.gradients(x, kernel, upstream, **configuration)
    for slope, wanted in zip(slopes, expected[:2], strict=True):
        assert_close(slope, wanted, GRADIENTS)


SHAPES = [
    (3, 1, {}),
    (4, 1, {"strides": 2, "padding": "same"}),
    (2, 1, {"strides": 3, "output_padding": 1}),
    (5, 2, {"strides": 2, "padding": "causal", "groups": 2}),
    (5, 4, {"strides": 2, "padding": "causal", "groups": 4}),
    (3, 1, {"dilation_rate": 2, "padding": (1, -2)}),
]

every_implementation = pytest.mark.parametrize(
    ("k", "groups", "configuration", "implementation", "compile"),
    [
        (k, groups, configuration, name, compile)
        for k, groups, configuration in SHAPES
        for name, compile in (
            ("auto", False),
            ("auto", True),
            *((name, "if quicker") for name in formulations.NAMES),
        )
        if formulations.computes(
            name,
            configuration.get("strides", 1),
            groups,
            4,
            k,
            configuration.get("dilation_rate", 1),
        )
    ],
)


@every_implementation
def test_every_implementation(
    k, groups, configuration, implementation, compile, rng
):
    inputs, upstream = arrays_for(rng, k, groups, configuration)

    def loss(x, kernel, bias):
        arguments = {**configuration, "implementation": implementation}
        return ops.sum(
            ops.multiply(with_bias(x, kernel, bias, arguments), upstream)
        )

    value, slopes = value_and_gradients(loss, inputs, compile)
    y = reference.conv_transpose(*inputs, **configuration)
    assert_close(value, np.sum(y * upstream), GRADIENTS)
    expected = reference.gradients(*inputs[:2], upstream, **configuration)
    for name, slope, wanted in zip(NAMES, slopes, expected, strict=True):
        assert_close(slope, wanted, GRADIENTS, name)


@every_implementation
def test_gradient_penalty(
    k, groups, configuration, implementation, compile, rng
):
    inputs, weights = arrays_for(rng, k, groups, configuration)

    def loss(x, kernel, bias):
        arguments = {**configuration, "implementation": implementation}
        y = with_bias(x, kernel, bias, arguments)
        return ops.sum(ops.multiply(ops.square(y), weights)) / 2

    value, slopes = penalty_and_gradients(loss, inputs, compile)
    *expected, penalty = reference.penalty_gradients(
        *inputs, weights, **configuration
    )
    assert_close(value, penalty, SECOND_DERIVATIVES)
    for name, slope, wanted in zip(NAMES, slopes, expected, strict=True):
        assert_close(slope, wanted, SECOND_DERIVATIVES, name)


@pytest.mark.parametrize(
    ("cls", "steps", "kernel_size", "arguments"),
    [
        (
            keras_convt.Conv2DTranspose,
            (3, 2),
            (2, 3),
            {"strides": (3, 2), "padding": "same"},
        ),
        (
            keras_convt.Conv3DTranspose,
            (2, 3, 2),
            (3, 1, 2),
            {"strides": (2, 1, 3), "padding": ((1, 0), (0, 0), (0, -1))},
        ),
    ],
)
def test_two_and_three_axes(cls, steps, kernel_size, arguments, rng):
    x = normal(rng, 2, *steps, 3)
    weights = [normal(rng, *kernel_size, 2, 3), normal(rng, 2)]
    layer = cls(2, kernel_size, **arguments)
    layer.build(x.shape)
    y = reference.conv_transpose(x, *weights, **arguments)
    upstream = normal(rng, *y.shape)

    def loss(x, *weights):
        y, _ = layer.stateless_call(list(weights), [], x)
        return ops.sum(ops.multiply(y, upstream))

    _, slopes = value_and_gradients(loss, [x, *weights])
    expected = reference.gradients(x, weights[0], upstream, **arguments)
    for name, slope, wanted in zip(NAMES, slopes, expected, strict=True):
        assert_close(slope, wanted, GRADIENTS, name)


@pytest.mark.parametrize(
    "arguments",
    [
        {"kernel_size": 4, "strides": 2, "padding": "same"},
        {"kernel_size": 3, "strides": 5},
        {"kernel_size": 4, "padding": "causal", "strides": 2, "groups": 2},
    ],
)
def test_a_training_step_of_a_model(arguments, rng):
    """`train_on_batch` with plain descent moves weights by the gradient."""
    layer = keras_convt.Conv1DTranspose(4, **arguments)
    model = keras.Sequential([keras.Input((None, 2)), layer])
    before = [normal(rng, *w.shape) for w in layer.weights]
    layer.set_weights(before)
    sizes = {k: v for k, v in arguments.items() if k != "kernel_size"}
    x = normal(rng, 3, 5, 2)
    upstream = normal(
        rng, *reference.conv_transpose(x, before[0], **sizes).shape
    )
    # Keras averages a loss over the batch: one number a sample, times three.
    model.compile(
        keras.optimizers.SGD(0.5),
        loss=lambda w, y: ops.sum(w * y, axis=(1, 2)) * 3.0,
    )
    model.train_on_batch(x, upstream)
    slopes = reference.gradients(x, before[0], upstream, **sizes)[1:]
    for after, weight, slope in zip(
        layer.get_weights(), before, slopes, strict=True
    ):
        assert_close(after, weight - 0.5 * slope, GRADIENTS)


def layer_gradients(cls, x, arguments, dtype):
    """Kernel and gradients of the sum of the squared outputs, in float32."""
    layer = cls(dtype=dtype, **arguments)
    layer.build(x.shape)
    kernel = ops.convert_to_numpy(ops.cast(layer.kernel, "float32"))

    def loss(x, kernel):
        inputs = [ops.cast(each, dtype) for each in (x, kernel)]
        y, _ = layer.stateless_call([inputs[1], layer.bias], [], inputs[0])
        return ops.sum(ops.square(ops.cast(y, "float32")))

    return kernel, value_and_gradients(loss, [x, kernel], "if quicker")[1]


# Sizes for which PyTorch has kernels of its own, beside those of oneDNN.
@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
@pytest.mark.parametrize(
    ("cls", "steps", "channels", "arguments"),
    [
        (
            keras_convt.Conv1DTranspose,
            (10,),
            1,
            {"filters": 4, "kernel_size": 4, "strides": 2},
        ),
        (
            keras_convt.Conv1DTranspose,
            (40,),
            1,
            {"filters": 8, "kernel_size": 5, "strides": 3},
        ),
        (
            keras_convt.Conv1DTranspose,
            (9,),
            3,
            {"filters": 1, "kernel_size": 3},
        ),
        (
            keras_convt.Conv2DTranspose,
            (4, 5),
            1,
            {"filters": 3, "kernel_size": 3, "strides": 2},
        ),
        (
            keras_convt.Conv3DTranspose,
            (2, 7, 5),
            2,
            {"filters": 8, "kernel_size": (5, 3, 2), "strides": (1, 2, 1)},
        ),
        # Where PyTorch gets the kernel with the channels last too.
        (
            keras_convt.Conv1DTranspose,
            (6,),
            3,
            {"filters": 4, "kernel_size": 4, "strides": 2}
            | {"implementation": "native"},
        ),
        (
            keras_convt.Conv2DTranspose,
            (4, 3),
            3,
            {"filters": 4, "kernel_size": (4, 3), "strides": 2}
            | {"implementation": "native"},
        ),
        # Where PyTorch's, with the channels last, read and write memory that
        # is not theirs.
        (
            keras_convt.Conv2DTranspose,
            (3, 1),
            8,
            {"filters": 1, "kernel_size": (3, 5), "strides": (1, 8)},
        ),
        (
            keras_convt.Conv3DTranspose,
            (1, 3, 3),
            1,
            {"filters": 2, "kernel_size": 3},
        ),
        (
            keras_convt.Conv3DTranspose,
            (2, 3, 1),
            16,
            {"filters": 16, "kernel_size": (3, 2, 4)},
        ),
        (
            keras_convt.Conv3DTranspose,
            (4, 1, 1),
            4,
            {"filters": 4, "kernel_size": (4, 3, 3), "strides": 2}
            | {"groups": 4, "padding": ((3, 3), (0, 0), (0, 0))},
        ),
    ],
)
def test_few_channels_in_every_dtype(
    cls, steps, channels, arguments, dtype, rng, request
):
    if dtype == "float64":
        double_precision(request)
    x = normal(rng, 1, *steps, channels)
    if dtype == "bfloat16":
        x = ops.convert_to_numpy(ops.cast(ops.cast(x, dtype), "float32"))
    kernel, slopes = layer_gradients(cls, x, arguments, dtype)
    sizes = {
        key: arguments[key]
        for key in ("strides", "padding", "groups")
        if key in arguments
    }
    y = reference.conv_transpose(x, kernel, **sizes)
    expected = reference.gradients(x, kernel, 2 * y, **sizes)
    tolerance = 3e-2 if dtype == "bfloat16" else 1e-4
    for slope, wanted in zip(slopes, expected[:2], strict=True):
        scale = np.abs(wanted).max()
        assert_close(
            slope, wanted, {"rtol": 0, "atol": tolerance * scale}, dtype
        )
