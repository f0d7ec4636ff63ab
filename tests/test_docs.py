"""What the README and the docstrings show is run."""

import doctest
import importlib
import pkgutil
import re
from pathlib import Path

import pytest

import keras_convt

README = Path(__file__).parent.parent / "README.md"
# The layers' examples need no optional package; the demo is tested apart.
MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(keras_convt.__path__, "keras_convt.")
    if not module.name.startswith(("keras_convt.demo", "keras_convt.__main__"))
)


# Their examples would need a package that is not in every environment; they
# are tested with it in tests/test_conversion.py and tests/test_plots.py.
NEEDS_ANOTHER = ("from_torch", "from_flax", "from_equinox", "plot_connectivity")


def python_blocks(text):
    return re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples(name):
    module = importlib.import_module(name)
    found = doctest.testmod(module)
    assert found.failed == 0


def test_public_names_have_examples():
    without = [
        name
        for name in keras_convt.__all__
        if not name.startswith(("layer_", "__"))
        and name not in NEEDS_ANOTHER
        and callable(getattr(keras_convt, name))
        and ">>>" not in (getattr(keras_convt, name).__doc__ or "")
    ]
    assert not without


def test_readme_python(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = python_blocks(README.read_text(encoding="utf-8"))
    assert blocks
    # One after the other, as a reader would type them.
    names = {"__name__": "readme"}
    for block in blocks:
        exec(compile(block, "README.md", "exec"), names)


def test_readme_names_exist():
    text = README.read_text(encoding="utf-8")
    for name in set(re.findall(r"keras_convt\.(\w+)", text)):
        if name in ("git", "md"):
            continue
        assert hasattr(keras_convt, name) or importlib.import_module(
            f"keras_convt.{name}"
        )


def test_readme_files_exist():
    text = README.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (README.parent / target).exists(), target
