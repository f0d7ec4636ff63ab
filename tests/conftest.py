"""The backend that was asked for, and the same random numbers every time."""

import os

# TensorFlow leaves oneDNN off on some CPUs, as on one without AVX-512 (2.21).
# The built-in layers, which ours are compared with, need it for channels_first
# and for dilation on a CPU.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

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


# What Keras 3.8, the oldest version that is supported, cannot do itself: the
# parts of a test's name, and why it is left out there.
OLDEST_KERAS_CANNOT = (
    ("test_gradient_checkpointing", "Keras 3.8 has no RematScope"),
    ("test_first_version", "Keras 3.8 cannot read files of Keras 3.15"),
    (
        "test_attributes_changed_before_the_layer_is_built[padding]",
        'Keras 3.8 warns of its own "same" on PyTorch',
    ),
    (
        "test_attributes_of_a_built_layer_that_can_change[padding]",
        'Keras 3.8 warns of its own "same" on PyTorch',
    ),
    ("test_bilinear_upsampling", "Keras 3.8 resizes with torchvision"),
    (
        "test_the_layers_of_keras_are_explained_too[3-arguments4]",
        "Keras 3.8 refuses output_padding=0",
    ),
    (
        "test_stream_properties.py::test_random_graphs",
        'Keras 3.8 takes other steps in a "same" Conv1D(3, 1, 2) on PyTorch',
    ),
    ("[RandAugment]", "Keras 3.8 draws other numbers for the same seed"),
    ("[RandomColorDegeneration]", "Keras 3.8 needs torchvision for it"),
    ("[RandomGrayscale]", "Keras 3.8 cannot clone a model with it"),
    ("[Resizing]", "Keras 3.8 resizes with torchvision"),
)


def pytest_collection_modifyitems(items):
    if tuple(map(int, keras.__version__.split(".")[:2])) > (3, 8):
        return
    for item in items:
        for part, reason in OLDEST_KERAS_CANNOT:
            if part in item.nodeid:
                item.add_marker(pytest.mark.skip(reason=reason))
