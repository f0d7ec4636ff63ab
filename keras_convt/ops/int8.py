"""Kernels and inputs in eight bits, and back."""

from typing import Any

import keras
from keras import ops

from keras_convt.ops.backend import backend
from keras_convt.ops.types import Tensor


def quantize_kernel(
    kernel: Tensor, groups: int, filter_axis: int = -2, quantizer: Any = None
) -> tuple[Tensor, Tensor]:
    """A kernel as int8, with a scale for each filter.

    Args:
        kernel: Tensor of shape `(*kernel_size, filters // groups, channels)`.
        groups: Number of groups that channels and filters are divided into.
        filter_axis: int, -2, or -1 for a kernel of a plain convolution, of
            shape `(*kernel_size, channels, filters)`, with one group.
        quantizer: A `keras.quantizers.Quantizer`, or None for the greatest
            absolute value of each filter.

    Returns:
        The kernel as int8 of the same shape, and the scales of shape
        `(filters,)`: the kernel is the int8 values divided by its filter's.
    """
    kernel = _with_channels_last(ops.convert_to_tensor(kernel), filter_axis)
    by_group = _by_group(kernel, groups)
    axis = (*range(len(by_group.shape) - 3), -1)
    if quantizer is None:
        values, scale = keras.quantizers.abs_max_quantize(by_group, axis=axis)
    else:
        values, scale = quantizer(by_group, axis=axis)
    values = _with_channels_last(ops.reshape(values, kernel.shape), filter_axis)
    # A filter's number is its group's, then its own in the group.
    scale = ops.transpose(ops.reshape(scale, (-1, groups)))
    return values, ops.reshape(scale, (-1,))


def dequantize_kernel(
    values: Tensor, scale: Tensor, groups: int, filter_axis: int, dtype: str
) -> Tensor:
    """The kernel that `quantize_kernel` made `values` and `scale` of."""
    return backend.as_one_program(
        _dequantized, (values, scale), groups, filter_axis, dtype
    )


def _dequantized(
    values: Tensor, scale: Tensor, groups: int, filter_axis: int, dtype: str
) -> Tensor:
    values = _with_channels_last(values, filter_axis)
    by_group = _by_group(ops.cast(values, dtype), groups)
    *front, filters, _, _ = by_group.shape
    scale = ops.transpose(ops.reshape(ops.cast(scale, dtype), (groups, -1)))
    # With as many axes, because users can forbid JAX to add them.
    scale = ops.reshape(scale, (*(1 for _ in front), filters, groups, 1))
    kernel = ops.reshape(ops.divide(by_group, scale), values.shape)
    return _with_channels_last(kernel, filter_axis)


def round_inputs(
    inputs: Tensor, channel_axis: int, quantizer: Any = None
) -> Tensor:
    """Inputs that are rounded to int8, with a scale for each position.

    What `keras.layers.Dense` does to its inputs: the greatest absolute value
    over the channels becomes 127. The values come back in the inputs' dtype,
    and gradients pass as if nothing had been rounded.

    Args:
        inputs: Tensor with channels on `channel_axis`.
        channel_axis: int.
        quantizer: A `keras.quantizers.Quantizer`, or None for the above.
    """
    if quantizer is not None:
        return _rounded(inputs, channel_axis, quantizer)
    return backend.as_one_program(
        _rounded, (inputs,), channel_axis, keras.quantizers.abs_max_quantize
    )


def _rounded(inputs: Tensor, channel_axis: int, quantizer: Any) -> Tensor:
    values, scale = quantizer(inputs, axis=channel_axis)
    rounded = ops.divide(ops.cast(values, inputs.dtype), scale)
    return ops.add(inputs, ops.stop_gradient(ops.subtract(rounded, inputs)))


def _by_group(kernel: Tensor, groups: int) -> Tensor:
    """The kernel with the channels of each group on an axis of their own."""
    *front, channels = kernel.shape
    return ops.reshape(kernel, (*front, groups, channels // groups))


def _with_channels_last(kernel: Tensor, filter_axis: int) -> Tensor:
    """The kernel with channels on its last axis, and back."""
    return kernel if filter_axis == -2 else ops.swapaxes(kernel, -1, -2)
