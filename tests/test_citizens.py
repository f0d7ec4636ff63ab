"""The layers as citizens of Keras: whatever one does with a built-in layer.

Each test does the same with the built-in `Conv1DTranspose` and with ours, and
compares what comes out. These differences are deliberate:

| What one does | The built-in layer | Ours |
|---|---|---|
| Change `filters`, `kernel_size`, `data_format`, `use_bias` (or `groups`, |
| `depth_multiplier`, `lora_rank`) of a built layer | Takes it; wrong or an |
| error later | ValueError by name |
| Set what cannot be used | Takes it; an error later | ValueError by name |
| An input with a mask | Warns, and loses the mask | Uses it and passes it on |
| Set `kernel` while LoRA or int8 computes it | (has neither) | ValueError |
| An input of another rank than `rank + 2` | Some are taken | ValueError |
| Wrong rank or channels | Keras's words | The layer's own words |
| `repr(layer)` | Name, built | Also filters, kernel, strides, padding |
"""

import contextlib
import re

import keras
import numpy as np
import pytest
from gradients import BACKEND
from keras import layers, ops
from tolerances import BUILT_IN, SAME_LAYER, assert_close

import keras_convt

Ours = keras_convt.Conv1DTranspose
Theirs = layers.Conv1DTranspose
BOTH = (Theirs, Ours)


def data(rng, *shape):
    return rng.normal(size=shape).astype("float32")


def numpy(tensor):
    return ops.convert_to_numpy(tensor)


def same_outcome(function, tolerance=BUILT_IN):
    """`function(cls)` gives the same arrays for the built-in layer and ours."""
    results = []
    for cls in BOTH:
        keras.utils.set_random_seed(5)
        found = function(cls)
        results.append(found if isinstance(found, list) else [found])
    assert len(results[0]) == len(results[1])
    for theirs, ours in zip(*results, strict=True):
        assert np.size(theirs)
        assert_close(numpy(ours), numpy(theirs), tolerance)


# --- wrappers ---------------------------------------------------------------


@pytest.mark.parametrize("training", [True, False])
def test_spectral_normalization(training, rng):
    x = data(rng, 2, 5, 3)

    def run(cls):
        wrapper = layers.SpectralNormalization(cls(4, 3, 2))
        y = wrapper(x, training=training)
        return [y, *wrapper.get_weights()]

    same_outcome(run)


class WeightNormalization(layers.Wrapper):
    """As people write it by hand: the layer's kernel is set in each call."""

    def build(self, input_shape=None):
        super().build(input_shape)
        self.direction = self.layer.kernel
        self.gain = self.add_weight(
            name="gain", shape=(1, 1, self.direction.shape[-1])
        )
        self.gain.assign(np.full(self.gain.shape, 3.0))

    def call(self, inputs):
        v = ops.convert_to_tensor(self.direction)
        norm = ops.sqrt(ops.sum(ops.square(v), axis=(0, 1), keepdims=True))
        self.layer.kernel = self.gain * v / norm
        return self.layer(inputs)

    def compute_output_shape(self, input_shape):
        return self.layer.compute_output_shape(input_shape)


def test_a_wrapper_that_sets_the_kernel(rng, tmp_path):
    x, y = data(rng, 4, 5, 3), data(rng, 4, 11, 4)

    def run(cls):
        wrapper = WeightNormalization(cls(4, 3, 2, use_bias=False))
        model = keras.Sequential([keras.Input((5, 3)), wrapper])
        model.compile(keras.optimizers.SGD(0.5), "mse")
        model.fit(x, y, epochs=2, verbose=0)
        path = tmp_path / f"{cls.__module__}.weights.h5"
        model.save_weights(path)
        before = model.predict(x, verbose=0)
        model.load_weights(path)
        return [before, *model.get_weights()]

    same_outcome(run)


def test_time_distributed(rng):
    x = data(rng, 2, 3, 5, 4)

    def run(cls):
        inputs = keras.Input((3, 5, 4))
        outputs = layers.TimeDistributed(cls(2, 3, 2))(inputs)
        return keras.Model(inputs, outputs).predict(x, verbose=0)

    same_outcome(run)


