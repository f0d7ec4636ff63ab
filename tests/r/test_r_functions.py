"""Functions of R where Keras wants an object: by name, or by calling them."""

import warnings

import keras
import numpy as np
import pytest
from tolerances import SAME_LAYER, assert_close

import keras_convt


def from_r(function, name="python_function"):
    """A function as reticulate passes one of R's: its name says nothing."""

    def python_function(*args, **kwargs):
        # R evaluates no argument that it does not need, and tells its errors
        # in a RuntimeError.
        try:
            return function(*args, **kwargs)
        except Exception as error:
            raise RuntimeError(str(error)) from None

    python_function.__module__ = "rpytools.call"
    python_function.__name__ = name
    return python_function


# Those that work without another argument.
ACTIVATIONS = sorted(
    set(dir(keras.activations)) - {"deserialize", "get", "serialize"}
)
ACTIVATIONS = [
    name
    for name in ACTIVATIONS
    if not name.startswith("_") and name != "threshold"
]
# Two names for the same values: the other name is what is stored.
SAME_AS = {"celu": "elu", "hard_swish": "hard_silu", "swish": "silu"}


def config(layer):
    return {**layer.get_config(), "name": ""}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_an_activation_becomes_the_one_of_keras(name):
    """R's functions have no name, and newer ones have the one of Keras."""
    function = getattr(keras.activations, name)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        unnamed = keras_convt.layer_conv_1d_transpose(
            None, 4, 3, activation=from_r(lambda x: function(x))
        )
        named = keras_convt.layer_dense(
            None, 4, activation=from_r(lambda x: function(x), name)
        )
    assert unnamed.activation is getattr(
        keras.activations, SAME_AS.get(name, name)
    )
    assert named.activation is function


