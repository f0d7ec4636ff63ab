"""Where the axes of a kernel are, in Keras and in PyTorch, for each layer.

| layer | PyTorch's weight | Keras's kernel |
|---|---|---|
| Conv | (filters, channels // groups, *k) | (*k, channels // groups, filters) |
| Conv, transposed | (channels, filters // groups, *k) | (*k, filters // groups, channels) |
| DepthwiseConv | (channels * multiplier, 1, *k) | (*k, channels, multiplier) |
| DepthwiseConv, transposed | (channels, multiplier, *k) | (*k, multiplier, channels) |
"""  # noqa: E501

from typing import Any

import keras
import numpy as np
from keras import layers

from keras_convt.keras2 import advice
from keras_convt.layers import (
    DepthwiseConv1DTranspose,
    DepthwiseConv2DTranspose,
)
from keras_convt.layers.base_conv_transpose import BaseConvTranspose

CONVOLUTIONS = (layers.Conv1D, layers.Conv2D, layers.Conv3D)
TRANSPOSED = (
    BaseConvTranspose,
    layers.Conv1DTranspose,
    layers.Conv2DTranspose,
    layers.Conv3DTranspose,
)
DEPTHWISE = (layers.DepthwiseConv1D, layers.DepthwiseConv2D)
DEPTHWISE_TRANSPOSED = (DepthwiseConv1DTranspose, DepthwiseConv2DTranspose)
KNOWN = (*CONVOLUTIONS, *TRANSPOSED, *DEPTHWISE, *DEPTHWISE_TRANSPOSED)


def check(layer: Any) -> None:
    """Refuse what is no convolution with one kernel."""
    # The transposed built-in layers, and a depthwise one, are no subclasses
    # of the plain ones; a separable layer is none of all these.
    if not isinstance(layer, KNOWN):
        raise TypeError(
            "`layer` must be a convolution of Keras or keras_convt with one "
            "kernel: Conv1D, Conv2D, Conv3D, DepthwiseConv1D, "
            "DepthwiseConv2D, or a transposed one of these. Received: "
            f"layer={layer!r} of type {type(layer).__name__}."
            f"{advice(layer)}"
        )


def from_torch(layer: Any, weight: np.ndarray) -> np.ndarray:
    """PyTorch's weight as the kernel of a layer."""
    if isinstance(layer, DEPTHWISE):
        count, one, *kernel_size = weight.shape
        multiplier = layer.depth_multiplier
        if one != 1 or count % multiplier:
            raise ValueError(
                "`weight` must have the shape (channels * "
                f"{multiplier}, 1, *kernel_size) for this layer. "
                f"Received: weight.shape={weight.shape}."
            )
        weight = weight.reshape(count // multiplier, multiplier, *kernel_size)
        return np.moveaxis(weight, (0, 1), (-2, -1))
    return swap(weight)


def swap(weight: np.ndarray) -> np.ndarray:
    """(a, b, *kernel_size) to (*kernel_size, b, a)."""
    return np.moveaxis(weight, (0, 1), (-1, -2))


def torch_shape(layer: Any, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of PyTorch's weight for that of a kernel."""
    *kernel_size, a, b = shape
    if isinstance(layer, DEPTHWISE):
        return (a * b, 1, *kernel_size)
    return (b, a, *kernel_size)


def kernel_shape(layer: Any, kernel: np.ndarray) -> tuple[int, ...]:
    """The shape that a kernel must have for a layer.

    Where the layer is not built, it has the channels that `kernel` has.
    """
    if layer.built:
        return tuple(layer.kernel.shape)
    size = tuple(layer.kernel_size)
    if isinstance(layer, CONVOLUTIONS):
        return (*size, kernel.shape[-2], layer.filters)
    if isinstance(layer, DEPTHWISE):
        return (*size, kernel.shape[-2], layer.depth_multiplier)
    if isinstance(layer, DEPTHWISE_TRANSPOSED):
        return (*size, layer.depth_multiplier, kernel.shape[-1])
    return (*size, layer.filters // groups(layer), kernel.shape[-1])


def groups(layer: Any) -> int:
    """The groups of a layer; the built-in transposed ones have one."""
    return int(getattr(layer, "groups", 1))


def channels(layer: Any, kernel: np.ndarray) -> int:
    """The channels of a layer's input."""
    if isinstance(layer, CONVOLUTIONS):
        return int(kernel.shape[-2]) * groups(layer)
    return int(kernel.shape[-2 if isinstance(layer, DEPTHWISE) else -1])


def filters(layer: Any, kernel: np.ndarray) -> int:
    """The channels of a layer's output."""
    if isinstance(layer, (*DEPTHWISE, *DEPTHWISE_TRANSPOSED)):
        return int(kernel.shape[-1] * kernel.shape[-2])
    return int(layer.filters)


def magnitude_axes(layer: keras.layers.Layer) -> tuple[int, ...]:
    """The axes of a kernel that are axis 0 of PyTorch's weight."""
    return (-2, -1) if isinstance(layer, DEPTHWISE) else (-1,)
