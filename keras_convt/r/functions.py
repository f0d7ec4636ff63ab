"""Functions of R as activations, initializers, regularizers, constraints.

reticulate wraps a function of R in a Python function that calls it. Keras
stores a function by its name, so that a model with such a wrapper is saved
and cannot be loaded. Most of them stand for something that Keras has:
`activation_relu` for "relu", `initializer_he_normal` for `HeNormal()`.
"""

import functools
import warnings
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

# By the last word of an argument's name: what its constructors return.
CONSTRUCTED = {
    "initializer": keras.initializers.Initializer,
    "regularizer": keras.regularizers.Regularizer,
    "constraint": keras.constraints.Constraint,
}

# What no two of Keras's activations map to the same values: small and large
# numbers, in rows, for those that look at a whole row.
PROBE = np.array(
    [
        [[-3.0, -1.5, -0.75, -0.25, 0.125, 0.375, 1.25, 2.5]],
        [[-1e4, -150.0, -20.0, -5.0, 4.0, 7.0, 90.0, 1e4]],
    ],
    "float32",
)


def is_r_function(value: Any) -> bool:
    """Whether `value` is what reticulate makes of a function of R."""
    module = getattr(value, "__module__", None) or ""
    return callable(value) and module.partition(".")[0] == "rpytools"


def keras_object_of(value: Any, argument: str) -> Any:
    """What Keras has for a function of R in `argument`, or the function.

    Args:
        value: The value of the argument, of any kind. All that is no function
            of R comes back as it is.
        argument: The argument's name, whose last word says what is wanted:
            `kernel_initializer`, `activation`.

    Returns:
        The name of an activation of Keras with the same values, or the object
        that a constructor of R returns.

    Warns:
        UserWarning: If there is neither. The function is used as it is, and
            a model that has it cannot be loaded.
    """
    if not is_r_function(value):
        return value
    kind = argument.rpartition("_")[2]
    found: Any = None
    if kind == "activation":
        found = _activation_name(value)
    elif kind in CONSTRUCTED:
        found = _constructed(value, CONSTRUCTED[kind])
    if found is not None:
        return found
    warnings.warn(
        f"`{argument}` is a function of R, which no file can hold: a saved "
        "model that has it is not loaded unless `custom_objects` has a "
        f"function of the name {value.__name__!r}. Received: "
        f"{argument}={value!r}. Name one that Keras has, or write it in "
        "Python and register it with "
        "keras.saving.register_keras_serializable.",
        UserWarning,
        stacklevel=4,
    )
    return value


def _activation_name(function: Any) -> str | None:
    """The activation of Keras that gives the same numbers."""
    values = _values_on_probe(function)
    if values is None:
        return None
    # Two names stand for one function, as "silu" and "swish" do: older
    # versions of R's keras3 say which was meant.
    names = sorted(_activation_names(), key=lambda n: n != function.__name__)
    for name in names:
        expected = _values_of_activation(name)
        if expected is not None and np.array_equal(values, expected):
            return name
    return None


@functools.cache
def _activation_names() -> list[str]:
    """The names of Keras's activations, aliases last."""
    names = set(dir(keras.activations)) - {"get", "serialize", "deserialize"}
    public = sorted(name for name in names if not name.startswith("_"))
    return sorted(public, key=_is_an_alias)


@functools.cache
def _values_of_activation(name: str) -> NDArray[Any] | None:
    return _values_on_probe(getattr(keras.activations, name))


def _is_an_alias(name: str) -> bool:
    # "celu" is "elu" with the alpha that both have as their default.
    function = getattr(keras.activations, name)
    return name == "celu" or getattr(function, "__name__", None) != name


def _values_on_probe(function: Any) -> NDArray[Any] | None:
    """What a function makes of the probe, or None if it cannot."""
    # R says what is wrong in a RuntimeError. A function that needs other
    # arguments or axes is none of Keras's activations.
    # Copies, because PyTorch's tensors share the memory of arrays.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            values = function(keras.ops.convert_to_tensor(PROBE.copy()))
            return np.array(keras.ops.convert_to_numpy(values))
        except Exception:
            return None


def _constructed(function: Any, wanted: type) -> Any:
    """The object that a constructor returns, or None if it is none."""
    try:
        made = function()
    except Exception:
        return None
    return made if isinstance(made, wanted) else None
