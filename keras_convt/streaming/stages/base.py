"""What one operation of a graph is in a stream."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
from keras import ops

from keras_convt.streaming.graph import Node
from keras_convt.streaming.moment import Moment
from keras_convt.streaming.signal import Signal


@dataclass(frozen=True)
class Slot:
    """One tensor of the state.

    Args:
        shape: Its shape without the batch.
        dtype: Its dtype.
        fill: What it is filled with before the first chunk.
        initial: A function of the batch size, where one number is not enough.
    """

    shape: tuple[int | None, ...]
    dtype: str
    fill: float = 0
    initial: Callable[[Any], Any] | None = None

    def first(self, batch_size: Any) -> Any:
        """The tensor before the first chunk."""
        if self.initial is not None:
            return self.initial(batch_size)
        shape = (batch_size, *self.shape)
        return ops.full(shape, ops.cast(self.fill, self.dtype), self.dtype)


class Stage:
    """One operation of a stream.

    Args:
        node: The call of the operation.
        signal: What is known of its outputs.
        slots: What it remembers, by names that are its own.
    """

    # Whether steps before the first one must be told from the others.
    start_matters = False

    def __init__(
        self, node: Node, signal: Signal, slots: dict[str, Slot] | None = None
    ) -> None:
        self.node = node
        self.signal = signal
        self.slots = slots or {}

    def run(
        self, values: dict[int, Any], state: dict[str, Any], moment: Moment
    ) -> tuple[Any, dict[str, Any]]:
        """The operation's outputs for one chunk, and its state after it.

        Args:
            values: The `id` of a symbolic tensor to its value.
            state: One tensor for each of `slots`.
            moment: Where in the stream the chunk stands.
        """
        raise NotImplementedError(f"{type(self).__name__} has no run().")

    def keeps_zeros(self) -> bool:
        """Whether a state of zeros stands for zeros before the first step."""
        return False


def refusal(node: Node, why: str, remedy: str = "") -> ValueError:
    """The error for an operation that cannot stream."""
    what = "layer" if node.is_layer else "operation"
    return ValueError(
        f"The {what} {node.name!r} cannot stream: {why}."
        + (f" {remedy}" if remedy else "")
    )


def dtype_of(node: Node) -> str:
    """What a layer computes with."""
    return str(node.operation.compute_dtype)


def to_time_axis(value: Any, axis: int, wanted: int) -> Any:
    """A signal of three axes with its time on another one."""
    return value if axis == wanted else ops.transpose(value, (0, 2, 1))


def time_axis(node: Node, signal: Signal) -> int:
    """The axis of time of a layer with `data_format`.

    Raises:
        ValueError: If its input has time on another.
    """
    first = node.operation.data_format == "channels_first"
    axis = 2 if first else 1
    if signal.axis != axis or len(node.first.shape) != 3:
        raise refusal(
            node,
            f"it has data_format={node.operation.data_format!r}, but the time "
            f"of its input is axis {signal.axis} of {len(node.first.shape)}",
            "Permute before it, or change its `data_format`.",
        )
    return axis


def channels_of(node: Node) -> int:
    """The channels of a signal of three axes."""
    shape = node.first.shape
    first = node.operation.data_format == "channels_first"
    return int(shape[1] if first else shape[2])


def with_bias_and_activation(layer: keras.layers.Layer, outputs: Any) -> Any:
    """The end of a convolution layer, `channels_last`."""
    if layer.use_bias:
        outputs = ops.add(outputs, ops.cast(layer.bias, outputs.dtype))
    return outputs


def activated(layer: keras.layers.Layer, outputs: Any) -> Any:
    """The outputs of a layer after its activation, if it has one."""
    return outputs if layer.activation is None else layer.activation(outputs)
