"""`layer_conv_1d_transpose(object, ...)`, as R users compose layers."""

import inspect

import keras
import numpy as np
import pytest
import reference
from keras import ops
from tolerances import VALUES, assert_close

import keras_convt
from keras_convt import layer_conv_1d_transpose

SIGNATURE = [
    ("filters", inspect.Parameter.empty),
    ("kernel_size", inspect.Parameter.empty),
    ("strides", 1),
    ("padding", "valid"),
    ("data_format", None),
    ("dilation_rate", 1),
    ("activation", None),
    ("use_bias", True),
    ("kernel_initializer", "glorot_uniform"),
    ("bias_initializer", "zeros"),
    ("kernel_regularizer", None),
    ("bias_regularizer", None),
    ("activity_regularizer", None),
    ("kernel_constraint", None),
    ("bias_constraint", None),
]


def test_signature():
    """R users pass by position: `data_format` comes right after `padding`."""
    parameters = inspect.signature(layer_conv_1d_transpose).parameters.values()
    positional = [
        (p.name, p.default)
        for p in parameters
        if p.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
    ]
    assert positional[0][0] == "object"
    assert positional[1:] == SIGNATURE or (
        # With a default for `object`, Python wants one for these two as well.
        [name for name, _ in positional[1:]] == [n for n, _ in SIGNATURE]
        and positional[3:] == SIGNATURE[2:]
    )


def test_every_argument_by_position():
    arguments = [
        4,
        3,
        1,
        "same",
        "channels_last",
        2,
        "tanh",
        False,
        "zeros",
        "ones",
        "l1",
        "l2",
        "l1",
        "non_neg",
        "unit_norm",
    ]
    layer = layer_conv_1d_transpose(None, *arguments)
    ours = keras_convt.Conv1DTranspose(
        **dict(zip([name for name, _ in SIGNATURE], arguments, strict=True)),
        name=layer.name,
    )
    assert layer.get_config() == ours.get_config()


@pytest.mark.parametrize(
    "make",
    [
        lambda: layer_conv_1d_transpose(filters=4, kernel_size=3, strides=2),
        lambda: layer_conv_1d_transpose(None, 4, 3, 2),
        lambda: layer_conv_1d_transpose(None, 4.0, [3.0], 2.0),
    ],
)
def test_no_object_gives_the_layer(make):
    layer = make()
    assert type(layer) is keras_convt.Conv1DTranspose
    assert (layer.filters, layer.kernel_size, layer.strides) == (4, (3,), (2,))
    assert not layer.built


def test_the_rest_by_keyword():
    layer = layer_conv_1d_transpose(
        None,
        4,
        3,
        2,
        output_padding=1,
        groups=2,
        name="up",
        dtype="float64",
        trainable=False,
    )
    assert layer.output_padding == (1,)
    assert layer.groups == 2
    assert layer.name == "up"
    assert layer.variable_dtype == "float64"
    assert layer.trainable is False


def test_a_sequential_model_is_added_to_and_returned():
    model = keras.Sequential([keras.Input((10, 8))])
    assert layer_conv_1d_transpose(model, 4, 3, 2) is model
    assert layer_conv_1d_transpose(model, 2, 2, 2, name="last") is model
    assert [type(layer) for layer in model.layers] == (
        [keras_convt.Conv1DTranspose] * 2
    )
    assert model.layers[-1].name == "last"
    assert model.output_shape == (None, 42, 2)


def test_a_sequential_model_without_an_input():
    model = layer_conv_1d_transpose(keras.Sequential(), 4, 3, 2)
    assert not model.weights
    assert model(np.ones((1, 5, 2), "float32")).shape == (1, 11, 4)


def test_a_symbolic_tensor():
    inputs = keras.Input((None, 8))
    outputs = layer_conv_1d_transpose(inputs, 4, 3, 2)
    assert isinstance(outputs, keras.KerasTensor)
    assert outputs.shape == (None, None, 4)
    model = keras.Model(inputs, outputs)
    assert model(np.ones((1, 5, 8), "float32")).shape == (1, 11, 4)


