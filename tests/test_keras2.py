"""Keras 2, installed or passed, is refused with what to do."""

from importlib import metadata

import keras
import pytest

import keras_convt
from keras_convt import keras2


def of_keras_2(name="Dense", module="tf_keras.src.layers"):
    return type(name, (), {"__module__": module})


@pytest.mark.parametrize("version", ["2.15.0", "1.2.2", "2.3.0rc1"])
def test_an_old_keras_is_refused(monkeypatch, version):
    monkeypatch.setattr(metadata, "version", lambda name: version)
    with pytest.raises(ImportError, match=rf"Keras {version} is installed"):
        keras2.check_installed()


@pytest.mark.parametrize("version", ["3.8.0", "3.15.1", "10.0"])
def test_keras_3_is_not(monkeypatch, version):
    monkeypatch.setattr(metadata, "version", lambda name: version)
    keras2.check_installed()


def test_a_keras_without_metadata_is_not(monkeypatch):
    def version(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", version)
    keras2.check_installed()


@pytest.mark.parametrize(
    "module", ["tf_keras", "tf_keras.src.layers", "tensorflow.python.keras.x"]
)
def test_what_is_of_keras_2(module):
    kind = of_keras_2(module=module)
    subclass = type("Own", (kind,), {})
    for value in (kind, kind(), subclass, subclass()):
        assert keras2.is_of_keras_2(value)
        assert "import keras instead of tf_keras" in keras2.advice(value)


@pytest.mark.parametrize(
    "value",
    [None, 3, "tf_keras", keras.layers.Dense, of_keras_2(module="tf_keras3")],
)
def test_what_is_not(value):
    assert not keras2.is_of_keras_2(value)
    assert keras2.advice(value) == ""


@pytest.mark.parametrize(
    "call",
    [
        keras_convt.adjoint,
        keras_convt.upgrade_model,
        keras_convt.downgrade_model,
        keras_convt.fold_weight_normalization,
        keras_convt.explain,
        keras_convt.StreamingModel,
        keras_convt.WeightNormalization,
        lambda model: keras_convt.tune(model, ()),
        lambda layer: keras_convt.load_torch_weights(layer, ()),
        lambda layer: keras_convt.layer_conv_1d_transpose(layer, 4, 3),
    ],
)
def test_every_function_that_takes_layers_or_models_says_it(call):
    with pytest.raises(TypeError, match="import keras instead of tf_keras"):
        call(of_keras_2("Sequential")())
    with pytest.raises(TypeError) as other:
        call(object())
    assert "tf_keras" not in str(other.value)
