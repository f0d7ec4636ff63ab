"""Weight normalization: g * v / |v|, for every layer that it can wrap."""

import keras
import numpy as np
import pytest
from keras import layers, ops
from keras.ops import convert_to_numpy as numpy
from tolerances import SAME_LAYER, VALUES, assert_close

import keras_convt
from keras_convt import WeightNormalization

SIGNAL, IMAGE, VOLUME = (2, 5, 4), (2, 4, 3, 4), (1, 3, 2, 3, 2)
# The layer, its input, and the axes that PyTorch's dim=0 is of its kernel.
CASES = {
    "Dense": (lambda: layers.Dense(3), SIGNAL, (1,)),
    "Conv1D": (lambda: layers.Conv1D(6, 3, groups=2), SIGNAL, (2,)),
    "Conv2D": (lambda: layers.Conv2D(3, 2, padding="same"), IMAGE, (3,)),
    "Conv3D": (lambda: layers.Conv3D(3, 2), VOLUME, (4,)),
    "DepthwiseConv1D": (
        lambda: layers.DepthwiseConv1D(3, depth_multiplier=2),
        SIGNAL,
        (1, 2),
    ),
    "built-in": (lambda: layers.Conv1DTranspose(3, 4, 2), SIGNAL, (2,)),
    "Conv1DTranspose": (
        lambda: keras_convt.Conv1DTranspose(6, 4, 2, "causal", groups=2),
        SIGNAL,
        (2,),
    ),
    "Conv2DTranspose": (
        lambda: keras_convt.Conv2DTranspose(3, 3, 2, use_bias=False),
        IMAGE,
        (3,),
    ),
    "Conv3DTranspose": (
        lambda: keras_convt.Conv3DTranspose(3, 2, 2),
        VOLUME,
        (4,),
    ),
    "DepthwiseConv1DTranspose": (
        lambda: keras_convt.DepthwiseConv1DTranspose(4, 2),
        SIGNAL,
        (2,),
    ),
}


def normalized(g, v, axes):
    g, v = np.float64(g), np.float64(v)
    others = tuple(n for n in range(v.ndim) if n not in axes)
    norm = np.sqrt(np.sum(v * v, axis=others, keepdims=True))
    return g.reshape(norm.shape) * v / norm


def drawn(wrapper, rng):
    """The wrapper, with g and v of no relation."""
    wrapper.g.assign(rng.normal(size=wrapper.g.shape))
    wrapper.v.assign(rng.normal(size=wrapper.v.shape))
    return wrapper


@pytest.mark.parametrize("name", CASES)
def test_the_layer_computes_with_the_normalized_kernel(name, rng):
    make, shape, axes = CASES[name]
    x = rng.normal(size=shape).astype("float32")
    plain = make()
    before = numpy(plain(x))
    wrapper = WeightNormalization(plain)
    # It starts as the layer was.
    assert_close(numpy(wrapper(x)), before, SAME_LAYER)
    assert wrapper.g.shape == tuple(plain.kernel.shape[n] for n in axes)
    drawn(wrapper, rng)
    kernel = normalized(numpy(wrapper.g), numpy(wrapper.v), axes)
    assert_close(numpy(wrapper.kernel), kernel, VALUES)
    expected = make()
    expected.build(shape)
    expected.kernel.assign(kernel)
    wanted = numpy(expected(x))
    assert_close(numpy(wrapper(x)), wanted, SAME_LAYER)
    # Compiled, and the layer has its variable again.
    assert plain.kernel is wrapper.v
    model = keras.Sequential([keras.Input(shape[1:]), wrapper])
    assert_close(model.predict(x, verbose=0), wanted, SAME_LAYER)
    trained = [v.path.split("/")[-1] for v in model.trainable_variables]
    assert trained[0] == "g"
    assert len(trained) == 1 + len(plain.trainable_variables)
    removed = wrapper.remove()
    assert type(removed) is type(plain)
    assert_close(numpy(removed(x)), wanted, SAME_LAYER)


