"""Copies of models, with other layers in place of some.

Keras copies a layer through its config. A config does not know which layer
is meant where one is shared, nor functions and classes that are not
registered. The model that is copied has them, so they are taken from there.
"""

import inspect
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import keras

from keras_convt.convert.nested import inside, is_graph, owned, values
from keras_convt.convert.state import (
    carry_assets,
    carry_state,
    carry_trainable,
)
from keras_convt.keras2 import advice

# How a layer that is copied on its own is named within another's config.
STAND_IN = "keras_convt>copied_layer"


class ModelCopier:
    """Copies a model, with other layers in place of some.

    Args:
        caller: The name of the function that was called, for errors.
        classes: The new class of each class that is replaced.
        config_of: The config of a new layer, from the old one.
        call: Calls a new layer as the old one was called.
        carry: Carries the weights of a replaced layer into the new one.
        custom_objects: Functions and classes by name, as in
            `keras.models.load_model`.
    """

    def __init__(
        self,
        caller: str,
        classes: dict[Any, Any],
        config_of: Callable[[Any], dict[str, Any]],
        call: Callable[..., Any],
        carry: Callable[[Any, Any], None],
        custom_objects: dict[str, Any] | None = None,
    ) -> None:
        self.caller = caller
        self.classes = classes
        self.config_of = config_of
        self.call = call
        self.carry = carry
        self.custom_objects = dict(custom_objects or {})
        # New layers by the old ones' ids, which the old ones keep alive.
        self.made: dict[int, tuple[Any, Any]] = {}

    def __call__(self, model: Any) -> Any:
        """The copy of a model."""
        if not isinstance(model, keras.Model):
            raise TypeError(
                f"`model` must be a keras.Model. Received: model={model!r} of "
                f"type {type(model).__name__}.{advice(model)}"
            )
        if not is_graph(model):
            raise ValueError(
                f"`{self.caller}` takes Sequential and functional models. "
                f"{type(model).__name__} is subclassed, and what its `call` "
                "does is code: import the layers in it from the other package "
                "(`from keras_convt import Conv1DTranspose`), and carry the "
                "weights over with `new.set_weights(old.get_weights())`. "
                f"Received: model={model.name!r}."
            )
        copy = self._model(model)
        # Some layers make others when they are built, which is by now.
        self._refuse_hidden(copy)
        carried: set[int] = set()
        for old, new in self.made.values():
            if not isinstance(old, keras.layers.Layer) or is_graph(old):
                continue
            if type(old) in self.classes:
                self.carry(old, new)
            else:
                carry_state(old, new, carried)
            carried.update(
                id(v) for layer in (old, new) for v in layer.variables
            )
        # From the outside in, as each takes what is in it along.
        pairs = [(model, copy), *reversed(self.made.values())]
        pairs = [p for p in pairs if isinstance(p[0], keras.layers.Layer)]
        for old, new in pairs:
            if new.trainable != old.trainable:
                new.trainable = old.trainable
        for old, new in pairs:
            carry_trainable(old, new)
        return copy

    def replaced(self) -> Iterator[Any]:
        """The old layers in whose place another one is, or is inside."""
        for old, _ in self.made.values():
            if isinstance(old, keras.layers.Layer) and any(
                type(layer) in self.classes for layer in (old, *inside(old))
            ):
                yield old

    def _model(self, model: Any) -> Any:
        # Not `clone_model` of the model itself, which compiles the copy of a
        # compiled one, with losses and metrics that Keras may not know.
        if isinstance(model, keras.Sequential):
            copies = [self._layer(layer) for layer in model.layers]
            if model.built and model.inputs:
                (source,) = model.inputs
                copies.insert(
                    0,
                    keras.Input(
                        batch_shape=source.shape,
                        dtype=source.dtype,
                        name=source.name,
                    ),
                )
            return keras.Sequential(
                copies, name=model.name, trainable=model.trainable
            )
        view = keras.Model(model.input, model.output, name=model.name)
        copy = keras.models.clone_model(
            view, clone_function=self._layer, call_function=self.call
        )
        own = type(model)
        if own is not type(copy) and _arguments(own) == _arguments(type(copy)):
            copy = own(copy.input, copy.output, name=model.name)
        return copy

    def _layer(self, layer: Any) -> Any:
        if id(layer) not in self.made:
            self.made[id(layer)] = layer, self._new_layer(layer)
        return self.made[id(layer)][1]

    def _new_layer(self, layer: Any) -> Any:
        if is_graph(layer):
            return self._model(layer)
        if type(layer) in self.classes:
            try:
                return self._from_config(
                    layer,
                    self.classes[type(layer)],
                    _quietly(self.config_of, layer),
                )
            except ValueError as error:
                raise ValueError(
                    f"`{self.caller}` cannot replace the layer "
                    f"{layer.name!r}: {error}"
                ) from error
        config = _quietly(type(layer).get_config, layer)
        if not isinstance(layer, keras.layers.Layer):
            return self._from_config(layer, type(layer), config)
        before = set(self.made)
        config = self._with_copies(config, list(inside(layer)))
        new = self._from_config(layer, type(layer), config)
        # Some, as `Bidirectional`, make their own of what they are given.
        kept = {id(found) for found in inside(new)}
        for key in set(self.made) - before:
            if id(self.made[key][1]) not in kept:
                del self.made[key]
        self._refuse_hidden(new, layer)
        carry_assets(layer, new)
        return new

    def _from_config(self, old: Any, new_class: Any, config: Any) -> Any:
        """A layer of a config, with the functions that the old layer has."""
        known = {**_functions_and_classes(old), **self.custom_objects}
        options = {}
        if "safe_mode" in inspect.signature(new_class.from_config).parameters:
            # Nothing comes from a file: it is a copy of what is in memory.
            options["safe_mode"] = False
        for attribute, value in vars(old).items():
            name = attribute.lstrip("_")
            if getattr(value, "__name__", None) == "<lambda>":
                # Marshalled, it would lose its globals.
                stand_in = f"keras_convt_lambda_{name}"
                known[stand_in] = value
                if config.get(name) is not None:
                    config = {**config, name: _function_config(stand_in)}
        known[STAND_IN] = self._stand_in()
        with keras.saving.custom_object_scope(known):
            return new_class.from_config(config, **options)

    def _stand_in(self) -> Any:
        made = self.made

        class CopiedLayer:
            """What a config of a layer that was copied before becomes."""

            @classmethod
            def from_config(cls, config: dict[str, Any]) -> Any:
                return made[config["old"]][1]

        return CopiedLayer

    def _with_copies(self, config: Any, layers: list[Any]) -> Any:
        """A config in which each of `layers` is its copy."""
        if isinstance(config, list | tuple):
            return type(config)(
                self._with_copies(part, layers) for part in config
            )
        if not isinstance(config, dict):
            return config
        if "class_name" in config and isinstance(config.get("config"), dict):
            for layer in layers:
                if _describes(config, layer):
                    # Another one of the same name is another one.
                    layers.remove(layer)
                    self._layer(layer)
                    return {
                        "module": None,
                        "class_name": "copied_layer",
                        "config": {"old": id(layer)},
                        "registered_name": STAND_IN,
                    }
        return {
            name: self._with_copies(value, layers)
            for name, value in config.items()
        }

    def _refuse_hidden(self, new: Any, old: Any = None) -> None:
        """Refuse a layer that has one of those to replace."""
        if not isinstance(new, keras.layers.Layer):
            return
        for layer, owner in owned(new):
            for built_in in self.classes:
                if not isinstance(layer, built_in):
                    continue
                if type(layer) is built_in:
                    owner = old if owner is new and old is not None else owner
                    raise ValueError(
                        f"`{self.caller}` cannot replace the layer "
                        f"{layer.name!r}, which {type(owner).__name__} "
                        f"({owner.name!r}) makes in its own code. Change it "
                        "there."
                    )
                package = self.classes[built_in].__module__.partition(".")[0]
                # Keras has its layers one module deeper than we have ours.
                package = {"keras": "keras.layers"}.get(package, package)
                raise ValueError(
                    f"`{self.caller}` cannot replace the layer "
                    f"{layer.name!r}: its class {type(layer).__name__} is "
                    f"derived from {built_in.__name__}. Derive it from "
                    f"{package}.{built_in.__name__}."
                )


