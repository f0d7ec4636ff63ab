"""What the annotations of the package mean.

Neither Keras nor the backends say what their tensors and layers are to a type
checker, so that `Tensor` is any object to it. The name is for readers.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeAlias

# A tensor of the active backend, a symbolic one of Keras, or an array.
Tensor: TypeAlias = Any

# The sizes of a tensor; None is a size that is not known yet.
Shape: TypeAlias = tuple[int | None, ...]

# One number for every axis, or one per axis.
Sizes: TypeAlias = int | Sequence[int]

# Samples cropped at the beginning and at the end of an axis.
Crop: TypeAlias = tuple[int, int]

# What a layer takes as `padding`, in any case.
Padding: TypeAlias = (
    Literal["valid", "same", "causal", "VALID", "SAME", "CAUSAL"]
    | int
    | Sequence[int]
    | Sequence[Sequence[int]]
)

DataFormat: TypeAlias = Literal["channels_last", "channels_first"]

# An activation, initializer, regularizer or constraint: its name, an object,
# the config of one, or None.
KerasObject: TypeAlias = (
    str | Callable[..., Any] | Mapping[str, Any] | type | None
)

# What `get_config` returns.
Config: TypeAlias = dict[str, Any]
