"""The layers."""

from keras_convt.layers.conv1d_transpose import Conv1DTranspose
from keras_convt.layers.conv2d_transpose import Conv2DTranspose
from keras_convt.layers.conv3d_transpose import Conv3DTranspose
from keras_convt.layers.depthwise_conv1d_transpose import (
    DepthwiseConv1DTranspose,
)
from keras_convt.layers.depthwise_conv2d_transpose import (
    DepthwiseConv2DTranspose,
)
from keras_convt.layers.separable_conv1d_transpose import (
    SeparableConv1DTranspose,
)
from keras_convt.layers.separable_conv2d_transpose import (
    SeparableConv2DTranspose,
)

# The transposed convolution of each number of axes of steps.
BY_RANK = {1: Conv1DTranspose, 2: Conv2DTranspose, 3: Conv3DTranspose}

__all__ = [
    "BY_RANK",
    "Conv1DTranspose",
    "Conv2DTranspose",
    "Conv3DTranspose",
    "DepthwiseConv1DTranspose",
    "DepthwiseConv2DTranspose",
    "SeparableConv1DTranspose",
    "SeparableConv2DTranspose",
]
