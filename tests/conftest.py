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
