"""Arguments as R sends them, for layers that were written for Python's.

R's numbers are doubles unless written with an L, its vectors of one are
numbers, and its missing values arrive as True, -2147483648 or NaN.
"""

import inspect
import math
import numbers
from collections import OrderedDict
from typing import Any

from keras_convt.arguments import R_MISSING_INTEGER

# Arguments of Keras's layers that may be a bool and default to None.
FLAGS_OR_NONE = ("flash_attention", "ragged", "sparse")


def understood(
    values: dict[str, Any], constructor: inspect.Signature, layer_class: type
) -> inspect.BoundArguments:
    """The arguments that `layer_class` gets for those that came.

    A whole float becomes an int unless the default is a float: Python code
    takes an int for a rate, but no float for a size. A number becomes a
    sequence where a shape is wanted. Missing values are refused by name if
    the class is one of Keras's, which would take True for 1; other classes
    check what they get.

    Args:
        values: The arguments by name, as `inspect.BoundArguments` has them.
        constructor: The signature of `layer_class`.
        layer_class: The class.
    """
    of_keras = layer_class.__module__.partition(".")[0] == "keras"
    taken: OrderedDict[str, Any] = OrderedDict()
    for name, value in values.items():
        parameter = constructor.parameters[name]
        if parameter.kind is parameter.VAR_KEYWORD:
            taken[name] = {
                more: _converted(item, more) for more, item in value.items()
            }
        elif parameter.kind is parameter.VAR_POSITIONAL:
            taken[name] = tuple(_whole(item) for item in value)
        else:
            if of_keras:
                _refuse_missing(value, value, parameter)
            wants_float = isinstance(parameter.default, float)
            taken[name] = value if wants_float else _converted(value, name)
    return inspect.BoundArguments(constructor, taken)


def _converted(value: Any, name: str) -> Any:
    if name.endswith("shape") and isinstance(value, numbers.Real):
        value = [value]
    return _whole(value)


def _whole(value: Any) -> Any:
    """`value` with ints for whole floats, also in lists."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, (list, tuple)):
        items = [_whole(item) for item in value]
        return items if isinstance(value, list) else tuple(items)
    return value


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
    elif isinstance(value, numbers.Real) and (
        value == R_MISSING_INTEGER or math.isnan(value)
    ):
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
