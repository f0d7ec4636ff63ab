"""Plain convolutions of PyTorch: their weights, and layers of them."""

import itertools
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import reference
from keras import layers
from keras.ops import convert_to_numpy as numpy
from tolerances import VALUES, assert_close

import keras_convt
from keras_convt import WeightNormalization, from_torch, load_torch_weights


def torch_conv(x, weight, bias, strides=1, padding=0, dilation=1, groups=1):
    """PyTorch's convolution of `(batch, channels, *steps)`, in float64.

    As it documents it: `out[n] = sum(weight[t] * padded[n * stride + t * d])`.
    """
    x, weight = np.float64(x), np.float64(weight)
    rank = weight.ndim - 2
    strides, dilation = (np.broadcast_to(v, rank) for v in (strides, dilation))
    pairs = np.broadcast_to(padding, (rank, 2))
    x = np.pad(x, [(0, 0), (0, 0), *map(tuple, pairs)])
    sizes = [
        (n - (k - 1) * d - 1) // s + 1
        for n, k, d, s in zip(
            x.shape[2:], weight.shape[2:], dilation, strides, strict=True
        )
    ]
    filters, of_group = weight.shape[:2]
    y = np.zeros((len(x), filters, *sizes))
    for f in range(filters):
        first = f // (filters // groups) * of_group
        for taps in itertools.product(*map(range, weight.shape[2:])):
            steps = tuple(
                slice(t * d, t * d + (n - 1) * s + 1, s)
                for t, d, n, s in zip(
                    taps, dilation, sizes, strides, strict=True
                )
            )
            part = x[(slice(None), slice(first, first + of_group), *steps)]
            y[:, f] += np.einsum(
                "bc...,c->b...", part, weight[(f, slice(None), *taps)]
            )
    return y if bias is None else y + bias.reshape(-1, *(1,) * rank)


def run(layer, x):
    """The output for channels first, from a layer with channels last."""
    return np.moveaxis(numpy(layer(np.moveaxis(x, 1, -1))), -1, 1)


# The layer, the shape of PyTorch's weight, and the groups.
CASES = {
    "Conv1D": (lambda: layers.Conv1D(6, 3), (6, 4, 3), 1),
    "groups": (lambda: layers.Conv1D(6, 3, groups=2), (6, 2, 3), 2),
    "Conv2D": (lambda: layers.Conv2D(3, (2, 3)), (3, 4, 2, 3), 1),
    "Conv3D": (lambda: layers.Conv3D(3, (2, 1, 3)), (3, 4, 2, 1, 3), 1),
    "DepthwiseConv1D": (
        lambda: layers.DepthwiseConv1D(3, depth_multiplier=2),
        (8, 1, 3),
        4,
    ),
    "DepthwiseConv2D": (lambda: layers.DepthwiseConv2D(3), (4, 1, 3, 3), 4),
}