def test_time_distributed_with_a_mask(rng):
    """A mask of frames hides whole signals."""
    x = data(rng, 2, 3, 5, 4)
    mask = np.array([[True, True, False], [True, False, False]])
    wrapper = layers.TimeDistributed(Ours(2, 3, 2, bias_initializer="ones"))
    y = numpy(wrapper(x, mask=ops.convert_to_tensor(mask)))
    alone = numpy(wrapper(x))
    assert_close(y[mask], alone[mask], SAME_LAYER)
    assert_close(y[~mask], np.ones_like(y[~mask]), SAME_LAYER)


# --- subclasses -------------------------------------------------------------


def weight_in_build(cls):
    class Scaled(cls):
        def build(self, input_shape):
            super().build(input_shape)
            self.scale = self.add_weight(name="scale", shape=(self.filters,))

        def call(self, inputs):
            return super().call(inputs) * self.scale

    return Scaled


def weight_in_the_constructor(cls):
    class Shifted(cls):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            self.shift = self.add_weight(name="shift", shape=(1, 1))

        def call(self, inputs):
            return super().call(inputs) + self.shift

    return Shifted


def layer_in_the_constructor(cls):
    class Mixed(cls):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            self.mix = layers.Dense(2)

        def build(self, input_shape):
            self.mix.build(input_shape)
            super().build((*input_shape[:-1], 2))
            self.input_spec = None

        def call(self, inputs):
            return super().call(self.mix(inputs))

    return Mixed


def frozen_weight(cls):
    class Counting(cls):
        def build(self, input_shape):
            self.count = self.add_weight(
                name="count", shape=(), trainable=False, initializer="ones"
            )
            super().build(input_shape)

    return Counting


SUBCLASSES = (
    weight_in_build,
    weight_in_the_constructor,
    layer_in_the_constructor,
    frozen_weight,
)


