"""A stream of any graph is the graph for all chunks at once."""

import keras
import numpy as np
import pytest
from gradients import compiled_if_quicker
from keras import layers, ops
from streams import check, randomize, streamed

import keras_convt
from keras_convt import StreamingModel

pytestmark = pytest.mark.usefixtures("quick_weights")

same = {"padding": "same"}


def conv(x, filters=4, size=3, **arguments):
    return layers.Conv1D(filters, size, **{**same, **arguments})(x)


def up(x, filters=4, size=4, stride=2, padding="same", **arguments):
    return keras_convt.Conv1DTranspose(
        filters, size, stride, padding, **arguments
    )(x)


def residual(x):
    return layers.Add()([x, conv(layers.Activation("elu")(x), size=5)])


def unet(x):
    outer = conv(x)
    inner = residual(conv(outer, size=4, strides=2))
    return conv(layers.Concatenate()([outer, up(inner)]))


def nested_twice(x):
    inner = keras.Sequential([keras.Input((None, 4)), layers.Conv1D(4, 3)])
    inner.add(layers.ZeroPadding1D((1, 1)))
    return inner(conv(inner(x)))


def nested_functional(x):
    inputs = keras.Input((None, 4))
    return keras.Model(inputs, residual(inputs))(conv(x))


def shared(x):
    layer = layers.Conv1D(4, 3, padding="causal")
    return layer(layer(x)) + x


def masked(x):
    x = layers.Masking()(x)
    x = up(x, padding="causal")
    return layers.GRU(3, return_sequences=True)(layers.Dense(3)(x))


def masked_late(x):
    x = up(layers.Masking()(x), size=5)
    x = layers.LSTM(3, return_sequences=True)(x)
    return layers.SimpleRNN(2, return_sequences=True)(x)


def many_operations(x):
    one, other = ops.split(ops.tanh(x) * ops.softmax(x, -1), 2, axis=-1)
    x = ops.concatenate([other, one], -1) + ops.mean(x, -1, keepdims=True)
    x = ops.clip(x @ np.full((4, 4), 0.3, "float32"), -1.0, 1.0)
    x = ops.squeeze(ops.stack([x, ops.exp(x)], 2)[:, :, 1:], 2)
    return ops.where(x > 0.8, x, ops.square(x)[..., :])


def padded(x, *pair, **value):
    return ops.pad(x, ((0, 0), pair, (0, 0)), **value)


# Name to (graph, output latency: the least that is possible).
GRAPHS = {
    "same": (lambda x: conv(x, size=5), 2),
    "same, even": (lambda x: conv(x, size=4), 2),
    "valid": (lambda x: layers.Conv1D(3, 5)(x), 4),
    "causal": (lambda x: conv(x, padding="causal", dilation_rate=2), 0),
    "dilated, grouped": (lambda x: conv(x, groups=2, dilation_rate=3), 3),
    "strided, same": (lambda x: conv(x, size=7, strides=2), 2),
    "strided, valid": (
        lambda x: conv(x, size=7, strides=3, padding="valid"),
        2,
    ),
    "strided, causal": (
        lambda x: conv(x, size=7, strides=3, padding="causal"),
        0,
    ),
    "stride over size": (
        lambda x: conv(x, size=2, strides=5, padding="valid"),
        0,
    ),
    "transposed, same": (lambda x: up(x, size=7, stride=3), 2),
    "transposed, valid": (lambda x: up(x, padding="valid"), 0),
    "transposed, crops": (
        lambda x: up(x, padding=(1, 3), activation="tanh"),
        2,
    ),
    "transposed, zeros": (lambda x: up(x, size=2, stride=5), 0),
    "transposed, output_padding": (
        lambda x: up(x, size=5, stride=3, padding=(2, 2), output_padding=1),
        2,
    ),
    "transposed, groups": (lambda x: up(x, groups=2), 1),
    "transposed, built-in": (
        lambda x: layers.Conv1DTranspose(3, 7, 3, "same")(x),
        2,
    ),
    "residual": (residual, 2),
    "u-net": (unet, 8),
    "down and up": (lambda x: up(conv(x, size=4, strides=2)) + x, 3),
    "nested twice": (nested_twice, 3),
    "nested functional": (nested_functional, 3),
    "shared": (shared, 0),
    "zero padding": (
        lambda x: layers.Conv1D(3, 5)(layers.ZeroPadding1D((4, 0))(x)),
        0,
    ),
    "padding through bias": (
        lambda x: layers.Conv1D(3, 5)(
            layers.Dense(4, "sigmoid")(layers.ZeroPadding1D((4, 0))(x))
        ),
        0,
    ),
    "padding for two": (
        lambda x: layers.Conv1D(3, 5)(layers.Conv1D(4, 5)(padded(x, 8, 2))),
        0,
    ),
    "padding at the end": (lambda x: layers.ZeroPadding1D((3, 2))(x), 0),
    "padding with 2": (
        lambda x: layers.Conv1D(3, 3)(padded(x, 2, 1, constant_values=2.0)),
        0,
    ),
    "padding, recurrent": (
        lambda x: layers.GRU(3, return_sequences=True)(padded(x, 2, 1)),
        0,
    ),
    "cropping": (lambda x: layers.Cropping1D((2, 3))(conv(x)), 5),
    "cropping, same": (lambda x: conv(layers.Cropping1D((2, 3))(x)), 6),
    "slices": (lambda x: conv(x[:, 1:-2, :3], filters=3), 4),
    "differences": (lambda x: x[:, 1:] - x[:, :-1], 1),
    "every third": (lambda x: x[:, 1:-2:3], 1),
    "lstm": (lambda x: layers.LSTM(3, return_sequences=True)(conv(x)), 1),
    "average, valid": (lambda x: layers.AveragePooling1D(3, 2)(x), 1),
    "average, same": (
        lambda x: layers.AveragePooling1D(3, 1, padding="same")(conv(x)),
        2,
    ),
    "max, same": (
        lambda x: layers.MaxPooling1D(3, 2, padding="same")(conv(x)),
        1,
    ),
    "upsampling": (lambda x: conv(layers.UpSampling1D(3)(x)), 1),
    "depthwise": (
        lambda x: layers.DepthwiseConv1D(
            3, 2, padding="same", depth_multiplier=2
        )(x),
        1,
    ),
    "separable": (
        lambda x: layers.SeparableConv1D(5, 3, padding="same")(x),
        1,
    ),
    "depthwise transposed": (
        lambda x: keras_convt.DepthwiseConv1DTranspose(
            5, 2, "same", depth_multiplier=2
        )(x),
        1,
    ),
    "separable transposed": (
        lambda x: keras_convt.SeparableConv1DTranspose(5, 4, 2, "same")(x),
        1,
    ),
    "transposed operation": (
        lambda x: keras_convt.ops.conv_transpose(
            x, np.ones((4, 3, 4), "float32"), 2, "same"
        ),
        1,
    ),
    "masked": (masked, 0),
    "masked, late": (masked_late, 1),
    "operations": (many_operations, 0),
    "time distributed": (
        lambda x: layers.TimeDistributed(layers.Dense(3))(conv(x)),
        1,
    ),
    "einsum dense": (
        lambda x: layers.EinsumDense("abc,cd->abd", (None, 3))(x),
        0,
    ),
    "permute": (
        lambda x: conv(layers.Permute((2, 1))(ops.transpose(x, (0, 2, 1)))),
        1,
    ),
    "steps of channels": (lambda x: layers.Reshape((-1, 2))(conv(x)), 2),
    "normalization": (
        lambda x: layers.BatchNormalization()(
            layers.LayerNormalization()(conv(x))
        ),
        1,
    ),
}


