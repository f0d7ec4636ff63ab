"""Sub-pixel: the phases of the output as channels of a convolution."""

import math

from keras import ops

from keras_convt.ops.backend import backend
from keras_convt.ops.formulations.by_group import by_group
from keras_convt.ops.formulations.convolution import convolution
from keras_convt.ops.formulations.taps import (
    STEPS,
    chunks_of,
    depth_to_space,
    dilate,
    past_last_tap,
    whole_chunks,
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
        outputs = backend.matmul_of_rows(inputs, kernel)
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


def sub_pixel_convolution(
    inputs: Tensor,
    kernel: Tensor,
    bias: Tensor | None,
    strides: Sizes,
    dilation_rate: Sizes,
    groups: int,
    crops: Crops,
) -> Tensor:
    """One convolution for all phases of the output.

    The sums of `sub_pixel`, without its copies of the inputs: neither memory
    nor what there is to compile grows with the kernel.
    """
    if groups > 1:
        return by_group(
            inputs,
            kernel,
            bias,
            strides,
            dilation_rate,
            groups,
            crops,
            each=sub_pixel_convolution,
        )
    kernel = dilate(kernel, dilation_rate)
    *kernel_size, filters, channels = kernel.shape
    chunks = chunks_of(kernel_size, strides)
    kernel = ops.reshape(
        _by_phase(kernel, chunks, strides),
        (*chunks, channels, math.prod(strides) * filters),
    )
    # Whole strides, and no bias: its window is cut afterwards.
    outputs = convolution(
        inputs,
        ops.swapaxes(kernel, -1, -2),
        None,
        (1,) * len(strides),
        (1,) * len(strides),
        1,
        ((0, 0),) * len(strides),
    )
    outputs = depth_to_space(outputs, ops.shape(outputs)[:-1], strides, filters)
    return backend.finish(
        outputs, past_last_tap(chunks, strides, kernel_size, crops), bias
    )


def _by_phase(kernel: Tensor, chunks: list[int], strides: Sizes) -> Tensor:
    """`(*kernel_size, filters, channels)` as `(*chunks, channels, *strides,
    filters)`, with zeros after the last tap."""
    kernel = whole_chunks(kernel, chunks, strides)
    rank = len(strides)
    # The channels before the phases and the filters.
    axes = [*range(rank), 2 * rank + 1, *range(rank, 2 * rank + 1)]
    return ops.transpose(kernel, axes)


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
