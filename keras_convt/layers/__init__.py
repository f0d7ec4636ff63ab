"""The layers."""

from keras_convt.layers.conv1d_transpose import (
    Conv1DTranspose as Conv1DTranspose,
)
from keras_convt.layers.conv2d_transpose import (
    Conv2DTranspose as Conv2DTranspose,
)
from keras_convt.layers.conv3d_transpose import (
    Conv3DTranspose as Conv3DTranspose,
)
