"""Layers that compute every step alone, and the conditions for it."""

import inspect
import math
from collections.abc import Callable
from typing import Any

import keras
from keras import layers

from keras_convt.ops.backend import backend
from keras_convt.streaming.graph import Node
from keras_convt.streaming.moment import Moment
from keras_convt.streaming.signal import Signal
from keras_convt.streaming.stages.base import Stage, refusal


class StepByStep(Stage):
    """An operation that is called on the chunk as on the whole.

    Args:
        node: The call.
        signal: What is known of its outputs.
        plain: Whether nothing but `call` of a layer without weights matters,
            and masks do not. A layer of Keras is called in a quarter of a
            millisecond on PyTorch, which is long for a small step.
    """

    def __init__(self, node: Node, signal: Signal, plain: bool = False) -> None:
        super().__init__(node, signal)
        self.plain = plain and not node.kwargs and not node.operation.weights
        # What a recorded call says of training stays as it is.
        self.overridden = {}
        if (
            node.is_layer
            and "training" not in node.kwargs
            and "training" in inspect.signature(node.operation.call).parameters
        ):
            self.overridden["training"] = False

    def run(
        self, values: dict[int, Any], state: dict[str, Any], moment: Moment
    ) -> tuple[Any, dict[str, Any]]:
        if not self.plain:
            return self.node.call(values, **self.overridden), {}
        layer = self.node.operation
        (given,) = self.node.args

        def filled(leaf: Any) -> Any:
            return keras.ops.cast(values[id(leaf)], layer.compute_dtype)

        return layer.call(keras.tree.map_structure(filled, given)), {}


class Concatenate(StepByStep):
    """`keras.layers.Concatenate` of channels."""

    def run(
        self, values: dict[int, Any], state: dict[str, Any], moment: Moment
    ) -> tuple[Any, dict[str, Any]]:
        dtype = self.node.operation.compute_dtype
        parts = [
            keras.ops.cast(values[id(tensor)], dtype)
            for tensor in self.node.args[0]
        ]
        axis = _from_the_front(self.node.operation.axis, self.node.first)
        return backend.concatenate(parts, axis), {}


Check = Callable[[Node, Signal], Stage]


def _any(node: Node, signal: Signal) -> Stage:
    return StepByStep(node, signal)


def _plain(node: Node, signal: Signal) -> Stage:
    """Layers without weights that only compute."""
    return StepByStep(node, signal, plain=len(node.args) == 1)


def _concatenate(node: Node, signal: Signal) -> Stage:
    axis = _from_the_front(node.operation.axis, node.first)
    if axis == signal.axis:
        raise refusal(
            node, "it puts one tensor after another in time", "Use padding."
        )
    # Broadcasting of a speaker's vector would be wrong: let Keras refuse it.
    if len(node.inputs) != len(node.args[0]):
        return StepByStep(node, signal)
    return Concatenate(node, signal)


def _over_channels(node: Node, signal: Signal) -> Stage:
    """A normalization or softmax whose axes are not that of time."""
    axis = node.operation.axis
    axes = list(axis) if isinstance(axis, (list, tuple)) else [axis]
    if any(
        one is not None and _from_the_front(one, node.first) == signal.axis
        for one in axes
    ):
        raise refusal(
            node,
            f"its axis={axis} is that of time",
            "Use the axis of the channels.",
        )
    return StepByStep(node, signal)


def _normalized_over_channels(node: Node, signal: Signal) -> Stage:
    if getattr(node.operation, "axis", -1) is None:
        raise refusal(node, "its axis=None includes that of time")
    return _over_channels(node, signal)


def _dense(node: Node, signal: Signal) -> Stage:
    last = len(node.first.shape) - 1
    if signal.axis == last:
        raise refusal(
            node,
            f"it multiplies the last axis, {last}, and that is time",
            "Permute before it.",
        )
    return StepByStep(node, signal)


def _activation(node: Node, signal: Signal) -> Stage:
    check_activation(node, signal)
    return _plain(node, signal)


