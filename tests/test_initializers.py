"""ICNR: each phase of the output starts equal."""

import json

import keras
import numpy as np
import pytest
import tolerances
from keras import ops

import keras_convt
from keras_convt.initializers import ICNR, Interpolation


@pytest.mark.parametrize(
    ("layer_class", "kernel_size", "strides"),
    [
        (keras_convt.Conv1DTranspose, 4, 2),
        (keras_convt.Conv1DTranspose, 3, 3),
        (keras_convt.Conv1DTranspose, 16, 8),
        (keras_convt.Conv2DTranspose, (4, 6), (2, 3)),
        (keras_convt.Conv3DTranspose, (2, 4, 3), (2, 2, 1)),
    ],
)
def test_phases_are_equal(rng, layer_class, kernel_size, strides):
    rank = layer_class.rank
    layer = layer_class(
        3,
        kernel_size,
        strides,
        kernel_initializer=ICNR("glorot_normal", strides),
    )
    x = rng.standard_normal((2, *(4, 3, 5)[:rank], 2)).astype("float32")
    y = ops.convert_to_numpy(layer(x))
    assert np.std(y) > 0.01
    for axis, stride in enumerate(layer.strides, start=1):
        steps = y.shape[axis] // stride
        phases = np.stack(
            [
                np.take(y, np.arange(steps) * stride + phase, axis=axis)
                for phase in range(stride)
            ]
        )
        tolerances.assert_close(
            phases,
            np.broadcast_to(phases[:1], phases.shape),
            tolerances.SAME_LAYER,
        )


def test_the_values_are_those_of_the_initializer():
    kernel = ops.convert_to_numpy(ICNR("ones", 2)((5, 3, 2)))
    np.testing.assert_array_equal(kernel, np.ones((5, 3, 2)))
    kernel = ops.convert_to_numpy(
        ICNR(keras.initializers.RandomNormal(seed=1), 2)((5, 3, 2))
    )
    coarse = ops.convert_to_numpy(
        keras.initializers.RandomNormal(seed=1)((3, 3, 2))
    )
    np.testing.assert_array_equal(kernel, coarse[[0, 0, 1, 1, 2]])


@pytest.mark.parametrize(
    "initializer",
    [
        ICNR("he_normal", 3),
        ICNR(keras.initializers.Constant(0.5), (2, 3)),
        *(
            Interpolation(2, kind)
            for kind in ("nearest", "linear", "cubic", "sinc")
        ),
        Interpolation((2, 3), "nearest", groups=2),
        Interpolation(3, depthwise=True),
    ],
    ids=str,
)
def test_every_argument_is_serialized(initializer):
    # As a file has it: JSON knows no tuples.
    config = json.loads(json.dumps(keras.initializers.serialize(initializer)))
    again = keras.initializers.deserialize(config)
    assert type(again) is type(initializer)
    assert again.get_config() == initializer.get_config()


def test_saved_and_loaded():
    layer = keras_convt.Conv1DTranspose(
        3, 4, 2, kernel_initializer=ICNR("he_normal", [2])
    )
    config = layer.get_config()
    again = keras_convt.Conv1DTranspose.from_config(config)
    assert again.get_config() == config
    assert again.kernel_initializer.strides == (2,)


def test_repr_says_what_it_was_made_with():
    assert repr(ICNR("he_normal", [2])) == (
        "ICNR(initializer=HeNormal, strides=(2,))"
    )

    assert repr(Interpolation((2, 3), "cubic", 4)) == (
        "Interpolation(strides=(2, 3), kind='cubic', groups=4, depthwise=False)"
    )

    def drawn(shape, dtype=None):
        return ops.zeros(shape, dtype)

    assert repr(ICNR(drawn, 3)) == "ICNR(initializer=drawn, strides=3)"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("ones", 0), "`strides`.*at least 1.*0"),
        (("ones", 2.5), "`strides`.*whole number.*2.5"),
        (("nothing", 2), "`initializer`.*'nothing'"),
    ],
)
def test_bad_arguments(arguments, words):
    with pytest.raises(ValueError, match=words):
        ICNR(*arguments)
