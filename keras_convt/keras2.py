"""Advice for those who pass something of Keras 2."""

import inspect
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
