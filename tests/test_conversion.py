"""Layers from the modules of other frameworks, without these frameworks.

A module is known by its attributes, so a stand-in with them will do here; the
expected values come from the reference. `tests/models` has the real ones.
"""

from types import SimpleNamespace

import keras
import numpy as np
import pytest
import reference
from keras import ops
from tolerances import VALUES, assert_close

import keras_convt
from keras_convt import (
    fold_weight_norm,
    from_equinox,
    from_flax,
    from_torch,
    load_torch_weights,
)


def torch_module(rng, channels, filters, kernel_size, **given):
    rank, groups = len(kernel_size), given.pop("groups", 1)
    module = SimpleNamespace(
        transposed=True,
        out_channels=filters,
        stride=(1,) * rank,
        padding=(0,) * rank,
        output_padding=(0,) * rank,
        dilation=(1,) * rank,
        groups=groups,
        weight=rng.normal(
            size=(channels, filters // groups, *kernel_size)
        ).astype("float32"),
        bias=rng.normal(size=filters).astype("float32"),
    )
    vars(module).update(given)
    return module


CASES = [
    (4, 6, (5,), {}),
    (4, 6, (5,), {"stride": (2,), "padding": (2,), "bias": None}),
    (4, 6, (4,), {"stride": (3,), "padding": (1,), "output_padding": (2,)}),
    (4, 6, (3,), {"dilation": (3,), "output_padding": (2,)}),
    (4, 6, (2,), {"stride": (5,)}),
    (4, 6, (3,), {"stride": (2,), "groups": 2}),
    (4, 6, (3, 2), {"stride": (2, 1), "padding": (1, 0), "groups": 2}),
    (2, 3, (1, 2, 3), {"stride": (3, 2, 1), "output_padding": (2, 1, 0)}),
]


def torch_reference(module, x):
    """What PyTorch documents: the full sum, cropped by `padding`."""
    return reference.conv_transpose(
        x,
        np.moveaxis(module.weight, (0, 1), (-1, -2)),
        module.bias,
        strides=module.stride,
        padding=tuple(
            (p, p - o)
            for p, o in zip(module.padding, module.output_padding, strict=True)
        ),
        dilation_rate=module.dilation,
        groups=module.groups,
        data_format="channels_first",
    )


@pytest.mark.parametrize("data_format", ["channels_first", "channels_last"])
@pytest.mark.parametrize(("channels", "filters", "kernel_size", "given"), CASES)
def test_from_torch(channels, filters, kernel_size, given, data_format, rng):
    module = torch_module(rng, channels, filters, kernel_size, **given)
    layer = from_torch(module, data_format)
    x = rng.normal(size=(2, channels, *(6, 5, 4)[: len(kernel_size)]))
    x = x.astype("float32")
    if data_format == "channels_first":
        y = ops.convert_to_numpy(layer(x))
    else:
        y = ops.convert_to_numpy(layer(np.moveaxis(x, 1, -1)))
        y = np.moveaxis(y, -1, 1)
    assert_close(y, torch_reference(module, x), VALUES)


def test_the_legal_output_sizes_are_torchs(rng):
    module = torch_module(
        rng, 4, 6, (5,), stride=(3,), padding=(1,), output_padding=(1,)
    )
    layer = from_torch(module, "channels_last")
    x = rng.normal(size=(2, 6, 4)).astype("float32")
    # (6 - 1) * 3 + 5 - 2 * 1, and what a stride of 3 leaves open.
    for n in (18, 19, 20):
        assert layer(x, output_size=n).shape[1] == n
    assert layer(x).shape[1] == 19
    with pytest.raises(ValueError, match="from 18 to 20"):
        layer(x, output_size=21)


@pytest.mark.parametrize("shape", [(4, 1, 1), (1, 6, 1), (1, 1, 5), (4, 6, 1)])
def test_fold_weight_norm(shape, rng):
    g, v = rng.normal(size=shape), rng.normal(size=(4, 6, 5))
    folded = fold_weight_norm(g, v)
    for kept in np.ndindex(shape):
        place = tuple(
            i if n > 1 else slice(None)
            for i, n in zip(kept, shape, strict=True)
        )
        # The magnitude is that of the part, up to its sign.
        np.testing.assert_allclose(np.linalg.norm(folded[place]), abs(g[kept]))
        np.testing.assert_allclose(
            folded[place] / g[kept], v[place] / np.linalg.norm(v[place])
        )


def test_a_norm_of_everything(rng):
    v = rng.normal(size=(4, 6, 5))
    folded = fold_weight_norm(np.float64(2.0), v)
    np.testing.assert_allclose(folded, 2 * v / np.linalg.norm(v))
    with pytest.raises(ValueError, match=r"`magnitude` must be a scalar"):
        fold_weight_norm(np.ones(4), v)


def test_an_old_weight_norm_is_folded(rng):
    module = torch_module(rng, 4, 6, (5,), stride=(2,))
    module.weight_g = rng.normal(size=(4, 1, 1)).astype("float32")
    module.weight_v = module.weight
    # As after `load_state_dict`: of another time.
    module.weight = np.zeros_like(module.weight)
    layer = from_torch(module, "channels_first")
    module.weight = fold_weight_norm(module.weight_g, module.weight_v)
    x = rng.normal(size=(2, 4, 6)).astype("float32")
    assert_close(
        ops.convert_to_numpy(layer(x)), torch_reference(module, x), VALUES
    )


@pytest.mark.parametrize("build", [False, True])
def test_load_torch_weights(build, rng):
    module = torch_module(rng, 4, 6, (5,), stride=(2,), groups=2)
    layer = keras_convt.Conv1DTranspose(6, 5, 2, groups=2)
    x = rng.normal(size=(2, 6, 4)).astype("float32")
    if build:
        layer(x)
    load_torch_weights(layer, module.weight, module.bias)
    expected = torch_reference(module, np.swapaxes(x, 1, 2))
    assert_close(
        ops.convert_to_numpy(layer(x)), np.swapaxes(expected, 1, 2), VALUES
    )


def test_load_torch_weights_of_a_depthwise_layer(rng):
    module = torch_module(rng, 4, 8, (4,), stride=(2,), groups=4, bias=None)
    layer = keras_convt.DepthwiseConv1DTranspose(
        4, 2, depth_multiplier=2, use_bias=False
    )
    load_torch_weights(layer, module.weight)
    x = rng.normal(size=(2, 6, 4)).astype("float32")
    expected = torch_reference(module, np.swapaxes(x, 1, 2))
    assert_close(
        ops.convert_to_numpy(layer(x)), np.swapaxes(expected, 1, 2), VALUES
    )


def test_refused_weights(rng):
    def layer(**arguments):
        return keras_convt.Conv1DTranspose(6, 5, **arguments)

    bias = np.zeros(6)
    with pytest.raises(ValueError, match=r"`weight` must have 3 axes"):
        load_torch_weights(layer(), np.zeros((4, 6, 5, 5)), bias)
    with pytest.raises(ValueError, match=r"shape \(7, 6, 5\).*\(7, 6, 4\)"):
        load_torch_weights(layer(), np.zeros((7, 6, 4)), bias)
    with pytest.raises(ValueError, match=r"`bias` must have the shape \(6,\)"):
        load_torch_weights(layer(), np.zeros((4, 6, 5)), np.zeros(5))
    with pytest.raises(ValueError, match=r"`bias` must be given"):
        load_torch_weights(layer(), np.zeros((4, 6, 5)))
    with pytest.raises(ValueError, match=r"`bias` must be given"):
        load_torch_weights(layer(use_bias=False), np.zeros((4, 6, 5)), bias)


def test_refused_torch_modules(rng):
    with pytest.raises(TypeError, match=r"ConvTranspose1d, 2d or 3d"):
        from_torch(SimpleNamespace(transposed=True, output_padding=(0,)))
    with pytest.raises(TypeError, match=r"ConvTranspose1d, 2d or 3d"):
        from_torch(keras_convt.Conv1DTranspose(2, 2))
    with pytest.raises(ValueError, match=r"stride > 1 together with dilation"):
        from_torch(torch_module(rng, 2, 2, (3,), stride=(2,), dilation=(2,)))
    module = torch_module(rng, 2, 2, (3,))
    module.has_uninitialized_params = lambda: True
    with pytest.raises(ValueError, match=r"`module` must have its weights"):
        from_torch(module)
    module = torch_module(rng, 2, 2, (3,))
    module.weight = module.weight.astype("complex64")
    with pytest.raises(ValueError, match=r"real weights.*complex64"):
        from_torch(module)


def flax_module(rng, channels, filters, kernel_size, **given):
    transpose_kernel = given.get("transpose_kernel", False)
    ends = (filters, channels) if transpose_kernel else (channels, filters)
    module = SimpleNamespace(
        kernel_size=kernel_size,
        out_features=filters,
        strides=None,
        padding="SAME",
        kernel_dilation=None,
        transpose_kernel=transpose_kernel,
        kernel=rng.normal(size=(*kernel_size, *ends)).astype("float32"),
        bias=rng.normal(size=filters).astype("float32"),
        mask=None,
    )
    vars(module).update(given)
    return module


@pytest.mark.parametrize("transpose_kernel", [False, True])
def test_from_flax(transpose_kernel, rng):
    module = flax_module(
        rng,
        4,
        6,
        (5,),
        strides=2,
        padding=[(3, 5)],
        transpose_kernel=transpose_kernel,
    )
    module.mask = rng.integers(0, 2, size=module.kernel.shape)
    x = rng.normal(size=(2, 6, 4)).astype("float32")
    # The convolution that Flax documents: of the input with zeros between
    # its steps and 3 and 5 of them at its ends.
    padded = np.zeros((2, 3 + 11 + 5, 4))
    padded[:, 3:14:2] = x
    kernel = module.kernel * module.mask
    if transpose_kernel:
        kernel = np.flip(np.swapaxes(kernel, 1, 2), 0)
    expected = reference.conv(padded, kernel) + module.bias
    y = from_flax(module, "channels_last")(x)
    assert_close(ops.convert_to_numpy(y), expected, VALUES)


def test_refused_flax_modules(rng):
    with pytest.raises(TypeError, match=r"flax.nnx.ConvTranspose"):
        from_flax(SimpleNamespace(kernel_size=(3,)))
    for padding in ("CIRCULAR", "CAUSAL"):
        with pytest.raises(ValueError, match=f"padding='{padding}'"):
            from_flax(flax_module(rng, 2, 2, (3,), padding=padding))
    with pytest.raises(ValueError, match=r"before the input"):
        from_flax(flax_module(rng, 2, 2, (3,), padding=(3, 0)))
    with pytest.raises(ValueError, match=r"together with kernel_dilation"):
        from_flax(flax_module(rng, 2, 2, (3,), strides=2, kernel_dilation=2))
    with pytest.raises(ValueError, match=r"one to three axes"):
        from_flax(flax_module(rng, 2, 2, (1, 1, 1, 1)))


def plain_flax_module(rng, channels, filters, kernel_size, **given):
    groups = given.get("feature_group_count", 1)
    module = SimpleNamespace(
        kernel_size=kernel_size,
        out_features=filters,
        strides=1,
        padding="SAME",
        input_dilation=1,
        kernel_dilation=1,
        feature_group_count=groups,
        kernel=rng.normal(size=(*kernel_size, channels // groups, filters)),
        bias=rng.normal(size=filters),
        mask=None,
    )
    vars(module).update(given)
    return module


def plain_equinox_module(rng, *sizes, **given):
    module = equinox_module(rng, *sizes, **given)
    del module.output_padding
    return module


def test_a_plain_convolution_of_flax(rng):
    module = plain_flax_module(
        rng, 4, 6, (5,), strides=2, padding=[(3, 1)], feature_group_count=2
    )
    module.mask = rng.integers(0, 2, size=module.kernel.shape)
    x = rng.normal(size=(2, 9, 4)).astype("float32")
    padded = np.pad(x.astype("float64"), ((0, 0), (3, 1), (0, 0)))
    expected = reference.conv(
        padded, module.kernel * module.mask, strides=(2,), groups=2
    )
    layer = from_flax(module, "channels_last", name="own")
    y = ops.convert_to_numpy(layer(x))
    assert_close(y, expected + module.bias, VALUES)
    assert layer.name == "own"
    kinds = [type(part) for part in layer.layers]
    assert kinds == [keras.layers.ZeroPadding1D, keras.layers.Conv1D]
    for padding in ("SAME", "VALID", "CAUSAL"):
        layer = from_flax(plain_flax_module(rng, 4, 6, (4,), padding=padding))
        assert layer.padding == padding.lower()


def test_a_plain_convolution_of_equinox(rng):
    module = plain_equinox_module(
        rng, 4, 6, (4,), padding=((2, 2),), dilation=(2,), groups=2
    )
    x = rng.normal(size=(2, 9, 4)).astype("float32")
    padded = np.pad(x.astype("float64"), ((0, 0), (2, 2), (0, 0)))
    expected = reference.conv(
        padded,
        np.transpose(module.weight, (2, 1, 0)),
        dilation_rate=(2,),
        groups=2,
    )
    y = ops.convert_to_numpy(from_equinox(module, "channels_last")(x))
    assert_close(y, expected + module.bias.reshape(-1), VALUES)
    # What Keras calls "same" is that by numbers, too.
    module.padding = ((3, 3),)
    assert from_equinox(module).padding == "same"
    # It has one zero more before the input than after it.
    module = plain_equinox_module(rng, 4, 6, (4,), padding="SAME_LOWER")
    assert from_equinox(module).layers[0].padding == (2, 1)
    module = plain_equinox_module(
        rng, 4, 6, (4,), padding="VALID", padding_mode="REFLECT"
    )
    assert from_equinox(module).padding == "valid"


def test_refused_plain_modules(rng):
    for words, given in (
        (r"padding='REFLECT'", {"padding": "REFLECT"}),
        (r"input_dilation=2", {"input_dilation": 2}),
        (r"must not be negative", {"padding": ((-1, 0),)}),
        (r"together with kernel_dil", {"strides": 2, "kernel_dilation": 2}),
    ):
        with pytest.raises(ValueError, match=words):
            from_flax(plain_flax_module(rng, 2, 2, (3,), **given))
    for words, given in (
        (
            r"padding_mode='REFLECT'",
            {"padding": ((1, 1),), "padding_mode": "REFLECT"},
        ),
        (
            r"padding_mode='REFLECT'",
            {"padding": "SAME", "padding_mode": "REFLECT"},
        ),
        (r"'SAME_LOWER' with a str", {"padding": "SAME_LOWER", "stride": (2,)}),
        (r"must not be negative", {"padding": ((0, -1),)}),
    ):
        with pytest.raises(ValueError, match=words):
            from_equinox(plain_equinox_module(rng, 2, 2, (3,), **given))
    for convert, module in (
        (from_flax, plain_flax_module(rng, 2, 2, (3,))),
        (from_equinox, plain_equinox_module(rng, 2, 2, (3,))),
    ):
        with pytest.raises(ValueError, match=r"`implementation` must be"):
            convert(module, implementation="native")


def equinox_module(rng, channels, filters, kernel_size, **given):
    rank, groups = len(kernel_size), given.get("groups", 1)
    module = SimpleNamespace(
        num_spatial_dims=rank,
        kernel_size=kernel_size,
        stride=(1,) * rank,
        padding=((0, 0),) * rank,
        output_padding=(0,) * rank,
        dilation=(1,) * rank,
        groups=groups,
        padding_mode="ZEROS",
        weight=rng.normal(
            size=(filters, channels // groups, *kernel_size)
        ).astype("float32"),
        bias=rng.normal(size=(filters, *(1,) * rank)).astype("float32"),
    )
    vars(module).update(given)
    return module


def test_from_equinox(rng):
    module = equinox_module(
        rng,
        4,
        6,
        (5,),
        stride=(2,),
        padding=((3, 1),),
        output_padding=(1,),
        groups=2,
    )
    x = rng.normal(size=(2, 4, 6)).astype("float32")
    # The convolution that Equinox documents, of the input with zeros between
    # its steps, and ke - 1 - padding at its ends, and output_padding more.
    padded = np.zeros((2, 4, 1 + 11 + 3 + 1))
    padded[:, :, 1:12:2] = x
    expected = reference.conv(
        padded,
        np.transpose(module.weight, (2, 1, 0)),
        groups=2,
        data_format="channels_first",
    )
    y = from_equinox(module, "channels_first")(x)
    assert_close(ops.convert_to_numpy(y), expected + module.bias, VALUES)


def test_a_name_a_dtype_an_activation_and_an_implementation(rng):
    given = dict(
        name="own",
        dtype="float16",
        activation="relu",
        implementation="native",
    )
    for layer in (
        from_equinox(equinox_module(rng, 4, 6, (5,)), **given),
        from_flax(flax_module(rng, 4, 6, (5,), padding=0), **given),
        from_torch(torch_module(rng, 4, 6, (5,)), **given),
    ):
        assert layer.name == "own"
        assert layer.kernel.dtype == "float16"
        assert layer.activation.__name__ == "relu"
        assert layer.implementation == "native"
    layer = from_equinox(equinox_module(rng, 4, 6, (5,)))
    assert layer.kernel.dtype == "float32"
    assert layer.implementation == "auto"


def test_refused_equinox_modules(rng):
    with pytest.raises(TypeError, match=r"equinox.nn.ConvTranspose"):
        from_equinox(SimpleNamespace(num_spatial_dims=1))
    with pytest.raises(ValueError, match=r"padding_mode='CIRCULAR'"):
        from_equinox(equinox_module(rng, 2, 2, (3,), padding_mode="CIRCULAR"))
    with pytest.raises(ValueError, match=r"before the input"):
        from_equinox(equinox_module(rng, 2, 2, (3,), padding=((-1, 0),)))
    with pytest.raises(ValueError, match=r"together with dilation"):
        from_equinox(
            equinox_module(rng, 2, 2, (3,), stride=(2,), dilation=(2,))
        )
