"""The step of a stream as a model, with its state as inputs and outputs."""

from typing import Any

import keras


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

    def call(self, *tensors: Any) -> list[Any]:
        chunks = list(tensors[: self.chunks])
        state = dict(zip(self.state_names, tensors[self.chunks :], strict=True))
        outputs, after = self.stream.step(chunks, state)
        return [
            *keras.tree.flatten(outputs),
            *(after[name] for name in self.state_names),
        ]

    def compute_output_spec(self, *tensors: Any) -> list[Any]:
        plan = self.stream._plan
        chunk = tensors[0]
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
        state = tensors[self.chunks :]
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
    return keras.Model(inputs, outputs, name=f"{stream.model.name}_step")
