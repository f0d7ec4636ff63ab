"""What R sends: doubles, lists of one, missing values, arrays of its own."""

import inspect

import keras
import numpy as np
import pytest
from tolerances import SAME_LAYER, assert_close

import keras_convt

NA_INTEGER = -(2**31)
NAN = float("nan")


def r_array(array):
    """An array as reticulate passes one of R's."""
    array = np.asfortranarray(array, dtype="float64")
    array.flags.writeable = False
    return array


@pytest.fixture
def x(rng):
    return rng.standard_normal((2, 10, 3)).astype("float32")


class Rate(keras.layers.Layer):
    """A layer of a user's, with arguments of every kind."""

    def __init__(self, units, rate=1.0, steps=2, table=None, **kwargs):
        super().__init__(**kwargs)
        self.received = units, rate, steps, table

    def call(self, inputs):
        return inputs


class Variadic(keras.layers.Layer):
    def __init__(self, first, *more, last=3, **kwargs):
        super().__init__(**kwargs)
        self.received = first, more, last

    def call(self, inputs):
        return inputs


class PositionalOnly(keras.layers.Layer):
    def __init__(self, first, /, second=2, **kwargs):
        super().__init__(**kwargs)
        self.received = first, second

    def call(self, inputs):
        return inputs


def same_in_type(actual, expected):
    return repr(actual) == repr(expected)


@pytest.mark.parametrize(
    ("args", "kwargs", "received"),
    [
        ((3.0,), {}, (3, 1.0, 2, None)),
        ((3.0, 2.0, 4.0), {}, (3, 2.0, 4, None)),
        ((3.5, 0.5, 4.5), {}, (3.5, 0.5, 4.5, None)),
        (([3.0],), {"table": [1.0, [2.0, 0.5]]}, ([3], 1.0, 2, [1, [2, 0.5]])),
        (((3.0,),), {"table": {"a": 1.0}}, ((3,), 1.0, 2, {"a": 1.0})),
        (("a",), {"rate": None, "table": True}, ("a", None, 2, True)),
        ((np.float64(3.0),), {}, (3, 1.0, 2, None)),
    ],
)
def test_whole_floats_are_ints_where_no_float_is_wanted(args, kwargs, received):
    layer = keras_convt.create_layer_wrapper(Rate)(None, *args, **kwargs)
    assert same_in_type(layer.received, received)


# Keras says so of what R users have always written.
INPUT_SHAPE_WARNING = "Do not pass an `input_shape`"


def test_the_arguments_of_every_layer():
    with pytest.warns(UserWarning, match=INPUT_SHAPE_WARNING):
        layer = keras_convt.layer_dense(
            units=2.0,
            input_shape=[4.0],
            name="d",
            dtype="float16",
            trainable=False,
        )
    model = keras.Sequential([layer])
    assert model.input_shape == (None, 4)
    assert (layer.name, layer.compute_dtype) == ("d", "float16")
    assert not layer.trainable


def test_a_shape_of_one():
    model = keras.Sequential()
    with pytest.warns(UserWarning, match=INPUT_SHAPE_WARNING):
        keras_convt.layer_dense(model, 2.0, input_shape=784.0)
    keras_convt.layer_reshape(model, 2.0)
    assert model.input_shape == (None, 784)
    assert model.output_shape == (None, 2)


# How R's NA_real_, NA_integer_ and NA arrive.
MISSING = [NAN, NA_INTEGER, True]


@pytest.mark.parametrize("missing", MISSING)
def test_a_missing_size_is_unknown(missing):
    model = keras.Sequential()
    with pytest.warns(UserWarning, match=INPUT_SHAPE_WARNING):
        keras_convt.layer_conv_1d_transpose(
            model, 4.0, 3.0, 2.0, input_shape=[missing, 8.0]
        )
    assert model.input_shape == (None, None, 8)
    assert model.output_shape == (None, None, 4)
    y = keras_convt.layer_reshape(np.ones((2, 6), "float32"), [missing, 3.0])
    assert tuple(y.shape) == (2, 2, 3)
    layer = keras_convt.layer_input_layer(batch_shape=[missing, 3.0])
    assert layer.batch_shape == (None, 3)
    layer = keras_convt.layer_input_layer(shape=missing)
    assert layer.batch_shape == (None, None)
    layer = keras_convt.layer_input_layer(shape=np.array([missing, 4.0]))
    if missing is not True:
        assert layer.batch_shape == (None, None, 4)