@pytest.mark.parametrize("subclass", SUBCLASSES)
def test_all_weights_of_a_subclass_are_saved(subclass, rng, tmp_path):
    x = data(rng, 2, 5, 3)

    def run(cls):
        made = subclass(cls)
        scope = keras.saving.custom_object_scope({made.__name__: made})
        model = keras.Sequential([keras.Input((5, 3)), made(4, 3, 2)])
        model.set_weights([w + 0.5 for w in model.get_weights()])
        expected = model.predict(x, verbose=0)
        name = f"{cls.__module__}"
        model.save(tmp_path / f"{name}.keras")
        with scope:
            loaded = keras.saving.load_model(tmp_path / f"{name}.keras")
        model.save_weights(tmp_path / f"{name}.weights.h5")
        for weight in model.weights:
            weight.assign(np.zeros(weight.shape))
        model.load_weights(tmp_path / f"{name}.weights.h5")
        again = [m.predict(x, verbose=0) for m in (loaded, model)]
        for found in again:
            assert_close(found, expected, SAME_LAYER)
        return [expected, *loaded.get_weights()]

    same_outcome(run)
    # The built-in's file fits ours.
    scaled = keras.Sequential([keras.Input((5, 3)), subclass(Ours)(4, 3, 2)])
    scaled.load_weights(tmp_path / f"{Theirs.__module__}.weights.h5")
    theirs = keras.Sequential([keras.Input((5, 3)), subclass(Theirs)(4, 3, 2)])
    theirs.load_weights(tmp_path / f"{Theirs.__module__}.weights.h5")
    for mine, built_in in zip(
        scaled.get_weights(), theirs.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(mine, built_in)


@pytest.mark.parametrize("store", ["lora", "int8", "lora and int8"])
def test_they_are_saved_beside_lora_and_int8(store, tmp_path):
    made = weight_in_build(Ours)

    def model():
        return keras.Sequential([keras.Input((5, 3)), made(4, 3, 2)])

    first, second = model(), model()
    for one in (first, second):
        if "lora" in store:
            one.layers[0].enable_lora(2, b_initializer="ones")
        if "int8" in store:
            one.layers[0].quantize("int8")
    first.layers[0].scale.assign([1.0, 2.0, 3.0, 4.0])
    first.save_weights(tmp_path / "model.weights.h5")
    second.load_weights(tmp_path / "model.weights.h5")
    np.testing.assert_array_equal(
        numpy(second.layers[0].scale), [1.0, 2.0, 3.0, 4.0]
    )
    close = {"rtol": 0, "atol": 0.03 if "and" in store else 1e-6}
    assert_close(
        numpy(second.layers[0].kernel), numpy(first.layers[0].kernel), close
    )


def own_output_shape(cls):
    class Doubled(cls):
        def call(self, inputs):
            return ops.concatenate([super().call(inputs)] * 2, axis=-1)

        def compute_output_shape(self, input_shape):
            *front, filters = super().compute_output_shape(input_shape)
            return (*front, 2 * filters)

    return Doubled


def own_training_argument(cls):
    class Noisy(cls):
        def call(self, inputs, training=False):
            return super().call(inputs) + (1.0 if training else 0.0)

    return Noisy


def own_kernel(cls):
    class Symmetric(cls):
        def build(self, input_shape):
            self.kernel = self.add_weight(
                name="kernel", shape=(3, 4, input_shape[-1])
            )
            self.bias = None
            self.use_bias = False

    return Symmetric


def reads_its_kernel_in_build(cls):
    class Positive(cls):
        def build(self, input_shape):
            super().build(input_shape)
            self.kernel.assign(ops.abs(self.kernel))

    return Positive


@pytest.mark.parametrize(
    "subclass",
    [
        own_output_shape,
        own_training_argument,
        own_kernel,
        reads_its_kernel_in_build,
    ],
)
def test_what_subclasses_override(subclass, rng):
    x = data(rng, 2, 5, 3)

    def run(cls):
        inputs = keras.Input((5, 3))
        outputs = subclass(cls)(4, 3, 2)(inputs)
        model = keras.Model(inputs, outputs)
        found = model.predict(x, verbose=0)
        assert outputs.shape[1:] == found.shape[1:]
        return [found, model(x, training=True)]

    same_outcome(run)


# --- attributes -------------------------------------------------------------

CHANGES = {
    "filters": 6,
    "kernel_size": (4,),
    "strides": (3,),
    "padding": "same",
    "output_padding": (1,),
    "data_format": "channels_first",
    "activation": ops.tanh,
    "use_bias": False,
    "kernel_initializer": "ones",
    "bias_initializer": "ones",
    "kernel_regularizer": keras.regularizers.L2(1.0),
    "kernel_constraint": keras.constraints.NonNeg(),
}
FIXED = ("filters", "kernel_size", "data_format", "use_bias")


@pytest.mark.parametrize("name", CHANGES)
def test_attributes_changed_before_the_layer_is_built(name, rng):
    x = data(rng, 2, 5, 3)

    def run(cls):
        layer = cls(4, 3, 2)
        setattr(layer, name, CHANGES[name])
        losses = []
        y = layer(x)
        if name == "kernel_regularizer":
            losses = [numpy(loss) for loss in layer.losses]
        shape = np.array(layer.compute_output_shape(x.shape))
        return [y, shape, *layer.get_weights(), *losses]

    same_outcome(run)


def test_dilation_changed_before_the_layer_is_built(rng):
    x = data(rng, 2, 5, 3)

    def run(cls):
        layer = cls(4, 3)
        layer.dilation_rate = (2,)
        return layer(x)

    same_outcome(run)


@pytest.mark.parametrize("name", sorted(set(CHANGES) - {*FIXED}))
def test_attributes_of_a_built_layer_that_can_change(name, rng):
    x = data(rng, 2, 5, 3)

    def run(cls):
        layer = cls(4, 3, 2)
        layer(x)
        setattr(layer, name, CHANGES[name])
        return layer(x)

    same_outcome(run)


@pytest.mark.parametrize("name", FIXED)
def test_attributes_of_a_built_layer_that_cannot_change(name, rng):
    layer = Ours(4, 3, 2)
    x = data(rng, 2, 5, 3)
    expected = numpy(layer(x))
    config = layer.get_config()
    with pytest.raises(
        ValueError,
        match=f"`{name}` of the layer 'conv1d_transpose.*' cannot change "
        "any more.* Received: " + re.escape(f"{name}={CHANGES[name]!r}"),
    ):
        setattr(layer, name, CHANGES[name])
    assert layer.get_config() == config
    np.testing.assert_array_equal(numpy(layer(x)), expected)
    setattr(layer, name, getattr(layer, name))  # no change


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("strides", 0),
        ("padding", "full"),
        ("output_padding", -1),
        ("groups", 1.5),
        ("implementation", "fast"),
    ],
)
def test_what_is_set_is_checked(name, value):
    layer = Ours(4, 3, 2)
    before = layer.get_config()
    received = re.escape(f"{name}={value!r}")
    with pytest.raises(ValueError, match=f"`{name}` must be .*{received}"):
        setattr(layer, name, value)
    assert layer.get_config() == before


