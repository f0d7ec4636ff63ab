"""Half precision is computed by what is right on every processor.

On processors with AMX, oneDNN's convolutions of bfloat16 and their gradients
were wrong by as much as the values themselves, in one of sixteen random
layers, on PyTorch and TensorFlow. So none of them may be asked for at all.
"""

import keras
import numpy as np
import pytest
import reference
from gradients import BACKEND, compiled_if_quicker, value_and_derivative
from keras import ops

import keras_convt

# Relative to the root mean square of what is expected: 2**-9 for a result that
# is rounded once, and twice as much where a product is rounded before a sum.
ROUNDED = {"bfloat16": 2**-7, "float16": 2**-10}

LAYERS = [
    # rank, batch, steps, channels, filters, and the layer's sizes.
    (1, 1, 50, 128, 8, {"kernel_size": 8, "strides": 4, "padding": "same"}),
    (1, 1, 17, 64, 8, {"kernel_size": 16, "padding": "valid"}),
    (1, 2, 40, 8, 64, {"kernel_size": 16, "padding": "valid"}),
    (1, 2, 20, 8, 16, {"kernel_size": 5, "dilation_rate": 2}),
    (1, 2, 20, 8, 16, {"kernel_size": 6, "strides": 3, "padding": "causal"}),
    (1, 2, 20, 8, 8, {"kernel_size": 4, "strides": 2, "groups": 8}),
    (1, 2, 20, 8, 16, {"kernel_size": 4, "strides": 2, "groups": 4}),
    (1, 2, 9, 8, 16, {"kernel_size": 4, "strides": 4, "padding": "same"}),
    (2, 1, (8, 1), 64, 16, {"kernel_size": 3, "strides": 2}),
    (2, 1, 6, 16, 3, {"kernel_size": 5, "padding": "same"}),
    (2, 1, 6, 16, 2, {"kernel_size": 5, "padding": "same"}),
    (2, 1, 6, 8, 1, {"kernel_size": (5, 6)}),
    (2, 1, 5, 8, 8, {"kernel_size": 3, "dilation_rate": 2, "groups": 8}),
    (2, 1, 5, 8, 8, {"kernel_size": (4, 3), "strides": (2, 1)}),
    (3, 1, 3, 16, 8, {"kernel_size": 3, "strides": 2, "padding": "same"}),
    (3, 1, 3, 8, 8, {"kernel_size": 2, "padding": "valid"}),
]


def random_layers(count):
    """More of them, the same every time."""
    rng = np.random.default_rng(28)
    for _ in range(count):
        rank = int(rng.integers(1, 4))
        most = (48, 10, 5)[rank - 1]
        yield (
            rank,
            int(rng.integers(1, 3)),
            tuple(int(n) for n in rng.integers(1, most, rank)),
            int(rng.integers(1, 72)),
            int(rng.integers(1, 72)),
            {
                "kernel_size": tuple(int(n) for n in rng.integers(1, 6, rank)),
                "strides": tuple(int(n) for n in rng.integers(1, 5, rank)),
                "padding": str(rng.choice(["same", "valid"])),
            },
        )


def fill_memory():
    """Leave freed memory behind that is full of large numbers."""
    for size in (2**12, 2**16, 2**20):
        for _ in range(4):
            np.full(size, 1e30, "float32")
            ops.full((size,), 1e30, "float32")


def rounded(array, dtype):
    """Numbers that `dtype` holds, as float64."""
    tensor = ops.cast(ops.convert_to_tensor(array, "float32"), dtype)
    return numbers(tensor)


def numbers(tensor):
    return ops.convert_to_numpy(ops.cast(tensor, "float32")).astype("float64")


def assert_near(actual, expected, dtype, what):
    scale = np.sqrt(np.mean(expected**2))
    error = np.sqrt(np.mean((numbers(actual) - expected) ** 2))
    # Written so that a NaN is an error.
    assert error <= ROUNDED[dtype] * scale, (what, error / scale)


