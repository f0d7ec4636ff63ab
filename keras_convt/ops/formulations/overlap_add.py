"""Overlap-add: one matrix product, then sums (GEMM and col2im)."""

import itertools
import math

from keras import ops

from keras_convt.ops.backend import backend
from keras_convt.ops.backend.generic import dtype_of
from keras_convt.ops.formulations.taps import (
    STEPS,
    chunks_of,
    depth_to_space,
    dilate,
    past_last_tap,
)
from keras_convt.ops.types import HALF, Crops, Sizes, Tensor


def overlap_add(
    inputs: Tensor,
    kernel: Tensor,
    bias: Tensor | None,
    strides: Sizes,
    dilation_rate: Sizes,
    groups: int,
    crops: Crops,
    by_chunk: bool = False,
    transposed: bool = False,
) -> Tensor:
    """One matrix product, whose rows are added where they overlap.

    The product gives what each input step contributes to each tap. Its taps
    are cut into chunks of one stride, chunk j is moved on by j steps, and the
    chunks are added. A stride's worth of samples in the channels then becomes
    that many samples of time: a reshape. No multiplication by a zero.

    Args:
        by_chunk: One product for each chunk. The gradient does not put the
            chunks together again, which costs more than the smaller products
            where the contributions are beyond the caches.
        transposed: Put the kernel's channels first, by a copy. The gradient is
            then a product with the shape of that copy. Where taps times
            filters are more than the channels, its longer side comes last,
            and XLA computes it up to twice as fast.
    """
    if max(strides) > 1:
        kernel = dilate(kernel, dilation_rate)
        dilation_rate = (1,) * len(strides)
    *kernel_size, group_filters, _ = kernel.shape
    filters = group_filters * groups
    chunks = chunks_of(kernel_size, strides)
    places = list(itertools.product(*(range(m) for m in chunks)))
    spans = [
        tuple(
            (j * s, min((j + 1) * s, k))
            for j, s, k in zip(place, strides, kernel_size, strict=True)
        )
        for place in places
    ]
    if by_chunk:
        pieces = [
            _contributions(
                inputs, _in_chunks(kernel, [span]), groups, transposed
            )
            for span in spans
        ]
    else:
        widths = [math.prod(b - a for a, b in span) * filters for span in spans]
        taps = _in_chunks(kernel, spans)
        pieces = _split(
            _contributions(inputs, taps, groups, transposed), widths
        )
    dtype = inputs.dtype
    rounds = dtype_of(inputs) in HALF
    outputs = None
    for place, span, piece in zip(places, spans, pieces, strict=True):
        if rounds and len(places) > 1:
            # Each sum would round once more: 2.4 times the error at 8 chunks.
            piece = ops.cast(piece, "float32")
        piece = _fill_stride(piece, span, strides, filters)
        # At stride 1 each tap is a chunk, and moved on by the dilation rate.
        shifts = [
            (j * d, (m - 1 - j) * d)
            for j, m, d in zip(place, chunks, dilation_rate, strict=True)
        ]
        if any(m > 1 for m in chunks):
            piece = backend.pad(piece, [(0, 0), *shifts, (0, 0)])
        outputs = piece if outputs is None else outputs + piece
    outputs = ops.cast(outputs, dtype)
    # The sizes are those of the layer's inputs, not of `outputs`: tf2onnx takes
    # two reshapes in a row for one, and misreads the sizes of what is between
    # them: see "tf2onnx" in docs/upstream.md.
    batch, *steps = ops.shape(inputs)[:-1]
    steps = [
        n + (m - 1) * d
        for n, m, d in zip(steps, chunks, dilation_rate, strict=True)
    ]
    outputs = depth_to_space(outputs, (batch, *steps), strides, filters)
    return backend.finish(
        outputs, past_last_tap(chunks, strides, kernel_size, crops), bias
    )


