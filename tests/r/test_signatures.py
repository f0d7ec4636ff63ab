"""The signatures of composers, whatever class they are made from."""

import inspect

import keras
import numpy as np
import pytest

import keras_convt
from keras_convt.r import names
from keras_convt.r.signatures import constructor_signature, suggestion

CATCH_ALL = "(*args, **kwargs)"


class WithoutInit(keras.layers.Dense):
    """A class that inherits its constructor."""


class OwnNew(keras.layers.Layer):
    def __new__(cls, size, **kwargs):
        return super().__new__(cls, size, **kwargs)

    def __init__(self, *args, **kwargs):
        super().__init__(**kwargs)


class Anything(keras.layers.Layer):
    def __init__(self, *args, **kwargs):
        super().__init__(**kwargs)


@pytest.mark.parametrize(
    "layer_class",
    [*names.layer_classes().values(), WithoutInit],
    ids=lambda layer_class: layer_class.__name__,
)
def test_the_signature_is_that_of_the_constructor(layer_class):
    """On every Python, those that prefer an inherited `__new__` included."""
    found = constructor_signature(layer_class)
    _, *expected = inspect.signature(layer_class.__init__).parameters.values()
    assert list(found.parameters.values()) == expected
    assert next(iter(found.parameters), None) != "self"


def test_a_new_of_its_own_is_the_signature():
    assert str(constructor_signature(OwnNew)) == "(size, **kwargs)"
    assert str(constructor_signature(Anything)) == CATCH_ALL


def test_an_inherited_new_is_not_the_signature(monkeypatch):
    """What `inspect.signature` of Python 3.11.0 to 3.11.3 answers."""
    real = inspect.signature

    def of_old(callable_, **kwargs):
        if callable_ is WithoutInit:
            return real(lambda *args, **kwargs: None)
        return real(callable_, **kwargs)

    monkeypatch.setattr(inspect, "signature", of_old)
    compose = keras_convt.create_layer_wrapper(WithoutInit)
    assert list(of_old(compose).parameters)[:3] == [
        "object",
        "units",
        "activation",
    ]
    assert compose(None, 3.0, "relu").units == 3


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_data_format_follows_padding(rank):
    compose = getattr(keras_convt, f"layer_conv_{rank}d_transpose")
    shape = (1, 2, *[5] * rank)
    y = compose(np.ones(shape, "float32"), 6, 3, 2, "valid", "channels_first")
    assert tuple(y.shape) == (1, 6, *[11] * rank)


@pytest.mark.parametrize(
    ("compose", "kwargs", "meant"),
    [
        ("layer_conv_1d_transpose", {"activ": "relu"}, "activation"),
        ("layer_conv_1d_transpose", {"stride": 2}, "strides"),
        ("layer_dense", {"activations": "relu"}, "activation"),
        ("layer_flatten", {"dataformat": None}, "data_format"),
        ("layer_feature_space", {"features": {}, "cross": 1}, "crosses"),
    ],
)
def test_a_misspelt_argument_is_named_with_the_right_one(
    compose, kwargs, meant
):
    required = {
        "layer_conv_1d_transpose": (4, 3),
        "layer_dense": (4,),
    }.get(compose, ())
    with pytest.raises((TypeError, ValueError), match=f"'{meant}'") as caught:
        getattr(keras_convt, compose)(None, *required, **kwargs)
    assert "Did you mean" in str(caught.value)


def test_suggestions():
    known = ["kernel_size", "kernel_initializer", "strides"]
    assert suggestion("stride", known) == " Did you mean 'strides'?"
    assert suggestion("kernel", known) == (
        " Did you mean 'kernel_initializer' or 'kernel_size'?"
    )
    assert suggestion("kernelsize", known) == " Did you mean 'kernel_size'?"
    assert suggestion("xyz", known) == ""
