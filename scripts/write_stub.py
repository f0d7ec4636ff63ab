"""Write keras_convt/__init__.pyi, which type checkers and editors read.

At run time the composers are made from the layer classes, which no type
checker sees. The stub has them with the arguments of the classes, those of
Keras's layers as well.

    python scripts/write_stub.py          # write it
    python scripts/write_stub.py --check  # say whether it is up to date

The arguments of Keras's layers differ from version to version: the lint
environment of tox.ini names the version that the stub is written with.
"""

import ast
import difflib
import inspect
import sys
import textwrap
from collections.abc import Iterable
from pathlib import Path

import keras_convt
from keras_convt import layers
from keras_convt.r import compose, names
from keras_convt.r.signatures import KEYWORD_ONLY_IN_R

PACKAGE = Path(keras_convt.__file__).parent
STUB = PACKAGE / "__init__.pyi"

HEAD = """\
# Written by scripts/write_stub.py, which reads the classes: not by hand.
# fmt: off
# ruff: noqa

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Unpack, overload

import keras

"""

OPTIONS = '''
class _ComposerOptions(_LayerOptions, total=False):
    """The arguments that every composer takes: of a layer, and of its input."""

    input_shape: Any
    batch_shape: Any
    batch_size: int | None
    input_dtype: Any

'''


def stub() -> str:
    """The text of the stub."""
    parts = [HEAD, *imports(), OPTIONS]
    for layer_class in OURS:
        parts += overloads(layer_class)
    parts += [
        composer_of_keras(name)
        for name in sorted(names.layer_classes())
        if not hasattr(compose, name)
    ]
    return "".join(parts)


OURS = [
    getattr(layers, name)
    for name in layers.__all__
    if inspect.isclass(getattr(layers, name))
]


def imports() -> Iterable[str]:
    """What `__init__.py` imports for others, said in the way of stubs."""
    tree = ast.parse((PACKAGE / "__init__.py").read_text("utf-8"))
    composers = {f"layer_{compose_name(one)}" for one in OURS}
    for node in tree.body:
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                public = alias.asname or alias.name
                if public in keras_convt.__all__ and public not in composers:
                    yield f"from {node.module} import {public} as {public}\n"
    types = PACKAGE / "types.py"
    if types.exists():
        yield from (
            f"from keras_convt.types import {name} as _{name}\n"
            for name in sorted(type_names())
        )


def type_names() -> set[str]:
    """The names of the package's types."""
    tree = ast.parse((PACKAGE / "types.py").read_text("utf-8"))
    found: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.Assign):
            found |= {one.id for one in node.targets if is_public(one)}
        elif isinstance(node, ast.AnnAssign) and is_public(node.target):
            found.add(node.target.id)
        elif isinstance(node, ast.ClassDef):
            found.add(node.name)
    return found


def is_public(target: ast.expr) -> bool:
    """Whether an assignment makes a public name."""
    return isinstance(target, ast.Name) and not target.id.startswith("_")


def compose_name(layer_class: type) -> str:
    """The name of a composer after `layer_`."""
    return names.r_name(layer_class.__name__).removeprefix("layer_")


def overloads(layer_class: type) -> Iterable[str]:
    """A composer of ours: what it returns depends on `object`."""
    positional, keyword_only = arguments(layer_class)
    name = f"layer_{compose_name(layer_class)}"
    rest = ", ".join(
        [*positional, "*", *keyword_only, "**kwargs: Unpack[_ComposerOptions]"]
    )
    all_named = rest.replace("*, ", "", 1)
    # mypy knows no types of Keras: to it, the last two are one.
    same = "  # type: ignore[overload-cannot-match]"
    for target, given, returned, remark in (
        ("object: None", rest, layer_class.__name__, ""),
        ("*", all_named, layer_class.__name__, ""),
        ("object: keras.Sequential", rest, "keras.Sequential", ""),
        ("object: Any", rest, "Any", same),
    ):
        yield (
            "@overload\n"
            f"def {name}({target}, {given}) -> {returned}: ...{remark}\n"
        )
    yield "\n"


def arguments(layer_class: type) -> tuple[list[str], list[str]]:
    """The arguments of a class of ours, with their types, in R's order."""
    constructor = constructor_of(layer_class)
    given = constructor.args
    defaults = [None] * (len(given.args) - len(given.defaults))
    pairs = zip(given.args, [*defaults, *given.defaults], strict=True)
    positional, keyword_only = [], []
    for argument, default in list(pairs)[1:]:
        kept = argument.arg not in KEYWORD_ONLY_IN_R
        (positional if kept else keyword_only).append(
            written(argument, default)
        )
    keyword_only += [
        written(argument, default)
        for argument, default in zip(
            given.kwonlyargs, given.kw_defaults, strict=True
        )
    ]
    return positional, keyword_only


def constructor_of(layer_class: type) -> ast.FunctionDef:
    """The source of the constructor that a class has or inherits."""
    for base in layer_class.__mro__:
        source = textwrap.dedent(inspect.getsource(base))
        for node in ast.parse(source).body[0].body:
            if isinstance(node, ast.FunctionDef) and node.name == "__init__":
                return node
    raise TypeError(f"{layer_class.__name__} has no constructor.")


def written(argument: ast.arg, default: ast.expr | None) -> str:
    """An argument as the stub has it."""
    known = type_names() if (PACKAGE / "types.py").exists() else set()
    annotation = argument.annotation or ast.Name("Any")
    for node in ast.walk(annotation):
        if isinstance(node, ast.Name) and node.id in known:
            node.id = f"_{node.id}"
    text = f"{argument.arg}: {ast.unparse(annotation)}"
    return text if default is None else f"{text} = {ast.unparse(default)}"


def composer_of_keras(name: str) -> str:
    """A composer of a layer of Keras, whose types Keras does not say."""
    layer_class = names.layer_classes()[name]
    parameters = names.composer_of(name, layer_class)
    parts = []
    for parameter in inspect.signature(parameters).parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY and not any(
            part.startswith("*") for part in parts
        ):
            parts.append("*")
        stars = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}
        star = stars.get(parameter.kind, "")
        # Everything can be left out where `object` is, and nothing says so.
        default = "" if star else " = ..."
        parts.append(f"{star}{parameter.name}: Any{default}")
    return f"def {name}({', '.join(parts)}) -> Any: ...\n"


def main() -> None:
    """Write the stub, or compare it."""
    text = stub()
    if "--check" not in sys.argv[1:]:
        STUB.write_text(text, "utf-8")
        return
    present = STUB.read_text("utf-8") if STUB.exists() else ""
    if present != text:
        sys.stdout.writelines(
            difflib.unified_diff(
                present.splitlines(keepends=True),
                text.splitlines(keepends=True),
                str(STUB),
                "what the classes say",
            )
        )
        raise SystemExit(
            "keras_convt/__init__.pyi is not what the classes say. Run: "
            "python scripts/write_stub.py"
        )


if __name__ == "__main__":
    main()
