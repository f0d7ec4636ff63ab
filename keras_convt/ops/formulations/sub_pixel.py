"""Sub-pixel: the phases of the output as channels of a convolution."""

import itertools
import math

from keras import ops

from keras_convt.ops.backend import backend
from keras_convt.ops.formulations.taps import (
    STEPS,
    chunks_of,
    depth_to_space,
    dilate,
    past_last_tap,
)
from keras_convt.ops.types import Crops, Sizes, Tensor


def sub_pixel(
    inputs: Tensor,
    kernel: Tensor,
    bias: Tensor | None,
    strides: Sizes,
    dilation_rate: Sizes,
    groups: int,
    crops: Crops,
) -> Tensor:
    """One matrix product for all phases of the output.

    The output steps of one stride depend on the same few input steps. These
    are put beside each other in the channels, and multiplied by the taps of
    every phase. The taps are filled up to a whole stride with zeros.
    """
    kernel = dilate(kernel, dilation_rate)
    *kernel_size, group_filters, channels = kernel.shape
    chunks = chunks_of(kernel_size, strides)
    kernel = _by_phase(kernel, chunks, strides)
    inputs = _neighbors(inputs, chunks)
    positions = ops.shape(inputs)[:-1]
    count, phases = math.prod(chunks), math.prod(strides)
    if groups == 1:
        kernel = ops.reshape(kernel, (count * channels, phases * group_filters))
        outputs = backend.matmul(inputs, kernel)
    else:
        by_group = (groups, channels // groups)
        steps = STEPS[: len(chunks)]
        outputs = ops.einsum(
            f"n{steps}mgc,mgcpf->n{steps}pgf",
            ops.reshape(inputs, (*positions, count, *by_group)),
            ops.reshape(kernel, (count, *by_group, phases, group_filters)),
        )
        outputs = ops.reshape(
            outputs, (*positions, phases * groups * group_filters)
        )
    outputs = depth_to_space(
        outputs, ops.shape(outputs)[:-1], strides, groups * group_filters
    )
    return backend.finish(
        outputs, past_last_tap(chunks, strides, kernel_size, crops), bias
    )


def _by_phase(kernel: Tensor, chunks: list[int], strides: Sizes) -> Tensor:
    """`(*kernel_size, filters, channels)` as `(*chunks, channels, *strides,
    filters)`, with zeros after the last tap."""
    *kernel_size, filters, channels = kernel.shape
    rank = len(kernel_size)
    zeros = [
        (0, m * s - k)
        for m, s, k in zip(chunks, strides, kernel_size, strict=True)
    ]
    if any(after for _, after in zeros):
        kernel = backend.pad(kernel, [*zeros, (0, 0), (0, 0)])
    pairs = itertools.chain(*zip(chunks, strides, strict=True))
    kernel = ops.reshape(kernel, (*pairs, filters, channels))
    chunk_axes, phase_axes = range(0, 2 * rank, 2), range(1, 2 * rank, 2)
    return ops.transpose(
        kernel, (*chunk_axes, 2 * rank + 1, *phase_axes, 2 * rank)
    )


def _neighbors(inputs: Tensor, chunks: list[int]) -> Tensor:
    """Each step beside the `chunks` - 1 before it, along every axis.

    `(batch, *steps, channels)` becomes `(batch, *(steps + chunks - 1),
    prod(chunks) * channels)`, the latest step first.
    """
    for axis in reversed(range(len(chunks))):
        last = chunks[axis] - 1
        if not last:
            continue
        copies = []
        for shift in range(last + 1):
            zeros = [(0, 0)] * len(inputs.shape)
            zeros[axis + 1] = (shift, last - shift)
            copies.append(backend.pad(inputs, zeros))
        inputs = ops.concatenate(copies, axis=-1)
    return inputs
