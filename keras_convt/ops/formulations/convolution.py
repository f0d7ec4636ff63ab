"""Stride 1: a convolution."""

from typing import Any

from keras import ops

from keras_convt.geometry import effective_kernel
from keras_convt.ops.formulations.taps import Crops, Sizes
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
    # With these borders, the convolution pads itself, without a copy.
    same = all(
        a == b and a + b == r for (a, b), r in zip(borders, reach, strict=True)
    )
    if not same:
        zeros = [(max(a, 0), max(b, 0)) for a, b in borders]
        if any(a or b for a, b in zeros):
            inputs = ops.pad(inputs, [(0, 0), *zeros, (0, 0)])
        # After the zeros: a crop may take all of the inputs, and more.
        inputs = crop(
            inputs, tuple((max(-a, 0), max(-b, 0)) for a, b in borders)
        )
    outputs = ops.conv(
        inputs,
        kernel,
        strides=1,
        padding="same" if same else "valid",
        data_format="channels_last",
        dilation_rate=dilation_rate,
    )
    return outputs if bias is None else ops.add(outputs, bias)
