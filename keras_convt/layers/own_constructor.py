"""Constructors that are a class's own, though they are written once."""

import functools
import types


def give_constructor(layer_class: type) -> None:
    """Give a class a copy of the `__init__` that it inherits.

    So an error that Python raises for a missing argument names the class that
    was called. And `inspect.signature` shows the arguments: up to Python
    3.11.3 it prefers an inherited `__new__(*args, **kwargs)`, as Keras's
    layers have it, to an inherited `__init__`.
    """
    inherited = layer_class.__init__  # type: ignore[misc]
    if "__init__" in vars(layer_class) or not isinstance(
        inherited, types.FunctionType
    ):
        return
    own = types.FunctionType(
        inherited.__code__,
        inherited.__globals__,
        inherited.__name__,
        inherited.__defaults__,
        inherited.__closure__,
    )
    functools.update_wrapper(own, inherited)
    del own.__wrapped__  # type: ignore[attr-defined]
    own.__kwdefaults__ = inherited.__kwdefaults__
    own.__qualname__ = f"{layer_class.__qualname__}.__init__"
    layer_class.__init__ = own  # type: ignore[misc]
