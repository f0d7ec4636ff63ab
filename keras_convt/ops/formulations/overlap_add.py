"""Overlap-add: one matrix product, then sums (GEMM and col2im)."""

import itertools
import math

from keras import ops

from keras_convt.geometry import effective_kernel
from keras_convt.ops.backend import backend
from keras_convt.ops.backend.generic import dtype_of
from keras_convt.ops.formulations.taps import (
    STEPS,
    chunks_of,
    depth_to_space,
    dilate,
    past_last_tap,
    whole_chunks,
)
from keras_convt.ops.types import HALF, Crops, Sizes, Tensor

# Chunks that are added one by one, all axes together. More are added along one
# axis after another, and on one axis more than this in one sum: what compiles
# a graph, and eager calls, take as long as there are terms.
MANY_TERMS = 9
MANY_CHUNKS = 16


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
    sums = added_chunks(
        inputs, kernel, strides, dilation_rate, groups, by_chunk, transposed
    )
    return window_of_sums(
        sums, inputs, kernel, strides, dilation_rate, groups, crops, bias
    )


def added_chunks(
    inputs: Tensor,
    kernel: Tensor,
    strides: Sizes,
    dilation_rate: Sizes,
    groups: int,
    by_chunk: bool = False,
    transposed: bool = False,
    by_row: bool = False,
) -> Tensor:
    """The sums of `overlap_add`, with a stride's worth of samples a step.

    `(batch, *steps, channels)` becomes `(batch, *more_steps, prod(strides) *
    filters)`. Each axis has as many more steps as the last chunk is moved on.

    Args:
        by_row: Make the product of one group and of few chunks with
            `backend.matmul_of_rows`, as `transposed` does.
    """
    if max(strides) > 1:
        kernel = dilate(kernel, dilation_rate)
        dilation_rate = (1,) * len(strides)
    chunks = chunks_of(kernel.shape[:-2], strides)
    one_step = all(n == 1 for n in inputs.shape[1:-1])
    if math.prod(chunks) > MANY_TERMS or (one_step and max(chunks) > 1):
        kernel = dilate(kernel, dilation_rate)
        return _axis_by_axis(inputs, kernel, strides, groups, transposed)
    *kernel_size, group_filters, _ = kernel.shape
    filters = group_filters * groups
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
        widths = [
            # A list: of a generator, PyTorch's compiler makes no graph (2.13).
            math.prod([b - a for a, b in span]) * filters
            for span in spans
        ]
        taps = _in_chunks(kernel, spans)
        pieces = _split(
            _contributions(inputs, taps, groups, transposed, by_row), widths
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
    return ops.cast(outputs, dtype)


def window_of_sums(
    sums: Tensor,
    inputs: Tensor,
    kernel: Tensor,
    strides: Sizes,
    dilation_rate: Sizes,
    groups: int,
    crops: Crops,
    bias: Tensor | None,
) -> Tensor:
    """The window of what `added_chunks` gives, and the bias."""
    *kernel_size, group_filters, _ = kernel.shape
    reach = [
        effective_kernel(k, d)
        for k, d in zip(kernel_size, dilation_rate, strict=True)
    ]
    chunks = chunks_of(reach, strides)
    # The sizes are those of the layer's inputs, not of `sums`: tf2onnx takes
    # two reshapes in a row for one, and misreads the sizes of what is between
    # them: see "tf2onnx" in docs/upstream.md.
    batch, *steps = ops.shape(inputs)[:-1]
    steps = [n + m - 1 for n, m in zip(steps, chunks, strict=True)]
    outputs = depth_to_space(
        sums, (batch, *steps), strides, group_filters * groups
    )
    return backend.finish(
        outputs, past_last_tap(chunks, strides, reach, crops), bias
    )


def _axis_by_axis(
    inputs: Tensor,
    kernel: Tensor,
    strides: Sizes,
    groups: int,
    transposed: bool,
) -> Tensor:
    """The sums of many chunks, along one axis after another.

    As many terms to compile as the axes' chunks together have, and not their
    product: 15 for 5 x 5 x 5 taps at stride 1, and not 125.
    """
    *kernel_size, group_filters, channels = kernel.shape
    rank, filters = len(strides), group_filters * groups
    chunks = chunks_of(kernel_size, strides)
    kernel = whole_chunks(kernel, chunks, strides)
    taps = ops.reshape(kernel, (-1, group_filters, channels))
    outputs = _contributions(inputs, taps, groups, transposed)
    dtype = dtype_of(inputs)
    if dtype in HALF:
        outputs = ops.cast(outputs, "float32")
    width = math.prod(chunks) * math.prod(strides) * filters
    for axis in range(rank):
        outputs = _add_chunks(outputs, axis + 1, chunks[axis], width)
        width //= chunks[axis]
    return ops.cast(outputs, dtype)


def _add_chunks(outputs: Tensor, axis: int, count: int, width: int) -> Tensor:
    """Add the chunks of one axis, which are outermost in the channels.

    `(batch, *steps, width)` becomes `(batch, *steps, width // count)`, with
    `count - 1` more steps on the axis.
    """
    if count == 1:
        return outputs
    if outputs.shape[axis] == 1 or count > MANY_CHUNKS:
        return _add_skewed(outputs, axis, count, width // count)
    zeros = [(0, 0)] * len(outputs.shape)
    total = None
    for j, piece in enumerate(ops.split(outputs, count, axis=-1)):
        zeros[axis] = (j, count - 1 - j)
        piece = backend.pad(piece, zeros)
        total = piece if total is None else total + piece
    return total


def _add_skewed(outputs: Tensor, axis: int, count: int, width: int) -> Tensor:
    """`_add_chunks` of any number of chunks, or steps, in one sum.

    Rows of a matrix, each with as many zeros after it as there are rows, are
    cut anew where each row is one shorter: row j then stands j later. The
    rows are the chunks or the steps, whichever are fewer.
    """
    sizes = ops.shape(outputs)[:-1]
    steps, rank = sizes[axis], len(sizes)
    outputs = ops.reshape(outputs, (*sizes, count, width))
    rows, columns = count, steps
    order = [0, rank, axis]
    if isinstance(steps, int) and steps < count:
        rows, columns = steps, count
        order = [0, axis, rank]
    others = [n for n in range(1, rank) if n != axis]
    outputs = ops.transpose(outputs, (*order, *others, rank + 1))
    rest = [sizes[n] for n in others]
    if rows == 1:
        outputs = outputs[:, 0]
    else:
        zeros = [(0, 0), (0, 0), (0, rows), *[(0, 0)] * len(rest), (0, 0)]
        outputs = backend.pad(outputs, zeros)
        outputs = ops.reshape(
            outputs, (sizes[0], rows * (columns + rows), *rest, width)
        )
        outputs = outputs[:, : rows * (columns + rows - 1)]
        outputs = ops.reshape(
            outputs, (sizes[0], rows, columns + rows - 1, *rest, width)
        )
        outputs = ops.sum(outputs, axis=1)
    # Back to its place among the steps.
    back = [*range(2, axis + 1), 1, *range(axis + 1, rank)]
    return ops.transpose(outputs, (0, *back, rank))


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
    inputs: Tensor,
    taps: Tensor,
    groups: int,
    transposed: bool,
    by_row: bool = False,
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
            return backend.matmul_of_rows(
                inputs, ops.reshape(columns, (channels, width))
            )
        columns = ops.reshape(taps, (width, channels))
        product = backend.matmul_of_rows if by_row else backend.matmul
        return product(inputs, ops.transpose(columns))
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
