"""Keras's own tests of transposed convolution, with our layers in its place.

The file ships in Keras's wheel. What is changed of it: the layers it makes;
that our layers keep masks, which its basic test asserts that they do not; and
the words of errors, which are ours (`tests/test_arguments.py` checks them).
"""

import contextlib
import importlib
import inspect
import types

import keras
import pytest

import keras_convt

if tuple(map(int, keras.__version__.split(".")[:2])) < (3, 15):
    pytest.skip(
        "older Keras ships no such file, or one with other expected values",
        allow_module_level=True,
    )

# Of Keras's own test helper, which passes `shuffle` with a generator.
pytestmark = pytest.mark.filterwarnings("ignore:`shuffle=True` was passed")

theirs = importlib.import_module(
    "keras.src.layers.convolutional.conv_transpose_test"
)
OURS = types.SimpleNamespace(
    Input=keras.Input,
    **{
        name: getattr(keras_convt, name)
        for name in ("Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose")
    },
)


class _OurLayers:
    """What is put in front of each of Keras's test classes."""

    @pytest.fixture(autouse=True)
    def our_layers(self, monkeypatch):
        monkeypatch.setattr(theirs, "layers", OURS)

    def run_layer_test(self, *args, supports_masking=None, **kwargs):
        assert supports_masking is False
        super().run_layer_test(*args, supports_masking=True, **kwargs)

    @contextlib.contextmanager
    def assertRaisesRegex(self, error, words):
        del words
        with pytest.raises(error):
            yield


class TestBasic(_OurLayers, theirs.ConvTransposeBasicTest):
    pass


class TestCorrectness(_OurLayers, theirs.ConvTransposeCorrectnessTest):
    pass


def test_the_tests_ran_with_our_layers(monkeypatch):
    monkeypatch.setattr(theirs, "layers", OURS)
    source = inspect.getsource(theirs.ConvTransposeBasicTest)
    assert "layers.Conv1DTranspose" in source
    assert theirs.layers.Conv1DTranspose is keras_convt.Conv1DTranspose
    assert not issubclass(
        keras_convt.Conv1DTranspose, keras.layers.Conv1DTranspose
    )
