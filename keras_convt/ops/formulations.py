"""The formulations: different ways to compute the same sum.

Each takes channels_last `inputs` of shape `(batch, *steps, channels)`, a
`kernel` of shape `(*kernel_size, filters // groups, channels)`, one stride,
dilation rate and pair of crops for each axis, and returns the window of shape
`(batch, *output_steps, filters)`. All are plain `keras.ops`, so each backend
differentiates them as often as it likes. Batch and steps may be unknown until
the graph runs. Which one is used where is decided in `choice`.
"""

import itertools
import math
from collections.abc import Callable
from typing import Any, TypeAlias

from keras import ops

from keras_convt.geometry import effective_kernel
from keras_convt.ops.window import crop

Sizes: TypeAlias = tuple[int, ...]
Crops: TypeAlias = tuple[tuple[int, int], ...]


def native(
    inputs: Any,
    kernel: Any,
    strides: Sizes,
    dilation_rate: Sizes,
    groups: int,
    crops: Crops,
) -> Any:
    """The backend's own transposed convolution, and our window of it.

    Its "valid" result is asked for, never its "same", which differs between
    backends and their versions. Groups are computed one after another, and
    dilation becomes zeros in the kernel: backends refuse one or the other.
    """
    kernel = dilate(kernel, dilation_rate)
    # Given explicitly, 0 is the plain sum. The default would append zeros
    # where the stride is above the kernel, which the window does itself.
    outputs = [
        ops.conv_transpose(
            group_inputs,
            group_kernel,
            strides=strides,
            padding="valid",
            output_padding=(0,) * len(strides),
            data_format="channels_last",
        )
        for group_inputs, group_kernel in zip(
            ops.split(inputs, groups, axis=-1) if groups > 1 else [inputs],
            ops.split(kernel, groups, axis=-1) if groups > 1 else [kernel],
            strict=True,
        )
    ]
    joined = ops.concatenate(outputs, axis=-1) if groups > 1 else outputs[0]
    return crop(joined, crops)


def convolution(
    inputs: Any,
    kernel: Any,
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
    kernel = ops.reshape(
        kernel, (*kernel_size, filters, groups, channels // groups)
    )
    # From (.., filters of a group, groups, channels of a group) to
    # (.., channels of a group, groups, filters of a group).
    kernel = ops.swapaxes(kernel, rank, rank + 2)
    kernel = ops.reshape(
        kernel, (*kernel_size, channels // groups, groups * filters)
    )
    reach = [
        effective_kernel(k, d) - 1
        for k, d in zip(kernel_size, dilation_rate, strict=True)
    ]
    # Padding what the window needs, instead of everything and then cropping.
    borders = [
        (r - left, r - right)
        for r, (left, right) in zip(reach, crops, strict=True)
    ]
    inputs = crop(inputs, tuple((max(-a, 0), max(-b, 0)) for a, b in borders))
    borders = [(max(a, 0), max(b, 0)) for a, b in borders]
    if any(a or b for a, b in borders):
        inputs = ops.pad(inputs, [(0, 0), *borders, (0, 0)])
    return ops.conv(
        inputs,
        kernel,
        strides=1,
        padding="valid",
        data_format="channels_last",
        dilation_rate=dilation_rate,
    )


def overlap_add(
    inputs: Any,
    kernel: Any,
    strides: Sizes,
    dilation_rate: Sizes,
    groups: int,
    crops: Crops,
) -> Any:
    """One matrix product, whose rows are added where they overlap.

    The product gives what each input step contributes to each tap. Its taps
    are cut into chunks of one stride, chunk j is moved on by j steps, and the
    chunks are added. A stride's worth of samples in the channels then becomes
    that many samples of time: a reshape. No multiplication by a zero.
    """
    kernel = dilate(kernel, dilation_rate)
    *kernel_size, group_filters, channels = kernel.shape
    filters = group_filters * groups
    chunks = [
        math.ceil(k / s) for k, s in zip(kernel_size, strides, strict=True)
    ]
    places = list(itertools.product(*(range(m) for m in chunks)))
    spans = [
        tuple(
            (j * s, min((j + 1) * s, k))
            for j, s, k in zip(place, strides, kernel_size, strict=True)
        )
        for place in places
    ]
    taps = [
        ops.reshape(
            kernel[tuple(slice(a, b) for a, b in span)],
            (-1, group_filters, channels),
        )
        for span in spans
    ]
    contributions = _contributions(
        inputs, ops.concatenate(taps) if len(taps) > 1 else taps[0], groups
    )
    widths = [math.prod(b - a for a, b in span) * filters for span in spans]
    pieces = _split(contributions, widths)
    outputs = None
    for place, span, piece in zip(places, spans, pieces, strict=True):
        piece = _fill_stride(piece, span, strides, filters)
        shifts = [(j, m - 1 - j) for j, m in zip(place, chunks, strict=True)]
        if any(m > 1 for m in chunks):
            piece = ops.pad(piece, [(0, 0), *shifts, (0, 0)])
        outputs = piece if outputs is None else outputs + piece
    outputs = depth_to_space(outputs, strides, filters)
    # The last chunk may reach past the last tap: zeros, to be cropped too.
    beyond = [
        m * s - k for m, s, k in zip(chunks, strides, kernel_size, strict=True)
    ]
    return crop(
        outputs,
        tuple(
            (left, right + b)
            for (left, right), b in zip(crops, beyond, strict=True)
        ),
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


def _contributions(inputs: Any, taps: Any, groups: int) -> Any:
    """What each step contributes: `(batch, *steps, taps * filters)`.

    `taps` has the shape `(taps, filters // groups, channels)`.
    """
    count, group_filters, channels = taps.shape
    *positions, _ = ops.shape(inputs)
    if groups == 1:
        columns = ops.reshape(taps, (count * group_filters, channels))
        return ops.matmul(inputs, ops.transpose(columns))
    by_group = ops.reshape(inputs, (*positions, groups, channels // groups))
    taps = ops.reshape(taps, (count, group_filters, groups, channels // groups))
    steps = "xyz"[: len(positions) - 1]
    products = ops.einsum(f"n{steps}gc,tfgc->n{steps}tgf", by_group, taps)
    return ops.reshape(products, (*positions, count * groups * group_filters))


def _split(tensor: Any, widths: list[int]) -> list[Any]:
    """Cut the last axis. Its gradient is one concatenation."""
    if len(widths) == 1:
        return [tensor]
    ends = list(itertools.accumulate(widths))[:-1]
    return list(ops.split(tensor, ends, axis=-1))


def _fill_stride(
    piece: Any, span: tuple[tuple[int, int], ...], strides: Sizes, filters: int
) -> Any:
    """Widen the channels of a last, narrower chunk to a whole stride."""
    taps = [b - a for a, b in span]
    if tuple(taps) == strides:
        return piece
    rank = len(strides)
    positions = ops.shape(piece)[:-1]
    if rank > 1:
        piece = ops.reshape(piece, (*positions, *taps, filters))
        zeros = [(0, s - n) for s, n in zip(strides, taps, strict=True)]
        piece = ops.pad(piece, [(0, 0)] * (1 + rank) + zeros + [(0, 0)])
        return ops.reshape(piece, (*positions, math.prod(strides) * filters))
    missing = (strides[0] - taps[0]) * filters
    return ops.pad(piece, [(0, 0), (0, 0), (0, missing)])


Formulation: TypeAlias = Callable[[Any, Any, Sizes, Sizes, int, Crops], Any]

FORMULATIONS: dict[str, Formulation] = {
    "native": native,
    "overlap_add": overlap_add,
    "convolution": convolution,
}
