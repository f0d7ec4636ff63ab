"""What a model knows beside its config comes along when it is upgraded."""

import keras
import numpy as np
import pytest
from keras import layers
from keras.ops import convert_to_numpy as numpy
from tolerances import BUILT_IN, assert_close

import keras_convt
from keras_convt import downgrade_model, upgrade_model

FACTOR = 3.0


def unregistered(x):
    return x * FACTOR


def run(model, x, **kwargs):
    return numpy(model(x, **kwargs))


def signal(rng, *shape):
    return rng.normal(size=shape or (2, 5, 3)).astype("float32")


def test_statistics(rng):
    norm = layers.Normalization()
    norm.adapt(100 + 7 * rng.normal(size=(50, 3)).astype("float32"))
    model = keras.Sequential(
        [keras.Input((5, 3)), norm, layers.Conv1DTranspose(2, 4, 2)]
    )
    x = 100 + signal(rng)
    y = run(upgrade_model(model), x)
    # Without the statistics it is some hundred.
    assert np.abs(y).max() < 5
    assert_close(y, run(model, x), BUILT_IN)


class Owner(layers.Layer):
    """Has a layer with statistics of its own."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.norm = layers.Normalization()

    def call(self, inputs):
        return self.norm(inputs)


def test_statistics_of_a_layer_within_a_layer(rng):
    owner = Owner()
    owner.norm.adapt(100 + rng.normal(size=(50, 3)).astype("float32"))
    model = keras.Sequential(
        [keras.Input((5, 3)), owner, layers.Conv1DTranspose(2, 4, 2)]
    )
    x = 100 + signal(rng)
    assert_close(run(upgrade_model(model), x), run(model, x), BUILT_IN)


@pytest.mark.parametrize("wrapped_first", [False, True])
def test_a_shared_layer_in_a_wrapper_stays_shared(wrapped_first, rng):
    shared = layers.Conv1DTranspose(3, 4, 2, "same", name="shared")
    wrapper = layers.TimeDistributed(shared, name="wrapper")
    source = keras.Input((5, 3))
    if wrapped_first:
        y = shared(wrapper(source[:, None])[:, 0])
    else:
        y = wrapper(shared(source)[:, None])
    model = keras.Model(source, y)
    upgraded = upgrade_model(model)
    assert len(upgraded.weights) == len(model.weights) == 2
    assert upgraded.get_layer("wrapper").layer is upgraded.get_layer("shared")
    x = signal(rng)
    assert_close(run(upgraded, x), run(model, x), BUILT_IN)


def test_a_model_in_a_wrapper(rng):
    inner = keras.Sequential(
        [keras.Input((5, 3)), layers.Conv1DTranspose(2, 4, 2, name="up")],
        name="inner",
    )
    source = keras.Input((4, 5, 3))
    wrapper = layers.TimeDistributed(inner, name="wrapper")
    model = keras.Model(source, wrapper(source))
    upgraded = upgrade_model(model)
    copied = upgraded.get_layer("wrapper").layer
    assert type(copied.layers[0]) is keras_convt.Conv1DTranspose
    x = signal(rng, 2, 4, 5, 3)
    assert_close(run(upgraded, x), run(model, x), BUILT_IN)


def test_which_weights_are_trained():
    frozen = layers.Conv1DTranspose(3, 4, 2, name="frozen")
    dense = layers.Dense(3, name="dense")
    model = keras.Sequential([keras.Input((5, 3)), frozen, dense])
    frozen.kernel.trainable = False
    dense.bias.trainable = False
    for convert in (upgrade_model, lambda m: downgrade_model(upgrade_model(m))):
        copy = convert(model)
        trained = [
            "/".join(v.path.split("/")[-2:]) for v in copy.trainable_variables
        ]
        assert trained == ["frozen/bias", "dense/kernel"]


def test_the_way_a_layer_was_called(rng):
    source = keras.Input((5, 3))
    inner = keras.Sequential(
        [
            keras.Input((5, 3)),
            layers.Dropout(0.5, seed=1),
            layers.BatchNormalization(),
        ]
    )
    quiet = inner(source, training=False)
    noisy = layers.Dropout(0.5, seed=2)(
        inner(source, training=True), training=True
    )
    up = layers.Conv1DTranspose(2, 4, 2)(noisy)
    model = keras.Model(source, [quiet, noisy, up])
    upgraded = upgrade_model(model)
    x = 10 + signal(rng)
    for training in (None, True, False):
        expected = model(x, training=training)
        actual = upgraded(x, training=training)
        for a, e in zip(actual, expected, strict=True):
            assert_close(numpy(a), numpy(e), BUILT_IN, f"{training=}")
        if training is None:
            # As it was said where the layer was called.
            assert (numpy(expected[1]) == 0).any()


def test_the_states_of_seeds(rng):
    model = keras.Sequential(
        [
            keras.Input((5, 3)),
            # PyTorch's own generator is used where there is no seed.
            layers.Dropout(0.5, seed=3),
            layers.GaussianNoise(1.0),
            layers.Conv1DTranspose(2, 4, 2),
        ]
    )
    x = signal(rng)
    first = run(model, x, training=True)
    upgraded = upgrade_model(model)
    second = run(model, x, training=True)
    assert np.abs(first - second).max() > 0.1
    assert_close(run(upgraded, x, training=True), second, BUILT_IN)


@pytest.mark.filterwarnings("ignore:Layer '.*was passed an input with a mask")
def test_a_mask_is_spoken_of(rng):
    source = keras.Input((5, 3))
    up = layers.Conv1DTranspose(2, 4, 2, "same", name="up")
    pool = layers.GlobalAveragePooling1D()
    model = keras.Model(source, pool(up(layers.Masking()(source))))
    with pytest.warns(UserWarning, match=r"A mask reaches 'up'\. The built-in"):
        upgrade_model(model)
    up = layers.Conv1DTranspose(2, 4, 2, "same", name="up")
    dense = layers.TimeDistributed(layers.Dense(3))
    sequential = keras.Sequential(
        [keras.Input((5, 3)), layers.Masking(), dense, up]
    )
    with pytest.warns(UserWarning, match=r"A mask reaches 'up'"):
        upgrade_model(sequential)
    up = layers.Conv1DTranspose(2, 4, 2, "same", name="up")
    inner = keras.Sequential([keras.Input((5, 3)), up], name="inner")
    model = keras.Model(source, inner(layers.Masking()(source)))
    with pytest.warns(UserWarning, match=r"A mask reaches 'inner'"):
        upgrade_model(model)


def own_loss(y_true, y_pred):
    return keras.ops.mean(keras.ops.abs(y_true - y_pred), axis=-1)


def test_the_copy_of_a_compiled_model_is_not_compiled():
    class OwnModel(keras.Model):
        pass

    source = keras.Input((5, 3))
    y = layers.Conv1DTranspose(2, 4, 2)(source)
    for model in (
        keras.Model(source, y),
        OwnModel(source, y),
        keras.Sequential([keras.Input((5, 3)), layers.Conv1DTranspose(2, 4)]),
    ):
        model.compile(loss=own_loss, metrics=[own_loss])
        upgraded = upgrade_model(model)
        assert not upgraded.compiled
        assert model.compiled
        assert type(upgraded) is type(model)


def test_functions_and_classes_that_are_not_registered(rng):
    model = keras.Sequential(
        [
            keras.Input((5, 3)),
            layers.Dense(4, activation=unregistered),
            layers.Conv1DTranspose(2, 4, 2, activation=unregistered),
            layers.Conv1DTranspose(2, 4, 2, activation=lambda x: x * FACTOR),
            layers.TimeDistributed(layers.Lambda(lambda x: x + FACTOR)),
            layers.Dense(2, activation=lambda x: x / FACTOR),
        ]
    )
    x = signal(rng)
    expected = run(model, x)
    upgraded = upgrade_model(model)
    assert_close(run(upgraded, x), expected, BUILT_IN)
    assert_close(run(downgrade_model(upgraded), x), expected, BUILT_IN)


class Factor(keras.initializers.Initializer):
    """An initializer that knows another one by name alone."""

    def __init__(self, other):
        self.other = other

    def __call__(self, shape, dtype=None):
        return keras.ops.full(shape, FACTOR, dtype=dtype)

    def get_config(self):
        return {"other": keras.saving.serialize_keras_object(unregistered)}

    @classmethod
    def from_config(cls, config):
        return cls(keras.saving.deserialize_keras_object(config["other"]))


def test_custom_objects(rng):
    up = layers.Conv1DTranspose(2, 4, 2, kernel_initializer=Factor(None))
    model = keras.Sequential([keras.Input((5, 3)), up])
    upgraded = upgrade_model(model, {"unregistered": unregistered})
    initializer = upgraded.layers[0].kernel_initializer
    assert type(initializer) is Factor
    assert initializer.other is unregistered


class MakesInBuild(layers.Layer):
    def build(self, input_shape):
        self.up = layers.Conv1DTranspose(2, 3, name="hidden")
        self.up.build(input_shape)

    def call(self, inputs):
        return self.up(inputs)

    def compute_output_shape(self, input_shape):
        return layers.Conv1DTranspose(2, 3).compute_output_shape(input_shape)


class Derived(layers.Conv1DTranspose):
    pass


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (MakesInBuild, r"'hidden', which MakesInBuild \('own'\) makes in its"),
        (Derived, r"'own': its class Derived is derived from Conv1DTranspose"),
    ],
)
def test_hidden_layers_are_named(layer, message):
    own = (
        layer(name="own") if layer is MakesInBuild else layer(2, 3, name="own")
    )
    model = keras.Sequential([keras.Input((5, 2)), own])
    with pytest.raises(ValueError, match=message):
        upgrade_model(model)


def test_a_subclass_of_ours_cannot_go_back():
    class DerivedFromOurs(keras_convt.Conv1DTranspose):
        pass

    up = DerivedFromOurs(2, 3, name="up")
    with pytest.raises(
        ValueError,
        match=r"'up': its class .* Derive it from keras\.layers\.Conv1DTransp",
    ):
        downgrade_model(keras.Sequential([keras.Input((5, 2)), up]))


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (keras_convt.DepthwiseConv1DTranspose(3, name="up"), r"'up': .*Depth"),
        (keras_convt.SeparableConv1DTranspose(2, 3, name="up"), r"'up': .*Sep"),
        (
            layers.TimeDistributed(
                keras_convt.DepthwiseConv1DTranspose(3, name="up")
            ),
            r"'up': .*Depth",
        ),
    ],
)
def test_what_needs_this_package_cannot_go_back(layer, message):
    shape = (4, 5, 3) if isinstance(layer, layers.Wrapper) else (5, 3)
    source = keras.Input(shape)
    model = keras.Model(source, layer(source))
    with pytest.raises(ValueError, match=f"layer {message}"):
        downgrade_model(model)


def test_an_operation_cannot_go_back():
    source = keras.Input((5, 3))
    y = keras_convt.ops.conv_transpose(source, np.ones((2, 4, 3), "float32"))
    with pytest.raises(ValueError, match=r"ConvTranspose of keras_convt does"):
        downgrade_model(keras.Model(source, y))


def test_an_initializer_of_ours_goes_back_to_keras_own(rng):
    icnr = keras_convt.initializers.ICNR(strides=2)
    up = keras_convt.Conv1DTranspose(2, 4, 2, kernel_initializer=icnr)
    model = keras.Sequential([keras.Input((5, 3)), up])
    back = downgrade_model(model)
    assert "keras_convt" not in str(back.get_config())
    x = signal(rng)
    assert_close(run(back, x), run(model, x), BUILT_IN)


ICNR = keras_convt.initializers.ICNR(strides=2)


@pytest.mark.parametrize(
    "layer",
    [
        layers.Conv2D(8, 3, kernel_initializer=ICNR),
        layers.Conv2DTranspose(3, 4, 2, kernel_initializer=ICNR),
        layers.TimeDistributed(layers.Conv1D(4, 3, kernel_initializer=ICNR)),
    ],
    ids=["for pixels", "built-in", "wrapped"],
)
def test_initializers_of_ours_in_other_layers_go_back(layer, rng):
    model = keras.Sequential([keras.Input((5, 5, 3)), layer])
    back = downgrade_model(model)
    assert "keras_convt" not in str(back.get_config())
    (new,) = back.layers
    new = getattr(new, "layer", new)
    assert type(new.kernel_initializer) is keras.initializers.GlorotUniform
    x = rng.normal(size=(2, 5, 5, 3)).astype("float32")
    assert_close(run(back, x), run(model, x), BUILT_IN)
