"""How the taps of a kernel fall into chunks of one stride, and into phases."""

import math
from collections.abc import Sequence

from keras import ops

from keras_convt.geometry import effective_kernel
from keras_convt.ops.backend import backend
from keras_convt.ops.types import Crops, Size, Sizes, Tensor

# Letters of the axes of steps, for einsum.
STEPS = "xyz"


def chunks_of(kernel_size: Sequence[int], strides: Sizes) -> list[int]:
    """How many strides the taps reach over, on each axis."""
    return [math.ceil(k / s) for k, s in zip(kernel_size, strides, strict=True)]


def whole_chunks(kernel: Tensor, chunks: list[int], strides: Sizes) -> Tensor:
    """`(*kernel_size, filters, channels)` as `(*chunks, *strides, filters,
    channels)`, with zeros after the last tap."""
    *kernel_size, filters, channels = kernel.shape
    rank = len(kernel_size)
    zeros = [
        (0, m * s - k)
        for m, s, k in zip(chunks, strides, kernel_size, strict=True)
    ]
    if any(after for _, after in zeros):
        kernel = backend.pad(kernel, [*zeros, (0, 0), (0, 0)])
    # One axis after another: LiteRT transposes no more than 6 axes. The chunks
    # of an axis come before the strides of those that are outside of it.
    for axis in range(1, rank):
        outer, inner = math.prod(chunks[:axis]), math.prod(strides[:axis])
        kernel = ops.reshape(kernel, (outer, inner, chunks[axis], -1))
        kernel = ops.transpose(kernel, (0, 2, 1, 3))
    return ops.reshape(kernel, (*chunks, *strides, filters, channels))


def past_last_tap(
    chunks: list[int],
    strides: Sizes,
    kernel_size: Sequence[int],
    crops: Crops,
) -> Crops:
    """The crops, with the zeros that fill the last chunk up to a stride."""
    return tuple(
        (left, right + m * s - k)
        for m, s, k, (left, right) in zip(
            chunks, strides, kernel_size, crops, strict=True
        )
    )


def dilate(kernel: Tensor, dilation_rate: Sizes) -> Tensor:
    """Spread a kernel over its effective kernel, with zeros between taps."""
    for axis, rate in enumerate(dilation_rate):
        if rate == 1 or kernel.shape[axis] == 1:
            continue
        shape = kernel.shape
        kernel = ops.expand_dims(kernel, axis + 1)
        zeros = [(0, 0)] * (len(shape) + 1)
        zeros[axis + 1] = (0, rate - 1)
        kernel = backend.pad(kernel, zeros)
        kernel = ops.reshape(
            kernel, (*shape[:axis], shape[axis] * rate, *shape[axis + 1 :])
        )
        ke = effective_kernel(shape[axis], rate)
        kernel = kernel[(slice(None),) * axis + (slice(ke),)]
    return kernel


def depth_to_space(
    inputs: Tensor, positions: Sequence[Size], strides: Sizes, filters: int
) -> Tensor:
    """Turn channels `(*strides, filters)` of each step into `strides` steps.

    `(*positions, prod(strides) * filters)`, with the batch and the steps as
    positions, becomes `(batch, *(steps * strides), filters)`.
    """
    # One axis after another: LiteRT transposes no more than 6 axes, and
    # exporters take one new size that is not yet known at a time.
    sizes = list(positions)
    rank = len(strides)
    for axis, stride in enumerate(strides, start=1):
        inner = math.prod(strides[axis:]) * filters
        if axis < rank:
            inputs = ops.reshape(inputs, (*sizes, stride, inner))
            order = list(range(rank + 3))
            order.insert(axis + 1, order.pop(rank + 1))
            inputs = ops.transpose(inputs, order)
        sizes[axis] = backend.reshape_size(sizes[axis], stride)
        inputs = ops.reshape(inputs, (*sizes, inner))
        sizes[axis] = ops.shape(inputs)[axis]
    return inputs
