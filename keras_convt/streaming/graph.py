"""The graph of a model as data: its operations, in the order of their calls.

`keras.models.clone_model` hands every call of a functional model to a
`call_function`. That is the one public way to see the calls themselves: of a
layer that is used twice, and with all arguments. Nothing is added to the
layers of the model.
"""

import functools
from dataclasses import dataclass
from typing import Any

import keras


@dataclass(frozen=True)
class Node:
    """One call of an operation.

    Args:
        operation: The layer or operation of `keras.ops`.
        args, kwargs: Its arguments, with a `keras.KerasTensor` for each tensor
            that depends on the model's inputs.
        outputs: What it returns: a structure of `KerasTensor`.
        timed: Those of its tensors that have time.
    """

    operation: keras.Operation
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    outputs: Any
    timed: tuple[Any, ...] = ()

    @property
    def name(self) -> str:
        return self.operation.name

    @property
    def is_layer(self) -> bool:
        return isinstance(self.operation, keras.layers.Layer)

    @property
    def inputs(self) -> list[Any]:
        """The symbolic tensors in its arguments, in order."""
        return _symbolic((self.args, self.kwargs))

    @property
    def first(self) -> Any:
        """The first of its tensors that has time."""
        return self.timed[0]

    def has_time(self, tensor: Any) -> bool:
        return any(tensor is timed for timed in self.timed)

    @property
    def flat_outputs(self) -> list[Any]:
        return keras.tree.flatten(self.outputs)

    def call(self, values: dict[int, Any], **overridden: Any) -> Any:
        """Call the operation, with the values of its symbolic tensors.

        Args:
            values: The `id` of a symbolic tensor to its value.
            **overridden: Keyword arguments in place of the recorded ones.
        """

        def filled(leaf: Any) -> Any:
            if keras.utils.is_keras_tensor(leaf):
                return values[id(leaf)]
            return leaf

        args, kwargs = keras.tree.map_structure(
            filled, (self.args, self.kwargs)
        )
        return self.operation(*args, **{**kwargs, **overridden})


@dataclass(frozen=True)
class Graph:
    """The calls of a model, from its inputs to its outputs.

    Args:
        inputs: Symbolic tensors, a flat list.
        nodes: Each after those that it needs.
        outputs: A structure of symbolic tensors.
    """

    inputs: list[Any]
    nodes: list[Node]
    outputs: Any


def graph_of(model: keras.Model) -> Graph:
    """The graph of a functional model or a Sequential, nested ones inlined.

    Raises:
        ValueError: If a nested model cannot be read, by its name.
    """
    inputs = keras.tree.map_structure(
        lambda t: keras.KerasTensor(t.shape, t.dtype, name=t.name),
        ends_of(model)[0],
    )
    nodes: list[Node] = []
    outputs = _record(model, inputs, nodes)
    return Graph(keras.tree.flatten(inputs), nodes, outputs)


def ends_of(model: keras.Model) -> tuple[Any, Any]:
    """The structures of a model's own inputs and outputs.

    `Sequential.input` and `output` are those of its last call instead.
    """
    if isinstance(model, keras.Sequential):
        return model.inputs[0], model.outputs[0]
    return model.input, model.output


def is_functional(model: Any) -> bool:
    """Whether a model's `call` is that of its graph and nothing else."""
    if not isinstance(model, keras.Model):
        return False
    call = type(model).call
    return call in (keras.Sequential.call, _functional_class().call)


@functools.cache
def _functional_class() -> Any:
    """The class of `keras.Model(inputs, outputs)`, which has no public name."""
    # Names of its own, so that those of the user's layers count on.
    anything = keras.Input((1,), name="anything")
    return type(
        keras.Model(anything, _Recorded([anything])(anything), name="m")
    )


def _record(model: keras.Model, inputs: Any, nodes: list[Node]) -> Any:
    """Append the calls of a model on `inputs`, and return its outputs."""
    made: dict[int, Any] = {}

    def record(operation: Any, *args: Any, **kwargs: Any) -> Any:
        """Called in place of each operation, on stand-ins."""
        true_args, true_kwargs = keras.tree.map_structure(
            lambda leaf: made.get(id(leaf), leaf), (args, kwargs)
        )
        if is_functional(operation):
            if true_kwargs.get("mask") is not None:
                raise ValueError(
                    f"The model {operation.name!r} cannot stream: it is "
                    "called with a mask. Call its layers in the model that "
                    "makes the mask."
                )
            (given,) = true_args
            outputs = _record(operation, given, nodes)
        else:
            outputs = operation.compute_output_spec(*true_args, **true_kwargs)
            nodes.append(Node(operation, true_args, true_kwargs, outputs))
        flat = keras.tree.flatten(outputs)
        stand_ins = keras.tree.flatten(
            _Recorded(flat)(*_symbolic((args, kwargs)))
        )
        for stand_in, output in zip(stand_ins, flat, strict=True):
            made[id(stand_in)] = output
        keep.extend(stand_ins)
        return keras.tree.pack_sequence_as(outputs, stand_ins)

    # A stand-in's id must not be used again before the end.
    keep: list[Any] = []
    ends = ends_of(model)
    stand_ins = keras.tree.map_structure(
        lambda t: keras.Input(batch_shape=t.shape, dtype=t.dtype, name=t.name),
        ends[0],
    )
    flat_inputs = keras.tree.flatten(inputs)
    for stand_in, given in zip(
        keras.tree.flatten(stand_ins), flat_inputs, strict=True
    ):
        made[id(stand_in)] = given
    # A plain model of the same graph: it is not compiled, and its class has
    # the constructor that `clone_model` expects.
    clone = keras.models.clone_model(
        keras.Model(*ends, name=model.name),
        input_tensors=stand_ins,
        clone_function=lambda operation: operation,
        call_function=record,
    )
    return keras.tree.map_structure(
        lambda output: made[id(output)], clone.output
    )


class _Recorded(keras.Operation):
    """Stands for a call in the copy of a graph that is read and dropped."""

    def __init__(self, outputs: list[Any]) -> None:
        super().__init__()
        self._outputs = outputs

    def call(self, *tensors: Any) -> Any:
        raise NotImplementedError("A record of a call cannot be called.")

    def compute_output_spec(self, *tensors: Any) -> Any:
        made = [keras.KerasTensor(t.shape, t.dtype) for t in self._outputs]
        return made[0] if len(made) == 1 else made


def _symbolic(structure: Any) -> list[Any]:
    return [
        leaf
        for leaf in keras.tree.flatten(structure)
        if keras.utils.is_keras_tensor(leaf)
    ]
