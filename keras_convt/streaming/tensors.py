"""The tensor functions of streams."""

from typing import Any

from keras import ops

from keras_convt.geometry import Axis
from keras_convt.ops.backend import backend
from keras_convt.ops.core import transposed_convolution


def part(value: Any, axis: int, start: Any = None, stop: Any = None) -> Any:
    """The steps from `start` to `stop` on an axis."""
    return value[(slice(None),) * axis + (slice(start, stop),)]


def convolution(
    inputs: Any, kernel: Any, stride: int, dilation_rate: int, groups: int
) -> Any:
    """A convolution of signals, `channels_last`, without padding.

    Args:
        inputs: Tensor of shape `(batch, steps, channels)`.
        kernel: Tensor of shape `(kernel_size, channels // groups, filters)`.
    """
    if backend.streams_by_product(inputs, groups):
        return _product(inputs, kernel, stride, dilation_rate, groups)
    return backend.strided_convolution(
        inputs, kernel, stride, dilation_rate, groups
    )


def full_transposed_convolution(
    inputs: Any, kernel: Any, axis: Axis, groups: int
) -> Any:
    """The whole sum of a transposed convolution, `channels_last`.

    It has `max(effective_kernel, stride) - stride` steps more than `stride`
    for each of the inputs.
    """
    whole = Axis(
        axis.kernel_size,
        axis.stride,
        axis.dilation_rate,
        (0, min(axis.effective_kernel - axis.stride, 0)),
    )
    if (
        backend.streams_by_product(inputs, groups)
        and groups == axis.dilation_rate == 1
        and axis.kernel_size % axis.stride == 0
    ):
        return _transposed_product(inputs, kernel, axis.stride)
    return transposed_convolution(
        inputs,
        kernel,
        (whole,),
        "channels_last",
        groups,
    )


def _product(
    inputs: Any, kernel: Any, stride: int, dilation_rate: int, groups: int
) -> Any:
    """The same convolution as one matrix product: no copy of the kernel."""
    size, group_channels, filters = kernel.shape
    last = (size - 1) * dilation_rate
    taps = [
        inputs[:, t : t - last or None : stride]
        for t in range(0, last + 1, dilation_rate)
    ]
    if groups == 1:
        windows = backend.concatenate(taps, -1) if size > 1 else taps[0]
        return ops.matmul(
            windows, ops.reshape(kernel, (size * group_channels, filters))
        )
    # (batch, steps, groups, taps * channels of a group)
    batch_size = ops.shape(inputs)[0]
    shape = (batch_size, -1, groups, group_channels)
    windows = backend.concatenate([ops.reshape(tap, shape) for tap in taps], -1)
    by_group = ops.reshape(
        kernel, (size * group_channels, groups, filters // groups)
    )
    outputs = ops.einsum("bngc,cgf->bngf", windows, by_group)
    return ops.reshape(outputs, (batch_size, -1, filters))


def _transposed_product(inputs: Any, kernel: Any, stride: int) -> Any:
    """The same transposed convolution as one product, then sums of parts."""
    size, filters, channels = kernel.shape
    parts = size // stride
    products = ops.matmul(
        inputs,
        ops.transpose(ops.reshape(kernel, (size * filters, channels))),
    )
    width = stride * filters
    total = None
    for number in range(parts):
        piece = backend.pad(
            products[:, :, number * width : (number + 1) * width],
            ((0, 0), (number, parts - 1 - number), (0, 0)),
        )
        total = piece if total is None else ops.add(total, piece)
    return ops.reshape(total, (ops.shape(inputs)[0], -1, filters))
