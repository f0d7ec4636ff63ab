"""What a layer knows beside its config: weights, seeds, statistics, files."""

import tempfile
from typing import Any

import keras
from keras import ops

from keras_convt.convert.nested import inside


def carry_state(old: Any, new: Any, carried: set[int]) -> None:
    """Give a copy of a layer the numbers that the layer has.

    Args:
        old: The layer.
        new: Its copy, built if the layer is.
        carried: The ids of variables that have been carried already, because
            they belong to layers inside that were copied on their own.
    """
    befores, afters = (
        [v for v in layer.variables if id(v) not in carried]
        for layer in (old, new)
    )
    if befores and not new.built:
        new.build_from_config(old.get_build_config())
        afters = [v for v in new.variables if id(v) not in carried]
    shapes = [[tuple(v.shape) for v in vs] for vs in (befores, afters)]
    if shapes[0] != shapes[1]:
        raise ValueError(
            f"The layer {old.name!r} ({type(old).__name__}) cannot be copied: "
            f"its variables have the shapes {shapes[0]}, and those of a layer "
            f"of its config {shapes[1]}."
        )
    for before, after in zip(befores, afters, strict=True):
        after.assign(ops.convert_to_numpy(before))
    # It computes with tensors that it makes of its statistics.
    for layer in (new, *inside(new)):
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()


def carry_assets(old: Any, new: Any) -> None:
    """Give a copy of a layer what the layer keeps in files, if anything.

    A vocabulary, for one. It must be there before the copy is called.
    """
    if hasattr(old, "save_assets"):
        with tempfile.TemporaryDirectory() as folder:
            old.save_assets(folder)
            new.load_assets(folder)


def carry_trainable(old: Any, new: Any) -> None:
    """Let the weights of `new` be trained, or not, as those of `old`."""
    own = list(old.weights), list(new.weights)
    if len(own[0]) != len(own[1]):
        return
    for before, after in zip(*own, strict=True):
        if after.trainable != before.trainable:
            after.trainable = before.trainable
