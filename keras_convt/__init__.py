"""Transposed convolution for Keras 3, the same on every backend."""

from keras_convt import initializers, ops
from keras_convt._version import __version__
from keras_convt.compose import (
    create_layer_wrapper,
    layer_conv_1d_transpose,
    layer_conv_2d_transpose,
    layer_conv_3d_transpose,
    layer_depthwise_conv_1d_transpose,
    layer_depthwise_conv_2d_transpose,
    layer_separable_conv_1d_transpose,
    layer_separable_conv_2d_transpose,
)
from keras_convt.layers import (
    Conv1DTranspose,
    Conv2DTranspose,
    Conv3DTranspose,
    DepthwiseConv1DTranspose,
    DepthwiseConv2DTranspose,
    SeparableConv1DTranspose,
    SeparableConv2DTranspose,
)

__all__ = [
    "Conv1DTranspose",
    "Conv2DTranspose",
    "Conv3DTranspose",
    "DepthwiseConv1DTranspose",
    "DepthwiseConv2DTranspose",
    "SeparableConv1DTranspose",
    "SeparableConv2DTranspose",
    "__version__",
    "create_layer_wrapper",
    "initializers",
    "layer_conv_1d_transpose",
    "layer_conv_2d_transpose",
    "layer_conv_3d_transpose",
    "layer_depthwise_conv_1d_transpose",
    "layer_depthwise_conv_2d_transpose",
    "layer_separable_conv_1d_transpose",
    "layer_separable_conv_2d_transpose",
    "ops",
]