def _quietly(config_of: Callable[[Any], Any], layer: Any) -> Any:
    """A config, without Keras's warning of any lambda: none is stored."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*lambda")
        return config_of(layer)


def _describes(config: dict[str, Any], layer: Any) -> bool:
    """Whether a serialized config is that of a layer."""
    return (
        config["class_name"] == type(layer).__name__
        and config["config"].get("name") == layer.name
    )


def _functions_and_classes(layer: Any) -> dict[str, Any]:
    """What a layer has that a config only names, by these names."""
    found: dict[str, Any] = {}
    left, seen = [layer], set()
    while left:
        value = left.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if inspect.isfunction(value):
            found.setdefault(value.__name__, value)
        elif hasattr(value, "get_config"):
            if not type(value).__module__.startswith("keras."):
                name = keras.saving.get_registered_name(type(value))
                found.setdefault(name, type(value))
                found.setdefault(type(value).__name__, type(value))
            left.extend(values(value))
    found.pop("<lambda>", None)
    return found


def _function_config(name: str) -> dict[str, Any]:
    """How Keras serializes a function of this name."""
    return {
        "module": "builtins",
        "class_name": "function",
        "config": name,
        "registered_name": name,
    }


def _arguments(model_class: Any) -> list[str]:
    return inspect.getfullargspec(model_class.__init__).args