def test_what_only_ends_like_a_shape_is_left_alone():
    class Keeping(keras.layers.Layer):
        def __init__(self, keep_shape=False, **kwargs):
            super().__init__(**kwargs)
            self.keep_shape = keep_shape

    compose = keras_convt.create_layer_wrapper(Keeping)
    assert compose(None, keep_shape=True).keep_shape is True


def test_positional_arguments_without_names():
    wrapper = keras_convt.create_layer_wrapper(Variadic)
    assert wrapper(None, 1.0, 2.0, 2.5, last=4.0).received == (1, (2, 2.5), 4)
    assert wrapper(None, 1.0).received == (1, (), 3)
    wrapper = keras_convt.create_layer_wrapper(PositionalOnly)
    assert wrapper(None, 1.0, 5.0).received == (1, 5)
    assert wrapper(None, 1.0, second=5.0).received == (1, 5)


@pytest.mark.parametrize("rate", [0.0, 0.5, 1.0])
def test_rates_stay_what_they_are(rate):
    assert keras_convt.layer_dropout(rate=rate).rate == rate
    norm = keras_convt.layer_batch_normalization(momentum=rate, epsilon=1.0)
    assert same_in_type((norm.momentum, norm.epsilon), (rate, 1.0))


REFUSED_BY_KERAS_OWN = [
    ("layer_dense", {"units": True}, "units"),
    ("layer_dense", {"units": NA_INTEGER}, "units"),
    ("layer_dense", {"units": NAN}, "units"),
    ("layer_dropout", {"rate": True}, "rate"),
    ("layer_dropout", {"rate": NAN}, "rate"),
    ("layer_dropout", {"rate": 0.5, "seed": True}, "seed"),
    ("layer_dropout", {"rate": 0.5, "seed": NA_INTEGER}, "seed"),
    ("layer_conv_1d", {"filters": 2.0, "kernel_size": [True]}, "kernel_size"),
    ("layer_conv_1d", {"filters": NAN, "kernel_size": 3.0}, "filters"),
    (
        "layer_conv_2d",
        {"filters": 2.0, "kernel_size": 2.0, "strides": [NA_INTEGER, 1]},
        "strides",
    ),
    ("layer_max_pooling_1d", {"pool_size": 2.0, "strides": True}, "strides"),
    ("layer_cropping_2d", {"cropping": [[1.0, NAN], [1.0, 1.0]]}, "cropping"),
    ("layer_batch_normalization", {"momentum": True}, "momentum"),
    ("rnn_cell_gru", {"units": True}, "units"),
]


@pytest.mark.parametrize(("name", "kwargs", "argument"), REFUSED_BY_KERAS_OWN)
def test_missing_values_are_refused_by_name(name, kwargs, argument):
    with pytest.raises(
        (TypeError, ValueError), match=rf"`{argument}` must not be missing"
    ):
        getattr(keras_convt, name)(**kwargs)


OURS = [
    ("layer_conv_1d_transpose", (2.0, 3.0)),
    ("layer_conv_2d_transpose", (2.0, 3.0)),
    ("layer_conv_3d_transpose", (2.0, 3.0)),
    ("layer_depthwise_conv_1d_transpose", (3.0,)),
    ("layer_depthwise_conv_2d_transpose", (3.0,)),
    ("layer_separable_conv_1d_transpose", (2.0, 3.0)),
    ("layer_separable_conv_2d_transpose", (2.0, 3.0)),
]
NUMBERS = {
    "filters",
    "kernel_size",
    "strides",
    "dilation_rate",
    "output_padding",
    "groups",
    "depth_multiplier",
    "padding",
}


