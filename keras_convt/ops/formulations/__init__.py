"""The formulations: different ways to compute the same sum.

Each takes channels_last `inputs` of shape `(batch, *steps, channels)`, a
`kernel` of shape `(*kernel_size, filters // groups, channels)`, a `bias` of
shape `(filters,)` or None, one stride, dilation rate and pair of crops for
each axis, and returns the window of shape `(batch, *output_steps, filters)`.
Each backend differentiates them as often as it likes. Batch and steps may be
unknown until the graph runs. Which one is used where is decided in
`keras_convt.ops.choice`.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

from keras_convt.ops.formulations.convolution import convolution
from keras_convt.ops.formulations.native import native
from keras_convt.ops.formulations.overlap_add import (
    overlap_add,
    overlap_add_by_chunk,
)
from keras_convt.ops.formulations.sub_pixel import sub_pixel

Formulation: TypeAlias = Callable[..., Any]

FORMULATIONS: dict[str, Formulation] = {
    "native": native,
    "overlap_add": overlap_add,
    "overlap_add_by_chunk": overlap_add_by_chunk,
    "sub_pixel": sub_pixel,
    "convolution": convolution,
}