def test_twenty_steps_of_sgd(rng):
    """As they are by the gradients of Salimans and Kingma's equation 3."""
    x = rng.normal(size=(8, 4)).astype("float32")
    target = rng.normal(size=(8, 3)).astype("float32")
    wrapper = WeightNormalization(layers.Dense(3))
    model = keras.Sequential([keras.Input((4,)), wrapper])
    drawn(wrapper, rng)
    g, v, b = (
        np.float64(numpy(value))
        for value in (wrapper.g, wrapper.v, wrapper.layer.bias)
    )
    rate, start = 0.1, v.copy()
    for _ in range(20):
        norm = np.sqrt(np.sum(v * v, axis=0))
        w = g * v / norm
        of_y = 2 * (x @ w + b - target) / target.size
        of_w = x.T @ of_y
        of_g = np.sum(of_w * v, axis=0) / norm
        of_v = g / norm * of_w - g * of_g / norm**2 * v
        g, v, b = g - rate * of_g, v - rate * of_v, b - rate * of_y.sum(0)
    assert np.abs(v - start).max() > 0.05
    model.compile(keras.optimizers.SGD(rate), "mse")
    model.fit(x, target, batch_size=8, epochs=20, verbose=0)
    assert_close(numpy(wrapper.g), g, VALUES)
    assert_close(numpy(wrapper.v), v, VALUES)
    assert_close(numpy(wrapper.layer.bias), b, VALUES)


@pytest.mark.parametrize("axis", [-3, (0, 2), (-1, -2)])
def test_other_axes(axis, rng):
    layer = keras_convt.Conv1DTranspose(3, 4, 2)
    wrapper = WeightNormalization(layer, axis=axis)
    wrapper.build((None, None, 5))
    drawn(wrapper, rng)
    axes = tuple(n % 3 for n in np.atleast_1d(axis))
    kernel = normalized(numpy(wrapper.g), numpy(wrapper.v), axes)
    assert_close(numpy(wrapper.kernel), kernel, VALUES)


def test_a_kernel_of_zeros_stays_one(rng):
    layer = layers.Dense(3, kernel_initializer="zeros")
    y = WeightNormalization(layer)(np.ones((1, 4), "float32"))
    np.testing.assert_array_equal(numpy(y), 0)


def make_model():
    return keras.Sequential(
        [
            keras.Input((5, 4)),
            WeightNormalization(
                keras_convt.Conv1DTranspose(6, 4, 2, "causal"), axis=(1, 2)
            ),
            WeightNormalization(
                layers.Conv1D(2, 3, activation="tanh"),
                name="last",
                trainable=False,
            ),
        ]
    )


@pytest.mark.parametrize("jit", [False, True])
def test_fit_saves_loads_and_clones(jit, rng, tmp_path):
    model = make_model()
    x = rng.normal(size=SIGNAL).astype("float32")
    y = rng.normal(size=(2, 8, 2)).astype("float32")
    before = [numpy(v) for v in model.variables]
    # PyTorch's compiler takes a minute.
    jit = jit and keras.backend.backend() != "torch"
    model.compile("sgd", "mse", jit_compile=jit, run_eagerly=False)
    model.fit(x, y, epochs=2, verbose=0)
    changed = [
        not np.array_equal(numpy(v), old)
        for v, old in zip(model.variables, before, strict=True)
    ]
    assert changed == [True, True, True, False, False, False]
    wanted = numpy(model(x))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert_close(numpy(loaded(x)), wanted, SAME_LAYER)
    assert loaded.layers[0].axis == (-2, -1)
    assert not loaded.get_layer("last").trainable
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    assert_close(numpy(clone(x)), wanted, SAME_LAYER)
    model.save_weights(tmp_path / "model.weights.h5")
    other = make_model()
    other.load_weights(tmp_path / "model.weights.h5")
    assert_close(numpy(other(x)), wanted, SAME_LAYER)


def test_half_precision(rng):
    layer = keras_convt.Conv1DTranspose(6, 4, 2, dtype="mixed_bfloat16")
    wrapper = WeightNormalization(layer, dtype="mixed_bfloat16")
    x = rng.normal(size=SIGNAL).astype("float32")
    y = wrapper(x)
    assert keras.backend.standardize_dtype(y.dtype) == "bfloat16"
    assert wrapper.g.dtype == wrapper.v.dtype == "float32"
    plain = wrapper.remove()
    difference = numpy(ops.cast(y, "float32")) - numpy(
        ops.cast(plain(x), "float32")
    )
    assert np.abs(difference).max() < 0.05