def _in_chunks(
    kernel: Tensor, spans: list[tuple[tuple[int, int], ...]]
) -> Tensor:
    """The taps of a kernel, chunk after chunk, on one axis."""
    *kernel_size, group_filters, channels = kernel.shape
    if len(kernel_size) == 1 and len(spans) > 1:
        # In this order already: a copy would cost as much as the product
        # where weights are many and steps are few.
        return kernel
    taps = [
        ops.reshape(
            kernel[tuple(slice(a, b) for a, b in span)],
            (-1, group_filters, channels),
        )
        for span in spans
    ]
    return ops.concatenate(taps) if len(taps) > 1 else taps[0]


def _contributions(
    inputs: Tensor, taps: Tensor, groups: int, transposed: bool
) -> Tensor:
    """What each step contributes: `(batch, *steps, taps * filters)`.

    `taps` has the shape `(taps, filters // groups, channels)`.
    """
    count, group_filters, channels = taps.shape
    *positions, _ = ops.shape(inputs)
    if groups == 1:
        width = count * group_filters
        if transposed:
            # In this order: XLA takes a transposition beside the product, or
            # beside its gradient, into the product.
            columns = ops.transpose(taps, (2, 0, 1))
            return backend.matmul(
                inputs, ops.reshape(columns, (channels, width))
            )
        columns = ops.reshape(taps, (width, channels))
        return backend.matmul(inputs, ops.transpose(columns))
    rows, letters = tuple(positions), "n" + STEPS[: len(positions) - 1]
    if len(positions) > 3:
        # LiteRT has no products of more than 5 axes (2.3.0).
        rows, letters = (-1,), "n"
    taps = ops.reshape(taps, (count, group_filters, groups, channels // groups))
    if group_filters == 1 and groups == channels:
        # Depthwise: no sums over channels, so no matrix product. In half
        # precision its gradient would add up all positions in that.
        inputs = ops.reshape(inputs, (*rows, 1, channels))
        taps = ops.reshape(taps, (count, channels))
        if dtype_of(inputs) in HALF:
            inputs = ops.cast(inputs, "float32")
            taps = ops.cast(taps, "float32")
        return ops.reshape(inputs * taps, (*positions, count * channels))
    by_group = ops.reshape(inputs, (*rows, groups, channels // groups))
    products = ops.einsum(f"{letters}gc,tfgc->{letters}tgf", by_group, taps)
    return ops.reshape(products, (*positions, count * groups * group_filters))


def _split(tensor: Tensor, widths: list[int]) -> list[Tensor]:
    """Cut the last axis. Its gradient is one concatenation."""
    if len(widths) == 1:
        return [tensor]
    ends = list(itertools.accumulate(widths))[:-1]
    return list(ops.split(tensor, ends, axis=-1))


def _fill_stride(
    piece: Tensor,
    span: tuple[tuple[int, int], ...],
    strides: Sizes,
    filters: int,
) -> Tensor:
    """Widen the channels of a last, narrower chunk to a whole stride."""
    taps = [b - a for a, b in span]
    if tuple(taps) == strides:
        return piece
    *positions, last = ops.shape(piece)[:-1]
    # One axis after another, with the outer ones in the axis of the last
    # steps: LiteRT pads no more than 5 axes.
    for axis in reversed(range(len(strides))):
        outer = math.prod(taps[:axis])
        step = math.prod(strides[axis + 1 :]) * filters
        width, missing = taps[axis] * step, (strides[axis] - taps[axis]) * step
        if missing == 0:
            continue
        if outer > 1:
            piece = ops.reshape(
                piece, (*positions, backend.reshape_size(last, outer), width)
            )
        piece = backend.pad(
            piece, [*[(0, 0)] * (len(positions) + 1), (0, missing)]
        )
        if outer > 1:
            piece = ops.reshape(
                piece,
                (
                    *positions,
                    backend.reshape_size(last, 1),
                    outer * (width + missing),
                ),
            )
    return piece
