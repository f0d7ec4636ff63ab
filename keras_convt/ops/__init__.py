"""Stateless functions on tensors."""

from keras_convt.ops.core import conv_transpose as conv_transpose
