"""The model: a Conv1D encoder and a Conv1DTranspose decoder."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from keras_convt.demo.signal import FACTOR

OURS = "keras_convt.Conv1DTranspose"
BUILT_IN = "keras.layers.Conv1DTranspose"


def build(layer: Callable[..., Any], channels: int = 64) -> Any:
    """Build the model that makes a signal `FACTOR` = 2 * 2 * 2 times finer.

    Linear interpolation is a transposed convolution too, with a triangle for
    a kernel. The model starts as that, and learns what to add.

    Args:
        layer: `keras_convt.Conv1DTranspose` or the one of Keras.
        channels: int, those of the encoder.

    Input shape:
        `(batch, steps, 1)`.

    Output shape:
        `(batch, steps * FACTOR, 1)`.
    """
    coarse = keras.Input((None, 1))
    x = coarse
    for _ in range(2):
        x = keras.layers.Conv1D(channels, 5, padding="same", activation="relu")(
            x
        )
    for filters in (channels, channels // 2, channels // 4):
        x = layer(filters, 4, strides=2, padding="same", activation="relu")(x)
    detail = keras.layers.Conv1D(
        1, 5, padding="same", kernel_initializer="zeros"
    )(x)

    rising = np.arange(0.5, FACTOR) / FACTOR
    triangle = np.concatenate([rising, rising[::-1]]).reshape(-1, 1, 1)
    interpolated = layer(
        1,
        2 * FACTOR,
        strides=FACTOR,
        padding="same",
        use_bias=False,
        kernel_initializer=keras.initializers.Constant(triangle),
    )(coarse)
    return keras.Model(coarse, keras.layers.Add()([interpolated, detail]))


def restore(model: Any, coarse: Any) -> Any:
    """Run the model on rows of samples: `(batch, steps * FACTOR)`."""
    return np.asarray(model.predict_on_batch(coarse[..., None]))[..., 0]
