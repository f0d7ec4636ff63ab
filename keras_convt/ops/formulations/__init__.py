"""The formulations: different ways to compute the same sum.

Each takes channels_last `inputs` of shape `(batch, *steps, channels)`, a
`kernel` of shape `(*kernel_size, filters // groups, channels)`, a `bias` of
shape `(filters,)` or None, one stride, dilation rate and pair of crops for
each axis, and returns the window of shape `(batch, *output_steps, filters)`.
A left crop is at least 0. A negative right one appends zeros, and the bias is
added to these as well. The channels of a group follow one another, and so do
its filters. Each backend differentiates them as often as it likes. Batch and
steps may be unknown until the graph runs. `keras_convt.ops.choice` decides
which one is used where.
"""

import functools
from collections.abc import Callable
from typing import TypeAlias

from keras_convt.ops.formulations.by_group import by_group
from keras_convt.ops.formulations.convolution import convolution
from keras_convt.ops.formulations.native import native
from keras_convt.ops.formulations.native_with_products import (
    native_with_products,
)
from keras_convt.ops.formulations.overlap_add import overlap_add
from keras_convt.ops.formulations.shift_multiply_add import (
    shift_multiply_add,
)
from keras_convt.ops.formulations.sub_pixel import (
    sub_pixel,
    sub_pixel_convolution,
)
from keras_convt.ops.formulations.winograd import winograd
from keras_convt.ops.types import Tensor

Formulation: TypeAlias = Callable[..., Tensor]

# "by_group" also takes `each`: the formulation of one group.
FORMULATIONS: dict[str, Formulation] = {
    "native": native,
    "native_with_products": native_with_products,
    "overlap_add": overlap_add,
    "overlap_add_by_chunk": functools.partial(overlap_add, by_chunk=True),
    "overlap_add_transposed": functools.partial(overlap_add, transposed=True),
    "sub_pixel": sub_pixel,
    "sub_pixel_convolution": sub_pixel_convolution,
    "winograd": winograd,
    "winograd_transposed": functools.partial(winograd, transposed=True),
    "convolution": convolution,
    "shift_multiply_add": shift_multiply_add,
    "by_group": by_group,
}