def problem_of(layer, dtype, rng):
    """Arrays that `dtype` holds, the op's arguments, and its values."""
    rank, batch, steps, channels, filters, sizes = layer
    steps = (steps,) * rank if isinstance(steps, int) else steps
    sizes = dict(sizes)
    kernel_size = sizes.pop("kernel_size")
    if isinstance(kernel_size, int):
        kernel_size = (kernel_size,) * rank
    groups = sizes.get("groups", 1)
    x = rounded(rng.normal(size=(batch, *steps, channels)), dtype)
    kernel = rng.normal(size=(*kernel_size, filters // groups, channels))
    kernel = rounded(kernel, dtype)
    expected = reference.conv_transpose(x, kernel, **sizes)
    upstream = rounded(rng.normal(size=expected.shape), dtype)
    return (x, kernel, upstream), sizes, expected


def output_and_gradients(arrays, sizes, dtype):
    x, kernel, upstream = (
        ops.cast(ops.convert_to_tensor(a, "float32"), dtype) for a in arrays
    )

    def loss(x, kernel):
        y = keras_convt.ops.conv_transpose(x, kernel, **sizes)
        # In float32, so that nothing but the layer is rounded.
        return ops.sum(ops.cast(y, "float32") * ops.cast(upstream, "float32"))

    def everything(x, kernel):
        y = keras_convt.ops.conv_transpose(x, kernel, **sizes)
        return y, *value_and_derivative(loss, [x, kernel])[1]

    fill_memory()
    results = compiled_if_quicker(everything)(x, kernel)
    return [t.detach() if BACKEND == "torch" else t for t in results]


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_outputs_and_gradients(dtype, rng):
    layers = LAYERS
    if dtype == "bfloat16" and BACKEND != "jax":
        # JAX has no oneDNN here, and would compile each of them.
        layers = [*LAYERS, *random_layers(12)]
    for layer in layers:
        arrays, sizes, expected = problem_of(layer, dtype, rng)
        y, dx, dkernel = output_and_gradients(arrays, sizes, dtype)
        slopes = reference.gradients(*arrays, **sizes)
        assert keras.backend.standardize_dtype(y.dtype) == dtype
        assert_near(y, expected, dtype, layer)
        assert_near(dx, slopes[0], dtype, layer)
        assert_near(dkernel, slopes[1], dtype, layer)


def test_gradients_of_many_taps_are_rounded_once(rng):
    """Which JAX adds up tap by tap; rounded at each, the error is 2**-7."""
    sizes = {"kernel_size": 9, "strides": 2, "padding": "same"}
    layer = (2, 1, 26, 16, 8, sizes)
    arrays, sizes, _ = problem_of(layer, "bfloat16", rng)
    _, *found = output_and_gradients(arrays, sizes, "bfloat16")
    slopes = reference.gradients(*arrays, **sizes)[:2]
    for slope, expected in zip(found, slopes, strict=True):
        error = np.sqrt(np.mean((numbers(slope) - expected) ** 2))
        assert error <= 2.0**-8 * np.sqrt(np.mean(expected**2))


def test_the_layer_adds_its_bias_before_it_rounds(rng):
    layer = keras_convt.Conv1DTranspose(64, 16, dtype="mixed_bfloat16")
    x = rounded(rng.normal(size=(2, 40, 8)), "bfloat16")
    layer.build(x.shape)
    kernel = rounded(rng.normal(size=(16, 64, 8)), "bfloat16")
    bias = rounded(rng.normal(size=64), "bfloat16")
    layer.set_weights([kernel, bias])
    assert_near(
        layer(x.astype("float32")),
        reference.conv_transpose(x, kernel, bias),
        "bfloat16",
        "mixed_bfloat16",
    )


def test_a_stream(rng):
    model = keras.Sequential(
        [
            keras.Input((None, 8), dtype="bfloat16"),
            keras.layers.Conv1D(
                64, 8, padding="causal", use_bias=False, dtype="bfloat16"
            ),
            keras_convt.Conv1DTranspose(
                8, 8, 4, padding="causal", use_bias=False, dtype="bfloat16"
            ),
        ]
    )
    kernels = [
        rounded(rng.normal(size=v.shape) / 8, "bfloat16")
        for v in model.trainable_variables
    ]
    model.set_weights(kernels)
    x = rounded(rng.normal(size=(1, 12, 8)), "bfloat16")
    padded = np.pad(x, [(0, 0), (7, 0), (0, 0)])
    hidden = rounded(reference.conv(padded, kernels[0]), "bfloat16")
    expected = reference.conv_transpose(
        hidden, kernels[1], strides=4, padding="causal"
    )
    stream = keras_convt.StreamingModel(model)
    state = stream.initial_state(1)
    outputs = []
    for chunk in np.split(x, 3, axis=1):
        chunk = ops.cast(ops.convert_to_tensor(chunk, "float32"), "bfloat16")
        fill_memory()
        y, state = stream.step(chunk, state)
        outputs.append(numbers(y))
    outputs = ops.convert_to_tensor(np.concatenate(outputs, 1), "float32")
    assert_near(outputs, expected, "bfloat16", "a stream")


@pytest.mark.skipif(BACKEND != "torch", reason="looks at PyTorch's own calls")
@pytest.mark.parametrize("layer", LAYERS)
def test_torch_is_asked_for_no_convolution_of_half_precision(layer, rng):
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode

    class Calls(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            if "conv" in str(function):
                half.extend(
                    str(function)
                    for a in args
                    if isinstance(a, torch.Tensor)
                    and a.dtype in (torch.bfloat16, torch.float16)
                )
            return function(*args, **(kwargs or {}))

    half = []
    (x, kernel, upstream), sizes, _ = problem_of(layer, "bfloat16", rng)
    x, kernel, upstream = (
        torch.tensor(a, dtype=torch.bfloat16) for a in (x, kernel, upstream)
    )
    x, kernel = x.requires_grad_(), kernel.requires_grad_()

    with Calls():
        y = keras_convt.ops.conv_transpose(x, kernel, **sizes)
        torch.autograd.backward(y, upstream)
    assert not half


@pytest.mark.skipif(
    BACKEND != "tensorflow", reason="looks at TensorFlow's own operations"
)
@pytest.mark.parametrize("layer", LAYERS)
def test_tensorflow_is_asked_for_no_convolution_of_half_precision(layer, rng):
    import tensorflow as tf

    (x, kernel, upstream), sizes, _ = problem_of(layer, "bfloat16", rng)
    graph = tf.Graph()
    with graph.as_default():
        x, kernel, upstream = (
            tf.cast(tf.constant(a), "bfloat16") for a in (x, kernel, upstream)
        )
        y = keras_convt.ops.conv_transpose(x, kernel, **sizes)
        tf.gradients(y, [x, kernel], upstream)
    assert not [
        operation.name
        for operation in graph.get_operations()
        if "Conv" in operation.type
        and operation.outputs[0].dtype in (tf.bfloat16, tf.float16)
    ]


@pytest.mark.skipif(BACKEND != "torch", reason="PyTorch's autocast")
@pytest.mark.parametrize("use_bias", [True, False])
@pytest.mark.parametrize(
    ("kernel_size", "strides"), [(3, 2), (2, 2), (5, 1), (600, 300)]
)
def test_autocast_gives_the_dtype_of_the_built_in(
    kernel_size, strides, use_bias, rng
):
    import torch

    x = rounded(rng.normal(size=(2, 10, 4)), "bfloat16")
    kernel = rounded(rng.normal(size=(kernel_size, 3, 4)), "bfloat16")
    bias = np.zeros(3)
    outputs = []
    for cls in (keras_convt.Conv1DTranspose, keras.layers.Conv1DTranspose):
        layer = cls(3, kernel_size, strides=strides, use_bias=use_bias)
        layer.build(x.shape)
        layer.set_weights([kernel, bias][: 1 + use_bias])
        with torch.autocast("cpu", dtype=torch.bfloat16):
            outputs.append(layer(x.astype("float32")).detach())
    assert outputs[0].dtype == outputs[1].dtype
    expected = reference.conv_transpose(x, kernel, strides=strides)
    assert_near(outputs[0], expected, "bfloat16", "autocast")
