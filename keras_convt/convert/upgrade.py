"""Models with the built-in transposed layers, and with ours: either way."""

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import keras
from keras import layers, ops

from keras_convt.layers import (
    Conv1DTranspose,
    Conv2DTranspose,
    Conv3DTranspose,
)

OURS = {
    layers.Conv1DTranspose: Conv1DTranspose,
    layers.Conv2DTranspose: Conv2DTranspose,
    layers.Conv3DTranspose: Conv3DTranspose,
}
BUILT_IN = {ours: built_in for built_in, ours in OURS.items()}


def upgrade_model(model: keras.Model) -> keras.Model:
    """A copy of a model, with our layers in place of the built-in ones.

    Each `Conv1DTranspose`, `Conv2DTranspose` and `Conv3DTranspose` of
    `keras.layers` becomes ours, with its weights, name, dtype policy and
    `trainable`. The outputs are the same, but where the built-in layer's
    depend on the backend (PyTorch before Keras 3.15). The model itself is
    left as it is. Like `keras.models.clone_model`, the copy is not compiled.

    Args:
        model: A `keras.Sequential`, or a functional `keras.Model`. Models and
            wrappers in it are copied too; layers that are shared stay shared.

    Returns:
        The copy.

    Raises:
        ValueError: If the model is subclassed, or a built-in transposed layer
            is hidden in a custom layer: what those do with it is code, which
            only its author can change.

    Example:

    >>> import keras
    >>> import keras_convt
    >>> model = keras.Sequential(
    ...     [
    ...         keras.Input((10, 128)),
    ...         keras.layers.Conv1DTranspose(32, 3, strides=2, name="up"),
    ...     ]
    ... )
    >>> upgraded = keras_convt.upgrade_model(model)
    >>> isinstance(upgraded.get_layer("up"), keras_convt.Conv1DTranspose)
    True
    """
    return _Copy("upgrade_model", OURS, lambda layer: layer.get_config())(model)


def downgrade_model(model: keras.Model) -> keras.Model:
    """A copy of a model, with the built-in layers in place of ours.

    The way back from `upgrade_model`. What LoRA has learnt is merged into the
    kernel. The built-in layers have no masks: where a mask reaches one of
    ours, the outputs differ.

    Args:
        model: As for `upgrade_model`.

    Returns:
        The copy.

    Raises:
        ValueError: If one of our layers does what the built-in ones cannot.
            The message names the layer and the argument.

    Example:

    >>> import keras
    >>> import keras_convt
    >>> model = keras.Sequential(
    ...     [keras.Input((10, 128)), keras_convt.Conv1DTranspose(32, 3, 2)]
    ... )
    >>> downgraded = keras_convt.downgrade_model(model)
    >>> type(downgraded.layers[0]) is keras.layers.Conv1DTranspose
    True
    """
    return _Copy("downgrade_model", BUILT_IN, _built_in_config)(model)


