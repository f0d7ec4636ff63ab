"""Winograd's F(2, 2): three products for what takes four."""

from keras import ops

from keras_convt.ops.backend import backend
from keras_convt.ops.backend.generic import dtype_of
from keras_convt.ops.formulations.overlap_add import (
    added_chunks,
    window_of_sums,
)
from keras_convt.ops.formulations.taps import chunks_of, dilate
from keras_convt.ops.types import HALF, Crops, Size, Sizes, Tensor


def winograd(
    inputs: Tensor,
    kernel: Tensor,
    bias: Tensor | None,
    strides: Sizes,
    dilation_rate: Sizes,
    groups: int,
    crops: Crops,
    transposed: bool = False,
) -> Tensor:
    """Overlap-add, with a quarter fewer multiplications on one axis.

    Let the kernel have the taps `a` of a first stride and `b` of a second one.
    Stride n of the output is `x[n] a + x[n - 1] b`. Two strides in a row,

        y[n]     = x[n] a     + x[n - 1] b
        y[n + 1] = x[n + 1] a + x[n] b,

    take three products instead of four, because both have the same middle:

        middle   = x[n] (a + b)
        y[n]     = middle + (x[n - 1] - x[n]) b
        y[n + 1] = middle + (x[n + 1] - x[n]) a.

    It is the minimal filtering algorithm F(2, 2) of S. Winograd, "Arithmetic
    Complexity of Computations" (1980). The rounding error is 1.4 times that of
    overlap-add. With two axes it would be twice that error, so it is used on
    one, the first that has two strides.

    Args:
        transposed: As for `overlap_add`.
    """
    dtype = inputs.dtype
    if dtype_of(inputs) in HALF:
        # The differences would round once more.
        inputs = ops.cast(inputs, "float32")
        kernel = ops.cast(kernel, "float32")
    whole = dilate(kernel, dilation_rate)
    chunks = chunks_of(whole.shape[:-2], strides)
    axis = chunks.index(2)
    zeros = [(0, 0)] * len(whole.shape)
    zeros[axis] = (0, 2 * strides[axis] - whole.shape[axis])
    if zeros[axis] != (0, 0):
        whole = backend.pad(whole, zeros)
    first, second = _halves(whole, axis, strides[axis])
    before, middle, after = (
        added_chunks(
            steps,
            taps,
            strides,
            (1,) * len(strides),
            groups,
            transposed=transposed,
            by_row=True,
        )
        for steps, taps in zip(
            _of_steps(inputs, axis + 1),
            (second, first + second, first),
            strict=True,
        )
    )
    outputs = _interleaved(
        before, middle, after, axis + 1, ops.shape(inputs)[axis + 1] + 1
    )
    return window_of_sums(
        ops.cast(outputs, dtype),
        inputs,
        kernel,
        strides,
        dilation_rate,
        groups,
        crops,
        bias,
    )


def _halves(kernel: Tensor, axis: int, stride: int) -> tuple[Tensor, Tensor]:
    every = (slice(None),) * axis
    return (
        kernel[(*every, slice(stride))],
        kernel[(*every, slice(stride, None))],
    )


def _of_steps(inputs: Tensor, axis: int) -> tuple[Tensor, Tensor, Tensor]:
    """What the products take of the inputs, of which every other is a middle.

    The one before each middle less the middle, the middle, and the one after
    each middle less the middle. The latter begins one earlier, with the first
    step: as after a middle of zeros.
    """
    steps, zeros = inputs.shape[axis], [(0, 0)] * len(inputs.shape)
    if not isinstance(steps, int):
        # Even or odd, both have then as many.
        zeros[axis] = (0, 2)
        even, odd = slice(0, -1, 2), slice(1, None, 2)
    else:
        zeros[axis] = (0, steps % 2)
        even, odd = slice(0, None, 2), slice(1, None, 2)
    if zeros[axis] != (0, 0):
        inputs = backend.pad(inputs, zeros)
    every = (slice(None),) * axis
    outer, middle = inputs[(*every, even)], inputs[(*every, odd)]
    after = _pad(outer, axis, (0, 1)) - _pad(middle, axis, (1, 0))
    return outer - middle, middle, after


def _interleaved(
    before: Tensor, middle: Tensor, after: Tensor, axis: int, count: Size
) -> Tensor:
    """The sums, the first `count` of them in turn on an axis."""
    every = (slice(None),) * axis
    odd, even = before + middle, middle + after[(*every, slice(1, None))]
    sizes = list(ops.shape(odd))
    sizes[axis] = backend.reshape_size(sizes[axis], 2)
    pairs = ops.reshape(ops.stack([odd, even], axis + 1), sizes)
    outputs = backend.concatenate([after[(*every, slice(1))], pairs], axis)
    return outputs[(*every, slice(count))]


def _pad(tensor: Tensor, axis: int, zeros: tuple[int, int]) -> Tensor:
    around = [(0, 0)] * len(tensor.shape)
    around[axis] = zeros
    return backend.pad(tensor, around)
