"""Transposed convolution of volumes."""

from typing import Any, Unpack

import keras

from keras_convt.layers.base_conv_transpose import BaseConvTranspose
from keras_convt.types import (
    DataFormat,
    KerasObject,
    LayerOptions,
    OnePerAxis,
    Padding,
)


@keras.saving.register_keras_serializable(package="keras_convt")
class Conv3DTranspose(BaseConvTranspose):
    """3D transposed convolution layer.

    It is a drop-in replacement for `keras.layers.Conv3DTranspose`. As there,
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
        filters: int,
        kernel_size: OnePerAxis,
        strides: OnePerAxis = 1,
        padding: Padding = "valid",
        # The built-in Conv3DTranspose alone has these two in this order.
        data_format: DataFormat | None = None,
        output_padding: OnePerAxis | None = None,
        dilation_rate: OnePerAxis = 1,
        activation: KerasObject = None,
        use_bias: bool = True,
        kernel_initializer: KerasObject = "glorot_uniform",
        bias_initializer: KerasObject = "zeros",
        kernel_regularizer: KerasObject = None,
        bias_regularizer: KerasObject = None,
        activity_regularizer: KerasObject = None,
        kernel_constraint: KerasObject = None,
        bias_constraint: KerasObject = None,
        *,
        groups: int = 1,
        lora_rank: int | None = None,
        lora_alpha: float | None = None,
        quantization_config: Any = None,
        implementation: str = "auto",
        **kwargs: Unpack[LayerOptions],
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
            groups=groups,
            lora_rank=lora_rank,
            lora_alpha=lora_alpha,
            quantization_config=quantization_config,
            implementation=implementation,
            **kwargs,
        )
