"""The filters that interpolate, along one axis. No Keras is imported."""

import math
from collections.abc import Callable

import numpy as np


def nearest(kernel_size: int, stride: int) -> np.ndarray:
    """Ones over one stride of taps; half a tap to the left if they must be."""
    offsets = _offsets(kernel_size)
    return ((offsets >= -stride / 2) & (offsets < stride / 2)).astype(float)


def linear(kernel_size: int, stride: int) -> np.ndarray:
    """A triangle over two strides of taps."""
    return np.maximum(1 - np.abs(_offsets(kernel_size)) / stride, 0)


def cubic(kernel_size: int, stride: int) -> np.ndarray:
    """Keys's cubic convolution with a = -1/2, over four strides of taps.

    Between two steps it is the cubic with the slopes that central differences
    give (Catmull-Rom).
    """
    x = np.abs(_offsets(kernel_size)) / stride
    inner = 1.5 * x**3 - 2.5 * x**2 + 1
    outer = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return np.where(x <= 1, inner, np.where(x < 2, outer, 0))


def sinc(kernel_size: int, stride: int) -> np.ndarray:
    """A low pass at the Nyquist frequency of the input, in a Kaiser window.

    The window is that of BigVGAN's resamplers: Kaiser's formula, for a
    transition of 1.2 times the band of the input.
    """
    offsets = _offsets(kernel_size)
    attenuation = 7.95 + 2.285 * (kernel_size // 2 - 1) * math.pi * 2.4 / stride
    taps = np.sinc(offsets / stride) * np.kaiser(
        kernel_size, _kaiser_beta(attenuation)
    )
    return taps * stride / np.sum(taps)


FILTERS: dict[str, Callable[[int, int], np.ndarray]] = {
    "nearest": nearest,
    "linear": linear,
    "cubic": cubic,
    "sinc": sinc,
}


def smallest(kind: str, stride: int) -> int:
    """The fewest taps that hold all of a filter that is not zero.

    Of a sinc, which has no end, its main lobe.
    """
    strides = {"nearest": 1, "linear": 2, "cubic": 4, "sinc": 2}[kind]
    return stride if kind == "nearest" else strides * stride - 1


def _offsets(kernel_size: int) -> np.ndarray:
    """Where the taps are, from the middle of the kernel."""
    return np.arange(kernel_size) - (kernel_size - 1) / 2


def _kaiser_beta(attenuation: float) -> float:
    """Kaiser's parameter for an attenuation in decibels."""
    if attenuation > 50:
        return 0.1102 * (attenuation - 8.7)
    if attenuation > 21:
        return 0.5842 * (attenuation - 21) ** 0.4 + 0.07886 * (attenuation - 21)
    return 0.0
