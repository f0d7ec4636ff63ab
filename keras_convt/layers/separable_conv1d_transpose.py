"""Separable transposed convolution of signals."""

import keras

from keras_convt.layers.base_separable_conv_transpose import (
    BaseSeparableConvTranspose,
)


@keras.saving.register_keras_serializable(package="keras_convt")
class SeparableConv1DTranspose(BaseSeparableConvTranspose):
    """1D separable transposed convolution layer.

    It computes a depthwise transposed convolution, then a pointwise
    convolution that mixes the channels, then the bias and the activation.
    This is the order of `keras.layers.SeparableConv1D`.

    The arguments that are not listed here are those of
    `keras_convt.DepthwiseConv1DTranspose`, and the depthwise kernel has the
    same shape. `output_padding`, `quantization_config` and `implementation`
    are keyword-only.

    Args:
        filters: int, the number of channels of the output.
        pointwise_initializer: Initializer of the pointwise kernel, of shape
            `(1, channels * depth_multiplier, filters)`. `None` is
            `"glorot_uniform"`.
        pointwise_regularizer: Optional regularizer of the pointwise kernel.
        pointwise_constraint: Optional projection of the pointwise kernel
            after an update.

    Input shape:
        3D tensor of shape `(batch, steps, channels)`, or
        `(batch, channels, steps)` if `data_format="channels_first"`.

    Output shape:
        3D tensor of shape `(batch, new_steps, filters)`, or
        `(batch, filters, new_steps)`.

    Raises:
        ValueError, TypeError: If an argument cannot be used.

    Example:

    >>> import keras
    >>> import keras_convt
    >>> x = keras.random.uniform((4, 10, 128))
    >>> y = keras_convt.SeparableConv1DTranspose(32, 4, 2, "same")(x)
    >>> tuple(y.shape)
    (4, 20, 32)
    """

    rank = 1
