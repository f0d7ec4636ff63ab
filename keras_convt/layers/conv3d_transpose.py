"""Transposed convolution of volumes."""

from typing import Any

import keras

from keras_convt.layers.base_conv_transpose import BaseConvTranspose


@keras.saving.register_keras_serializable(package="keras_convt")
class Conv3DTranspose(BaseConvTranspose):
    """3D transposed convolution layer.

    A drop-in replacement for `keras.layers.Conv3DTranspose`, whose
    `data_format` comes before `output_padding`. The arguments, the
    arithmetic of each axis, the call arguments and the errors are those of
    `keras_convt.Conv1DTranspose`, with these differences.

    Args:
        kernel_size: int for all axes, or sequence of 3.
        strides: int for all axes, or sequence of 3. Defaults to `1`.
        padding: `"valid"`, `"same"`, an int for all sides, or one pair of
            crops for each axis. Defaults to `"valid"`.
        output_padding: int for all axes, or sequence of 3, or `None`.
        dilation_rate: int for all axes, or sequence of 3. Defaults to `1`.

    Input shape:
        5D tensor of shape `(batch, depth, height, width, channels)`, or
        `(batch, channels, depth, height, width)` if
        `data_format="channels_first"`.

    Output shape:
        5D tensor of shape
        `(batch, new_depth, new_height, new_width, filters)`, or
        `(batch, filters, new_depth, new_height, new_width)`.

    Example:

    >>> import keras
    >>> import keras_convt
    >>> x = keras.random.uniform((4, 5, 6, 7, 16))
    >>> y = keras_convt.Conv3DTranspose(8, 2, 2)(x)
    >>> tuple(y.shape)
    (4, 10, 12, 14, 8)
    """

    rank = 3

    def __init__(
        self,
        filters: Any,
        kernel_size: Any,
        strides: Any = 1,
        padding: Any = "valid",
        # The built-in Conv3DTranspose alone has these two in this order.
        data_format: str | None = None,
        output_padding: Any = None,
        dilation_rate: Any = 1,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            filters,
            kernel_size,
            strides,
            padding,
            output_padding,
            data_format,
            dilation_rate,
            activation,
            use_bias,
            kernel_initializer,
            bias_initializer,
            kernel_regularizer,
            bias_regularizer,
            activity_regularizer,
            kernel_constraint,
            bias_constraint,
            **kwargs,
        )
