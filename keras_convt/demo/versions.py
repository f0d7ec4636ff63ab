"""The versions of what is installed, as an issue ought to have them."""

import platform
from importlib import metadata
from pathlib import Path

import keras

import keras_convt
from keras_convt._backend import BACKENDS, installed

# The packages that a module is installed by, the usual one first.
PACKAGES = {
    "tensorflow": ("tensorflow", "tensorflow-cpu", "tf-nightly"),
    "jax": ("jax",),
    "torch": ("torch",),
}
OTHERS = ("numpy", "PyWavelets", "matplotlib", "scipy", "tqdm")


def report() -> str:
    """One line for each package, and one for each that is not there."""
    package = Path(keras_convt.__file__).parent
    lines = [
        ("keras_convt", f"{keras_convt.__version__} in {package}"),
        ("Python", f"{platform.python_version()} on {platform.platform()}"),
        ("Keras", f"{keras.__version__} with {keras.backend.backend()}"),
    ]
    for name in BACKENDS:
        versions = [version(package) for package in PACKAGES[name]]
        found = next((one for one in versions if one), None)
        if name not in installed():
            found = "not installed"
        lines.append((name, found or "of an unknown version"))
    lines += [(name, version(name) or "not installed") for name in OTHERS]
    return "\n".join(f"{name:<12} {words}" for name, words in lines)


def version(package: str) -> str | None:
    """The version of an installed package, or None."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
