"""The step of a stream as a model, with its state as inputs and outputs."""

from typing import Any

import keras

from keras_convt.ops.backend import backend
from keras_convt.streaming import tensors
from keras_convt.streaming.stages.recurrent import Recurrent


class StreamStep(keras.layers.Layer):
    """One step of a stream as a layer, so that a model can have it.

    Args:
        stream: A `StreamingModel`.
        chunks: The number of its inputs with time.
        state_names: The names in its state, in order.
    """

    def __init__(
        self, stream: Any, chunks: int, state_names: list[str]
    ) -> None:
        super().__init__(name="stream_step")
        self.stream = stream
        # Its weights are those of the layer.
        self.model = stream.model
        self.chunks = chunks
        self.state_names = state_names
        self.built = True

    def call(self, *given: Any) -> list[Any]:
        chunks = [self._whole_blocks(t) for t in given[: self.chunks]]
        state = dict(zip(self.state_names, given[self.chunks :], strict=True))
        outputs, after = self.stream.step(chunks, state)
        return [
            *keras.tree.flatten(outputs),
            *(after[name] for name in self.state_names),
        ]

    def _whole_blocks(self, chunk: Any) -> Any:
        """A chunk of which a graph knows that it is whole blocks.

        Zeros complete the last block; a chunk of whole blocks stays as it is.
        PyTorch needs it because Keras 3.15.1 traces with 1 in the place of
        every open size. JAX compares open sizes as expressions: that of a
        branch which is halved and doubled is else another than that of a
        branch which is not.
        """
        block = self.stream.block_size
        plan = self.stream._plan
        axis = plan.signals[id(plan.timed[0])].axis
        steps = backend.size(chunk, axis)
        if block == 1 or not backend.is_traced_as_open(steps):
            return chunk
        shape = list(chunk.shape)
        shape[axis] = block - 1
        zeros = keras.ops.zeros(shape, chunk.dtype)
        blocks = (steps + block - 1) // block
        return tensors.part(
            backend.concatenate([chunk, zeros], axis), axis, 0, blocks * block
        )

    def compute_output_spec(self, *given: Any) -> list[Any]:
        plan = self.stream._plan
        chunk = given[0]
        steps = chunk.shape[plan.signals[id(plan.timed[0])].axis]
        specs = []
        flat = keras.tree.flatten(plan.graph.outputs)
        for tensor, (identity, delay) in zip(flat, plan.outputs, strict=True):
            shape = [chunk.shape[0], *tensor.shape[1:]]
            if delay is not None:
                signal = plan.signals[identity]
                shape[signal.axis] = (
                    None if steps is None else int(steps * signal.rate)
                )
            specs.append(keras.KerasTensor(shape, tensor.dtype))
        state = given[self.chunks :]
        return specs + [keras.KerasTensor(t.shape, t.dtype) for t in state]


class Named(keras.layers.Layer):
    """A tensor as it is, under a name that exporters keep."""

    def call(self, inputs: Any) -> Any:
        return inputs

    def compute_output_spec(self, inputs: Any) -> Any:
        return keras.KerasTensor(inputs.shape, inputs.dtype)


def stream_model(
    stream: Any, batch_size: int | None, steps: int | None
) -> keras.Model:
    """See `StreamingModel.as_model`."""
    plan = stream._plan
    unrolled = [
        entry.stage.node.name
        for entry in plan.entries
        if isinstance(entry.stage, Recurrent)
    ]
    if steps is None and unrolled and not backend.loops_in_graph:
        # Seen in Keras 3.15.1: its loop over steps is a loop in Python.
        raise ValueError(
            "`steps` must be a number on PyTorch, which exports a recurrent "
            f"layer for the steps that it was traced with: {unrolled}. "
            "Received: steps=None."
        )
    inputs = []
    for number, tensor in enumerate(plan.timed):
        shape = [batch_size, *tensor.shape[1:]]
        shape[plan.signals[id(tensor)].axis] = steps
        name = "chunk" if len(plan.timed) == 1 else f"chunk_{number}"
        inputs.append(
            keras.Input(batch_shape=shape, dtype=tensor.dtype, name=name)
        )
    for name, slot in plan.slots.items():
        inputs.append(
            keras.Input(
                batch_shape=(batch_size, *slot.shape),
                dtype=slot.dtype,
                name=name,
            )
        )
    names = list(plan.slots)
    outputs = StreamStep(stream, len(plan.timed), names)(*inputs)
    several = len(outputs) - len(names) > 1
    labels = [
        f"output_{n}" if several else "output"
        for n in range(len(outputs) - len(names))
    ] + [f"next_{name}" for name in names]
    outputs = [
        Named(name=label, dtype=output.dtype)(output)
        for label, output in zip(labels, outputs, strict=True)
    ]
    model = keras.Model(inputs, outputs, name=f"{stream.model.name}_step")
    # Keras exports only what was called; shapes are enough.
    model([keras.KerasTensor(t.shape, t.dtype) for t in inputs])
    return model
