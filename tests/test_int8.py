"""int8: a quarter of the bytes, within 3 % of the values."""

import os

import keras
import numpy as np
import pytest
from keras.ops import convert_to_numpy as numpy
from tolerances import SAME_LAYER, assert_close

import keras_convt

# Keras says of each layer without int8 that it leaves it out.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Layer InputLayer does not have a `quantize` method:UserWarning"
)
Layer = keras_convt.Conv1DTranspose
CASES = [
    (1, {"groups": 1}),
    (1, {"groups": 4}),
    (1, {"data_format": "channels_first", "padding": "causal"}),
    (1, {"strides": 1, "dilation_rate": 2}),
    (2, {"groups": 2}),
    (3, {"use_bias": False}),
]
CLASSES = (
    Layer,
    keras_convt.Conv2DTranspose,
    keras_convt.Conv3DTranspose,
)


def relative(actual, expected):
    return np.linalg.norm(actual - expected) / np.linalg.norm(expected)


def model_of(rank=1, channels=8, filters=8, **arguments):
    layer = CLASSES[rank - 1](
        filters,
        **{"kernel_size": 4, "strides": 2, "padding": "same", **arguments},
    )
    shape = [4] * rank
    first = arguments.get("data_format") == "channels_first"
    shape.insert(0 if first else rank, channels)
    return keras.Sequential([keras.Input(shape), layer])


def data(model, rng):
    return rng.normal(size=(2, *model.input_shape[1:])).astype("float32")


@pytest.mark.parametrize(("rank", "arguments"), CASES)
def test_within_three_percent(rank, arguments, rng):
    model = model_of(rank, **arguments)
    layer = model.layers[0]
    x = data(model, rng)
    # Filters of very different sizes, which one scale would not hold.
    kernel = layer.get_weights()[0]
    groups = layer.groups
    sizes = np.logspace(-2, 2, kernel.shape[-2] * groups)
    channels = kernel.shape[-1] // groups
    for group, of_group in enumerate(np.split(sizes, groups)):
        of_channels = slice(group * channels, (group + 1) * channels)
        kernel[..., of_channels] *= of_group[:, None]
    layer.set_weights([kernel, *layer.get_weights()[1:]])
    axis = 1 if layer.data_format == "channels_first" else -1
    expected = np.moveaxis(numpy(model(x)), axis, 0)
    model.quantize("int8")
    actual = np.moveaxis(numpy(model(x)), axis, 0)
    for of_filter, wanted in zip(actual, expected, strict=True):
        assert 1e-4 < relative(of_filter, wanted) < 0.03
    assert keras.backend.standardize_dtype(layer._kernel.dtype) == "int8"
    assert layer.kernel_scale.shape == (layer.filters,)
    assert layer.dtype_policy.name == "int8_from_float32"


def test_the_kernel_is_within_half_a_step(rng):
    model = model_of(groups=2)
    layer = model.layers[0]
    before = numpy(layer.kernel).copy()
    layer.quantize("int8")
    step = np.abs(before).max() / 127
    assert np.abs(numpy(layer.kernel) - before).max() <= step / 2 * 1.001


def test_a_quarter_of_the_bytes_saved_and_loaded(rng, tmp_path):
    model = model_of(channels=128, filters=64, kernel_size=16)
    sizes = []
    x = data(model, rng)
    for name in ("float.weights.h5", "int8.weights.h5"):
        path = tmp_path / name
        model.save_weights(path)
        sizes.append(os.path.getsize(path))
        if name.startswith("float"):
            model.quantize("int8")
    assert sizes[1] < 0.3 * sizes[0]
    expected = numpy(model(x))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert_close(numpy(loaded(x)), expected, SAME_LAYER)
    assert loaded.layers[0].quantization_mode == "int8"
    # And what is loaded streams no worse than it computes.
    assert_close(
        numpy(loaded.layers[0].kernel),
        numpy(model.layers[0].kernel),
        SAME_LAYER,
    )