class _Copy:
    """Copies a model, with other layers in place of some.

    Args:
        caller: The name of the function that was called, for errors.
        classes: The new class of each class that is replaced.
        config_of: The config of a new layer, from the old one.
    """

    def __init__(
        self,
        caller: str,
        classes: dict[Any, Any],
        config_of: Callable[[Any], dict[str, Any]],
    ) -> None:
        self.caller = caller
        self.classes = classes
        self.config_of = config_of
        # New layers by the old ones' ids, which the old ones keep alive.
        self.made: dict[int, tuple[Any, Any]] = {}

    def __call__(self, model: Any) -> Any:
        if not isinstance(model, keras.Model):
            raise TypeError(
                f"`model` must be a keras.Model. Received: model={model!r} of "
                f"type {type(model).__name__}."
            )
        if not _is_graph(model):
            raise ValueError(
                f"`{self.caller}` takes Sequential and functional models. "
                f"{type(model).__name__} is subclassed, and what its `call` "
                "does is code: import the layers in it from the other package "
                "(`from keras_convt import Conv1DTranspose`), and carry the "
                "weights over with `new.set_weights(old.get_weights())`. "
                f"Received: model={model.name!r}."
            )
        copy = self._model(model)
        for old, new in self.made.values():
            if isinstance(old, keras.layers.Layer) and not _is_graph(old):
                self._carry_weights(old, new)
        # From the outside in, as each takes what is in it along.
        for old, new in [(model, copy), *reversed(self.made.values())]:
            if isinstance(old, keras.layers.Layer):
                new.trainable = old.trainable
        return copy

    def _model(self, model: Any) -> Any:
        if isinstance(model, keras.Sequential):
            return keras.models.clone_model(model, clone_function=self._layer)
        return keras.models.clone_model(
            model, clone_function=self._layer, call_function=self._call
        )

    def _layer(self, layer: Any) -> Any:
        if id(layer) not in self.made:
            self.made[id(layer)] = layer, self._new_layer(layer)
        return self.made[id(layer)][1]

    def _new_layer(self, layer: Any) -> Any:
        if _is_graph(layer):
            return self._model(layer)
        if type(layer) in self.classes:
            try:
                return self.classes[type(layer)].from_config(
                    self.config_of(layer)
                )
            except ValueError as error:
                raise ValueError(
                    f"`{self.caller}` cannot replace the layer "
                    f"{layer.name!r}: {error}"
                ) from error
        new = type(layer).from_config(self._replaced(layer.get_config()))
        for hidden in _inside(new):
            if type(hidden) in self.classes:
                raise ValueError(
                    f"`{self.caller}` cannot replace the layer "
                    f"{hidden.name!r}, which {type(layer).__name__} "
                    f"({layer.name!r}) makes in its own code. Change it there."
                )
        return new

    def _replaced(self, config: Any) -> Any:
        """A config with other layers in place of those it mentions."""
        if isinstance(config, list | tuple):
            return type(config)(map(self._replaced, config))
        if not isinstance(config, dict):
            return config
        for old in self.classes:
            if _header(old).items() <= config.items():
                layer = old.from_config(config["config"])
                return keras.saving.serialize_keras_object(self._layer(layer))
        return {name: self._replaced(value) for name, value in config.items()}

    def _carry_weights(self, old: Any, new: Any) -> None:
        if type(old) is type(new) or not old.built:
            new.set_weights(old.get_weights())
            return
        # What it computes with: with LoRA, not what it stores.
        weights = [old.kernel] if old.bias is None else [old.kernel, old.bias]
        new.set_weights([ops.convert_to_numpy(value) for value in weights])

    def _call(self, layer: Any, *args: Any, **kwargs: Any) -> Any:
        """Call a new layer as the old one was called."""
        if type(layer) in BUILT_IN.values():
            if kwargs.pop("output_size", None) is not None or len(args) > 1:
                raise ValueError(
                    f"`{self.caller}` cannot replace the layer "
                    f"{layer.name!r}, which is called with an `output_size`."
                )
            kwargs.pop("mask", None)
        return layer(*args, **kwargs)


def _built_in_config(layer: Any) -> dict[str, Any]:
    """The config of the built-in layer that does what ours does."""
    config = layer.get_config()
    if layer.quantization_mode is not None:
        raise ValueError(
            "`dtype` must not be quantised. Received: "
            f"dtype={layer.dtype_policy.name!r}."
        )
    for name in (
        "lora_rank",
        "lora_alpha",
        "quantization_config",
        "implementation",
    ):
        config.pop(name, None)
    if layer.padding not in ("valid", "same"):
        raise ValueError(
            '`padding` must be "valid" or "same". '
            f"Received: padding={layer.padding!r}."
        )
    if layer.groups != 1:
        raise ValueError(
            f"`groups` must be 1. Received: groups={layer.groups}."
        )
    known = inspect.signature(BUILT_IN[type(layer)]).parameters
    if (
        "output_padding" not in known
        and config.pop("output_padding") is not None
    ):
        raise ValueError(
            "`output_padding` must be None with this version of Keras. "
            f"Received: output_padding={layer.output_padding}."
        )
    return config


def _is_graph(model: Any) -> bool:
    """Whether a layer is a Sequential or functional model."""
    return isinstance(model, keras.Sequential) or (
        isinstance(model, keras.Model) and hasattr(model, "operations")
    )


def _header(layer_class: Any) -> dict[str, Any]:
    """How Keras names a class of layers in configs."""
    serialized = keras.saving.serialize_keras_object(layer_class(1, 1))
    names = ("module", "class_name", "registered_name")
    return {name: serialized[name] for name in names}


def _inside(layer: Any) -> Iterator[Any]:
    """The layers that a layer has, and those that they have."""
    seen = {id(layer)}
    left = [layer]
    while left:
        for value in keras.tree.flatten(list(vars(left.pop()).values())):
            if isinstance(value, keras.layers.Layer) and id(value) not in seen:
                seen.add(id(value))
                left.append(value)
                yield value
