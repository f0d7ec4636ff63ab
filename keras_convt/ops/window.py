"""Windows whose place only the running graph knows, and the order of axes."""

from keras import ops

from keras_convt.ops.types import Size, Tensor


def cut(
    outputs: Tensor, lefts: tuple[Size, ...], lengths: tuple[Size, ...]
) -> Tensor:
    """Cut windows out whose place is known only when the graph runs.

    Args:
        outputs: Tensor of shape `(batch, *steps, channels)`.
        lefts: Samples before the window, one int or scalar tensor
            for each axis.
        lengths: Samples of the window, likewise.
    """
    spatial = (
        slice(left, left + length)
        for left, length in zip(lefts, lengths, strict=True)
    )
    return outputs[(slice(None), *spatial)]


def to_channels_last(tensor: Tensor) -> Tensor:
    """(batch, channels, *steps) to (batch, *steps, channels)."""
    # Not `moveaxis`, which PyTorch's exporter by tracing mistakes: see
    # "`movedim`" in docs/upstream.md.
    return ops.transpose(tensor, (0, *range(2, len(tensor.shape)), 1))


def to_channels_first(tensor: Tensor) -> Tensor:
    """(batch, *steps, channels) to (batch, channels, *steps)."""
    last = len(tensor.shape) - 1
    return ops.transpose(tensor, (0, last, *range(1, last)))