def with_silence(rng):
    """Signals of which some steps are zeros, which Masking masks."""

    def sample(shape):
        x = rng.normal(size=shape)
        x[0, :2] = 0
        x[1, 3:5] = 0
        return x

    return sample


@pytest.mark.filterwarnings("ignore:.*does not support masking")
@pytest.mark.parametrize("name", GRAPHS)
def test_a_graph(name, rng):
    graph, latency = GRAPHS[name]
    inputs = keras.Input((None, 4))
    model = randomize(keras.Model(inputs, graph(inputs)), rng)
    sample = with_silence(rng) if "masked" in name else None
    stream = check(model, rng, 6, sample=sample, kinds=("mixed",))
    assert stream.output_latency == latency
    assert len(model.layers) == len({id(layer) for layer in model.layers})


@pytest.mark.parametrize("blocks", [1, 2])
@pytest.mark.parametrize("name", ["u-net", "padding for two", "cropping"])
def test_a_stream_that_ends_soon(name, blocks, rng):
    graph, _ = GRAPHS[name]
    inputs = keras.Input((None, 4))
    model = randomize(keras.Model(inputs, graph(inputs)), rng)
    blocks *= 1 if name != "cropping" else 6
    check(model, rng, blocks, batch=1, kinds=("one",))


def test_channels_first(rng):
    first = {"data_format": "channels_first"}
    inputs = keras.Input((4, None))
    x = layers.ZeroPadding1D((1, 1), **first)(inputs)
    x = keras_convt.Conv1DTranspose(3, 4, 2, "same", **first)(x)
    x = keras_convt.DepthwiseConv1DTranspose(3, 1, "same", **first)(x)
    outputs = keras_convt.SeparableConv1DTranspose(2, 3, 1, "same", **first)(x)
    model = randomize(keras.Model(inputs, outputs), rng)
    stream = check(model, rng, 6, axis=2, kinds=("mixed",))
    assert stream.output_latency == 1


def test_a_speaker_and_two_signals(rng):
    sound = keras.Input((None, 4), name="sound")
    speaker = keras.Input((5,), name="speaker")
    other = keras.Input((None, 3), name="other")
    condition = ops.expand_dims(layers.Dense(4)(speaker), 1)
    x = layers.Concatenate()([conv(sound) + condition, other])
    outputs = layers.Multiply()([condition, conv(x)])
    model = randomize(keras.Model([sound, speaker, other], outputs), rng)
    stream = check(model, rng, 6, static=[1], kinds=("one",))
    assert stream.output_latency == 2
    # What the speaker makes is made once, and is the state's.
    state = stream.initial_state(2, [np.ones((2, 5))])
    (name,) = (n for n in state if n.endswith("static"))
    # Keras counts the operations of a kind that were made before.
    assert name.startswith("expand_dims")
    by_name = StreamingModel(model, static=["speaker"])
    assert repr(by_name) == repr(stream)


