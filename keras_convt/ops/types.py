"""The types that the tensor functions share."""

from typing import Any, TypeAlias

# A tensor of whichever backend is active, or a NumPy array.
Tensor: TypeAlias = Any

# One int for each spatial axis.
Sizes: TypeAlias = tuple[int, ...]

# One pair (left, right) for each spatial axis.
Crops: TypeAlias = tuple[tuple[int, int], ...]

# The size of one axis: an int, or a scalar tensor where only the running
# graph knows it.
Size: TypeAlias = Any

# Dtypes in which sums are added in float32 and rounded once.
HALF = ("float16", "bfloat16")