def test_every_argument_becomes_what_keras_has(tmp_path):
    def sent(constructor):
        return from_r(lambda: constructor())

    model = keras.Sequential([keras.Input((5, 3))])
    keras_convt.layer_conv_1d_transpose(
        model,
        4.0,
        3.0,
        activation=from_r(lambda x: keras.activations.relu(x)),
        kernel_initializer=sent(keras.initializers.HeNormal),
        bias_initializer=sent(keras.initializers.Ones),
        kernel_regularizer=sent(keras.regularizers.L2),
        bias_regularizer=sent(keras.regularizers.L1),
        activity_regularizer=sent(keras.regularizers.L1L2),
        kernel_constraint=sent(keras.constraints.NonNeg),
        bias_constraint=sent(keras.constraints.UnitNorm),
    )
    expected = keras_convt.Conv1DTranspose(
        4,
        3,
        activation="relu",
        kernel_initializer=keras.initializers.HeNormal(),
        bias_initializer="ones",
        kernel_regularizer=keras.regularizers.L2(),
        bias_regularizer=keras.regularizers.L1(),
        activity_regularizer=keras.regularizers.L1L2(),
        kernel_constraint=keras.constraints.NonNeg(),
        bias_constraint=keras.constraints.UnitNorm(),
    )
    assert config(model.layers[-1]) == config(expected)
    # What used to fail: training with it, and loading what was saved.
    model.compile(keras.optimizers.SGD(0.1), "mse")
    x = np.ones((2, 5, 3), "float32")
    model.fit(x, np.zeros((2, 7, 4), "float32"), epochs=1, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert_close(
        keras.ops.convert_to_numpy(loaded(x)),
        keras.ops.convert_to_numpy(model(x)),
        SAME_LAYER,
    )


@pytest.mark.parametrize(
    ("name", "kwargs", "argument"),
    [
        ("layer_gru", {"units": 2}, "recurrent_activation"),
        ("layer_activation", {}, "activation"),
        ("layer_embedding", {"input_dim": 3, "output_dim": 2}, None),
        ("layer_batch_normalization", {}, None),
        ("layer_depthwise_conv_2d_transpose", {"kernel_size": 3}, None),
        ("layer_separable_conv_1d", {"filters": 2, "kernel_size": 3}, None),
    ],
)
def test_every_composer_takes_them(name, kwargs, argument):
    compose = getattr(keras_convt, name)
    if argument is None:
        argument = {
            "layer_embedding": "embeddings_initializer",
            "layer_batch_normalization": "gamma_initializer",
            "layer_depthwise_conv_2d_transpose": "depthwise_initializer",
            "layer_separable_conv_1d": "pointwise_initializer",
        }[name]
        sent, expected = from_r(keras.initializers.Ones), "ones"
    else:
        sent, expected = from_r(lambda x: keras.activations.tanh(x)), "tanh"
    layer = compose(None, **kwargs, **{argument: sent})
    wanted = compose(None, **kwargs, **{argument: expected})
    assert config(layer) == config(wanted)


def test_by_position_too():
    sent = from_r(lambda x: keras.activations.softmax(x))
    layer = keras_convt.layer_dense(None, 3, sent)
    assert layer.activation is keras.activations.softmax


CUSTOM = [
    ("activation", lambda x: keras.activations.relu(x, max_value=5)),
    ("activation", lambda x: keras.activations.elu(x, alpha=0.5)),
    ("activation", lambda x, y: x),
    ("kernel_initializer", lambda shape, dtype=None: np.zeros(shape)),
    ("kernel_initializer", lambda: keras.regularizers.L2()),
    ("kernel_regularizer", lambda kernel: 0.01),
    ("kernel_constraint", lambda kernel: kernel),
]


@pytest.mark.parametrize(("argument", "function"), CUSTOM)
def test_what_no_file_can_hold_is_named_when_it_is_passed(argument, function):
    sent = from_r(function)
    for compose, args in (
        (keras_convt.layer_conv_1d_transpose, (4, 3)),
        (keras_convt.layer_dense, (4,)),
    ):
        with pytest.warns(
            UserWarning, match=f"`{argument}` is a function of R"
        ):
            layer = compose(None, *args, **{argument: sent})
        assert getattr(layer, argument) is sent


def test_a_lambda_of_r_is_named_too():
    sent = from_r(lambda x: 2 * x)
    with pytest.warns(UserWarning, match="`function` is a function of R"):
        y = keras_convt.layer_lambda(np.ones((1, 2), "float32"), f=sent)
    assert keras.ops.convert_to_numpy(y).tolist() == [[2.0, 2.0]]


def test_python_functions_are_left_alone():
    def relu(x):
        return keras.activations.relu(x)

    layer = keras_convt.layer_dense(None, 3, activation=relu)
    assert layer.activation is relu


def test_classes_of_rs_own_are_composed():
    """What `Layer()` of R's keras3 returns is a composer in R."""

    class Scale(keras.layers.Layer):
        def __init__(self, factor, **kwargs):
            super().__init__(**kwargs)
            self.factor = factor

        def call(self, inputs):
            return inputs * self.factor

    def layer_in_r(object, *args, **kwargs):
        assert object is None
        return Scale(*args, **kwargs)

    layer_scale = keras_convt.create_layer_wrapper(from_r(layer_in_r))
    x = np.array([[1.0, 2.0]], "float32")
    for y in (layer_scale(x, 3.0), layer_scale(x, factor=3.0)):
        assert keras.ops.convert_to_numpy(y).tolist() == [[3.0, 6.0]]
    assert isinstance(layer_scale(factor=2.0), Scale)
    model = keras.Sequential([keras.Input((2,))])
    assert layer_scale(model, 2.0, name="twice") is model
    assert model.layers[-1].name == "twice"
    with pytest.raises(TypeError, match="`object` must be"):
        layer_scale("text", 2.0)
    with pytest.raises(TypeError, match=r"Layer\(\) returns.*returned 3"):
        keras_convt.create_layer_wrapper(from_r(lambda object: 3))()