def test_two_outputs(rng):
    inputs = keras.Input((None, 4))
    x = conv(inputs, size=5)
    model = keras.Model(
        inputs, {"slow": x, "fast": up(inputs, padding="causal")}
    )
    randomize(model, rng)
    stream = StreamingModel(model)
    assert stream.output_latency == [0, 2]
    assert stream.output_ratio == [2, 1]
    sound = rng.normal(size=(1, 6, 4)).astype("float32")
    state = stream.initial_state(1)
    found = {"slow": [], "fast": []}
    step = compiled_if_quicker(stream.step)
    for chunk in np.split(sound, 3, axis=1):
        outputs, state = step(chunk, state)
        for name, output in outputs.items():
            found[name].append(ops.convert_to_numpy(output))
    for name, output in stream.flush(state).items():
        found[name].append(ops.convert_to_numpy(output))
    whole = model(sound)
    for name, latency in (("fast", 0), ("slow", 2)):
        np.testing.assert_allclose(
            np.concatenate(found[name], 1)[:, latency:],
            ops.convert_to_numpy(whole[name]),
            rtol=1e-4,
            atol=1e-5,
        )


@pytest.mark.parametrize("dtype", ["mixed_float16", "mixed_bfloat16"])
def test_dtype_policies(dtype, rng):
    inputs = keras.Input((None, 4))
    x = layers.Conv1D(4, 3, padding="same", dtype=dtype)(inputs)
    x = keras_convt.Conv1DTranspose(3, 4, 2, "same", dtype=dtype)(x)
    x = layers.GRU(3, return_sequences=True, dtype="float32")(x)
    model = randomize(keras.Model(inputs, x), rng)
    loose = {"rtol": 3e-2, "atol": 3e-2}
    stream = check(model, rng, 6, kinds=("one",), tolerance=loose)
    state = stream.initial_state(1)
    wanted = dtype.removeprefix("mixed_")
    (past,) = (name for name in state if name.endswith("past"))
    assert keras.backend.standardize_dtype(state[past].dtype) == wanted


def test_reset_of_single_entries(rng):
    inputs = keras.Input((None, 4))
    model = randomize(keras.Model(inputs, unet(inputs)), rng)
    stream = StreamingModel(model)
    step = compiled_if_quicker(stream.step)
    reset = compiled_if_quicker(stream.reset)
    x = rng.normal(size=(3, 8, 4)).astype("float32")
    y = rng.normal(size=(3, 8, 4)).astype("float32")
    _, state = step(x, stream.initial_state(3))
    alone, _ = step(y, stream.initial_state(3))
    further, _ = step(y, state)
    for entries in ([1], [False, True, False]):
        begun = reset(state, np.array(entries))
        found, _ = step(y, begun)
        for number, expected in enumerate((further, alone, further)):
            np.testing.assert_allclose(
                ops.convert_to_numpy(found)[number],
                ops.convert_to_numpy(expected)[number],
                rtol=1e-5,
                atol=1e-6,
            )


def test_words():
    inputs = keras.Input((None, 4), name="sound")
    model = keras.Model(inputs, unet(inputs), name="net")
    stream = StreamingModel(model)
    assert repr(stream) == (
        "<StreamingModel of 'net': output_ratio=1, block_size=2, "
        "input_latency=8, output_latency=8, 8 tensors of state>"
    )
    table = keras_convt.explain(stream).splitlines()
    assert table[0].split() == ["layer", "what", "rate", "delay", "state"]
    (line,) = (line for line in table if "Transposed" in line)
    assert line.split()[1:4] == ["TransposedLayer", "1", "7"]
    assert "block_size=2" in table[-1]


def test_nothing_of_the_model_changes(rng):
    inputs = keras.Input((None, 4))
    model = keras.Model(inputs, unet(inputs))
    model.compile(loss=lambda y, z: ops.mean(y - z))
    outputs = [layer.output for layer in model.layers]
    names = [keras.layers.Dense(1).name, None]
    StreamingModel(model)
    names[1] = keras.layers.Dense(1).name
    assert all(
        before is layer.output
        for before, layer in zip(outputs, model.layers, strict=True)
    )
    number = int(names[0].rsplit("_", 1)[-1]) if "_" in names[0] else 0
    assert names[1] == f"dense_{number + 1}"


def test_compiled_steps(rng):
    inputs = keras.Input((None, 4))
    model = randomize(keras.Model(inputs, unet(inputs)), rng)
    step = compiled_if_quicker(StreamingModel(model).step)
    check(model, rng, 4, kinds=("one",), step=step)
    x = rng.normal(size=(2, 8, 4)).astype("float32")
    streamed(StreamingModel(model), [x], [4], step=step)
