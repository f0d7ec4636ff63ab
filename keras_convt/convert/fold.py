"""Models without weight normalization, of those that have it."""

import inspect
from typing import Any

import keras
from keras import ops

from keras_convt.convert.copying import ModelCopier
from keras_convt.weight_normalization import WeightNormalization


def fold_weight_normalization(
    model: keras.Model, custom_objects: dict[str, Any] | None = None
) -> keras.Model:
    """A copy of a model, with plain layers in place of the normalized ones.

    In the copy, each `keras_convt.WeightNormalization` is replaced by the
    layer in it, with the layer's name and the kernel that it computes with
    now. The outputs are the same. The copy computes no norms, and you can
    stream, quantize and export it like any model. It is not compiled.

    Args:
        model: A `keras.Sequential`, or a functional `keras.Model`. Models and
            wrappers in it are copied too, and shared layers stay shared.
        custom_objects: Classes and functions by name, as in
            `keras.models.load_model`. Pass those that a layer's config
            mentions and that are not registered.

    Returns:
        The copy.

    Raises:
        ValueError: If the model is subclassed, or a normalized layer is
            hidden in a custom layer.

    Example:

    >>> import keras
    >>> import keras_convt
    >>> up = keras_convt.Conv1DTranspose(32, 3, 2, name="up")
    >>> model = keras.Sequential(
    ...     [keras.Input((10, 128)), keras_convt.WeightNormalization(up)]
    ... )
    >>> folded = keras_convt.fold_weight_normalization(model)
    >>> type(folded.get_layer("up")) is keras_convt.Conv1DTranspose
    True
    """
    return ModelCopier(
        "fold_weight_normalization",
        {WeightNormalization: _PlainLayer},
        lambda layer: layer.get_config(),
        _call_plain,
        _carry_folded,
        custom_objects,
    )(model)


class _PlainLayer:
    """Makes the layer of a wrapper, of the wrapper's config."""

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        serialized = dict(config["layer"])
        # It is built where it is called.
        serialized.pop("build_config", None)
        return keras.saving.deserialize_keras_object(serialized)


def _call_plain(layer: Any, *args: Any, **kwargs: Any) -> Any:
    """Call a layer, without what only the wrapper takes."""
    known = inspect.signature(layer.call).parameters
    for name in ("mask", "output_size"):
        if name not in known:
            kwargs.pop(name, None)
    return layer(*args, **kwargs)


def _carry_folded(old: WeightNormalization, new: Any) -> None:
    """Give a plain layer the kernel of a normalized one."""
    if not old.built:
        return
    weights = [ops.convert_to_numpy(old.kernel)]
    if old.layer.bias is not None:
        weights.append(ops.convert_to_numpy(old.layer.bias))
    new.set_weights(weights)
