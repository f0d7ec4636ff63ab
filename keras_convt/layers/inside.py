"""The layers that a layer or a model holds."""

from collections.abc import Iterator
from typing import Any

import keras


def layers_inside(layer: Any) -> Iterator[Any]:
    """The layers in a layer or a model, and those in them, each once.

    Also those that only an attribute of a layer's own holds, as a wrapper or
    a subclassed model has them. The order is the same for a copy.
    """
    seen = {id(layer)}
    left = [layer]
    while left:
        held = left.pop()
        values = [*getattr(held, "layers", []), *vars(held).values()]
        for value in keras.tree.flatten(values):
            if isinstance(value, keras.layers.Layer) and id(value) not in seen:
                seen.add(id(value))
                left.append(value)
                yield value
