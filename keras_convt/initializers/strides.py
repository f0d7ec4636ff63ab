"""The strides that an initializer is for, and those of a layer."""

from typing import Any

from keras_convt import arguments


def checked(strides: Any) -> int | tuple[int, ...]:
    """The strides of an initializer, which may be one for every axis."""
    rank = len(strides) if arguments.is_sequence(strides) else 1
    sizes = arguments.sizes(strides, rank, "strides")
    return sizes if arguments.is_sequence(strides) else sizes[0]


def refuse_others(
    initializer: Any,
    strides: int | tuple[int, ...],
    of_layer: tuple[int, ...],
    name: str,
) -> None:
    """Refuse a layer with other strides than those of its initializer."""
    if arguments.sizes(strides, len(of_layer), "strides") != tuple(of_layer):
        raise ValueError(
            f"`{name}` must be for the strides of the layer. "
            f"Received: {type(initializer).__name__} with strides={strides}, "
            f"and a layer with strides={tuple(of_layer)}."
        )
