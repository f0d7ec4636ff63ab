"""Activations, initializers, regularizers and constraints as arguments."""

from typing import Any

from keras import activations, constraints, initializers, regularizers

from keras_convt import arguments

# The module of an argument, by the last word of its name.
MODULES = {
    "activation": activations,
    "initializer": initializers,
    "regularizer": regularizers,
    "constraint": constraints,
}
# What None is documented to mean.
DEFAULTS = {
    "kernel_initializer": "glorot_uniform",
    "depthwise_initializer": "glorot_uniform",
    "pointwise_initializer": "glorot_uniform",
    "bias_initializer": "zeros",
}


def get(name: str, value: Any) -> Any:
    """The object that `value` stands for in the argument `name`."""
    if value is None:
        value = DEFAULTS.get(name)
    return arguments.keras_object(_module(name).get, value, name)


def serialize(name: str, value: Any) -> Any:
    """What `get_config` has for the argument `name`."""
    return _module(name).serialize(value)


def _module(name: str) -> Any:
    return MODULES[name.rsplit("_", maxsplit=1)[-1]]
