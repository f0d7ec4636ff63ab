"""A causal transposed convolution in pieces: state in, state out.

With kernel `ke` and stride `s`, the last `ke - s` samples that a chunk
reaches lie under what comes next. They are the state: kept before bias and
activation, and added to the next chunk's first samples. Its size never
changes.
"""

from keras import ops

from keras_convt.geometry import Axis
from keras_convt.ops.backend import backend
from keras_convt.ops.core import transposed_convolution
from keras_convt.ops.types import Size, Tensor


def overlap(axis: Axis) -> int:
    """Samples of the state: those that two chunks have in common."""
    return max(axis.effective_kernel - axis.stride, 0)


def is_causal(axis: Axis) -> bool:
    """Whether an axis has the window of `padding="causal"`, by any name."""
    return axis.crop == (0, axis.effective_kernel - axis.stride)


def initial_state(
    batch_size: Size, axis: Axis, filters: int, dtype: str
) -> Tensor:
    """Zeros of the shape `(batch_size, overlap, filters)`."""
    return ops.zeros((batch_size, overlap(axis), filters), dtype=dtype)


def step(
    chunk: Tensor,
    state: Tensor,
    kernel: Tensor,
    axis: Axis,
    groups: int,
    implementation: str = "auto",
) -> tuple[Tensor, Tensor]:
    """The samples that `chunk` completes, and the state after it.

    Args:
        chunk: Tensor of shape `(batch, steps, channels)`, of any `steps`.
        state: Tensor of shape `(batch, overlap, filters)`.
        kernel: Tensor of shape
            `(kernel_size, filters // groups, channels)`.
        axis: The axis; its padding does not matter.
        groups: Number of groups.
        implementation: `"auto"`, or the name of a formulation.

    Returns:
        `(batch, steps * stride, filters)`, and the next state.
    """
    kept = overlap(axis)
    # All of the sum; where the stride is above the kernel, with the zeros
    # that follow the last tap.
    whole = Axis(
        axis.kernel_size,
        axis.stride,
        axis.dilation_rate,
        (0, min(axis.effective_kernel - axis.stride, 0)),
    )
    outputs = transposed_convolution(
        chunk,
        kernel,
        (whole,),
        "channels_last",
        groups,
        implementation=implementation,
    )
    if kept == 0:
        return outputs, state
    # The length of the chunk does not appear here, so that a graph may leave
    # it open.
    outputs = backend.concatenate(
        [outputs[:, :kept] + state, outputs[:, kept:]], axis=1
    )
    return outputs[:, :-kept], outputs[:, -kept:]
