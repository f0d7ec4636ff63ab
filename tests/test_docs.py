"""What the documents, the notebooks and the docstrings show is run."""

import doctest
import importlib
import inspect
import pkgutil
import re
import runpy
from pathlib import Path

import pytest

import keras_convt

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
# What GitHub shows; the links between the pages of the site are checked where
# it is built (tox -e docs).
ON_GITHUB = [ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
DOCUMENTS = [*ON_GITHUB, *sorted(DOCS.rglob("*.md"))]
NOTEBOOKS = sorted((DOCS / "notebooks").glob("*.py"))
# The layers' examples need no optional package; the demo is tested apart.
MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(keras_convt.__path__, "keras_convt.")
    if not module.name.startswith(("keras_convt.demo", "keras_convt.__main__"))
)


# Their examples would need a package that is not in every environment, or take
# long; they are tested in tests/test_conversion.py, tests/test_plots.py and
# tests/test_tuning.py.
NEEDS_ANOTHER = (
    "from_torch",
    "load_torch_model",
    "from_flax",
    "from_equinox",
    "plot_connectivity",
    "tune",
)


def python_blocks(path):
    text = path.read_text(encoding="utf-8")
    return re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def with_python(paths):
    return [path for path in paths if python_blocks(path)]


def name_of(path):
    return path.relative_to(ROOT).as_posix()


def anchors(path):
    """The names that links to the headings of a document end with."""
    text = re.sub(r"^```.*?^```", "", path.read_text(), flags=re.M | re.S)
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")
        for heading in re.findall(r"^#+ (.*)$", text, re.M)
    }


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


def test_every_argument_is_described_by_itself():
    """A name without a colon on its line is lost on the site."""
    lost = {
        name: lines
        for name, documented in public_objects().items()
        if (lines := arguments_without_colon(documented))
    }
    assert lost == {}


def public_objects():
    found = {
        name: getattr(keras_convt, name)
        for name in keras_convt.__all__
        if not name.startswith(("layer_", "__"))
    }
    found |= {
        f"initializers.{name}": getattr(keras_convt.initializers, name)
        for name in keras_convt.initializers.__all__
    }
    found["ops.conv_transpose"] = keras_convt.ops.conv_transpose
    for name, documented in list(found.items()):
        if inspect.isclass(documented):
            found |= {
                f"{name}.{method}": function
                for method, function in inspect.getmembers(
                    documented, inspect.isfunction
                )
                if function.__module__.startswith("keras_convt.")
                and not method.startswith("_")
            }
    return found


def arguments_without_colon(documented):
    text = inspect.getdoc(documented) or ""
    section = re.search(r"^Args:\n((?:    .*\n|\n)*)", text + "\n", re.M)
    lines = section[1].split("\n") if section else []
    return [
        line
        for line in lines
        if re.match(r"    \S", line) and not re.match(r"    \*{0,2}\w+: ", line)
    ]


@pytest.mark.parametrize("path", with_python(DOCUMENTS), ids=name_of)
def test_python_of_documents(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    # One after the other, as a reader would type them.
    names = {"__name__": "document"}
    for block in python_blocks(path):
        exec(compile(block, path.name, "exec"), names)


@pytest.mark.parametrize("path", with_python(DOCUMENTS), ids=name_of)
def test_imports_of_documents_are_sorted(path):
    """Sorted, Keras comes first; so `KERAS_BACKEND` has to be set before."""
    for block in python_blocks(path):
        lines = block.split("\n")
        if "import keras" in lines and "import keras_convt" in lines:
            assert lines.index("import keras") < lines.index(
                "import keras_convt"
            )


@pytest.mark.parametrize("path", NOTEBOOKS, ids=name_of)
def test_notebook(path, tmp_path, monkeypatch):
    from matplotlib import pyplot

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(pyplot, "show", lambda: None)
    try:
        runpy.run_path(str(path))
    finally:
        pyplot.close("all")


def test_names_in_documents_exist():
    for path in DOCUMENTS:
        text = path.read_text(encoding="utf-8")
        for name in set(re.findall(r"keras_convt\.([A-Za-z]\w+)", text)):
            assert hasattr(keras_convt, name), f"{name_of(path)}: {name}"


def test_every_public_name_is_in_the_reference():
    pages = "".join(
        path.read_text(encoding="utf-8")
        for path in (DOCS / "reference").glob("*.md")
    )
    shown = set(re.findall(r"^::: keras_convt\.(\S+)$", pages, re.M))
    # The functions in R's style are a table.
    shown |= set(re.findall(r"^\| `keras_convt\.(layer_\w+)` \|", pages, re.M))
    public = {
        name
        for name in keras_convt.__all__
        if name not in ("ops", "initializers", "__version__")
    }
    public |= {"ops.conv_transpose"}
    public |= {
        f"initializers.{name}" for name in keras_convt.initializers.__all__
    }
    assert shown == public


@pytest.mark.parametrize("path", ON_GITHUB, ids=name_of)
def test_links_lead_somewhere(path):
    for target, anchor in re.findall(
        r"\]\(([^)#:]*)(?:#([^)]*))?\)", path.read_text(encoding="utf-8")
    ):
        other = path.parent / target if target else path
        assert other.exists(), target
        assert not anchor or anchor in anchors(other), f"{target}#{anchor}"