def test_the_example_of_the_page():
    x = keras.random.uniform((4, 10, 128))
    y = layer_conv_1d_transpose(x, 32, 3, 2, activation="relu")
    assert y.shape == (4, 21, 32)
    assert ops.convert_to_numpy(y).min() >= 0


@pytest.mark.parametrize(
    "kind",
    [
        lambda x: x,
        lambda x: x.astype("float64"),
        lambda x: np.asfortranarray(x.astype("float64")),
        lambda x: np.asfortranarray(x)[:, ::-1][:, ::-1],
        lambda x: ops.convert_to_tensor(x),
    ],
)
def test_arrays_and_tensors(kind, rng):
    x = rng.normal(size=(3, 5, 2)).astype("float32")
    keras.utils.set_random_seed(7)
    y = layer_conv_1d_transpose(kind(x), 4, 3, 2)
    keras.utils.set_random_seed(7)
    layer = keras_convt.Conv1DTranspose(4, 3, 2)
    layer.build(x.shape)
    assert ops.is_tensor(y)
    assert_close(
        ops.convert_to_numpy(y),
        reference.conv_transpose(x, *layer.get_weights(), strides=2),
        VALUES,
    )


@pytest.mark.parametrize(
    "thing",
    [
        3,
        2.5,
        "model",
        True,
        {},
        object(),
        keras.layers.Dense,
        len,
    ],
)
def test_anything_else_is_refused(thing):
    with pytest.raises((ValueError, TypeError)) as caught:
        layer_conv_1d_transpose(thing, 4, 3)
    said = str(caught.value)
    for part in ("`object`", "Sequential", "tensor", "array", "Received: "):
        assert part in said, said
    assert type(thing).__name__ in said, said


def test_other_layers_and_models_are_refused():
    inputs = keras.Input((5, 2))
    model = keras.Model(inputs, keras.layers.Dense(2)(inputs))
    for thing in (model, keras.layers.Dense(3)):
        with pytest.raises((ValueError, TypeError), match="Sequential"):
            layer_conv_1d_transpose(thing, 4, 3)


def test_an_unknown_keyword_is_named():
    with pytest.raises((ValueError, TypeError), match="stride_rate"):
        layer_conv_1d_transpose(None, 4, 3, stride_rate=2)


def test_missing_arguments_are_named():
    with pytest.raises((ValueError, TypeError), match="filters"):
        layer_conv_1d_transpose(None)
    with pytest.raises((ValueError, TypeError), match="kernel_size"):
        layer_conv_1d_transpose(None, 4)


@pytest.mark.parametrize("rank", [2, 3])
def test_two_and_three_axes(rank):
    compose = [
        keras_convt.layer_conv_2d_transpose,
        keras_convt.layer_conv_3d_transpose,
    ][rank - 2]
    x = np.ones((2, *[3] * rank, 4), "float32")
    assert compose(x, 5, 2, 2).shape == (2, *[6] * rank, 5)
    names = list(inspect.signature(compose).parameters)
    assert names[: len(SIGNATURE) + 1] == (
        ["object"] + [name for name, _ in SIGNATURE]
    )


def test_a_class_without_a_module_is_composed():
    """One that R made: no Python file says what its module is."""
    made = {"base": keras_convt.Conv1DTranspose}
    exec('made_in_r = type("Louder", (base,), {})', made)
    made_in_r = made["made_in_r"]
    with pytest.raises(AttributeError):
        made_in_r.__module__  # noqa: B018
    layer = keras_convt.create_layer_wrapper(made_in_r)(None, 4.0, 3.0)
    assert isinstance(layer, made_in_r)
    assert (layer.filters, layer.kernel_size) == (4, (3,))


def test_keras_2_is_refused_with_what_to_do():
    kind = type("Layer", (), {"__module__": "tf_keras.src.engine.base_layer"})
    with pytest.raises(TypeError, match="import keras instead of tf_keras"):
        layer_conv_1d_transpose(kind(), 4, 3)
    for layer_class in (kind, type("Own", (kind,), {"__module__": "own"})):
        with pytest.raises(TypeError, match="import keras instead of tf_keras"):
            keras_convt.create_layer_wrapper(layer_class)
