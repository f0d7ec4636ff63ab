"""Which layers a layer has, and which of them are graphs of layers."""

from collections.abc import Iterator, Mapping
from typing import Any

import keras


def is_graph(model: Any) -> bool:
    """Whether a layer is a Sequential or functional model."""
    return isinstance(model, keras.Sequential) or (
        isinstance(model, keras.Model) and hasattr(model, "operations")
    )


def inside(layer: Any) -> Iterator[Any]:
    """The layers that a layer has, and those that they have; nearest first."""
    for found, _ in owned(layer):
        yield found


def owned(layer: Any) -> Iterator[tuple[Any, Any]]:
    """Each layer that a layer has at any depth, and the one that has it."""
    seen = {id(layer)}
    left = [layer]
    while left:
        owner = left.pop(0)
        for value in values(owner):
            if isinstance(value, keras.layers.Layer) and id(value) not in seen:
                seen.add(id(value))
                left.append(value)
                yield value, owner


def values(owner: Any) -> Iterator[Any]:
    """What the attributes of an object are, or hold at any depth."""
    yield from _leaves(vars(owner))


def _leaves(value: Any) -> Iterator[Any]:
    # Not `keras.tree.flatten`, which sorts the keys of a dict. Those that
    # Keras keeps in a model may be layers, which have no order.
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple | set | frozenset):
        for item in value:
            yield from _leaves(item)
    else:
        yield value
