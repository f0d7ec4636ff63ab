"""Stride 1: a convolution."""

from typing import Any

import keras
from keras import ops

from keras_convt.geometry import effective_kernel
from keras_convt.ops.adapters import torch_convolution
from keras_convt.ops.formulations.taps import Crops, Sizes
from keras_convt.ops.primitives import pad
from keras_convt.ops.window import crop


def convolution(
    inputs: Any,
    kernel: Any,
    bias: Any,
    strides: Sizes,
    dilation_rate: Sizes,
    groups: int,
    crops: Crops,
) -> Any:
    """Stride 1: a plain convolution with the kernel turned round."""
    if max(strides) > 1:
        raise ValueError(
            "The formulation 'convolution' is for strides of 1. "
            f"Received: strides={strides}."
        )
    *kernel_size, filters, channels = kernel.shape
    rank = len(kernel_size)
    kernel = ops.flip(kernel, axis=tuple(range(rank)))
    if groups > 1:
        kernel = ops.reshape(
            kernel, (*kernel_size, filters, groups, channels // groups)
        )
        # From (.., filters of a group, groups, channels of a group) to
        # (.., channels of a group, groups, filters of a group).
        kernel = ops.swapaxes(kernel, rank, rank + 2)
        kernel = ops.reshape(
            kernel, (*kernel_size, channels // groups, groups * filters)
        )
    else:
        kernel = ops.swapaxes(kernel, rank, rank + 1)
    reach = [
        effective_kernel(k, d) - 1
        for k, d in zip(kernel_size, dilation_rate, strict=True)
    ]
    # Padding what the window needs, instead of everything and then cropping.
    borders = [
        (r - left, r - right)
        for r, (left, right) in zip(reach, crops, strict=True)
    ]
    own = _own_padding(borders, reach)
    zeros = [
        (max(a - n, 0), max(b - n, 0))
        for (a, b), n in zip(borders, own, strict=True)
    ]
    if any(a or b for a, b in zeros):
        inputs = pad(inputs, [(0, 0), *zeros, (0, 0)])
    # After the zeros: a crop may take all of the inputs, and more.
    inputs = crop(inputs, tuple((max(-a, 0), max(-b, 0)) for a, b in borders))
    if keras.backend.backend() == "torch":
        return torch_convolution(
            inputs, kernel, bias, dilation_rate, groups, own
        )
    outputs = ops.conv(
        inputs,
        kernel,
        strides=1,
        padding="same" if any(own) else "valid",
        data_format="channels_last",
        dilation_rate=dilation_rate,
    )
    return outputs if bias is None else ops.add(outputs, bias)


def _own_padding(
    borders: list[tuple[int, int]], reach: list[int]
) -> tuple[int, ...]:
    """The zeros at both ends of each axis that the convolution adds itself.

    Without a copy. All convolutions know "same", PyTorch's any number.
    """
    if keras.backend.backend() == "torch":
        return tuple(max(min(border), 0) for border in borders)
    same = all(
        a == b and a + b == r for (a, b), r in zip(borders, reach, strict=True)
    )
    return tuple(a if same else 0 for a, _ in borders)
