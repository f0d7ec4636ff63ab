"""What the arguments of layers may be, for annotations."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeAlias, TypedDict

# The sizes of a tensor; None is a size that is not known yet.
Shape: TypeAlias = tuple[int | None, ...]

# One number for every axis, or a sequence of one per axis.
OnePerAxis: TypeAlias = int | Sequence[int]

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


class LayerOptions(TypedDict, total=False):
    """The arguments that every layer of Keras takes.

    Not `input_shape` and `input_dim`, which Keras takes with a warning.
    """

    name: str | None
    dtype: Any
    trainable: bool
    autocast: bool
