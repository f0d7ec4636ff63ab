"""Saved, copied and loaded: the same layers, with the same outputs."""

import copy
import inspect
import pickle

import keras
import pytest
from keras import ops
from keras.ops import convert_to_numpy as numpy
from tolerances import SAME_LAYER, assert_close

import keras_convt

Layer = keras_convt.Conv1DTranspose
MORE_AXES = [(2, keras_convt.Conv2DTranspose), (3, keras_convt.Conv3DTranspose)]

EVERYTHING = {
    "filters": 4,
    "kernel_size": 3,
    "strides": 2,
    "padding": "same",
    "output_padding": 1,
    "data_format": "channels_first",
    "activation": "tanh",
    "kernel_initializer": keras.initializers.RandomNormal(0.5, 0.25, seed=3),
    "bias_initializer": "ones",
    "kernel_regularizer": keras.regularizers.L1(0.01),
    "bias_regularizer": keras.regularizers.L2(0.02),
    "activity_regularizer": keras.regularizers.L1L2(0.03, 0.04),
    "kernel_constraint": keras.constraints.MaxNorm(1.5),
    "bias_constraint": keras.constraints.NonNeg(),
    "trainable": False,
    "name": "everything",
    "dtype": "mixed_bfloat16",
    "groups": 2,
}
# What cannot stand beside the above.
VARIANTS = [
    EVERYTHING,
    {**EVERYTHING, "strides": 1, "output_padding": 0, "dilation_rate": 3},
    {**EVERYTHING, "use_bias": False, "bias_initializer": "he_normal"},
    {**EVERYTHING, "padding": "causal", "output_padding": None},
    {**EVERYTHING, "padding": (1, -3)},
    {**EVERYTHING, "padding": 2},
    {**EVERYTHING, "kernel_constraint": None, "lora_rank": 2, "lora_alpha": 3},
    {**EVERYTHING, "implementation": "native"},
]
# Not every version of Keras has one.
Int8Config = getattr(keras.quantizers, "Int8QuantizationConfig", None)
if Int8Config is not None:
    VARIANTS.append(
        {
            **EVERYTHING,
            "dtype": "int8_from_mixed_bfloat16",
            "quantization_config": Int8Config(activation_quantizer=None),
        }
    )


def test_every_argument_is_in_the_variants():
    defaults = {
        p.name: p.default for p in inspect.signature(Layer).parameters.values()
    }
    seen = {
        name
        for variant in VARIANTS
        for name, value in variant.items()
        if value is not defaults.get(name, inspect)
    }
    names = set(defaults) - {"kwargs"}
    if Int8Config is None:
        names -= {"quantization_config"}
    assert names <= seen


@pytest.mark.parametrize("arguments", VARIANTS)
def test_saved_and_loaded(arguments, rng, tmp_path):
    layer = Layer(**arguments)
    model = keras.Sequential([keras.Input((6, 5)), layer])
    x = rng.normal(size=(3, 6, 5)).astype("float32")
    expected = numpy(model(x))
    path = tmp_path / "model.keras"
    model.save(path)
    # Without custom_objects: the registered name is enough.
    loaded = keras.saving.load_model(path)
    again = loaded.layers[-1]
    assert type(again) is Layer
    assert again.get_config() == layer.get_config()
    assert_close(numpy(loaded(x)), expected, SAME_LAYER)
    losses = [
        [float(numpy(ops.cast(loss, "float32"))) for loss in m.losses]
        for m in (model, loaded)
    ]
    assert losses[0]  # of the activity, as the layer is not trainable
    assert_close(losses[1], losses[0], SAME_LAYER)
    assert again.trainable is False
    # The config alone makes an equal layer, with new weights.
    remade = Layer.from_config(layer.get_config())
    assert remade.get_config() == layer.get_config()
    remade.build(x.shape)
    assert_close(numpy(remade.kernel), numpy(layer.kernel), SAME_LAYER)


@pytest.mark.parametrize(("rank", "ours"), MORE_AXES)
def test_saved_and_loaded_in_more_axes(rank, ours, rng, tmp_path):
    layer = ours(
        4,
        (2, 3, 1)[:rank],
        (1, 3, 2)[:rank],
        ((1, 0), (0, -1), (0, 0))[:rank],
        groups=2,
        bias_initializer="ones",
        activation="tanh",
    )
    x = rng.normal(size=(2, *[4] * rank, 2)).astype("float32")
    model = keras.Sequential([keras.Input(x.shape[1:]), layer])
    path = tmp_path / "model.keras"
    model.save(path)
    loaded = keras.saving.load_model(path)
    assert loaded.layers[-1].get_config() == layer.get_config()
    assert_close(numpy(loaded(x)), numpy(model(x)), SAME_LAYER)


def test_output_size_in_a_saved_functional_model(rng, tmp_path):
    """A U-Net's skip: decode to exactly the steps that were encoded."""
    source = keras.Input((9, 3))
    coarse = keras.layers.Conv1D(4, 4, 2, "same")(source)
    by_int = Layer(3, 4, 2, "same")(coarse, output_size=9)
    by_tensor = Layer(3, 4, 2, "same")(coarse, output_size=source)
    model = keras.Model(source, [by_int, by_tensor])
    assert [tuple(o.shape) for o in model.outputs] == [(None, 9, 3)] * 2
    x = rng.normal(size=(2, 9, 3)).astype("float32")
    expected = [numpy(y) for y in model(x)]
    path = tmp_path / "model.keras"
    model.save(path)
    for y, wanted in zip(
        keras.saving.load_model(path)(x), expected, strict=True
    ):
        assert_close(numpy(y), wanted, SAME_LAYER)


def decoder():
    """A functional model with a branch, a shared layer, and a model in it."""
    source = keras.Input((None, 3))
    shared = Layer(3, 4, 2, "same", activation="tanh")
    twice = shared(shared(source))
    inner = keras.Sequential(
        [keras.Input((None, 3)), Layer(3, 5, padding="causal", groups=3)]
    )
    depthwise = keras_convt.DepthwiseConv1DTranspose(3, padding="same")
    outputs = inner(twice) + depthwise(twice)
    return keras.Model(
        source,
        keras_convt.SeparableConv1DTranspose(2, 3, 2, "same")(outputs),
    )


COPIES_OF_ALL = {
    "deepcopy": copy.deepcopy,
    "pickle": lambda model: pickle.loads(pickle.dumps(model)),
}
COPIES_OF_THE_CONFIG = {
    "clone_model": keras.models.clone_model,
    "to_json": lambda model: keras.models.model_from_json(model.to_json()),
}


@pytest.mark.parametrize("name", [*COPIES_OF_ALL, *COPIES_OF_THE_CONFIG])
def test_copies(name, rng):
    model = decoder()
    x = rng.normal(size=(2, 5, 3)).astype("float32")
    expected = numpy(model(x))
    if name in COPIES_OF_ALL:
        again = COPIES_OF_ALL[name](model)
    else:
        again = COPIES_OF_THE_CONFIG[name](model)
        again.set_weights(model.get_weights())
    # Weights of its own.
    model.set_weights([w + 1 for w in model.get_weights()])
    assert abs(numpy(model(x)) - expected).max() > 0.1
    assert_close(numpy(again(x)), expected, SAME_LAYER)


def test_weights_of_a_model_in_a_file(rng, tmp_path):
    model, other = decoder(), decoder()
    x = rng.normal(size=(2, 5, 3)).astype("float32")
    model(x), other(x)
    path = tmp_path / "model.weights.h5"
    model.save_weights(path)
    other.load_weights(path)
    assert_close(numpy(other(x)), numpy(model(x)), SAME_LAYER)