def test_what_cannot_stand_together_is_refused_before_weights_exist():
    for name, value, words in (
        ("dilation_rate", 2, "`strides > 1` is incompatible"),
        ("output_padding", 3, "`output_padding` must be strictly less"),
        ("groups", 3, "`filters` must be divisible by `groups`"),
    ):
        layer = Ours(4, 3, 2)
        setattr(layer, name, value)
        with pytest.raises(ValueError, match=words):
            layer(np.ones((1, 5, 3), "float32"))
        assert not layer.weights


# --- saving -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (keras_convt.Conv1DTranspose, layers.Conv1DTranspose),
        (keras_convt.Conv2DTranspose, layers.Conv2DTranspose),
        (keras_convt.Conv3DTranspose, layers.Conv3DTranspose),
    ],
)
def test_a_config_of_ours_makes_the_built_in_layer(ours, theirs):
    config = ours(4, 3, 2, "same", activation="tanh", name="up").get_config()
    again = theirs.from_config(config)
    assert again.get_config() == theirs.from_config(config).get_config()
    assert (again.strides, again.padding) == ((2,) * again.rank, "same")


def test_weights_have_the_order_of_keras_after_enable_lora(rng):
    theirs, ours = layers.Conv1D(4, 3), Ours(4, 3)
    for layer in (theirs, ours):
        layer.build((None, 5, 3))
        layer.enable_lora(2)
    for kind in ("weights", "trainable_weights", "non_trainable_weights"):
        assert [w.name for w in getattr(ours, kind)] == [
            w.name for w in getattr(theirs, kind)
        ]


@pytest.mark.skipif(BACKEND != "tensorflow", reason="TensorFlow's own format")
def test_a_checkpoint_of_tensorflow(rng, tmp_path):
    import tensorflow as tf

    x = data(rng, 2, 5, 3)

    def model(cls):
        return keras.Sequential([keras.Input((5, 3)), cls(4, 3, 2)])

    written, read = model(Theirs), model(Ours)
    for source, target in ((written, read), (read, model(Theirs))):
        for weight in source.weights:
            weight.assign(data(rng, *weight.shape))
        path = tf.train.Checkpoint(model=source).save(tmp_path / "checkpoint")
        status = tf.train.Checkpoint(model=target).restore(path)
        status.assert_existing_objects_matched()
        assert_close(numpy(target(x)), numpy(source(x)), BUILT_IN)


# --- training ---------------------------------------------------------------


def trained(cls, x, y, scope=None, **compiling):
    with scope or contextlib.nullcontext():
        layer = cls(4, 3, 2, activation="tanh", name="up")
    model = keras.Sequential([keras.Input(x.shape[1:]), layer])
    model.compile(keras.optimizers.SGD(0.5), "mse", **compiling)
    model.fit(x, y, epochs=2, verbose=0)
    return [model.predict(x, verbose=0), *model.get_weights()]


@pytest.mark.parametrize(
    "mode",
    [
        {"mode": "full"},
        {"mode": "activations"},
        {"mode": "larger_than", "output_size_threshold": 1},
        {"mode": "list_of_layers", "layer_names": ["up"]},
    ],
    ids=lambda mode: mode["mode"],
)
def test_gradient_checkpointing(mode, rng):
    x, y = data(rng, 4, 5, 3), data(rng, 4, 11, 4)
    same_outcome(
        lambda cls: trained(cls, x, y, keras.RematScope(**mode)),
    )


def test_gradient_checkpointing_keeps_masks(rng):
    x = data(rng, 2, 5, 3)
    mask = np.arange(5) < np.array([[3], [5]])
    with keras.RematScope(mode="full"):
        layer = Ours(4, 3, 2, "same")
    expected = Ours(4, 3, 2, "same")
    expected.build(x.shape)
    layer.build(x.shape)
    expected.set_weights(layer.get_weights())
    mask = ops.convert_to_tensor(mask)
    sums = []
    for one in (layer, expected):
        y = one(x, mask=mask, output_size=9)
        # Takes the mean of the real steps alone.
        sums.append(numpy(layers.GlobalAveragePooling1D()(y)))
    assert_close(*sums, SAME_LAYER)


@pytest.mark.parametrize(
    "compiling",
    [{"run_eagerly": True}, {"jit_compile": False}, {"jit_compile": "auto"}],
    ids=str,
)
def test_compile_modes(compiling, rng):
    x, y = data(rng, 4, 5, 3), data(rng, 4, 11, 4)
    same_outcome(lambda cls: trained(cls, x, y, **compiling))
