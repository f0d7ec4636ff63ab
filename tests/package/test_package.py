"""What is in the sdist and the wheel, and that the installed wheel works."""

import importlib.metadata
import os
import subprocess
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

import keras_convt

ROOT = Path(__file__).parents[2]
FOLDER = Path(os.environ["KERAS_CONVT_TEST_PACKAGE"])


@pytest.fixture(scope="module")
def in_wheel():
    (wheel,) = FOLDER.glob("*.whl")
    return set(zipfile.ZipFile(wheel).namelist())


@pytest.fixture(scope="module")
def in_sdist():
    (sdist,) = FOLDER.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    return names


def sources(folder, *suffixes):
    return {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / folder).rglob("*")
        if path.suffix in suffixes
    }


def test_the_wheel_is_what_is_installed():
    assert Path(keras_convt.__file__).parent != ROOT / "keras_convt"
    assert importlib.metadata.version("keras_convt") == keras_convt.__version__


def test_the_wheel_has_every_module_and_nothing_else(in_wheel):
    package = {name for name in in_wheel if ".dist-info/" not in name}
    assert package == sources("keras_convt", ".py", ".pyi") | {
        "keras_convt/py.typed"
    }
    assert any(name.endswith("licenses/LICENSE") for name in in_wheel)


def test_the_sdist_has_the_tests_and_what_they_read(in_sdist):
    wanted = sources("tests", ".py", ".R", ".txt")
    wanted |= sources("docs", ".md", ".py", ".png", ".css")
    wanted |= sources("examples", ".py", ".R", ".md")
    assert wanted
    assert wanted <= in_sdist
    assert {"tox.ini", "mkdocs.yml", "CITATION.cff", "README.md"} <= in_sdist


def test_the_layer_computes():
    layer = keras_convt.Conv1DTranspose(
        1, 3, 2, kernel_initializer="ones", use_bias=False
    )
    y = np.asarray(layer(np.array([[[1.0], [10.0]]], "float32")))
    assert y[0, :, 0].tolist() == [1, 1, 11, 10, 10]


def test_the_command_says_what_it_is(tmp_path):
    told = subprocess.run(
        ["python", "-m", "keras_convt", "--help"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "keras_convt" in told.stdout
