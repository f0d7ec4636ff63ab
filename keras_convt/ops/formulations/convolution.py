"""Stride 1: a convolution."""

from keras import ops

from keras_convt.geometry import effective_kernel
from keras_convt.ops.backend import backend
from keras_convt.ops.types import Crops, Sizes, Tensor


def convolution(
    inputs: Tensor,
    kernel: Tensor,
    bias: Tensor | None,
    strides: Sizes,
    dilation_rate: Sizes,
    groups: int,
    crops: Crops,
) -> Tensor:
    """Stride 1: a plain convolution with the flipped kernel."""
    *kernel_size, filters, channels = kernel.shape
    rank = len(kernel_size)
    for axis in range(rank):
        if kernel_size[axis] > 1:
            # OpenVINO converts no TensorFlow model that flips several axes
            # at once (2026.4).
            kernel = ops.flip(kernel, axis=axis)
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
    own = backend.own_padding(borders, reach)
    zeros = [
        (max(a - n, 0), max(b - n, 0))
        for (a, b), n in zip(borders, own, strict=True)
    ]
    if any(a or b for a, b in zeros):
        inputs = backend.pad(inputs, [(0, 0), *zeros, (0, 0)])
    # After the zeros: a crop may take all of the inputs, and more.
    inputs = backend.crop(
        inputs, tuple((max(-a, 0), max(-b, 0)) for a, b in borders)
    )
    return backend.convolution(inputs, kernel, bias, dilation_rate, groups, own)