def test_a_stream_in_int8(rng):
    layer = Layer(4, 4, 2, "causal", activation="tanh")
    x = rng.normal(size=(2, 7, 8)).astype("float32")
    layer.build(x.shape)
    layer.quantize("int8")
    expected = numpy(layer(x))
    state = layer.initial_state(2)
    pieces = []
    for chunk in np.split(x, [1, 5], axis=1):
        y, state = layer.step(keras.ops.convert_to_tensor(chunk), state)
        pieces.append(numpy(y))
    assert_close(np.concatenate(pieces, axis=1), expected, SAME_LAYER)


@pytest.mark.parametrize("lora_first", [True, False])
def test_with_lora(lora_first, rng, tmp_path):
    model = model_of(groups=2)
    layer = model.layers[0]
    x = data(model, rng)
    if lora_first:
        layer.enable_lora(2)
    model.quantize("int8")
    before = numpy(model(x))
    if not lora_first:
        layer.enable_lora(2)
        assert_close(numpy(model(x)), before, SAME_LAYER)
    stored = numpy(layer._kernel).copy()
    model.compile(keras.optimizers.SGD(1.0), loss="mse")
    y = rng.normal(size=(2, 8, 8)).astype("float32")
    losses = model.fit(x, y, epochs=10, verbose=0).history["loss"]
    assert losses[-1] < 0.9 * losses[0]
    np.testing.assert_array_equal(numpy(layer._kernel), stored)
    names = sorted(w.name for w in model.trainable_weights)
    assert names == ["bias", "lora_kernel_a", "lora_kernel_b"]
    trained = numpy(model(x))
    assert relative(trained, before) > 0.03
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert relative(numpy(loaded(x)), trained) < 0.03
    assert loaded.layers[0].lora_enabled
    assert loaded.layers[0].quantization_mode == "int8"


