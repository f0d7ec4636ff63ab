"""Transposed convolution of images."""

import keras

from keras_convt.layers.base_conv_transpose import BaseConvTranspose


@keras.saving.register_keras_serializable(package="keras_convt")
class Conv2DTranspose(BaseConvTranspose):
    """2D transposed convolution layer.

    It is a drop-in replacement for `keras.layers.Conv2DTranspose`. The
    arguments, the arithmetic of each axis, the call arguments and the errors
    are those of `keras_convt.Conv1DTranspose`, with these differences.

    Args:
        kernel_size: int for both axes, or sequence of 2.
        strides: int for both axes, or sequence of 2. Defaults to `1`.
        padding: `"valid"`, `"same"`, an int for all sides, or one pair of
            crops for each axis, `((top, bottom), (left, right))`.
            Defaults to `"valid"`.
        output_padding: int for both axes, or sequence of 2, or `None`.
        dilation_rate: int for both axes, or sequence of 2. Defaults to `1`.

    Input shape:
        4D tensor of shape `(batch, height, width, channels)`, or
        `(batch, channels, height, width)` if `data_format="channels_first"`.

    Output shape:
        4D tensor of shape `(batch, new_height, new_width, filters)`, or
        `(batch, filters, new_height, new_width)`.

    Example:

    >>> import keras
    >>> import keras_convt
    >>> x = keras.random.uniform((4, 10, 8, 128))
    >>> y = keras_convt.Conv2DTranspose(32, 2, 2)(x)
    >>> tuple(y.shape)
    (4, 20, 16, 32)
    """

    rank = 2
