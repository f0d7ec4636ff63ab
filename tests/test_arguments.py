"""Every bad argument is refused by name, with the value, before any weight.

The words come from the package, not from a backend, so what is matched here
is matched on all of them.
"""

import keras
import numpy as np
import pytest

import keras_convt
from keras_convt import arguments

Layer = keras_convt.Conv1DTranspose
REFUSED = (ValueError, TypeError)


def message(function, *args, **kwargs):
    """What a refused call says. It fails the test if nothing is refused."""
    with pytest.raises(REFUSED) as caught:
        function(*args, **kwargs)
    return str(caught.value)


def assert_refused(name, value, **arguments):
    """The message names `name` in backticks and says what was received."""
    defaults = {"filters": 4, "kernel_size": 3}
    said = message(Layer, **{**defaults, **arguments, name: value})
    assert f"`{name}`" in said, said
    assert repr(value) in said, said
    assert "Received: " in said, said
    return said


SIZES = ["kernel_size", "strides", "dilation_rate"]
NO_NUMBERS = [
    2.5,
    float("nan"),
    float("inf"),
    True,
    False,
    "3",
    "a",
    {},
    (),
    (2, 2),
    [2, 2, 2],
    [2.5],
    [True],
    ["3"],
    [None],
    [[3]],
]


@pytest.mark.parametrize("value", [*NO_NUMBERS, None, 0, -1, [0], (-2,)])
@pytest.mark.parametrize("name", SIZES)
def test_sizes(name, value):
    assert_refused(name, value)


@pytest.mark.parametrize("value", [*NO_NUMBERS, None, 0, -1, [4]])
def test_filters(value):
    assert_refused("filters", value)


@pytest.mark.parametrize("value", [*NO_NUMBERS, -1, [-1]])
def test_output_padding(value):
    assert_refused("output_padding", value, strides=4)


@pytest.mark.parametrize("value", [2.5, True, "2", None, 0, -1, [2]])
def test_groups(value):
    assert_refused("groups", value)


@pytest.mark.parametrize(
    ("strides", "value"), [(1, 1), (2, 2), (2, 5), (3, [3])]
)
def test_output_padding_below_strides(strides, value):
    said = assert_refused("output_padding", value, strides=strides)
    assert "`strides`" in said
    assert str(strides) in said


@pytest.mark.parametrize(("strides", "rate"), [(2, 2), (3, [2]), ((2,), 3)])
def test_strides_with_dilation(strides, rate):
    said = message(Layer, 4, 3, strides=strides, dilation_rate=rate)
    for part in (
        "`strides > 1`",
        "`dilation_rate > 1`",
        "strides=",
        "dilation_rate=",
    ):
        assert part in said, said


def test_strides_with_dilation_of_another_axis():
    """Refused as in the built-in: whichever axes they are on."""
    said = message(
        keras_convt.Conv2DTranspose, 4, 3, strides=(2, 1), dilation_rate=(1, 2)
    )
    assert "dilation_rate" in said


@pytest.mark.parametrize(
    "value",
    [
        "full",
        "",
        "valid ",
        None,
        True,
        2.5,
        float("nan"),
        (1, 2, 3),
        (1,),
        (),
        (1, 2.5),
        (True, 1),
        ("same", 1),
        (1, None),
    ],
)
def test_padding(value):
    assert_refused("padding", value)


@pytest.mark.parametrize("value", ["same", "VALID", "Causal"])
def test_padding_is_case_insensitive(value):
    assert Layer(4, 3, padding=value).padding == value.lower()


def test_causal_is_of_one_axis():
    said = message(keras_convt.Conv2DTranspose, 4, 3, padding="causal")
    assert "`padding`" in said
    assert "causal" in said


@pytest.mark.parametrize("value", [(1, 2), ((1, 2),), ((1, 2), (1, 2, 3))])
def test_padding_of_two_axes(value):
    said = message(keras_convt.Conv2DTranspose, 4, 3, padding=value)
    assert "`padding`" in said
    assert repr(value) in said


@pytest.mark.parametrize("value", [0, 1])
def test_causal_with_output_padding(value):
    said = message(Layer, 4, 3, 2, padding="causal", output_padding=value)
    assert "output_padding" in said
    assert "causal" in said


@pytest.mark.parametrize("value", ["channels", "last", "", 1, True])
def test_data_format(value):
    said = assert_refused("data_format", value)
    assert "channels_last" in said
    assert "channels_first" in said