def test_gradients_pass_the_rounding(rng):
    """A layer before it trains as if the inputs had not been rounded."""
    model = keras.Sequential(
        [keras.Input((4, 3)), keras.layers.Dense(8), Layer(4, 4, 2)]
    )
    model.layers[1].quantize("int8")
    dense = model.layers[0]
    before = numpy(dense.kernel).copy()
    model.compile(keras.optimizers.SGD(0.1), loss="mse")
    x = rng.normal(size=(8, 4, 3)).astype("float32")
    y = rng.normal(size=(8, 10, 4)).astype("float32")
    losses = model.fit(x, y, epochs=10, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    assert np.abs(numpy(dense.kernel) - before).max() > 1e-3


@pytest.mark.skipif(
    not hasattr(keras.quantizers, "Int8QuantizationConfig"),
    reason="this version of Keras has no quantization configs",
)
def test_weights_only(rng):
    model = model_of()
    x = data(model, rng)
    layer = model.layers[0]
    config = keras.quantizers.Int8QuantizationConfig(activation_quantizer=None)
    layer.quantize(config=config)
    plain = model_of()
    plain.layers[0].set_weights([numpy(layer.kernel), np.zeros(8)])
    assert_close(numpy(model(x)), numpy(plain(x)), SAME_LAYER)
    again = Layer.from_config(layer.get_config())
    assert again.quantization_config.activation_quantizer is None


def test_what_is_not_supported_says_what_is(rng):
    layer = Layer(4, 4, 2)
    layer.build((None, None, 3))
    with pytest.raises(
        NotImplementedError,
        match=r'`mode` must be "int8" for Conv1DTranspose.* mode=.float8.',
    ):
        layer.quantize("float8")
    assert layer.dtype_policy.name == "float32"
    assert [w.name for w in layer.weights] == ["kernel", "bias"]
    conv = keras.layers.Conv1D(4, 3)
    conv.build((None, 8, 2))
    tied = keras_convt.adjoint(conv, tie_weights=True)
    with pytest.raises(NotImplementedError, match="has the kernel of"):
        tied.quantize("int8")
    with pytest.raises(ValueError, match="`enable_lora` there"):
        tied.enable_lora(2)


# --- separable layers -------------------------------------------------------


def separable_of(rank=1, **arguments):
    layer_class = (
        keras_convt.SeparableConv1DTranspose,
        keras_convt.SeparableConv2DTranspose,
    )[rank - 1]
    layer = layer_class(6, 4, 2, "same", **{"depth_multiplier": 2, **arguments})
    shape = [5] * rank
    shape.insert(0 if arguments.get("data_format") else rank, 3)
    return keras.Sequential([keras.Input(shape), layer]), layer


def off(actual, expected):
    """The largest error of each filter, in steps of its int8 values."""
    axes = tuple(range(actual.ndim - 1))
    step = np.abs(expected).max(axis=axes) / 127
    return np.abs(actual - expected).max(axis=axes) / step


@pytest.mark.parametrize(
    ("rank", "arguments"),
    [(1, {}), (2, {"use_bias": False}), (1, {"data_format": "channels_first"})],
)
def test_separable(rank, arguments, rng, tmp_path):
    model, layer = separable_of(rank, **arguments)
    # Filters of very different sizes, which one scale would not hold.
    depthwise, pointwise, *bias = layer.get_weights()
    depthwise = depthwise * np.logspace(-2, 2, 6).reshape(2, 3)
    pointwise = pointwise * np.logspace(-2, 2, 6)
    layer.set_weights([depthwise, pointwise, *bias])
    x = data(model, rng)
    axis = 1 if arguments.get("data_format") else -1
    before = np.moveaxis(numpy(model(x)), axis, 0)
    model.quantize("int8")
    after = np.moveaxis(numpy(model(x)), axis, 0)
    for of_filter, wanted in zip(after, before, strict=True):
        assert 1e-4 < relative(of_filter, wanted) < 0.03
    kernel = numpy(layer.depthwise_kernel)
    flat = (*kernel.shape[:-2], 6)
    assert (off(kernel.reshape(flat), depthwise.reshape(flat)) < 0.51).all()
    assert (off(numpy(layer.pointwise_kernel), pointwise) < 0.51).all()
    for stored in (layer._depthwise_kernel, layer._pointwise_kernel):
        assert keras.backend.standardize_dtype(stored.dtype) == "int8"
    scales = (layer.depthwise_kernel_scale, layer.pointwise_kernel_scale)
    assert [scale.shape for scale in scales] == [(6,), (6,)]
    assert [w.name for w in layer.trainable_weights] == ["bias"] * len(bias)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.layers[0].quantization_mode == "int8"
    assert_close(numpy(loaded(x)), numpy(model(x)), SAME_LAYER)
    # What was saved from a layer made in int8 has the same order.
    loaded.save_weights(tmp_path / "again.weights.h5")
    model.load_weights(tmp_path / "again.weights.h5")
    assert_close(np.moveaxis(numpy(model(x)), axis, 0), after, SAME_LAYER)


@pytest.mark.parametrize("kind", ["separable", "depthwise"])
def test_a_stream_rounds_as_the_layer_does(kind, rng):
    if kind == "separable":
        layer = keras_convt.SeparableConv1DTranspose(
            6, 4, 2, "causal", depth_multiplier=2
        )
    else:
        layer = keras_convt.DepthwiseConv1DTranspose(4, 2, "causal", 2)
    model = keras.Sequential([keras.Input((None, 3)), layer])
    layer.quantize("int8")
    x = rng.normal(size=(2, 9, 3)).astype("float32")
    expected = numpy(model(x))
    stream = keras_convt.StreamingModel(model)
    state, pieces = stream.initial_state(batch_size=2), []
    for chunk in np.split(x, [1, 5], axis=1):
        y, state = stream.step(keras.ops.convert_to_tensor(chunk), state)
        pieces.append(numpy(y))
    assert_close(np.concatenate(pieces, axis=1), expected, SAME_LAYER)
