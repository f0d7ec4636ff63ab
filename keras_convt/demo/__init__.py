"""A decoder of transposed convolutions, on a real electrocardiogram."""

from keras_convt.demo.command import main

__all__ = ["main"]