@pytest.mark.parametrize(
    "name",
    [
        "activation",
        "kernel_initializer",
        "bias_initializer",
        "kernel_regularizer",
        "bias_regularizer",
        "activity_regularizer",
        "kernel_constraint",
        "bias_constraint",
    ],
)
@pytest.mark.parametrize("value", ["no_such_thing", 3])
def test_what_keras_looks_up_by_name(name, value):
    said = message(Layer, 4, 3, **{name: value})
    assert name in said, said
    assert repr(value) in said, said


def test_unknown_keyword():
    said = message(Layer, 4, 3, stride=2)
    assert "stride" in said
    assert "2" in said


@pytest.mark.parametrize(("filters", "groups"), [(3, 2), (4, 3), (2, 4)])
def test_groups_divide_filters(filters, groups):
    said = message(Layer, filters, 3, groups=groups)
    for part in ("`filters`", "`groups`", str(filters), str(groups)):
        assert part in said, said


def test_groups_divide_channels():
    layer = Layer(4, 3, groups=4)
    said = message(layer, np.ones((1, 5, 6), "float32"))
    assert "groups" in said
    assert "4" in said
    assert "6" in said
    assert_untouched(layer)


# --- whole numbers of any type ----------------------------------------------

WHOLE = [
    2,
    2.0,
    np.int64(2),
    np.int8(2),
    np.float32(2.0),
    [2],
    (2.0,),
    [np.int64(2)],
    np.array([2]),
    np.array([2.0]),
]


@pytest.mark.parametrize("value", WHOLE)
@pytest.mark.parametrize("name", SIZES)
def test_whole_sizes(name, value):
    layer = Layer(**{"filters": 4, "kernel_size": 3, name: value})
    taken = getattr(layer, name)
    assert taken == (2,)
    assert type(taken[0]) is int


@pytest.mark.parametrize("value", [2, 2.0, np.int64(2), np.float64(2)])
@pytest.mark.parametrize("name", ["filters", "groups"])
def test_whole_numbers(name, value):
    layer = Layer(**{"filters": 4, "kernel_size": 3, name: value})
    assert getattr(layer, name) == 2
    assert type(getattr(layer, name)) is int


@pytest.mark.parametrize("value", [1, 1.0, [1.0], np.int64(1)])
def test_whole_output_padding(value):
    assert Layer(4, 3, 2, output_padding=value).output_padding == (1,)


@pytest.mark.parametrize("value", [1, 1.0, np.int64(1), (1, 1), [1.0, 1]])
def test_whole_crops(value, rng):
    x = rng.normal(size=(1, 4, 2)).astype("float32")
    assert Layer(3, 5, padding=value)(x).shape == (1, 6, 3)


# --- inputs -----------------------------------------------------------------


def assert_untouched(layer):
    assert not layer.weights
    assert not layer.built


@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (2, 3, 4, 5)])
def test_rank_of_the_input(shape):
    layer = Layer(4, 3)
    said = message(layer, np.ones(shape, "float32"))
    assert str(shape) in said, said
    assert "3" in said  # the rank that was expected
    assert_untouched(layer)


@pytest.mark.parametrize("shape", [(None, 3), (None, 3, 4, 5)])
def test_rank_of_a_symbolic_input(shape):
    layer = Layer(4, 3)
    message(layer, keras.KerasTensor(shape))
    assert_untouched(layer)


@pytest.mark.parametrize(
    ("data_format", "shape"),
    [
        ("channels_last", (None, 5, None)),
        ("channels_first", (None, None, 5)),
    ],
)
def test_channels_of_unknown_size(data_format, shape):
    layer = Layer(4, 3, data_format=data_format)
    said = message(layer, keras.KerasTensor(shape))
    assert "channel" in said, said
    assert str(shape) in said, said
    assert_untouched(layer)
    said = message(layer.build, shape)
    assert "channel" in said, said
    assert_untouched(layer)


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_a_later_call_with_other_channels(data_format):
    layer = Layer(4, 3, data_format=data_format)
    layer(np.ones((2, 3, 3), "float32"))
    other = (2, 3, 5) if data_format == "channels_last" else (2, 5, 3)
    for inputs in (np.ones(other, "float32"), keras.KerasTensor(other)):
        said = message(layer, inputs)
        assert "3" in said
        assert "5" in said
        assert str(other) in said, said
    # What it was built for still works.
    assert layer(np.ones((1, 3, 3), "float32")).shape[0] == 1


