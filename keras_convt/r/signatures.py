"""The signatures of composers: `object`, then the arguments of a class."""

import difflib
import inspect
from collections.abc import Iterable, Mapping
from typing import Any

# R's pages do not have these between the others, so that R users, who pass
# by position, do not either: in a composer they are keyword-only.
KEYWORD_ONLY_IN_R = ("output_padding",)

CATCH_ALL = [
    inspect.Parameter.VAR_POSITIONAL,
    inspect.Parameter.VAR_KEYWORD,
]


def constructor_signature(layer_class: type) -> inspect.Signature:
    """The arguments that a class is called with.

    `inspect.signature` prefers an inherited `__new__` to an inherited
    `__init__` up to Python 3.11.3 (cpython#105080), and every layer inherits
    a `__new__(cls, *args, **kwargs)` from Keras. What says so little is not
    taken for the signature where `__init__` says more.
    """
    found = inspect.signature(layer_class)
    if [parameter.kind for parameter in found.parameters.values()] != CATCH_ALL:
        return found
    initializer = inspect.signature(layer_class.__init__)  # type: ignore[misc]
    _, *parameters = initializer.parameters.values()
    return found.replace(parameters=parameters)


def composer_signature(
    constructor: inspect.Signature,
    object_name: str = "object",
    r_names: Mapping[str, str] | None = None,
) -> inspect.Signature:
    """`object`, then the arguments of the class in the order of R's pages.

    Args:
        constructor: The signature of the class.
        object_name: What R's page calls the first argument.
        r_names: The names of R's page by the names of the class.
    """
    target = inspect.Parameter(
        object_name, inspect.Parameter.POSITIONAL_OR_KEYWORD
    )
    parameters = [
        parameter.replace(
            name=(r_names or {}).get(parameter.name, parameter.name)
        )
        for parameter in constructor.parameters.values()
    ]
    if not any(p.kind is p.VAR_POSITIONAL for p in parameters):
        parameters = [
            parameter.replace(kind=parameter.KEYWORD_ONLY)
            if parameter.name in KEYWORD_ONLY_IN_R
            else parameter
            for parameter in parameters
        ]
    # What comes before a positional-only argument is positional-only.
    if parameters and parameters[0].kind is inspect.Parameter.POSITIONAL_ONLY:
        target = target.replace(kind=inspect.Parameter.POSITIONAL_ONLY)
    # sorted() keeps the order within each kind.
    return inspect.Signature(
        sorted([target, *parameters], key=lambda p: p.kind)
    )


def suggestion(name: str, known: Iterable[str]) -> str:
    """A sentence that names what `name` may have been meant for, or nothing.

    R completes the beginning of an argument's name, and Python does not: such
    a beginning counts as a misspelling.
    """
    names = sorted(known)
    near = [one for one in names if name and one.startswith(name)]
    near = near or difflib.get_close_matches(name, names, n=1)
    if not near:
        return ""
    return f" Did you mean {' or '.join(repr(one) for one in near[:3])}?"


def with_suggestion(
    error: Exception, given: Mapping[str, Any], known: Iterable[str]
) -> Exception:
    """The same error, with a suggestion for the argument that it names."""
    if type(error) not in (TypeError, ValueError):
        return error
    expected = set(known)
    words = "".join(
        suggestion(name, expected)
        for name in given
        if name not in expected and repr(name) in str(error)
    )
    return type(error)(f"{error}{words}") if words else error
