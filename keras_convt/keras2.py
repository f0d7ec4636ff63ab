"""Advice for those who have Keras 2, or pass something of it."""

import inspect
from importlib import metadata
from typing import Any

# Where Keras 2 lives beside Keras 3: the package tf_keras, which tf.keras is
# where TF_USE_LEGACY_KERAS is set.
PACKAGES = ("tf_keras", "tensorflow.python.keras")


def is_of_keras_2(value: Any) -> bool:
    """Whether `value`, an object or a class, is of Keras 2."""
    kind = value if inspect.isclass(value) else type(value)
    return any(
        f"{getattr(base, '__module__', '')}.".startswith(f"{package}.")
        for base in kind.__mro__
        for package in PACKAGES
    )


def advice(value: Any) -> str:
    """A sentence for an error message if `value` is of Keras 2, or nothing."""
    if not is_of_keras_2(value):
        return ""
    return (
        " It is of Keras 2 (tf_keras), and keras_convt is for Keras 3: import "
        "keras instead of tf_keras, unset TF_USE_LEGACY_KERAS, and load a "
        "saved model with keras.models.load_model."
    )


def check_installed() -> None:
    """Refuse to go on with Keras 2, before anything of Keras 3 is missed.

    Raises:
        ImportError: If the package keras that is installed is older than 3.
    """
    try:
        version = metadata.version("keras")
    except metadata.PackageNotFoundError:
        return
    if int(version.partition(".")[0]) < 3:
        raise ImportError(
            f"keras_convt is for Keras 3, and Keras {version} is installed. "
            'Install Keras 3: pip install --upgrade "keras>=3.8". Models that '
            "need Keras 2 can go on with the package tf_keras beside it."
        )


check_installed()
