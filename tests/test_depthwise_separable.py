"""Depthwise and separable layers, against the grouped reference."""

import inspect

import keras
import numpy as np
import pytest
import reference
import tolerances
from gradients import value_and_gradients
from keras import ops

import keras_convt

STEPS = (4, 3)


def turned(x, data_format):
    return np.moveaxis(x, -1, 1) if data_format == "channels_first" else x


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("rank", [1, 2])
def test_depthwise_values(rng, rank, data_format):
    failures = tolerances.Failures()
    layer_class = (
        keras_convt.DepthwiseConv1DTranspose,
        keras_convt.DepthwiseConv2DTranspose,
    )[rank - 1]
    paddings = ["valid", "same", ((1, 0),) * rank]
    if rank == 1:
        paddings.append("causal")
    for kernel_size, strides, multiplier, padding in [
        (k, s, m, p)
        for k, s, m in [(2, 1, 2), (3, 2, 1), (4, 2, 2), (2, 3, 1)]
        for p in paddings
    ]:
        layer = layer_class(
            kernel_size,
            strides,
            padding,
            multiplier,
            data_format=data_format,
            bias_initializer="ones",
        )
        x = rng.standard_normal((2, *STEPS[:rank], 5)).astype("float32")
        y = layer(turned(x, data_format))
        assert layer.kernel.shape == (*(kernel_size,) * rank, multiplier, 5)
        expected = reference.conv_transpose(
            x,
            ops.convert_to_numpy(layer.kernel),
            np.ones(5 * multiplier),
            groups=5,
            strides=strides,
            padding=padding,
        )
        failures.compare(
            ops.convert_to_numpy(y),
            turned(expected, data_format),
            tolerances.VALUES,
            kernel_size=kernel_size,
            strides=strides,
            depth_multiplier=multiplier,
            padding=padding,
        )
    failures.report()


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("rank", [1, 2])
def test_separable_values(rng, rank, data_format):
    layer_class = (
        keras_convt.SeparableConv1DTranspose,
        keras_convt.SeparableConv2DTranspose,
    )[rank - 1]
    layer = layer_class(
        7, 3, 2, "same", depth_multiplier=2, data_format=data_format
    )
    x = rng.standard_normal((2, *STEPS[:rank], 5)).astype("float32")
    y = layer(turned(x, data_format))
    depthwise = reference.conv_transpose(
        x,
        ops.convert_to_numpy(layer.depthwise_kernel),
        groups=5,
        strides=2,
        padding="same",
    )
    pointwise = ops.convert_to_numpy(layer.pointwise_kernel)
    assert pointwise.shape == (*(1,) * rank, 10, 7)
    expected = depthwise @ pointwise.reshape(10, 7).astype("float64")
    tolerances.assert_close(
        ops.convert_to_numpy(y),
        turned(expected, data_format),
        tolerances.VALUES,
    )


def test_depthwise_gradients(rng):
    layer = keras_convt.DepthwiseConv1DTranspose(
        4, 2, "same", 2, use_bias=False
    )
    x = rng.standard_normal((2, 5, 3)).astype("float32")
    y = layer(x)
    upstream = rng.standard_normal(y.shape).astype("float32")
    _, (slope,) = value_and_gradients(
        lambda x: ops.sum(layer(x) * ops.convert_to_tensor(upstream)), [x]
    )
    expected, _, _ = reference.gradients(
        x,
        ops.convert_to_numpy(layer.kernel),
        upstream,
        groups=3,
        strides=2,
        padding="same",
    )
    tolerances.assert_close(slope, expected, tolerances.GRADIENTS)


@pytest.mark.parametrize("kind", ["DepthwiseConv", "SeparableConv"])
@pytest.mark.parametrize("rank", [1, 2])
def test_arguments_are_named_as_in_keras(kind, rank):
    ours = inspect.signature(
        getattr(keras_convt, f"{kind}{rank}DTranspose")
    ).parameters
    built_in = inspect.signature(
        getattr(keras.layers, f"{kind}{rank}D")
    ).parameters
    added = [name for name in ours if name not in built_in]
    assert added == [
        "output_padding",
        *(["lora_rank", "lora_alpha"] if kind == "DepthwiseConv" else []),
        "quantization_config",
        "implementation",
    ]
    for name in added:
        assert ours[name].kind is inspect.Parameter.KEYWORD_ONLY
    assert [name for name in ours if name in built_in] == list(built_in)


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [
        ("Depthwise", {"depth_multiplier": 2}),
        ("Separable", {"depth_multiplier": 2, "filters": 7}),
    ],
)
@pytest.mark.parametrize("rank", [1, 2])
def test_saved_and_loaded(tmp_path, rng, kind, arguments, rank):
    layer_class = getattr(keras_convt, f"{kind}Conv{rank}DTranspose")
    layer = layer_class(
        kernel_size=3,
        strides=2,
        padding=((1, -1),) * rank,
        output_padding=1,
        activation="tanh",
        depthwise_initializer="he_normal",
        bias_initializer="ones",
        depthwise_regularizer="l2",
        depthwise_constraint="max_norm",
        **arguments,
    )
    model = keras.Sequential([keras.Input((*STEPS[:rank], 4)), layer])
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.layers[0].get_config() == layer.get_config()
    x = rng.standard_normal((2, *STEPS[:rank], 4)).astype("float32")
    tolerances.assert_close(
        loaded.predict(x, verbose=0),
        model.predict(x, verbose=0),
        tolerances.SAME_LAYER,
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"depth_multiplier": 0}, "`depth_multiplier`.*at least 1.*0"),
        ({"depth_multiplier": 1.5}, "`depth_multiplier`.*whole.*1.5"),
        ({"kernel_size": [1, 2, 3]}, "`kernel_size`.*3"),
        ({"output_padding": 2}, "`output_padding`.*less than `strides`"),
        ({"depthwise_initializer": "no"}, "`depthwise_initializer`.*'no'"),
    ],
)
def test_bad_arguments(arguments, words):
    with pytest.raises((ValueError, TypeError), match=words):
        keras_convt.DepthwiseConv1DTranspose(
            **{"kernel_size": 3, "strides": 2, **arguments}
        )


def test_a_separable_layer_has_no_lora_and_advises_what_has(rng):
    layer = keras_convt.SeparableConv1DTranspose(
        6, 4, 2, "same", depth_multiplier=2
    )
    x = rng.normal(size=(2, 5, 3)).astype("float32")
    expected = ops.convert_to_numpy(layer(x))
    with pytest.raises(NotImplementedError, match=r"cannot have LoRA.* two"):
        layer.enable_lora(2)
    # What the error advises: the same, and it can.
    depthwise = keras_convt.DepthwiseConv1DTranspose(
        4, 2, "same", depth_multiplier=layer.depth_multiplier, use_bias=False
    )
    two = keras.Sequential([depthwise, keras.layers.Dense(6)])
    two.build(x.shape)
    kernel, pointwise, bias = layer.get_weights()
    two.set_weights([kernel, pointwise[0], bias])
    for part in two.layers:
        part.enable_lora(2)
    y = ops.convert_to_numpy(two(x))
    tolerances.assert_close(y, expected, tolerances.SAME_LAYER)
