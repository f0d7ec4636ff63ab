"""Operations that move steps: padding, cropping, repeating, waiting."""

from typing import Any

import keras
from keras import layers, ops

from keras_convt.ops.backend import backend
from keras_convt.streaming import tensors
from keras_convt.streaming.graph import Node
from keras_convt.streaming.moment import Moment, only_existing
from keras_convt.streaming.signal import Signal
from keras_convt.streaming.stages.base import Slot, Stage, refusal


class Pad(Stage):
    """Steps of one value before and after.

    Nothing is put anywhere while the stream runs: what comes next remembers
    the steps before the first one, and sees those after the last one when
    the stream has ended.
    """

    def __init__(
        self,
        node: Node,
        signal: Signal,
        left: int,
        right: int,
        value: float = 0,
    ) -> None:
        super().__init__(node, signal.padded(left, right))
        self.input_signal = signal
        self.value = value
        self.start_matters = signal.delay > 0

    def run(
        self, values: dict[int, Any], state: dict[str, Any], moment: Moment
    ) -> tuple[Any, dict[str, Any]]:
        inputs, axis = values[id(self.node.first)], self.signal.axis
        exists = moment.exists(self.input_signal, backend.size(inputs, axis))
        return only_existing(inputs, exists, axis, self.value), {}


class Crop(Stage):
    """Steps taken away before and after: the same stream, another start.

    Args:
        node: The call.
        signal: What is known of its input.
        left, right: How many steps are taken away.
        others: What a slice takes of the other axes.
        axis: Where time is after it.
    """

    def __init__(
        self,
        node: Node,
        signal: Signal,
        left: int,
        right: int,
        others: tuple[Any, ...] = (),
        axis: int | None = None,
    ) -> None:
        result = signal.cropped(left, right)
        super().__init__(node, result if axis is None else result.on_axis(axis))
        self.others = others

    def run(
        self, values: dict[int, Any], state: dict[str, Any], moment: Moment
    ) -> tuple[Any, dict[str, Any]]:
        inputs = values[id(self.node.first)]
        return inputs[self.others] if self.others else inputs, {}


class Repeat(Stage):
    """Every step several times."""

    def __init__(self, node: Node, signal: Signal, times: int) -> None:
        super().__init__(node, signal.repeated(times))
        self.times = times

    def run(
        self, values: dict[int, Any], state: dict[str, Any], moment: Moment
    ) -> tuple[Any, dict[str, Any]]:
        inputs = values[id(self.node.first)]
        return ops.repeat(inputs, self.times, axis=self.signal.axis), {}


class Wait(Stage):
    """A tensor so many steps later: where another branch is late.

    Args:
        node: The call that the tensor comes from.
        tensor: The symbolic tensor.
        signal: What is known of it.
        steps: How much later.
    """

    def __init__(
        self, node: Node, tensor: Any, signal: Signal, steps: int
    ) -> None:
        shape = list(tensor.shape[1:])
        shape[signal.axis - 1] = steps
        if any(size is None for size in shape):
            raise refusal(
                node,
                f"its output of shape {tuple(tensor.shape)} must wait, and a "
                "size other than batch and time is not known",
            )
        dtype = keras.backend.standardize_dtype(tensor.dtype)
        super().__init__(
            node, signal.late(steps), {"waiting": Slot(tuple(shape), dtype)}
        )
        self.tensor = tensor
        self.steps = steps

    def run(
        self, values: dict[int, Any], state: dict[str, Any], moment: Moment
    ) -> tuple[Any, dict[str, Any]]:
        axis, inputs = self.signal.axis, values[id(self.tensor)]
        # A computation may be wider than what Keras said of its output.
        inputs = ops.cast(inputs, self.slots["waiting"].dtype)
        both = backend.concatenate([state["waiting"], inputs], axis)
        return tensors.part(both, axis, None, -self.steps), {
            "waiting": tensors.part(both, axis, -self.steps, None)
        }

    def keeps_zeros(self) -> bool:
        return True


def zero_padding(node: Node, signal: Signal) -> Stage:
    """`keras.layers.ZeroPadding1D`."""
    expected = 2 if node.operation.data_format == "channels_first" else 1
    if signal.axis != expected:
        raise refusal(node, f"time is axis {signal.axis}, not {expected}")
    return Pad(node, signal, *node.operation.padding)


def cropping(node: Node, signal: Signal) -> Stage:
    """`keras.layers.Cropping1D`."""
    if signal.axis != 1:
        raise refusal(node, f"time is axis {signal.axis}, not 1")
    return Crop(node, signal, *node.operation.cropping)


def upsampling(node: Node, signal: Signal) -> Stage:
    """`keras.layers.UpSampling1D`."""
    if signal.axis != 1:
        raise refusal(node, f"time is axis {signal.axis}, not 1")
    return Repeat(node, signal, int(node.operation.size))


STAGES = {
    layers.ZeroPadding1D: zero_padding,
    layers.Cropping1D: cropping,
    layers.UpSampling1D: upsampling,
}
