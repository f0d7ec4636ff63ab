"""The backend that was asked for, and the same random numbers every time."""

import os

import keras
import numpy as np
import pytest

WANTED = "KERAS_CONVT_TEST_BACKEND"


def pytest_configure(config):
    wanted = os.environ.get(WANTED)
    active = keras.backend.backend()
    if wanted and wanted != active:
        raise pytest.UsageError(
            f"{WANTED}={wanted}, but the active Keras backend is {active!r}. "
            "Nothing was run."
        )


def pytest_report_header(config):
    return f"keras {keras.__version__}, backend {keras.backend.backend()}"


@pytest.fixture(autouse=True)
def seeded():
    keras.utils.set_random_seed(1234)


@pytest.fixture
def rng():
    return np.random.default_rng(1234)


@pytest.fixture
def quick_weights(monkeypatch):
    """Initial weights from NumPy: JAX compiles a function for every shape.

    For tests of many layers whose initial weights are not what they are about.
    """
    generator = np.random.default_rng(1234)

    def random(self, shape, dtype=None):
        scale = max(int(np.prod(shape[:-1])), 1) ** -0.5
        values = scale * generator.normal(size=shape)
        return keras.ops.convert_to_tensor(
            values.astype("float32"), dtype or keras.config.floatx()
        )

    def zeros(self, shape, dtype=None):
        return keras.ops.convert_to_tensor(
            np.zeros(shape, "float32"), dtype or keras.config.floatx()
        )

    initializers = keras.initializers
    for kind in (initializers.VarianceScaling, initializers.Orthogonal):
        monkeypatch.setattr(kind, "__call__", random)
    monkeypatch.setattr(initializers.Zeros, "__call__", zeros)
