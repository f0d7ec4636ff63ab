"""The backend's own functions: the one place that asks which one is active.

`backend` has what the formulations need of it. The methods and what they
promise are described in `generic`. A backend that has no module here gets the
generic one, which uses `keras.ops` alone.
"""

import keras

from keras_convt.ops.backend.generic import Backend
from keras_convt.ops.backend.jax import JAX
from keras_convt.ops.backend.numpy import NumPy
from keras_convt.ops.backend.openvino import OpenVINO
from keras_convt.ops.backend.tensorflow import TensorFlow
from keras_convt.ops.backend.torch import Torch

# Each of them imports its library when it is first used.
BACKENDS: dict[str, type[Backend]] = {
    "jax": JAX,
    "numpy": NumPy,
    "openvino": OpenVINO,
    "tensorflow": TensorFlow,
    "torch": Torch,
}


def named(name: str) -> Backend:
    """The functions of the backend that Keras calls `name`."""
    return BACKENDS.get(name, Backend)(name)


backend = named(keras.backend.backend())
