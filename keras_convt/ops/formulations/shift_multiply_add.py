"""Shift-multiply-add: for groups of one channel, without matrix products."""

import itertools
import math
from collections.abc import Iterable
from typing import Any

import keras
from keras import ops

from keras_convt.ops.formulations.taps import (
    Crops,
    Sizes,
    chunks_of,
    depth_to_space,
    dilate,
    past_last_tap,
)
from keras_convt.ops.primitives import HALF, matmul, pad, positions_of
from keras_convt.ops.window import finish


def shift_multiply_add(
    inputs: Any,
    kernel: Any,
    bias: Any,
    strides: Sizes,
    dilation_rate: Sizes,
    groups: int,
    crops: Crops,
) -> Any:
    """The inputs, shifted, times a tap of each phase of the output, added.

    Chunk j of a kernel has the taps that meet the inputs j steps ago, one
    for each phase. A channel meets no other, so this is the whole sum.
    """
    # The chunks that have taps, and not only the zeros between them.
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
    if groups != channels:
        raise ValueError(
            "The formulation 'shift_multiply_add' is for groups of one "
            f"channel. Received: groups={groups}, channels={channels}."
        )
    filters = channels * multiplier
    dtype = keras.backend.standardize_dtype(inputs.dtype)
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
    return finish(
        outputs, past_last_tap(chunks, strides, kernel_size, crops), bias
    )


def _sums(
    inputs: Any,
    kernel: Any,
    chunks: list[int],
    places: Iterable[tuple[int, ...]],
    strides: Sizes,
) -> Any:
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
        kernel = pad(kernel, [*fill, (0, 0)])
    if any(m > 1 for m in chunks):
        inputs = pad(
            inputs, [(0, 0), *((m - 1, m - 1) for m in chunks), (0, 0)]
        )
    phases = math.prod(strides)
    # XLA as JAX has it differentiates a product with the taps of all phases
    # into sums that are up to 30 times slower than those of one phase each.
    apart = keras.backend.backend() == "jax"
    outputs: list[Any] = []
    for place in places:
        shifted = _shifted(inputs, place, chunks)
        spans = tuple(
            slice(j * s, (j + 1) * s)
            for j, s in zip(place, strides, strict=True)
        )
        taps = kernel[spans]
        if len(strides) > 1:
            taps = ops.reshape(taps, (phases, filters))
        products = (
            [shifted * _spread(taps[n], shifted) for n in range(phases)]
            if apart
            else [shifted[..., None, :] * taps]
        )
        outputs = (
            [a + b for a, b in zip(outputs, products, strict=True)]
            if outputs
            else products
        )
    return ops.stack(outputs, axis=-2) if apart else outputs[0]


def _shifted(inputs: Any, place: tuple[int, ...], chunks: list[int]) -> Any:
    """What was there `place` steps ago, of inputs with zeros at both ends."""
    for axis, (j, m) in enumerate(zip(place, chunks, strict=True), start=1):
        if m > 1:
            span = slice(m - 1 - j, -j if j else None)
            inputs = inputs[(slice(None),) * axis + (span,)]
    return inputs


def _spread(tap: Any, inputs: Any) -> Any:
    """A tap of shape `(filters,)` at each position of `inputs`.

    By a product with ones, whose gradient is a product too, and not the sum
    that XLA is slow at. Forward, XLA makes no product of it.
    """
    positions = positions_of(inputs)
    if positions is None:
        return tap
    ones = ops.ones((positions, 1), dtype=tap.dtype)
    return ops.reshape(matmul(ones, tap[None]), inputs.shape)