# --- output_size ------------------------------------------------------------


@pytest.mark.parametrize(
    ("padding", "lowest", "highest"),
    [
        ("valid", 11, 12),
        ("same", 7, 8),
        ("causal", 7, 8),
        ((2, 1), 8, 9),
        (1, 9, 10),
    ],
)
def test_output_size_out_of_range(padding, lowest, highest):
    layer = Layer(3, 5, 2, padding=padding)
    x = np.ones((1, 4, 2), "float32")
    for n in (lowest, highest):
        assert layer(x, output_size=n).shape == (1, n, 3)
    for n in (lowest - 1, highest + 1, 1, 100):
        said = message(layer, x, output_size=n)
        for part in ("output_size", str(n), str(lowest), str(highest)):
            assert part in said, said


@pytest.mark.parametrize("value", [2.5, "8", True, 0, -8, (8, 8), [8.5]])
def test_output_size_that_is_none(value):
    layer = Layer(3, 5, 2, padding="same")
    said = message(layer, np.ones((1, 4, 2), "float32"), output_size=value)
    assert "output_size" in said, said


# --- the op -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("strides", 0),
        ("strides", 2.5),
        ("dilation_rate", "2"),
        ("padding", "full"),
        ("output_padding", 1),
        ("data_format", "last"),
        ("groups", 0),
        ("groups", 3),
        ("implementation", "fast"),
        ("output_size", 99),
    ],
)
def test_the_op(name, value):
    x, kernel = np.ones((1, 4, 2), "float32"), np.ones((3, 4, 2), "float32")
    said = message(keras_convt.ops.conv_transpose, x, kernel, **{name: value})
    assert name in said, said
    assert str(value) in said, said


def test_the_ranks_and_channels_of_the_op():
    op = keras_convt.ops.conv_transpose
    x = np.ones((1, 4, 2), "float32")
    for shape in [(3, 4), (3, 3, 4, 2), (3, 4, 5)]:
        said = message(op, x, np.ones(shape, "float32"))
        assert "kernel" in said, said
        assert str(shape) in said, said


# --- nothing is lost --------------------------------------------------------

BAD = [
    {"filters": 0},
    {"kernel_size": -1},
    {"padding": "full"},
    {"activation": "no_such_thing"},
    {"stride": 2},
]


@pytest.mark.parametrize("bad", BAD)
def test_a_model_that_a_bad_layer_was_meant_for(bad):
    model = keras.Sequential([keras.Input((5, 2)), keras.layers.Dense(3)])
    layers, weights = list(model.layers), list(model.weights)
    arguments = {"filters": 4, "kernel_size": 3, **bad}
    message(keras_convt.layer_conv_1d_transpose, model, **arguments)
    assert model.layers == layers
    assert [id(w) for w in model.weights] == [id(w) for w in weights]
    assert model(np.ones((1, 5, 2), "float32")).shape == (1, 5, 3)


@pytest.mark.parametrize("shape", [(5, None), (5,), (5, 2, 2)])
def test_a_model_whose_output_does_not_fit(shape):
    """The layer is good; what comes out of the model is not."""
    model = keras.Sequential(
        [keras.Input(shape), keras.layers.Activation("tanh")]
    )
    layers = list(model.layers)
    message(keras_convt.layer_conv_1d_transpose, model, 4, 3)
    assert model.layers == layers
    assert not model.weights
    assert model.output_shape == (None, *shape)


@pytest.mark.parametrize("value", [1e30, 2**31, -(2**32)])
def test_a_size_that_backends_cannot_count_to(value):
    with pytest.raises(ValueError, match=r"`padding` must be .* at most"):
        arguments.crops((0, value), 1, "padding")
    if value > 0:
        with pytest.raises(ValueError, match=r"`strides` must be .* at most"):
            arguments.sizes(value, 1, "strides")


@pytest.mark.parametrize("shape", [(0, 2, 3), (3, 0, 3), (3, 2, 0)])
def test_a_kernel_of_nothing(shape):
    with pytest.raises(ValueError, match="`kernel` must have taps, filters"):
        keras_convt.ops.conv_transpose(
            np.ones((1, 4, shape[-1])), np.ones(shape)
        )


def test_inputs_without_channels():
    layer = keras_convt.Conv3DTranspose(3, 3)
    with pytest.raises(ValueError, match="Conv3DTranspose must have channels"):
        layer(np.ones((3, 2, 2, 2, 0), "float32"))
    assert not layer.built
