"""Recurrent layers: their states are the state."""

from typing import Any

import keras
from keras import layers, ops

from keras_convt.ops.backend import backend
from keras_convt.streaming.graph import Node
from keras_convt.streaming.moment import Moment
from keras_convt.streaming.signal import Signal
from keras_convt.streaming.stages.base import Slot, Stage, dtype_of, refusal


class Recurrent(Stage):
    """`LSTM`, `GRU` or `SimpleRNN`. Steps that do not exist change nothing."""

    def __init__(self, node: Node, signal: Signal) -> None:
        layer = node.operation
        if not layer.return_sequences or layer.return_state:
            raise refusal(
                node,
                f"it has return_sequences={layer.return_sequences} and "
                f"return_state={layer.return_state}",
                "Give it return_sequences=True alone.",
            )
        if layer.go_backwards:
            raise refusal(node, "it goes backwards, from the end of the stream")
        if layer.stateful:
            raise refusal(
                node, "it is stateful", "A stream's state is an argument."
            )
        if signal.axis != 1 or _argument(node, "initial_state") is not None:
            raise refusal(
                node,
                "time must be its axis 1, and its initial state zeros",
            )
        sizes = layer.state_size
        sizes = sizes if isinstance(sizes, (tuple, list)) else [sizes]
        super().__init__(
            node,
            signal,
            {
                f"state_{n}": Slot((int(size),), dtype_of(node))
                for n, size in enumerate(sizes)
            },
        )
        self.start_matters = signal.delay > 0

    def run(
        self, values: dict[int, Any], state: dict[str, Any], moment: Moment
    ) -> tuple[Any, dict[str, Any]]:
        layer = self.node.operation
        inputs = ops.cast(values[id(self.node.first)], dtype_of(self.node))
        before = [state[name] for name in self.slots]
        mask = self._mask(values, inputs, moment)
        _, outputs, after = layer.inner_loop(
            inputs, before, mask, training=False
        )
        if mask is not None and not layer.zero_output_for_mask:
            # A masked step repeats the step before it. For the first ones of
            # a chunk that is the state, which Keras does not know to be it.
            begun = ops.cumsum(ops.cast(mask, "int32"), axis=1) > 0
            outputs = ops.where(
                ops.expand_dims(begun, -1),
                outputs,
                ops.expand_dims(before[0], 1),
            )
        outputs = ops.cast(outputs, dtype_of(self.node))
        return outputs, dict(zip(self.slots, after, strict=True))

    def _mask(self, values: dict[int, Any], inputs: Any, moment: Moment) -> Any:
        given = self.node.kwargs.get("mask")
        exists = moment.exists(self.signal, backend.size(inputs, 1))
        if given is None and exists is None:
            return None
        if given is None:
            return ops.broadcast_to(exists, ops.shape(inputs)[:2])
        mask = values[id(given)]
        return mask if exists is None else ops.logical_and(mask, exists)


def _argument(node: Node, name: str) -> Any:
    if len(node.args) > 1:
        return node.args[1]
    return node.kwargs.get(name)


STAGES: dict[type[keras.layers.Layer], type[Stage]] = {
    layers.LSTM: Recurrent,
    layers.GRU: Recurrent,
    layers.SimpleRNN: Recurrent,
}
