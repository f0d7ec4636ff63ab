"""Arguments of a layer that are attributes too, and are checked when set."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any


class Setting:
    """An attribute that holds an argument of a layer in its checked form.

    Args:
        check: Function of the layer, the value and the name. It returns the
            value as the layer uses it, or raises an error by name.
        fixed: Whether the weights depend on it, so that a layer that is built
            refuses another value.

    The functions that models have compiled with a layer are made anew when it
    gets another value.
    """

    def __init__(
        self,
        check: Callable[[Any, Any, str], Any],
        fixed: bool = False,
    ) -> None:
        self.check = check
        self.fixed = fixed

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    if TYPE_CHECKING:
        # There is none: the value is in the layer's own dictionary, where
        # Python finds it without a call.
        def __get__(self, layer: Any, owner: type | None = None) -> Any: ...

    def __set__(self, layer: Any, value: Any) -> None:
        checked = self.check(layer, value, self.name)
        before = vars(layer).get(self.name, checked)
        built = bool(getattr(layer, "built", False)) and before != checked
        if built and self.fixed:
            raise ValueError(
                f"`{self.name}` of the layer {layer.name!r} cannot change any "
                f"more, because its weights are built for {self.name}="
                f"{before!r}. Received: {self.name}={value!r}."
            )
        self.keep(layer, checked)
        if built:
            layer._renew()

    def keep(self, layer: Any, value: Any) -> None:
        """Set a value without any check."""
        vars(layer)[self.name] = value
        vars(layer).update(_known_axes=None, _known_shape=None)
