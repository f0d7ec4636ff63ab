"""Cropping and extending the result of a formulation to its window."""

from typing import Any

from keras import ops

from keras_convt.ops.engine import engine
from keras_convt.ops.primitives import pad


def crop(outputs: Any, crops: tuple[tuple[int, int], ...]) -> Any:
    """Crop (left, right) samples off every spatial axis of `outputs`.

    Args:
        outputs: Tensor of shape `(batch, *steps, channels)`.
        crops: One pair for each spatial axis. `left` is at least 0; a
            negative `right` appends zeros.
    """
    if any(right < 0 for _, right in crops):
        zeros = [(0, max(-right, 0)) for _, right in crops]
        outputs = pad(outputs, [(0, 0), *zeros, (0, 0)])
    if not any(left > 0 or right > 0 for left, right in crops):
        return outputs
    if engine() == "tensorflow":
        # The gradient of its indexing is up to twice as slow. Within XLA it
        # is that of a slice which has no gradient of its own.
        batch, *steps, channels = ops.shape(outputs)
        kept = [
            n - left - max(right, 0)
            for n, (left, right) in zip(steps, crops, strict=True)
        ]
        starts = [left for left, _ in crops]
        return ops.slice(outputs, (0, *starts, 0), (batch, *kept, channels))
    for axis, (left, right) in enumerate(crops, start=1):
        # One after another: jax2onnx cuts one axis of unknown steps at a time.
        if left > 0 or right > 0:
            span = slice(left, -right if right > 0 else None)
            outputs = outputs[(slice(None),) * axis + (span,)]
    return outputs


def finish(outputs: Any, crops: tuple[tuple[int, int], ...], bias: Any) -> Any:
    """Crop `outputs`, then add the bias."""
    outputs = crop(outputs, crops)
    return outputs if bias is None else ops.add(outputs, bias)


def cut(outputs: Any, lefts: tuple[Any, ...], lengths: tuple[Any, ...]) -> Any:
    """Cut windows out whose place is known only when the graph runs.

    Args:
        outputs: Tensor of shape `(batch, *steps, channels)`.
        lefts: Samples before the window, one int or scalar tensor an axis.
        lengths: Samples of the window, likewise.
    """
    spatial = (
        slice(left, left + length)
        for left, length in zip(lefts, lengths, strict=True)
    )
    return outputs[(slice(None), *spatial)]


def to_channels_last(tensor: Any) -> Any:
    """(batch, channels, *steps) to (batch, *steps, channels)."""
    # Not `moveaxis`, for the reason that `ops.adapters` gives.
    return ops.transpose(tensor, (0, *range(2, len(tensor.shape)), 1))


def to_channels_first(tensor: Any) -> Any:
    """(batch, *steps, channels) to (batch, channels, *steps)."""
    last = len(tensor.shape) - 1
    return ops.transpose(tensor, (0, last, *range(1, last)))
