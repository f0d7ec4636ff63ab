"""Matrix products in the dtype of their factors."""

from typing import Any

import keras
from keras import ops


def matmul(first: Any, second: Any) -> Any:
    """`keras.ops.matmul`, which rounds float64 to float32 on two backends."""
    if keras.backend.standardize_dtype(first.dtype) == "float64":
        return first @ second
    return ops.matmul(first, second)
