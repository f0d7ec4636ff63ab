"""Transposed convolution for Keras 3, the same on every backend."""

from keras_convt import ops as ops
from keras_convt._version import __version__ as __version__
from keras_convt.compose import create_layer_wrapper as create_layer_wrapper
from keras_convt.compose import (
    layer_conv_1d_transpose as layer_conv_1d_transpose,
)
from keras_convt.compose import (
    layer_conv_2d_transpose as layer_conv_2d_transpose,
)
from keras_convt.compose import (
    layer_conv_3d_transpose as layer_conv_3d_transpose,
)
from keras_convt.layers import Conv1DTranspose as Conv1DTranspose
from keras_convt.layers import Conv2DTranspose as Conv2DTranspose
from keras_convt.layers import Conv3DTranspose as Conv3DTranspose
