"""Which operation streams how."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import layers

from keras_convt.streaming.graph import Node
from keras_convt.streaming.signal import Signal
from keras_convt.streaming.stages import (
    rearrange,
    recurrent,
    step_by_step,
    transposed,
    window,
)
from keras_convt.streaming.stages.base import Slot, Stage, refusal
from keras_convt.streaming.stages.operations import stage_of_operation
from keras_convt.streaming.stages.protocol import OwnStep, has_own_step
from keras_convt.streaming.stages.rearrange import Wait
from keras_convt.streaming.stages.step_by_step import StepByStep

__all__ = ["Slot", "Stage", "Wait", "refusal", "stage_of"]

STAGES: dict[type, Any] = {
    **window.STAGES,
    **transposed.STAGES,
    **recurrent.STAGES,
    **rearrange.STAGES,
    **step_by_step.STAGES,
}

# What a subclass may have of its own and still compute what its base does.
_HARMLESS = """
__annotations__ __dict__ __doc__ __firstlineno__ __init__ __module__
__new__ __orig_bases__ __parameters__ __qualname__ __slots__
__static_attributes__ __weakref__ build compute_output_shape
compute_output_spec from_config get_config kernel rank load_own_variables
save_own_variables
"""
HARMLESS = frozenset(_HARMLESS.split())

WINDOW = (
    "Write a layer with `initial_state` and `step` that remembers a window of "
    "the past."
)
# Layers that look at all steps: why, and what to do.
WHOLE = {
    "AdditiveAttention": ("it attends to all steps", WINDOW),
    "Attention": ("it attends to all steps", WINDOW),
    "Bidirectional": (
        "it also goes backwards, from the end of the stream",
        "Use the forward layer alone.",
    ),
    "Dot": ("it multiplies steps with each other", ""),
    "Flatten": ("it puts all steps into one", "Use Reshape((-1, channels))."),
    "GlobalAveragePooling1D": (
        "it needs all steps for one output",
        "Use AveragePooling1D or a recurrent layer.",
    ),
    "GlobalMaxPooling1D": (
        "it needs all steps for one output",
        "Use MaxPooling1D or a recurrent layer.",
    ),
    "GroupNormalization": (
        "its mean is that of all steps",
        "Use LayerNormalization over the channels.",
    ),
    "GroupQueryAttention": ("it attends to all steps", WINDOW),
    "GroupedQueryAttention": ("it attends to all steps", WINDOW),
    "Lambda": (
        "what its function looks at is not known",
        "Name keras.layers.Lambda in `pointwise` if all its Lambdas compute "
        "every step alone.",
    ),
    "MultiHeadAttention": ("it attends to all steps", WINDOW),
}


def stage_of(
    node: Node, signal: Signal, pointwise: Sequence[type] = ()
) -> Stage:
    """What the call of an operation is in a stream.

    Args:
        node: The call.
        signal: What is known of its inputs, which are equally late.
        pointwise: The user's classes that compute every step alone.

    Raises:
        ValueError: If it cannot stream. The message names it and says why.
    """
    operation = node.operation
    for kind in pointwise:
        if isinstance(operation, kind):
            _check_not_overridden(node, kind)
            return StepByStep(node, signal)
    if not node.is_layer:
        return stage_of_operation(node, signal)
    if type(operation) not in STAGES and has_own_step(operation):
        return OwnStep(node, signal)
    for kind in type(operation).__mro__:
        if kind in STAGES:
            _check_not_overridden(node, kind)
            step_by_step.check_activation(node, signal)
            return STAGES[kind](node, signal)
        if kind.__name__ in WHOLE and kind is getattr(
            layers, kind.__name__, None
        ):
            raise refusal(node, *WHOLE[kind.__name__])
    name = type(operation).__name__
    if isinstance(operation, keras.Model):
        raise refusal(
            node,
            f"{name} is a model with a `call` of its own",
            "Build it from inputs and outputs.",
        )
    raise refusal(
        node,
        f"nothing is known of the class {name}",
        "Name its class in `pointwise` if it computes every step alone, or "
        "give it `initial_state` and `step`.",
    )


def _check_not_overridden(node: Node, base: type) -> None:
    """Refuse a subclass that may compute something else than its base."""
    kind = type(node.operation)
    for owner in kind.__mro__[: kind.__mro__.index(base)]:
        for name in vars(owner):
            if hasattr(base, name) and name not in HARMLESS:
                raise refusal(
                    node,
                    f"{owner.__name__} has a `{name}` of its own, so it may "
                    f"not compute what {base.__name__} does",
                    "Give it `initial_state` and `step`, or name it in "
                    "`pointwise` if it computes every step alone.",
                )
