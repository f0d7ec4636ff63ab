"""Models with the built-in layers become models with ours, and back."""

import keras
import numpy as np
import pytest
from keras import layers
from keras.ops import convert_to_numpy as numpy
from tolerances import BUILT_IN, assert_close

import keras_convt

BUILT_INS = (
    layers.Conv1DTranspose,
    layers.Conv2DTranspose,
    layers.Conv3DTranspose,
)


def sequential():
    # Strides up to the kernel, where every version of Keras is right.
    return keras.Sequential(
        [
            keras.Input((None, 3)),
            layers.Conv1DTranspose(4, 4, 2, "same", activation="relu"),
            layers.Conv1DTranspose(2, 3, 1, trainable=False, name="last"),
        ],
        name="plain",
    )


def unbuilt_sequential():
    model = keras.Sequential([layers.Conv1DTranspose(4, 4, 2)])
    model(np.zeros((1, 5, 3), "float32"))
    return model


def functional():
    """Shared layers, branches, models in models, a wrapper, an operation."""
    source = keras.Input((None, 3))
    shared = layers.Conv1DTranspose(3, 4, 2, "same", name="shared")
    first = shared(source)
    second = shared(first)
    innermost = keras.Sequential(
        [
            keras.Input((None, 5)),
            layers.Conv1DTranspose(3, 3, dtype="float32", name="deep"),
            shared,
        ],
        name="innermost",
    )
    inner = keras.Sequential(
        [keras.Input((None, 3)), layers.Dense(5), innermost], name="inner"
    )
    inner.trainable = False
    outputs = keras.ops.tanh(inner(second)) + keras.ops.mean(first)
    wrapped = layers.TimeDistributed(
        layers.Conv1DTranspose(2, 4, 2), name="wrapper"
    )
    return keras.Model(
        source, [wrapped(outputs[:, None]), layers.BatchNormalization()(first)]
    )


def two_dimensional():
    source = keras.Input((4, 5, 3))
    return keras.Model(source, layers.Conv2DTranspose(2, (2, 4), 2)(source))


def three_dimensional():
    source = keras.Input((4, 3, 2, 3))
    return keras.Model(source, layers.Conv3DTranspose(2, 2, 2)(source))


MODELS = [
    sequential,
    unbuilt_sequential,
    functional,
    two_dimensional,
    three_dimensional,
]


def outputs(model, x):
    return [numpy(y) for y in keras.tree.flatten(model(x))]


def data(model, rng):
    shape = [5 if n is None else n for n in model.input_shape[1:]]
    return rng.normal(size=(2, *shape)).astype("float32")


def layers_of(model):
    """The layers, and those in models and wrappers."""
    for layer in model.layers:
        yield layer
        if isinstance(layer, keras.Model):
            yield from layers_of(layer)
        elif isinstance(layer, layers.Wrapper):
            yield layer.layer


@pytest.mark.parametrize("make", MODELS)
def test_there_and_back(make, rng):
    model = make()
    x = data(model, rng)
    expected = outputs(model, x)
    weights = [w.copy() for w in model.get_weights()]
    upgraded = keras_convt.upgrade_model(model)
    for actual, wanted in zip(outputs(upgraded, x), expected, strict=True):
        assert_close(actual, wanted, BUILT_IN)
    there = list(layers_of(upgraded))
    assert not any(isinstance(layer, BUILT_INS) for layer in there)
    for old, new in zip(layers_of(model), there, strict=True):
        if not isinstance(old, layers.InputLayer):
            assert new.name == old.name
        assert new.trainable == old.trainable
        assert new.dtype_policy.name == old.dtype_policy.name
        assert new is not old
    assert [w.shape for w in upgraded.trainable_weights] == [
        w.shape for w in model.trainable_weights
    ]
    back = keras_convt.downgrade_model(upgraded)
    for actual, wanted in zip(outputs(back, x), expected, strict=True):
        assert_close(actual, wanted, BUILT_IN)
    assert [type(layer) for layer in layers_of(back)] == [
        type(layer) for layer in layers_of(model)
    ]
    # Neither copy has anything of the original's.
    upgraded.set_weights([w + 1 for w in weights])
    back.set_weights([w + 1 for w in weights])
    for actual, wanted in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(actual, wanted)


def test_a_shared_layer_stays_shared():
    upgraded = keras_convt.upgrade_model(functional())
    shared = upgraded.get_layer("shared")
    assert type(shared) is keras_convt.Conv1DTranspose
    innermost = upgraded.get_layer("inner").get_layer("innermost")
    assert innermost.layers[-1] is shared


def test_the_dtype_policy_and_a_save(rng, tmp_path):
    model = keras.Sequential(
        [
            keras.Input((None, 3)),
            layers.Conv1DTranspose(4, 4, 2, dtype="mixed_bfloat16"),
        ]
    )
    upgraded = keras_convt.upgrade_model(model)
    assert upgraded.layers[0].dtype_policy.name == "mixed_bfloat16"
    upgraded.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    x = data(model, rng)
    assert type(loaded.layers[0]) is keras_convt.Conv1DTranspose
    np.testing.assert_array_equal(
        *(numpy(keras.ops.cast(m(x), "float32")) for m in (upgraded, loaded))
    )


def test_lora_is_merged_on_the_way_back(rng):
    layer = keras_convt.Conv1DTranspose(4, 4, 2, "same", use_bias=False)
    model = keras.Sequential([keras.Input((None, 3)), layer])
    layer.enable_lora(2, b_initializer="he_normal")
    x = data(model, rng)
    back = keras_convt.downgrade_model(model)
    assert type(back.layers[0]) is layers.Conv1DTranspose
    assert_close(numpy(back(x)), numpy(model(x)), BUILT_IN)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"groups": 2}, r"'up': `groups` must be 1. Received: groups=2"),
        ({"padding": "causal"}, r"'up': `padding` .* padding='causal'"),
        ({"padding": (1, 0)}, r"'up': `padding` .* padding=\(\(1, 0\),\)"),
        ({"dtype": "int8_from_float32"}, r"'up': `dtype` must not be quanti"),
    ],
)
def test_what_cannot_go_back_is_named(arguments, message):
    layer = keras_convt.Conv1DTranspose(4, 4, 2, name="up", **arguments)
    model = keras.Sequential([keras.Input((5, 2)), layer])
    with pytest.raises(ValueError, match=message):
        keras_convt.downgrade_model(model)


def test_an_output_size_cannot_go_back():
    source = keras.Input((5, 2))
    up = keras_convt.Conv1DTranspose(4, 3, 2, name="up")
    model = keras.Model(source, up(source, output_size=12))
    with pytest.raises(ValueError, match="'up', which is called with an `out"):
        keras_convt.downgrade_model(model)


class Subclassed(keras.Model):
    def call(self, inputs):
        return inputs


class Hiding(layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.blocks = [layers.Conv1DTranspose(2, 3, name="hidden")]

    def call(self, inputs):
        return self.blocks[0](inputs)

    def compute_output_shape(self, input_shape):
        return self.blocks[0].compute_output_shape(input_shape)


def test_what_cannot_be_upgraded_says_what_to_do():
    with pytest.raises(ValueError, match=r"Subclassed is subclassed.*import"):
        keras_convt.upgrade_model(Subclassed())
    with pytest.raises(ValueError, match=r"'hidden', which Hiding \('block'\)"):
        keras_convt.upgrade_model(
            keras.Sequential([keras.Input((5, 2)), Hiding(name="block")])
        )
    with pytest.raises(TypeError, match=r"`model` must be a keras\.Model"):
        keras_convt.upgrade_model(layers.Conv1DTranspose(2, 3))