@pytest.mark.parametrize(("name", "args"), OURS)
@pytest.mark.parametrize("value", [2.5, True, NA_INTEGER, NAN, float("inf")])
def test_ours_refuse_by_name_in_every_number(name, args, value):
    wrapper = getattr(keras_convt, name)
    parameters = list(inspect.signature(wrapper).parameters)
    required = dict(zip(parameters[1:], args, strict=False))
    numbers = NUMBERS & set(parameters)
    assert len(numbers) >= 5
    for argument in numbers:
        with pytest.raises((TypeError, ValueError), match=f"`{argument}`"):
            wrapper(None, **{**required, argument: value})


@pytest.mark.parametrize(("name", "args"), OURS)
def test_ours_take_what_r_sends(name, args):
    wrapper = getattr(keras_convt, name)
    expected = wrapper(None, *map(int, args), strides=2).get_config()
    rank = wrapper(None, *args).rank
    for sent in (2, 2.0, [2.0] * rank, (2.0,) * rank, r_array([2.0] * rank)):
        config = wrapper(None, *args, strides=sent).get_config()
        del config["name"]
        assert config.items() <= expected.items()
        assert type(config["strides"][0]) is int


def test_ours_take_lists_of_one_null_and_true():
    layer = keras_convt.layer_conv_1d_transpose(
        None, 32.0, [3.0], [2.0], "VALID", None, [1.0], None, True
    )
    expected = keras_convt.Conv1DTranspose(32, 3, 2).get_config()
    assert {**layer.get_config(), "name": ""} == {**expected, "name": ""}


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_arrays_are_taken_and_cast(x, dtype):
    sent = r_array(x)
    wrapper = keras_convt.layer_conv_1d_transpose
    keras.utils.set_random_seed(1)
    expected = keras_convt.Conv1DTranspose(4, 3, 2, dtype=dtype)(
        keras.ops.convert_to_tensor(x)
    )
    keras.utils.set_random_seed(1)
    actual = wrapper(sent, 4.0, 3.0, 2.0, dtype=dtype)
    assert keras.backend.standardize_dtype(actual.dtype) == dtype
    assert_close(
        keras.ops.convert_to_numpy(actual),
        keras.ops.convert_to_numpy(expected),
        SAME_LAYER,
    )
    np.testing.assert_array_equal(sent, x)


def test_a_class_takes_arrays_too(x):
    layer = keras_convt.Conv1DTranspose(4, 3, 2)
    tensor = keras.ops.convert_to_tensor(x)
    assert_close(
        keras.ops.convert_to_numpy(layer(np.array(r_array(x)))),
        keras.ops.convert_to_numpy(layer(tensor)),
        SAME_LAYER,
    )


def test_named_lists_of_tensors_are_composed():
    class Sum(keras.layers.Layer):
        def call(self, inputs):
            return inputs["a"] + inputs["b"]

    y = keras_convt.create_layer_wrapper(Sum)(
        {"a": r_array([1.0]), "b": r_array([2.0])}
    )
    assert keras.ops.convert_to_numpy(y).tolist() == [3.0]


@pytest.mark.parametrize(
    "target", [3.0, "x", [], [1.0, 2.0], {}, {"a": 1.0}, True]
)
def test_other_objects_are_refused_before_a_layer_is_made(target):
    keras.utils.clear_session()
    with pytest.raises(TypeError, match="`object` must be"):
        keras_convt.layer_dense(target, 2.0)
    assert keras_convt.layer_dense(None, 2.0).name == "dense"


def test_flags_that_default_to_none_take_bools():
    layer = keras_convt.layer_multi_head_attention(
        num_heads=2.0, key_dim=2.0, flash_attention=False
    )
    assert layer.get_config()["num_heads"] == 2
    assert keras_convt.layer_input_layer(shape=[2.0], sparse=False).sparse is (
        False
    )
