"""The order of the axes."""

from keras_convt.ops.backend import backend
from keras_convt.ops.types import Tensor


def to_channels_last(tensor: Tensor) -> Tensor:
    """(batch, channels, *steps) to (batch, *steps, channels)."""
    # Not `moveaxis`, which PyTorch's exporter by tracing mistakes: see
    # "`movedim`" in docs/upstream.md.
    return backend.transpose(tensor, (0, *range(2, len(tensor.shape)), 1))


def to_channels_first(tensor: Tensor) -> Tensor:
    """(batch, *steps, channels) to (batch, channels, *steps)."""
    last = len(tensor.shape) - 1
    return backend.transpose(tensor, (0, last, *range(1, last)))
