"""Initializers for the kernels of transposed convolutions."""

from keras_convt.initializers.icnr import ICNR
from keras_convt.initializers.interpolation import Interpolation

__all__ = ["ICNR", "Interpolation"]