def test_a_mask_and_an_output_size_go_through(rng):
    wrapper = WeightNormalization(keras_convt.Conv1DTranspose(6, 4, 2, "same"))
    x = rng.normal(size=SIGNAL).astype("float32")
    x[:, 3:] = 0
    masked = layers.Masking()(x)
    y = wrapper(masked)
    assert numpy(y._keras_mask).tolist() == [[True] * 6 + [False] * 4] * 2
    assert wrapper(x, output_size=9).shape == (2, 9, 6)
    source = keras.Input((5, 4))
    assert wrapper(source, output_size=9).shape == (None, 9, 6)
    with pytest.raises(ValueError, match=r"`output_size` must be None, as Con"):
        WeightNormalization(layers.Conv1D(2, 3))(x, output_size=9)


def test_folding_a_model(rng):
    """Functional, with branches, a mask's argument, a wrapper and sharing."""
    source = keras.Input((5, 4))
    shared = WeightNormalization(layers.Conv1D(4, 3, padding="same"))
    x = shared(shared(source))
    up = WeightNormalization(
        keras_convt.Conv1DTranspose(3, 4, 2, name="up", activation="relu")
    )
    dense = layers.TimeDistributed(WeightNormalization(layers.Dense(2)))
    model = keras.Model(source, [up(x, output_size=12), dense(x)])
    shared.trainable = False
    for wrapper in (shared, up, dense.layer):
        drawn(wrapper, rng)
    folded = keras_convt.fold_weight_normalization(model)
    assert "WeightNormalization" not in str(folded.get_config())
    assert type(folded.get_layer("up")) is keras_convt.Conv1DTranspose
    assert len(folded.weights) == len(model.weights) - 3
    assert len(folded.trainable_weights) == 4
    x = rng.normal(size=SIGNAL).astype("float32")
    for a, e in zip(folded(x), model(x), strict=True):
        assert_close(numpy(a), numpy(e), SAME_LAYER)


def test_a_folded_layer_can_be_quantized(rng):
    x = rng.normal(size=SIGNAL).astype("float32")
    wrapper = WeightNormalization(keras_convt.Conv1DTranspose(6, 4, 2))
    wanted = numpy(wrapper(x))
    folded = wrapper.remove()
    folded.quantize("int8")
    assert np.abs(numpy(folded(x)) - wanted).max() < 0.1 * np.abs(wanted).max()
    wrapper.layer.quantize("int8")
    with pytest.raises(ValueError, match=r"must not be quantized: use `remov"):
        wrapper(x)


def test_what_is_refused():
    with pytest.raises(TypeError, match=r"`layer` must be a conv.*LSTM"):
        WeightNormalization(layers.LSTM(3))
    with pytest.raises(TypeError, match=r"`layer` must be a conv.*Separable"):
        WeightNormalization(keras_convt.SeparableConv1DTranspose(3, 3))
    lora = keras_convt.Conv1DTranspose(3, 4, lora_rank=2)
    with pytest.raises(ValueError, match=r"must not have LoRA.*lora_rank=2"):
        WeightNormalization(lora)
    wrapper = WeightNormalization(layers.Dense(3))
    with pytest.raises(ValueError, match=r"cannot have LoRA"):
        wrapper.enable_lora(2)
    with pytest.raises(ValueError, match=r"must be built before `remove`"):
        wrapper.remove()
    wrapper.build((None, 4))
    wrapper.layer.enable_lora(2)
    with pytest.raises(ValueError, match=r"must not have LoRA.*lora_rank=2"):
        wrapper(np.ones((1, 4), "float32"))
    with pytest.raises(ValueError, match=r"`data_init` must be False"):
        WeightNormalization(layers.Dense(3), data_init=True)
    for axis in (2, (), (-3,)):
        with pytest.raises(ValueError, match=r"`axis` must be one or more"):
            WeightNormalization(layers.Dense(3), axis=axis)
