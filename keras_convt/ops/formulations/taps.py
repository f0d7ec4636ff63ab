"""How the taps of a kernel fall into chunks of one stride, and into phases."""

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

from keras import ops

from keras_convt.geometry import effective_kernel

Sizes: TypeAlias = tuple[int, ...]
Crops: TypeAlias = tuple[tuple[int, int], ...]

# Letters of the axes of steps, for einsum.
STEPS = "xyz"


def chunks_of(kernel_size: Sequence[int], strides: Sizes) -> list[int]:
    """How many strides the taps reach over, on each axis."""
    return [math.ceil(k / s) for k, s in zip(kernel_size, strides, strict=True)]


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


def dilate(kernel: Any, dilation_rate: Sizes) -> Any:
    """Spread a kernel over its effective kernel, with zeros between taps."""
    for axis, rate in enumerate(dilation_rate):
        if rate == 1 or kernel.shape[axis] == 1:
            continue
        shape = kernel.shape
        kernel = ops.expand_dims(kernel, axis + 1)
        zeros = [(0, 0)] * (len(shape) + 1)
        zeros[axis + 1] = (0, rate - 1)
        kernel = ops.pad(kernel, zeros)
        kernel = ops.reshape(
            kernel, (*shape[:axis], shape[axis] * rate, *shape[axis + 1 :])
        )
        ke = effective_kernel(shape[axis], rate)
        kernel = kernel[(slice(None),) * axis + (slice(ke),)]
    return kernel


def depth_to_space(inputs: Any, strides: Sizes, filters: int) -> Any:
    """Turn channels `(*strides, filters)` of each step into `strides` steps.

    `(batch, *steps, prod(strides) * filters)` becomes
    `(batch, *(steps * strides), filters)`.
    """
    batch, *steps = ops.shape(inputs)[:-1]
    if len(steps) > 1:
        rank = len(steps)
        inputs = ops.reshape(inputs, (batch, *steps, *strides, filters))
        pairs = [axis for n in range(rank) for axis in (1 + n, 1 + rank + n)]
        inputs = ops.transpose(inputs, (0, *pairs, 1 + 2 * rank))
    longer = [n * s for n, s in zip(steps, strides, strict=True)]
    return ops.reshape(inputs, (batch, *longer, filters))
