"""Depthwise transposed convolution of signals."""

import keras

from keras_convt.layers.base_depthwise_conv_transpose import (
    BaseDepthwiseConvTranspose,
)


@keras.saving.register_keras_serializable(package="keras_convt")
class DepthwiseConv1DTranspose(BaseDepthwiseConvTranspose):
    """1D depthwise transposed convolution layer.

    Each input channel has `depth_multiplier` kernels of its own. The layer
    computes the same as a `keras_convt.Conv1DTranspose` with as many groups as
    channels.

    The arguments that are not listed here are those of
    `keras_convt.Conv1DTranspose`. `output_padding`, `lora_rank`, `lora_alpha`,
    `quantization_config` and `implementation` are keyword-only.

    Args:
        depth_multiplier: int, the number of output channels of each input
            channel. Those of one input channel are next to each other.
            Defaults to `1`.
        depthwise_initializer: Initializer of the kernel, of shape
            `(kernel_size, depth_multiplier, channels)`. `None` is
            `"glorot_uniform"`.
        depthwise_regularizer: Optional regularizer of the kernel.
        depthwise_constraint: Optional projection of the kernel after an
            update.

    Input shape:
        3D tensor of shape `(batch, steps, channels)`, or
        `(batch, channels, steps)` if `data_format="channels_first"`.

    Output shape:
        3D tensor of shape `(batch, new_steps, channels * depth_multiplier)`,
        or `(batch, channels * depth_multiplier, new_steps)`.

    Raises:
        ValueError, TypeError: If an argument cannot be used.

    Example:

    >>> import keras
    >>> import keras_convt
    >>> x = keras.random.uniform((4, 10, 128))
    >>> y = keras_convt.DepthwiseConv1DTranspose(4, 2, "causal")(x)
    >>> tuple(y.shape)
    (4, 20, 128)
    """

    rank = 1