@pytest.mark.parametrize("build", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_load_torch_weights(name, build, rng):
    make, shape, groups = CASES[name]
    layer = make()
    x = rng.normal(size=(2, 4, *(5, 4, 6)[: len(shape) - 2])).astype("float32")
    if build:
        run(layer, x)
    weight = rng.normal(size=shape)
    bias = rng.normal(size=shape[0])
    load_torch_weights(layer, weight, bias)
    expected = torch_conv(x, weight, bias, groups=groups)
    assert_close(run(layer, x), expected, VALUES)


def test_load_torch_weights_of_a_built_in_transposed_layer(rng):
    layer = layers.Conv1DTranspose(3, 4, 2)
    weight, bias = rng.normal(size=(5, 3, 4)), rng.normal(size=3)
    load_torch_weights(layer, weight, bias)
    x = rng.normal(size=(2, 6, 5)).astype("float32")
    expected = reference.conv_transpose(
        x, np.moveaxis(weight, (0, 1), (-1, -2)), bias, strides=2
    )
    assert_close(numpy(layer(x)), expected, VALUES)


def test_refused_weights():
    bias = np.zeros(6)
    for layer, weight, message in (
        (layers.Conv1D(6, 3), (6, 4, 2), r"\(6, 4, 3\).*\(6, 4, 2\)"),
        (layers.Conv1D(6, 3), (5, 4, 3), r"\(6, 4, 3\).*\(5, 4, 3\)"),
        (layers.Conv1D(6, 3), (6, 4, 3, 3), r"`weight` must have 3 axes"),
        (layers.DepthwiseConv1D(3), (6, 2, 3), r"\(channels \* 1, 1, \*k"),
        (
            layers.DepthwiseConv1D(3, depth_multiplier=4),
            (6, 1, 3),
            r"\(channels \* 4, 1, \*k",
        ),
    ):
        with pytest.raises(ValueError, match=message):
            load_torch_weights(layer, np.zeros(weight), bias)
        # Nothing was made that would have to be undone.
        assert not layer.built
    layer = layers.Conv1D(6, 3)
    layer.build((None, None, 4))
    with pytest.raises(ValueError, match=r"\(6, 4, 3\).*\(6, 5, 3\)"):
        load_torch_weights(layer, np.zeros((6, 5, 3)), bias)
    for layer in (
        layers.Dense(6),
        layers.SeparableConv1D(6, 3),
        keras_convt.SeparableConv1DTranspose(6, 3),
        layers.LSTM(3),
    ):
        with pytest.raises(TypeError, match=r"`layer` must be a convolution"):
            load_torch_weights(layer, np.zeros((6, 4)), bias)
    lora = keras_convt.Conv1DTranspose(6, 3, lora_rank=2)
    with pytest.raises(ValueError, match=r"without LoRA"):
        load_torch_weights(lora, np.zeros((4, 6, 3)), bias)


def module(rng, channels, filters, kernel_size, **given):
    """What a torch.nn.Conv1d, 2d or 3d has."""
    rank, groups = len(kernel_size), given.get("groups", 1)
    made = SimpleNamespace(
        transposed=False,
        in_channels=channels,
        out_channels=filters,
        kernel_size=kernel_size,
        stride=(1,) * rank,
        padding=(0,) * rank,
        output_padding=(0,) * rank,
        dilation=(1,) * rank,
        groups=1,
        padding_mode="zeros",
        weight=rng.normal(size=(filters, channels // groups, *kernel_size)),
        bias=rng.normal(size=filters),
    )
    vars(made).update(given)
    return made


MODULES = [
    # Kernel size, arguments, the zeros at each end, what it becomes.
    ((3,), {}, (0, 0), "Conv1D"),
    ((3,), {"padding": (1,)}, (1, 1), "Conv1D"),
    ((3,), {"padding": (2,)}, (2, 2), "Sequential"),
    ((4,), {"padding": (1,), "stride": (2,)}, (1, 1), "Sequential"),
    ((4,), {"padding": "same"}, (1, 2), "Conv1D"),
    ((3,), {"padding": (4,), "dilation": (4,)}, (4, 4), "Conv1D"),
    ((3,), {"groups": 2, "bias": None}, (0, 0), "Conv1D"),
    ((3, 2), {"padding": (1, 0), "stride": (2, 1)}, ((1, 1), (0, 0)), None),
    ((3, 1, 3), {"padding": (1, 0, 1)}, ((1, 1), (0, 0), (1, 1)), "Conv3D"),
]


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize(("kernel_size", "given", "zeros", "becomes"), MODULES)
def test_from_torch(kernel_size, given, zeros, becomes, data_format, rng):
    if data_format == "channels_first" and keras.backend.backend() == (
        "tensorflow"
    ):
        pytest.skip("TensorFlow has no convolution of channels first on a CPU")
    made = module(rng, 4, 6, kernel_size, **given)
    layer = from_torch(made, data_format, activation="relu", name="own")
    assert layer.name == "own"
    assert type(layer).__name__ == (becomes or "Sequential")
    x = rng.normal(size=(2, 4, *(6, 5, 4)[: len(kernel_size)]))
    x = x.astype("float32")
    expected = torch_conv(
        x,
        made.weight,
        made.bias,
        made.stride,
        zeros,
        made.dilation,
        made.groups,
    )
    y = numpy(layer(x)) if data_format == "channels_first" else run(layer, x)
    assert_close(y, np.maximum(expected, 0), VALUES)


def test_padding_of_the_callers_own(rng):
    made = module(rng, 4, 6, (5,), dilation=(2,))
    x = rng.normal(size=(2, 4, 9)).astype("float32")
    for padding, zeros in (("causal", (8, 0)), ((3, 1), (3, 1)), (2, (2, 2))):
        expected = torch_conv(x, made.weight, made.bias, 1, zeros, 2)
        y = run(from_torch(made, "channels_last", padding=padding), x)
        assert_close(y, expected, VALUES)
    # The padding alone is what Keras has not.
    made.padding_mode, made.padding = "reflect", (4,)
    y = run(from_torch(made, "channels_last", padding=(8, 0)), x)
    expected = torch_conv(x, made.weight, made.bias, 1, (8, 0), 2)
    assert_close(y, expected, VALUES)
    with pytest.raises(ValueError, match=r"padding_mode='zeros'.*'reflect'"):
        from_torch(made)
    with pytest.raises(ValueError, match=r"`padding` of a plain .* negative"):
        from_torch(made, padding=(1, -1))
    made = module(rng, 4, 6, (5,), stride=(2,))
    with pytest.raises(ValueError, match=r'must not be "same" with a stride'):
        from_torch(made, padding="same")


def test_causal_padding_of_a_transposed_module(rng):
    made = module(rng, 6, 6, (5,), transposed=True, stride=(2,))
    layer = from_torch(made, "channels_last", padding="causal")
    assert layer.padding == "causal"
    x = rng.normal(size=(2, 7, 6)).astype("float32")
    expected = reference.conv_transpose(
        x, np.moveaxis(made.weight, (0, 1), (-1, -2)), made.bias, strides=2
    )
    assert_close(numpy(layer(x)), expected[:, :14], VALUES)


def test_the_dtype_is_keras_own(rng):
    made = module(rng, 4, 6, (3,), padding=(2,))
    policy = keras.config.dtype_policy()
    try:
        keras.config.set_dtype_policy("mixed_bfloat16")
        layer = from_torch(made).layers[-1]
        assert layer.dtype_policy.name == "mixed_bfloat16"
    finally:
        keras.config.set_dtype_policy(policy)
    layer = from_torch(made, dtype="float16", padding="valid")
    assert layer.kernel.dtype == "float16"


def test_the_implementation(rng):
    made = module(rng, 6, 6, (5,), transposed=True, stride=(2,))
    layer = from_torch(made, implementation="native")
    assert layer.implementation == "native"
    with pytest.raises(ValueError, match=r"`implementation` must be \"auto\""):
        from_torch(module(rng, 4, 6, (3,)), implementation="native")


def test_quantized_modules_are_refused(rng):
    made = module(rng, 4, 6, (3,))
    made.weight = lambda: None
    with pytest.raises(TypeError, match=r"`module` must not be quantized"):
        from_torch(made)


@pytest.mark.parametrize("dim", [0, 1, 2])
@pytest.mark.parametrize("transposed", [False, True])
def test_keep_weight_norm(transposed, dim, rng):
    made = module(rng, 6, 6, (5,), transposed=transposed, padding=(1,))
    shape = [1, 1, 1]
    shape[dim] = made.weight.shape[dim]
    made.weight_g = rng.normal(size=shape)
    made.weight_v = made.weight
    kept = from_torch(made, "channels_last", keep_weight_norm=True)
    wrapper = kept if transposed else kept.layers[-1]
    assert type(wrapper) is WeightNormalization
    assert wrapper.g.shape == (made.weight.shape[dim],)
    np.testing.assert_allclose(
        numpy(wrapper.g), made.weight_g.ravel(), rtol=1e-6
    )
    x = rng.normal(size=(2, 8, 6)).astype("float32")
    folded = from_torch(made, "channels_last")
    assert_close(numpy(kept(x)), numpy(folded(x)), VALUES)


def test_keep_weight_norm_of_one_channel(rng):
    # A `g` of one number, which is that of either axis of one place.
    for shape in ((1, 4, 3), (4, 1, 3)):
        made = module(rng, shape[0], shape[1], (3,), transposed=True)
        made.weight = rng.normal(size=shape)
        made.weight_g = np.full((1, 1, 1), 2.0)
        made.weight_v = made.weight
        kept = from_torch(made, keep_weight_norm=True)
        assert_close(numpy(kept.kernel), numpy(from_torch(made).kernel), VALUES)


def test_what_keep_weight_norm_refuses(rng):
    made = module(rng, 4, 6, (3,))
    with pytest.raises(ValueError, match=r"`keep_weight_norm` must be False"):
        from_torch(made, keep_weight_norm=True)
    made.weight_g, made.weight_v = np.float64(2.0), made.weight
    with pytest.raises(ValueError, match=r"with a `dim`"):
        from_torch(made, keep_weight_norm=True)