def check_activation(node: Node, signal: Signal) -> None:
    """Refuse a softmax over time."""
    activation = getattr(node.operation, "activation", None)
    name = getattr(activation, "__name__", None)
    last = len(node.first.shape) - 1
    over_last = ("softmax", "log_softmax", "sparsemax", "glu")
    if name in over_last and signal.axis == last:
        raise refusal(
            node, f"its activation {name!r} looks at all steps: time is last"
        )


def _prelu(node: Node, signal: Signal) -> Stage:
    if signal.axis not in (node.operation.shared_axes or ()):
        raise refusal(
            node,
            "its slopes differ from step to step",
            f"Give it shared_axes=[{signal.axis}].",
        )
    return StepByStep(node, signal)


def _einsum_dense(node: Node, signal: Signal) -> Stage:
    given, _, output = node.operation.equation.replace(",", "->").split("->")
    kernel = node.operation.equation.split(",")[1].split("->")[0]
    if "..." in given:
        raise refusal(node, "its equation has an ellipsis", "Name all axes.")
    letter = given.strip()[signal.axis]
    if letter in kernel or letter not in output:
        raise refusal(node, f"its equation multiplies time, {letter!r}")
    if letter in (node.operation.bias_axes or ""):
        raise refusal(node, "its bias differs from step to step")
    return StepByStep(node, signal.on_axis(output.strip().index(letter)))


def _time_distributed(node: Node, signal: Signal) -> Stage:
    if signal.axis != 1:
        raise refusal(node, f"time is axis {signal.axis}, not 1")
    return StepByStep(node, signal)


def _embedding(node: Node, signal: Signal) -> Stage:
    return StepByStep(node, signal)


def _permute(node: Node, signal: Signal) -> Stage:
    axis = list(node.operation.dims).index(signal.axis) + 1
    return StepByStep(node, signal.on_axis(axis))


def _reshape(node: Node, signal: Signal) -> Stage:
    """Axes after time put together or apart, or steps made of channels."""
    target, given = node.operation.target_shape, node.first.shape[2:]
    sizes = (*given, *target[1:])
    if signal.axis != 1 or target[0] != -1 or None in sizes or -1 in sizes[1:]:
        raise refusal(
            node,
            f"its target_shape={tuple(target)} may mix steps",
            "Time must be axis 1 and stay there: target_shape=(-1, ...).",
        )
    before, after = math.prod(given), math.prod(target[1:])
    if before % after:
        raise refusal(node, f"it makes {after} channels of {before}")
    return StepByStep(node, signal.repeated(before // after))


def _from_the_front(axis: int, tensor: Any) -> int:
    return int(axis % len(tensor.shape))


def _stages(check: Check, *names: str) -> dict[type, Check]:
    """Not all layers are in every version of Keras 3."""
    return {
        getattr(layers, name): check for name in names if hasattr(layers, name)
    }


STAGES: dict[type, Check] = {
    **_stages(
        _any,
        "AlphaDropout",
        "Dropout",
        "GaussianDropout",
        "GaussianNoise",
        "Masking",
        "Rescaling",
        "ActivityRegularization",
        "SpatialDropout1D",
        "Embedding",
    ),
    **_stages(
        _plain,
        "Add",
        "Average",
        "Maximum",
        "Minimum",
        "Multiply",
        "Subtract",
        "ELU",
        "Identity",
        "LeakyReLU",
        "ReLU",
    ),
    **_stages(
        _over_channels,
        "BatchNormalization",
        "Normalization",
        "Softmax",
    ),
    **_stages(
        _normalized_over_channels,
        "LayerNormalization",
        "RMSNormalization",
        "UnitNormalization",
    ),
    layers.Activation: _activation,
    layers.Concatenate: _concatenate,
    layers.Dense: _dense,
    layers.EinsumDense: _einsum_dense,
    layers.Permute: _permute,
    layers.PReLU: _prelu,
    layers.Reshape: _reshape,
    layers.TimeDistributed: _time_distributed,
}
