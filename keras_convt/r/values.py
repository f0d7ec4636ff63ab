"""Arguments as R sends them, for layers that were written for Python's.

R's numbers are doubles unless written with an L, its vectors of one are
numbers, its missing values arrive as True, -2147483648 or NaN, and its
functions as functions without a name.
"""

import inspect
import math
import numbers
from collections import OrderedDict
from typing import Any

import numpy as np

from keras_convt.r.functions import keras_object_of

# How R's NA_integer_ arrives in Python.
R_MISSING_INTEGER = -(2**31)

# Arguments of Keras's layers that may be a bool and default to None.
FLAGS_OR_NONE = ("flash_attention", "ragged", "sparse")

# Packages whose layers take True for 1. Other classes check what they get.
REFUSE_MISSING_FOR = ("keras", "keras_convt")


def constructor_arguments(
    received: dict[str, Any],
    constructor: inspect.Signature,
    layer_class: type,
) -> inspect.BoundArguments:
    """The arguments that `layer_class` gets for those that came.

    - A whole float becomes an int unless the default is a float: Python code
      takes an int for a rate, but no float for a size.
    - A number becomes a sequence where a shape is wanted, and a missing value
      in a shape is an unknown size.
    - Elsewhere missing values are refused by name.
    - A function of R becomes the object of Keras that it stands for.

    Args:
        received: The arguments by name, as `inspect.BoundArguments` has them.
        constructor: The signature of `layer_class`.
        layer_class: The class.
    """
    # A class that was made in R may have no module.
    module = getattr(layer_class, "__module__", "")
    package = module.partition(".")[0]
    of_keras = package in REFUSE_MISSING_FOR
    converted: OrderedDict[str, Any] = OrderedDict()
    for name, value in received.items():
        parameter = constructor.parameters[name]
        if of_keras and not _is_shape(name):
            _refuse_missing(value, value, parameter)
        if parameter.kind is parameter.VAR_KEYWORD:
            converted[name] = {
                keyword: _converted(item, keyword)
                for keyword, item in value.items()
            }
        elif parameter.kind is parameter.VAR_POSITIONAL:
            converted[name] = tuple(_with_ints(item) for item in value)
        elif isinstance(parameter.default, float):
            converted[name] = value
        elif isinstance(value, bool) and not of_keras:
            # It may mean True: `keep_shape=True` is no missing shape.
            converted[name] = value
        else:
            converted[name] = _converted(value, name)
    return inspect.BoundArguments(constructor, converted)


def _converted(value: Any, name: str) -> Any:
    if _is_shape(name):
        return _shape(value, name)
    return _with_ints(keras_object_of(value, name))


def _with_ints(value: Any) -> Any:
    """`value` with ints for whole floats, also in lists."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, (list, tuple)):
        items = [_with_ints(item) for item in value]
        return items if isinstance(value, list) else tuple(items)
    return value


def _is_shape(name: str) -> bool:
    return name.endswith("shape")


def _shape(value: Any, name: str) -> Any:
    """A shape with ints, in which a missing value is an unknown size."""
    if isinstance(value, np.ndarray) and value.ndim == 1:
        value = value.tolist()
    if isinstance(value, numbers.Real):
        value = [value]
    if not isinstance(value, (list, tuple)):
        return value
    # The size that `Reshape` is to find is -1 to it.
    unknown = -1 if name == "target_shape" else None
    return type(value)(
        unknown
        if item is True or _is_missing_number(item)
        else _with_ints(item)
        for item in value
    )


def _is_missing_number(value: Any) -> bool:
    """Whether `value` is R's NA_integer_ or NA_real_."""
    return isinstance(value, numbers.Real) and (
        value == R_MISSING_INTEGER or math.isnan(value)
    )


def _refuse_missing(
    value: Any, whole: Any, parameter: inspect.Parameter
) -> None:
    """Refuse what NA, NA_integer_ and NA_real_ of R are in Python."""
    if isinstance(value, (list, tuple)):
        for item in value:
            _refuse_missing(item, whole, parameter)
    elif isinstance(value, bool):
        if not _may_be_bool(parameter):
            raise TypeError(_missing_message(whole, parameter.name))
    elif _is_missing_number(value):
        raise ValueError(_missing_message(whole, parameter.name))


def _may_be_bool(parameter: inspect.Parameter) -> bool:
    return (
        isinstance(parameter.default, (bool, str))
        or parameter.name in FLAGS_OR_NONE
    )


def _missing_message(value: Any, name: str) -> str:
    return (
        f"`{name}` must not be missing or a bool. Received: {name}={value!r}. "
        "R's NA arrives as True, NA_integer_ as -2147483648, NA_real_ as nan."
    )
