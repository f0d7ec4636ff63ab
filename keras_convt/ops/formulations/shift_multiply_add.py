"""Shift-multiply-add: for groups of one channel, without matrix products."""

import itertools
import math
from collections.abc import Iterable

from keras import ops

from keras_convt.ops.backend import backend
from keras_convt.ops.backend.generic import dtype_of
from keras_convt.ops.formulations.taps import (
    chunks_of,
    depth_to_space,
    dilate,
    past_last_tap,
)
from keras_convt.ops.types import HALF, Crops, Sizes, Tensor


def shift_multiply_add(
    inputs: Tensor,
    kernel: Tensor,
    bias: Tensor | None,
    strides: Sizes,
    dilation_rate: Sizes,
    groups: int,
    crops: Crops,
) -> Tensor:
    """The inputs, shifted, times a tap of each phase of the output, added.

    Chunk j of a kernel has the taps that meet the inputs j steps ago, one
    for each phase. A channel meets no other, so this is the whole sum.
    """
    # The chunks that have taps. Of a dilated kernel, others have only zeros.
    places = itertools.product(
        *(
            sorted({t * d // s for t in range(k)})
            for k, d, s in zip(
                kernel.shape[:-2], dilation_rate, strides, strict=True
            )
        )
    )
    kernel = dilate(kernel, dilation_rate)
    *kernel_size, multiplier, channels = kernel.shape
    filters = channels * multiplier
    dtype = dtype_of(inputs)
    if dtype in HALF:
        # Or each sum would round once more.
        inputs = ops.cast(inputs, "float32")
        kernel = ops.cast(kernel, "float32")
    if multiplier > 1:
        # A filter's number is its group's, then its own in the group.
        inputs = ops.repeat(inputs, multiplier, axis=-1)
        rank = len(kernel_size)
        kernel = ops.transpose(kernel, (*range(rank), rank + 1, rank))
        kernel = ops.reshape(kernel, (*kernel_size, filters))
    else:
        kernel = kernel[..., 0, :]
    chunks = chunks_of(kernel_size, strides)
    outputs = _sums(inputs, kernel, chunks, places, strides)
    outputs = ops.cast(outputs, dtype)
    # The sizes are those of the layer's inputs, as in `overlap_add`.
    batch, *steps = ops.shape(inputs)[:-1]
    steps = [n + m - 1 for n, m in zip(steps, chunks, strict=True)]
    outputs = depth_to_space(outputs, (batch, *steps), strides, filters)
    return backend.finish(
        outputs, past_last_tap(chunks, strides, kernel_size, crops), bias
    )


def _sums(
    inputs: Tensor,
    kernel: Tensor,
    chunks: list[int],
    places: Iterable[tuple[int, ...]],
    strides: Sizes,
) -> Tensor:
    """`(batch, *(steps + chunks - 1), prod(strides), filters)`.

    `places` are those of the chunks, out of `chunks` on each axis, that are
    not zero.
    """
    *kernel_size, filters = kernel.shape
    fill = [
        (0, m * s - k)
        for m, s, k in zip(chunks, strides, kernel_size, strict=True)
    ]
    if any(after for _, after in fill):
        kernel = backend.pad(kernel, [*fill, (0, 0)])
    if any(m > 1 for m in chunks):
        inputs = backend.pad(
            inputs, [(0, 0), *((m - 1, m - 1) for m in chunks), (0, 0)]
        )
    phases = math.prod(strides)
    outputs: list[Tensor] = []
    for place in places:
        shifted = _shifted(inputs, place, chunks)
        spans = tuple(
            slice(j * s, (j + 1) * s)
            for j, s in zip(place, strides, strict=True)
        )
        taps = kernel[spans]
        if len(strides) > 1:
            taps = ops.reshape(taps, (phases, filters))
        products = backend.multiply_taps(shifted, taps)
        outputs = (
            [a + b for a, b in zip(outputs, products, strict=True)]
            if outputs
            else products
        )
    if len(outputs[0].shape) > len(inputs.shape):
        return outputs[0]
    return ops.stack(outputs, axis=-2)


def _shifted(
    inputs: Tensor, place: tuple[int, ...], chunks: list[int]
) -> Tensor:
    """What was there `place` steps ago, of inputs with zeros at both ends."""
    return backend.crop(
        inputs,
        tuple((m - 1 - j, j) for j, m in zip(place, chunks, strict=True)),
    )
