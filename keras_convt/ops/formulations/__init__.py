"""The formulations: different ways to compute the same sum.

Each takes channels_last `inputs` of shape `(batch, *steps, channels)`, a
`kernel` of shape `(*kernel_size, filters // groups, channels)`, a `bias` of
shape `(filters,)` or None, one stride, dilation rate and pair of crops for
each axis, and returns the window of shape `(batch, *output_steps, filters)`.
Each backend differentiates them as often as it likes. Batch and steps may be
unknown until the graph runs. Which one is used where is decided in
`keras_convt.ops.choice`.
"""

import functools
from collections.abc import Callable
from typing import Any, TypeAlias

from keras_convt.ops.choice import choose
from keras_convt.ops.engine import engine
from keras_convt.ops.formulations.by_group import one_after_another
from keras_convt.ops.formulations.convolution import convolution
from keras_convt.ops.formulations.native import native
from keras_convt.ops.formulations.overlap_add import overlap_add
from keras_convt.ops.formulations.shift_multiply_add import (
    shift_multiply_add,
)
from keras_convt.ops.formulations.sub_pixel import sub_pixel
from keras_convt.ops.formulations.taps import Crops, Sizes
from keras_convt.ops.primitives import positions_of

Formulation: TypeAlias = Callable[..., Any]


def by_group(
    inputs: Any,
    kernel: Any,
    bias: Any,
    strides: Sizes,
    dilation_rate: Sizes,
    groups: int,
    crops: Crops,
) -> Any:
    """One group after another, each as a layer of its own would be."""
    *kernel_size, filters, channels = kernel.shape
    chosen = choose(
        engine(),
        tuple(kernel_size),
        strides,
        dilation_rate,
        groups=1,
        channels=channels // groups,
        filters=filters,
        positions=positions_of(inputs),
    )
    return one_after_another(
        FORMULATIONS[chosen],
        inputs,
        kernel,
        bias,
        strides,
        dilation_rate,
        groups,
        crops,
    )


FORMULATIONS: dict[str, Formulation] = {
    "native": native,
    "overlap_add": overlap_add,
    "overlap_add_by_chunk": functools.partial(overlap_add, by_chunk=True),
    "overlap_add_turned": functools.partial(overlap_add, turned=True),
    "sub_pixel": sub_pixel,
    "convolution": convolution,
    "shift_multiply_add": shift_multiply_add,
    "by_group": by_group,
}
