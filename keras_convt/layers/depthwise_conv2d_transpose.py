"""Depthwise transposed convolution of images."""

import keras

from keras_convt.layers.base_depthwise_conv_transpose import (
    BaseDepthwiseConvTranspose,
)


@keras.saving.register_keras_serializable(package="keras_convt")
class DepthwiseConv2DTranspose(BaseDepthwiseConvTranspose):
    """2D depthwise transposed convolution layer.

    The arguments are those of `keras_convt.DepthwiseConv1DTranspose`.
    `padding`, and the arguments with one number for each axis, are those of
    `keras_convt.Conv2DTranspose`.

    Input shape:
        4D tensor of shape `(batch, height, width, channels)`, or
        `(batch, channels, height, width)` if `data_format="channels_first"`.

    Output shape:
        4D tensor of shape
        `(batch, new_height, new_width, channels * depth_multiplier)`, or
        `(batch, channels * depth_multiplier, new_height, new_width)`.

    Example:

    >>> import keras
    >>> import keras_convt
    >>> x = keras.random.uniform((4, 10, 8, 16))
    >>> y = keras_convt.DepthwiseConv2DTranspose(4, 2, "same")(x)
    >>> tuple(y.shape)
    (4, 20, 16, 16)
    """

    rank = 2
