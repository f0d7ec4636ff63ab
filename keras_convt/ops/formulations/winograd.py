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
    overlap-add where channels are many. On a second axis it would be twice
    that error, so it is used on one: the first where the kernel reaches over
    two strides. The other axes are those of `overlap_add`. After an infinite
    input, NaN comes out, because of the differences.

    Args:
        transposed: As for `overlap_add`.
    """
    dtype = inputs.dtype
    if dtype_of(inputs) in HALF:
        # The differences would round once more.
        inputs = ops.cast(inputs, "float32")
        kernel = ops.cast(kernel, "float32")
    spread = dilate(kernel, dilation_rate)
    axis = chunks_of(spread.shape[:-2], strides).index(2)
    missing = 2 * strides[axis] - spread.shape[axis]
    if missing:
        spread = _zeros_around(spread, axis, (0, missing))
    every = (slice(None),) * axis
    first = spread[(*every, slice(strides[axis]))]
    second = spread[(*every, slice(strides[axis], None))]
    factors = zip(
        _differences(inputs, axis + 1),
        (second, first + second, first),
        strict=True,
    )
    before, middle, after = (
        added_chunks(
            values,
            taps,
            strides,
            (1,) * len(strides),
            groups,
            transposed=transposed,
            by_row=True,
        )
        for values, taps in factors
    )
    count = ops.shape(inputs)[axis + 1] + 1
    sums = _in_turn(before, middle, after, axis + 1, count)
    return window_of_sums(
        ops.cast(sums, dtype),
        inputs,
        kernel,
        strides,
        dilation_rate,
        groups,
        crops,
        bias,
    )


def _differences(inputs: Tensor, axis: int) -> tuple[Tensor, Tensor, Tensor]:
    """What is multiplied. The middles are steps 1, 3, 5, ... of an axis.

    Returns:
        The step before each middle less the middle, the middles, and the step
        after each middle less the middle. Before all of these, the last one
        also has step 0, which comes after a middle that does not exist.
    """
    steps = inputs.shape[axis]
    # As many steps 0, 2, 4, ... as middles.
    if isinstance(steps, int):
        zeros, end = steps % 2, None
    else:
        zeros, end = 2, -1
    if zeros:
        inputs = _zeros_around(inputs, axis, (0, zeros))
    every = (slice(None),) * axis
    others = inputs[(*every, slice(0, end, 2))]
    middles = inputs[(*every, slice(1, None, 2))]
    after = _zeros_around(others, axis, (0, 1)) - _zeros_around(
        middles, axis, (1, 0)
    )
    return others - middles, middles, after


def _in_turn(
    before: Tensor, middle: Tensor, after: Tensor, axis: int, count: Size
) -> Tensor:
    """The sums at each middle and at the step after it, one after another.

    The one at step 0 is before them. They are cut to `count` of them.
    """
    every = (slice(None),) * axis
    at_middles = before + middle
    after_middles = middle + after[(*every, slice(1, None))]
    sizes = list(ops.shape(at_middles))
    sizes[axis] = backend.reshape_size(sizes[axis], 2)
    pairs = ops.reshape(ops.stack([at_middles, after_middles], axis + 1), sizes)
    sums = backend.concatenate([after[(*every, slice(1))], pairs], axis)
    return sums[(*every, slice(count))]


def _zeros_around(tensor: Tensor, axis: int, zeros: tuple[int, int]) -> Tensor:
    around = [(0, 0)] * len(tensor.shape)
    around[axis] = zeros
    return backend.pad(tensor, around)
