"""A graph as a list of stages, planned before any step runs."""

import dataclasses
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
from keras import ops

from keras_convt.ops.backend import backend
from keras_convt.streaming.graph import Graph, Node
from keras_convt.streaming.moment import BEFORE, DURING, Moment
from keras_convt.streaming.signal import Signal
from keras_convt.streaming.stages import Slot, Stage, Wait, refusal, stage_of
from keras_convt.streaming.stages.rearrange import Pad

COUNT = "count"

# A tensor at one of its delays: (id, delay). None for tensors without time.
Key = tuple[int, int | None]


@dataclass(frozen=True)
class Entry:
    """A stage in its place.

    Args:
        stage: The stage.
        reads: The `id` of each symbolic tensor that it takes, to the value.
        writes: The keys of its outputs.
        names: Its own names of what it remembers, to those in the state.
    """

    stage: Stage
    reads: dict[int, Key]
    writes: list[Key]
    names: dict[str, str]


class Plan:
    """The stages of a graph, and the names of what they remember.

    Args:
        graph: The graph.
        static: Which of its inputs have no time.
        pointwise: Classes of the user's that compute every step alone.
    """

    def __init__(
        self,
        graph: Graph,
        static: Sequence[bool],
        pointwise: Sequence[type] = (),
    ) -> None:
        self.graph = graph
        self.pointwise = tuple(pointwise)
        inputs = list(zip(graph.inputs, static, strict=True))
        self.timed = [tensor for tensor, alone in inputs if not alone]
        self.static = [tensor for tensor, alone in inputs if alone]
        self.entries: list[Entry] = []
        # Calls that depend on inputs without time only: they are made once.
        self.static_nodes: list[Node] = []
        self.slots: dict[str, Slot] = {}
        # What is known of each tensor with time, by `id`.
        self.signals: dict[int, Signal] = {}
        self._delays: dict[int, list[int]] = {}
        axis_of = _time_axis_of_inputs(graph)
        for tensor in self.timed:
            self._know(tensor, Signal(axis=axis_of(tensor)))
        for node in graph.nodes:
            self._add(node)
        self.outputs = [
            self._output(tensor) for tensor in keras.tree.flatten(graph.outputs)
        ]
        self.kept_static = self._kept_static()
        signals = [entry.stage.signal for entry in self.entries]
        self.block_size = math.lcm(*(s.rate.denominator for s in signals))
        if not self.slots or any(e.stage.start_matters for e in self.entries):
            # Where nothing else is remembered, it says how large a batch is.
            self.slots = {COUNT: Slot((), "int32"), **self.slots}
        # From here on, all steps exist, and counting goes no further.
        self.count_limit = self._whole_blocks(
            max((signal.input_latency for signal in signals), default=0)
        )
        self.warm_up = self._warm_up()

    # ---- what is planned ----

    def _add(self, node: Node) -> None:
        timed = [t for t in node.inputs if id(t) in self.signals]
        if not timed:
            self.static_nodes.append(node)
            return
        node = dataclasses.replace(node, timed=tuple(timed))
        delay = self._common_delay(node)
        reads = {
            id(tensor): (
                self._waited(node, tensor, delay)
                if node.has_time(tensor)
                else (id(tensor), None)
            )
            for tensor in node.inputs
        }
        signal = self.signals[id(node.first)]
        stage = stage_of(
            node, signal.late(delay - signal.delay), self.pointwise
        )
        outputs = node.flat_outputs
        self._append(
            stage, reads, [(id(t), stage.signal.delay) for t in outputs]
        )
        for tensor in outputs:
            self._know(tensor, stage.signal)
            wait = stage.signal.must_wait
            if wait:
                self._waited(node, tensor, stage.signal.delay + wait)
                self.signals[id(tensor)] = stage.signal.late(wait)

    def _common_delay(self, node: Node) -> int:
        """The delay of a call: that of the latest of its inputs.

        Raises:
            ValueError: If they do not fit each other.
        """
        signals = [self.signals[id(tensor)] for tensor in node.timed]
        rates = sorted({signal.rate for signal in signals})
        if len(rates) > 1:
            raise refusal(
                node,
                "it merges tensors of different rates: "
                + " and ".join(str(rate) for rate in rates)
                + " steps for one of the input",
                "Upsample or pool one of them.",
            )
        tails = sorted({signal.tail for signal in signals})
        if len(tails) > 1:
            raise refusal(
                node,
                "it merges tensors of different lengths: they differ by "
                f"{tails[-1] - tails[0]} steps",
                "Pad or crop one of them.",
            )
        mask = node.kwargs.get("mask")
        masks = [] if mask is None else keras.tree.flatten(mask)
        from_the_end = {
            self.signals[id(tensor)].axis - len(tensor.shape)
            for tensor in node.timed
            if not any(tensor is one for one in masks)
        }
        if len(from_the_end) > 1:
            raise refusal(node, "its inputs have time on different axes")
        return max(signal.delay for signal in signals)

    def _waited(self, node: Node, tensor: Any, delay: int) -> Key:
        """A tensor with another delay, that waits if it is not late enough."""
        delays = self._delays[id(tensor)]
        if delay not in delays:
            # The nearest, so that what waits already does not wait twice.
            nearest = max(d for d in delays if d < delay)
            signal = self.signals[id(tensor)]
            stage = Wait(
                node,
                tensor,
                signal.late(nearest - signal.delay),
                delay - nearest,
            )
            reads = {id(tensor): (id(tensor), nearest)}
            self._append(stage, reads, [(id(tensor), delay)])
            delays.append(delay)
        return id(tensor), delay

    def _know(self, tensor: Any, signal: Signal) -> None:
        self.signals[id(tensor)] = signal
        self._delays[id(tensor)] = [signal.delay]

    def _append(
        self, stage: Stage, reads: dict[int, Any], writes: list[Key]
    ) -> None:
        names = {}
        for slot, what in stage.slots.items():
            name = self._unused(f"{stage.node.name}_{slot}")
            self.slots[name] = what
            names[slot] = name
        self.entries.append(Entry(stage, reads, writes, names))

    def _unused(self, name: str) -> str:
        """A name that exporters take, and that no other slot has."""
        name = re.sub(r"\W", "_", name)
        taken = {*self.slots, COUNT}
        if name not in taken:
            return name
        number = 1
        while f"{name}_{number}" in taken:
            number += 1
        return f"{name}_{number}"

    def _output(self, tensor: Any) -> Key:
        signal = self.signals.get(id(tensor))
        if signal is None:
            return id(tensor), None
        if signal.delay >= 0:
            return id(tensor), signal.delay
        # The steps that a padding makes are given one after another.
        entry = next(e for e in self.entries if e.writes[0][0] == id(tensor))
        key = self._waited(entry.stage.node, tensor, 0)
        self.signals[id(tensor)] = signal.late(-signal.delay)
        return key

    def _kept_static(self) -> dict[str, Any]:
        """The tensors without time that a step needs, by their names."""
        made = {
            id(tensor): (tensor, node.name)
            for node in self.static_nodes
            for tensor in node.flat_outputs
        }
        made |= {id(tensor): (tensor, tensor.name) for tensor in self.static}
        needed = [
            identity
            for entry in self.entries
            for identity, (_, delay) in entry.reads.items()
            if delay is None
        ]
        needed += [
            identity for identity, delay in self.outputs if delay is None
        ]
        kept = {}
        for identity in dict.fromkeys(needed):
            tensor, name = made[identity]
            name = self._unused(f"{name}_static")
            dtype = keras.backend.standardize_dtype(tensor.dtype)
            self.slots[name] = Slot(tuple(tensor.shape[1:]), dtype)
            kept[name] = tensor
        return kept

    def _whole_blocks(self, steps: int) -> int:
        return -(-steps // self.block_size) * self.block_size

    def _warm_up(self) -> int:
        """Input steps before the first that fill the state.

        None are needed where all that is known before the first step is the
        zeros of a padding, which a state of zeros stands for.
        """
        early: dict[Key, Signal] = {}
        for entry in self.entries:
            stage = entry.stage
            known = [key for key in entry.reads.values() if key in early]
            if known and not stage.keeps_zeros():
                return self._whole_blocks(self._earliest())
            if stage.signal.delay < 0:
                zeros = isinstance(stage, Pad) and stage.value == 0
                if not zeros and not (known and isinstance(stage, Wait)):
                    return self._whole_blocks(self._earliest())
                early |= dict.fromkeys(entry.writes, stage.signal)
        return 0

    def _earliest(self) -> int:
        """Input steps in which the earliest tensor has given what it knows."""
        return max(
            math.ceil(-entry.stage.signal.delay / entry.stage.signal.rate)
            for entry in self.entries
        )

    # ---- what runs ----

    def kept_values(self, static: Sequence[Any]) -> dict[str, Any]:
        """What a step needs of the inputs without time, by its names."""
        values: dict[int, Any] = {
            id(tensor): value
            for tensor, value in zip(self.static, static, strict=True)
        }
        for node in self.static_nodes:
            returned = node.call(values)
            for tensor, value in zip(
                node.flat_outputs, keras.tree.flatten(returned), strict=True
            ):
                values[id(tensor)] = value
        return {
            name: values[id(tensor)]
            for name, tensor in self.kept_static.items()
        }

    def first_state(
        self, batch_size: Any, kept: dict[str, Any]
    ) -> dict[str, Any]:
        """The state before the first chunk."""
        state = {
            name: kept[name] if name in kept else slot.first(batch_size)
            for name, slot in self.slots.items()
        }
        if not self.warm_up:
            return state
        chunks = [
            self.silence(tensor, batch_size, self.warm_up)
            for tensor in self.timed
        ]
        count = ops.full((batch_size,), -self.warm_up, "int32")
        return self.run(chunks, state, Moment(BEFORE, count))[1]

    def silence(self, tensor: Any, batch_size: Any, steps: int) -> Any:
        """Zeros in the shape of an input."""
        shape = [batch_size, *tensor.shape[1:]]
        shape[self.signals[id(tensor)].axis] = steps
        return ops.zeros(shape, tensor.dtype)

    def run(
        self, chunks: list[Any], state: dict[str, Any], moment: Moment
    ) -> tuple[list[Any], dict[str, Any]]:
        """The outputs for one chunk of each input, and the state after it."""
        values: dict[Key, Any] = {
            (id(tensor), 0): chunk
            for tensor, chunk in zip(self.timed, chunks, strict=True)
        }
        after = dict(state)
        for name, tensor in self.kept_static.items():
            values[id(tensor), None] = state[name]
        for entry in self.entries:
            returned, remembered = entry.stage.run(
                {name: values[key] for name, key in entry.reads.items()},
                {slot: state[name] for slot, name in entry.names.items()},
                moment,
            )
            for slot, value in remembered.items():
                after[entry.names[slot]] = value
            flat = keras.tree.flatten(returned)
            for key, value in zip(entry.writes, flat, strict=True):
                values[key] = value
        if COUNT in state and moment.phase == DURING:
            steps = backend.size(
                chunks[0], self.signals[id(self.timed[0])].axis
            )
            after[COUNT] = ops.minimum(state[COUNT] + steps, self.count_limit)
        return [values[key] for key in self.outputs], after


def _time_axis_of_inputs(graph: Graph) -> Any:
    """A function from an input to its axis of time."""
    channels_first = any(
        getattr(node.operation, "data_format", None) == "channels_first"
        and any(len(tensor.shape) == 3 for tensor in node.inputs)
        for node in graph.nodes
    )

    def axis(tensor: Any) -> int:
        unknown = [n for n, size in enumerate(tensor.shape) if size is None]
        unknown = [n for n in unknown if n > 0]
        if len(unknown) == 1:
            return unknown[0]
        return 2 if channels_first and len(tensor.shape) == 3 else 1

    return axis
