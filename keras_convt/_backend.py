"""Let `import keras` succeed where its configured backend is not installed.

Keras starts with the backend that `KERAS_BACKEND` or keras.json names, and
with TensorFlow if neither does; it fails where that is not installed, even if
another one is. Its first import also writes keras.json with "tensorflow" in
it, failing or not, so what stands there need not be anybody's wish.

Imported before anything imports keras. It changes nothing where Keras is
imported already, or can start by itself.
"""

import importlib.util
import json
import os
import sys
from pathlib import Path

BACKENDS = ("tensorflow", "jax", "torch")


def installed() -> list[str]:
    """The backends that can be imported here, none of which it imports."""
    return [name for name in BACKENDS if importlib.util.find_spec(name)]


def configured() -> str:
    """The backend that Keras would start with."""
    if name := os.environ.get("KERAS_BACKEND"):
        return name
    folder = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")
    try:
        config = json.loads((folder / "keras.json").read_text("utf-8"))
        return str(config["backend"])
    except (OSError, ValueError, KeyError, TypeError):
        return BACKENDS[0]


def choose() -> None:
    """Name an installed backend in `KERAS_BACKEND` if Keras needs one.

    Raises:
        ImportError: If no backend is installed.
    """
    if "keras" in sys.modules or os.environ.get("KERAS_BACKEND"):
        return
    # Also true of "numpy" and "openvino", if that is what keras.json says.
    if importlib.util.find_spec(configured()):
        return
    if not installed():
        raise ImportError(
            "Keras needs a backend, and none is installed. Install one of "
            'them: pip install "jax[cpu]", pip install torch or '
            "pip install tensorflow."
        )
    os.environ["KERAS_BACKEND"] = installed()[0]


choose()
