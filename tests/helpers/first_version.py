"""Small models of every kind of layer, as the first version saved them.

The files in `tests/data/first_version` were made by `save_all` with the
package as it was before layers had an `implementation`. They are never made
anew: they stand for what users have on their disks.
"""

from pathlib import Path

import keras
import numpy as np
from keras import layers

import keras_convt

FOLDER = Path(__file__).parent.parent / "data" / "first_version"


def signal(*shape):
    """The same numbers everywhere, without a file of them."""
    return np.sin(np.arange(np.prod(shape)) * 0.7).reshape(shape)


def conv1d():
    layer = keras_convt.Conv1DTranspose(
        4, 3, 2, "causal", groups=2, activation="tanh"
    )
    return keras.Sequential([keras.Input((5, 2)), layer])


def conv2d():
    layer = keras_convt.Conv2DTranspose(3, (2, 3), 2, ((1, 0), (0, -1)))
    return keras.Sequential([keras.Input((3, 4, 2)), layer])


def conv3d():
    layer = keras_convt.Conv3DTranspose(2, 2, (1, 2, 1), "same")
    return keras.Sequential([keras.Input((2, 3, 2, 2)), layer])


def depthwise():
    layer = keras_convt.DepthwiseConv1DTranspose(3, 2, "same", 2)
    return keras.Sequential([keras.Input((5, 2)), layer])


def separable():
    layer = keras_convt.SeparableConv2DTranspose(
        3, 2, 2, output_padding=1, depth_multiplier=2
    )
    return keras.Sequential([keras.Input((2, 3, 2)), layer])


def tied():
    inputs = keras.Input((9, 2))
    encode = layers.Conv1D(4, 3, 2, "same", activation="tanh")
    code = encode(inputs)
    decode = keras_convt.adjoint(encode, tie_weights=True, use_bias=True)
    return keras.Model(inputs, decode(code, output_size=inputs))


def lora():
    model = conv1d()
    model.layers[0].enable_lora(1, lora_alpha=2, b_initializer="ones")
    return model


def int8():
    model = conv1d()
    model.layers[0].quantize("int8")
    return model


def lora_and_int8():
    model = conv1d()
    model.layers[0].quantize("int8")
    model.layers[0].enable_lora(1, lora_alpha=2)
    return model


MODELS = (
    conv1d,
    conv2d,
    conv3d,
    depthwise,
    separable,
    tied,
    lora,
    int8,
    lora_and_int8,
)


def outputs(model):
    shape = (2, *model.input_shape[1:])
    return np.asarray(model.predict(signal(*shape), verbose=0))


def save_all(folder):
    saved = {}
    for make in MODELS:
        keras.utils.set_random_seed(7)
        model = make()
        for layer in model.layers:
            # Biases that are not zero.
            if getattr(layer, "bias", None) is not None:
                layer.bias.assign(signal(*layer.bias.shape))
        model.save(folder / f"{make.__name__}.keras")
        model.save_weights(folder / f"{make.__name__}.weights.h5")
        saved[make.__name__] = outputs(model)
    np.savez(folder / "outputs.npz", **saved)
