"""The interface and the examples, in R through reticulate."""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import sysconfig

import numpy as np
import pytest

import keras_convt

HERE = pathlib.Path(__file__).parent
INTERFACE = HERE / "interface.R"
GUIDE = HERE.parents[1] / "docs" / "guides" / "r.md"
EXAMPLES = sorted((HERE.parents[1] / "examples" / "r").glob("*.R"))
CHECKS = re.findall(r'^check\("(.*)", \{', INTERFACE.read_text(), re.M)


def missing():
    """What is not here to run R with, or None."""
    if shutil.which("Rscript") is None:
        return "Rscript is not installed (Debian: r-base-core)"
    if int(np.__version__.split(".")[0]) >= 2:
        return "reticulate 1.28 refuses arrays of NumPy 2; tox -e r has 1.26"
    if not sysconfig.get_config_var("Py_ENABLE_SHARED"):
        return "this Python has no shared library for reticulate to load"
    found = subprocess.run(
        ["Rscript", "-e", 'library("reticulate")'], capture_output=True
    )
    if found.returncode:
        return "R has no reticulate (Debian: r-cran-reticulate)"
    return None


@pytest.fixture(scope="session", autouse=True)
def r():
    if reason := missing():
        pytest.skip(reason)


def run(script):
    return subprocess.run(
        ["Rscript", "--vanilla", str(script)],
        env={**os.environ, "RETICULATE_PYTHON": sys.executable},
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.fixture(scope="session")
def interface(r):
    return run(INTERFACE)


@pytest.mark.parametrize("check", CHECKS)
def test_interface(interface, check):
    outcomes = dict(re.findall("^@(.*)@(.*)$", interface.stdout, re.M))
    assert outcomes.get(check, interface.stderr) == "ok"


def test_interface_runs_to_its_end_without_warnings(interface):
    assert interface.returncode == 0, interface.stderr
    assert "Warning" not in interface.stderr, interface.stderr


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_example(example):
    done = run(example)
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr, done.stderr
    if example.stem == "page_example":
        assert done.stdout.split() == ["[1]", "4", "21", "32"]


def test_guide(tmp_path):
    """The blocks of the guide, one after another, and what they print."""
    blocks = re.findall(r"^```r\n(.*?)^```", GUIDE.read_text(), re.M | re.S)
    # keras3 needs a newer reticulate than Debian 12 has.
    blocks = [one for one in blocks if "library(keras3)" not in one]
    script = tmp_path / "guide.R"
    script.write_text("options(warn = 2)\n" + "\n".join(blocks))
    done = run(script)
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr, done.stderr
    printed = [line.rstrip() for line in done.stdout.splitlines()]
    promised = re.findall("^#> (.*)$", "\n".join(blocks), re.M)
    assert len(promised) > 3
    assert [line for line in printed if line in promised] == promised


def test_the_guide_names_functions_that_are_there():
    names = re.findall(r"convt\$(\w+)", GUIDE.read_text())
    assert {"layer_dense", "create_layer_wrapper"} <= set(names)
    for name in names:
        assert getattr(keras_convt, name)
