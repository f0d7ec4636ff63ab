"""Layers that stream by two methods of their own.

`initial_state(batch_size)` returns a structure of tensors, each with the
batch on its first axis. `step(chunk, state)` returns the layer's output for
the next steps and the next state, of the same structure, shapes and dtypes.
`output_ratio` and `output_latency` may say how many steps it gives for one of
its input, and how many steps it is late; 1 and 0 if they do not. A `step` that
takes `mask` is told which steps exist, and can follow what is late.
"""

import inspect
from fractions import Fraction
from typing import Any

import keras
from keras import ops

from keras_convt.layers.streaming_methods import overridden_since
from keras_convt.ops.backend import backend
from keras_convt.streaming.graph import Node
from keras_convt.streaming.moment import BEFORE, Moment, only_existing
from keras_convt.streaming.signal import Signal
from keras_convt.streaming.stages.base import Slot, Stage, refusal


class OwnStep(Stage):
    """A layer of the user's with `initial_state` and `step`."""

    def __init__(self, node: Node, signal: Signal) -> None:
        layer = node.operation
        if len(node.inputs) != 1 or len(node.args) != 1:
            raise refusal(node, "its `step` takes one chunk and a state")
        self.takes_mask = "mask" in inspect.signature(layer.step).parameters
        if signal.delay != 0 and not self.takes_mask:
            raise refusal(
                node,
                f"its input is {abs(signal.delay)} steps "
                f"{'late' if signal.delay > 0 else 'early'}, so that some "
                "steps do not exist",
                "Let its `step` take `mask`, which is False there.",
            )
        ratio = Fraction(getattr(layer, "output_ratio", 1))
        latency = int(getattr(layer, "output_latency", 0))
        result = Signal(
            signal.rate * ratio,
            int(signal.delay * ratio) + latency,
            int(signal.tail * ratio),
            signal.axis,
        )
        if (signal.delay * ratio).denominator != 1 or (
            signal.tail * ratio
        ).denominator != 1:
            raise refusal(
                node,
                f"its input is {signal.delay} steps late and {signal.tail} "
                f"longer than the stream, which output_ratio={ratio} does not "
                "divide",
            )
        first = layer.initial_state(1)
        self.structure = first
        super().__init__(
            node,
            result,
            {
                f"state_{n}": _slot(layer, n, tensor)
                for n, tensor in enumerate(keras.tree.flatten(first))
            },
        )
        self.input_signal = signal
        self.start_matters = signal.delay > 0

    def run(
        self, values: dict[int, Any], state: dict[str, Any], moment: Moment
    ) -> tuple[Any, dict[str, Any]]:
        axis = self.input_signal.axis
        chunk = values[id(self.node.first)]
        exists = moment.exists(self.input_signal, backend.size(chunk, axis))
        chunk = only_existing(chunk, exists, axis)
        more = {}
        if self.takes_mask:
            size = (ops.shape(chunk)[0], backend.size(chunk, axis))
            more["mask"] = (
                ops.ones(size, "bool")
                if exists is None
                else ops.broadcast_to(exists, size)
            )
        before = keras.tree.pack_sequence_as(
            self.structure, [state[name] for name in self.slots]
        )
        outputs, after = self.node.operation.step(chunk, before, **more)
        if moment.phase == BEFORE and not self.takes_mask:
            return outputs, state
        return outputs, dict(
            zip(self.slots, keras.tree.flatten(after), strict=True)
        )


def _slot(layer: Any, number: int, tensor: Any) -> Slot:
    """One tensor of a layer's own state."""
    return Slot(
        tuple(tensor.shape[1:]),
        keras.backend.standardize_dtype(tensor.dtype),
        initial=lambda batch_size: keras.tree.flatten(
            layer.initial_state(batch_size)
        )[number],
    )


def has_own_step(layer: Any) -> bool:
    """Whether a layer's `step` belongs to its `call`, and not to a base's."""
    methods = ("step", "initial_state")
    if not all(callable(getattr(layer, name, None)) for name in methods):
        return False
    return overridden_since(type(layer), methods) is None
