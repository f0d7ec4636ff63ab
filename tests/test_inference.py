"""`predict` of every kind of layer, also on the backends without gradients.

Keras's NumPy and OpenVINO backends run what others trained.
"""

import keras
import numpy as np
import pytest
import reference
from keras import ops
from tolerances import SAME_LAYER, VALUES, assert_close

import keras_convt

CONVOLUTIONS = (
    keras_convt.Conv1DTranspose,
    keras_convt.Conv2DTranspose,
    keras_convt.Conv3DTranspose,
)
CASES = [
    (1, {"kernel_size": 3, "strides": 2}),
    (1, {"kernel_size": 3, "strides": 2, "padding": "same"}),
    (1, {"kernel_size": 4, "strides": 2, "padding": "causal"}),
    (1, {"kernel_size": 2, "strides": 3, "padding": (1, -2)}),
    (1, {"kernel_size": 3, "dilation_rate": 2}),
    (1, {"kernel_size": 5, "strides": 2, "groups": 2}),
    (1, {"kernel_size": 4, "strides": 2, "groups": 4}),
    (1, {"kernel_size": 300, "strides": 100}),
    (1, {"kernel_size": 4, "strides": 2, "data_format": "channels_first"}),
    (2, {"kernel_size": (3, 4), "strides": (2, 1), "padding": "same"}),
    (2, {"kernel_size": 2, "strides": 2, "data_format": "channels_first"}),
    (3, {"kernel_size": 3, "strides": 2, "padding": "same"}),
]


@pytest.mark.parametrize(("rank", "arguments"), CASES)
def test_predict(rank, arguments, rng):
    first = arguments.get("data_format") == "channels_first"
    shape = (4, 5, *[3] * (rank - 1)) if first else (5, *[3] * (rank - 1), 4)
    layer = CONVOLUTIONS[rank - 1](
        4, **arguments, activation="relu", bias_initializer="he_normal"
    )
    model = keras.Sequential([keras.Input(shape), layer])
    x = rng.normal(size=(3, *shape)).astype("float32")
    kernel, bias = (ops.convert_to_numpy(w) for w in layer.weights)
    sizes = {n: v for n, v in arguments.items() if n != "kernel_size"}
    expected = reference.conv_transpose(x, kernel, bias, **sizes)
    assert_close(
        model.predict(x, batch_size=2, verbose=0),
        np.maximum(expected, 0),
        VALUES,
    )


def test_predict_depthwise(rng):
    layer = keras_convt.DepthwiseConv1DTranspose(4, 2, "same")
    model = keras.Sequential([keras.Input((5, 3)), layer])
    x = rng.normal(size=(2, 5, 3)).astype("float32")
    expected = reference.conv_transpose(
        x,
        ops.convert_to_numpy(layer.kernel),
        np.zeros(3),
        strides=2,
        padding="same",
        groups=3,
    )
    assert_close(model.predict(x, verbose=0), expected, VALUES)


def test_an_upgraded_model_saved_and_loaded(rng, tmp_path):
    model = keras.Sequential(
        [
            keras.Input((None, 3)),
            keras.layers.Conv1DTranspose(4, 4, 2, "same", activation="tanh"),
            keras.layers.Conv1DTranspose(1, 2, 2),
        ]
    )
    upgraded = keras_convt.upgrade_model(model)
    upgraded.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    x = rng.normal(size=(2, 5, 3)).astype("float32")
    assert_close(
        loaded.predict(x, verbose=0), model.predict(x, verbose=0), SAME_LAYER
    )
