"""Chunk by chunk is the same as at once."""

import contextlib
import gc
import sys

import keras
import numpy as np
import pytest
import reference
from gradients import BACKEND, compiled
from keras import layers, ops
from tolerances import VALUES, Failures, assert_close

import keras_convt
from keras_convt.streaming import StreamingModel

CHUNKINGS = ([1] * 23, [5, 1, 17], [23])


def normal(rng, *shape):
    return rng.normal(size=shape).astype("float32")


def randomized(layer, input_shape, rng):
    layer.build(input_shape)
    layer.set_weights([normal(rng, *w.shape) for w in layer.get_weights()])
    return layer


def inference():
    """PyTorch records gradients unless told not to; a stream needs none."""
    if BACKEND == "torch":
        import torch

        return torch.no_grad()
    return contextlib.nullcontext()


def stream(step, x, chunking, state, axis=1):
    """All outputs, one after another, as an array, and the last state."""
    ends = np.cumsum(chunking)
    assert ends[-1] == x.shape[axis]
    pieces = []
    for chunk in np.split(x, ends[:-1], axis=axis):
        y, state = step(ops.convert_to_tensor(chunk), state)
        pieces.append(ops.convert_to_numpy(y))
    return np.concatenate(pieces, axis=axis), state


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("strides", [1, 2, 3, 8])
def test_every_chunking_is_the_whole(strides, groups, rng):
    failures = Failures()
    for kernel_size in (1, 2, 3, 4, 7, 16):
        layer = keras_convt.Conv1DTranspose(
            6, kernel_size, strides, "causal", groups=groups, activation="tanh"
        )
        randomized(layer, (None, None, 4), rng)
        x = normal(rng, 2, 23, 4)
        kernel, bias = layer.get_weights()
        sizes = {"strides": strides, "groups": groups}
        expected = np.tanh(
            reference.conv_transpose(x, kernel, bias, padding="causal", **sizes)
        )
        full = reference.conv_transpose(x, kernel, bias, **sizes)
        kept = max(kernel_size - strides, 0)
        step = compiled(layer.step) if BACKEND == "jax" else layer.step
        for chunking in CHUNKINGS:
            state = layer.initial_state(2)
            assert tuple(state.shape) == (2, kept, 6)
            y, state = stream(step, x, chunking, state)
            configuration = {"kernel_size": kernel_size, "chunking": chunking}
            failures.compare(y, expected, VALUES, **configuration)
            failures.compare(
                ops.convert_to_numpy(layer.flush(state)),
                np.tanh(full[:, 23 * strides :][:, :kept]),
                VALUES,
                flush=True,
                **configuration,
            )
    failures.report()


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize(
    "arguments",
    [
        {"kernel_size": 5, "dilation_rate": 3},
        {"kernel_size": 5, "strides": 2, "use_bias": False},
        {"kernel_size": 2, "strides": 5, "activation": "relu"},
    ],
)
def test_other_layers(arguments, data_format, rng):
    layer = keras_convt.Conv1DTranspose(
        6, padding="causal", data_format=data_format, **arguments
    )
    axis = 1 if data_format == "channels_last" else 2
    shape = (2, 23, 4) if axis == 1 else (2, 4, 23)
    randomized(layer, shape, rng)
    x = normal(rng, *shape)
    whole = ops.convert_to_numpy(layer(x))
    for chunking in CHUNKINGS:
        y, _ = stream(layer.step, x, chunking, layer.initial_state(2), axis)
        assert_close(y, whole, VALUES)


def test_a_stream_and_its_flush_are_valid(rng):
    causal = keras_convt.Conv1DTranspose(6, 7, 3, "causal")
    valid = keras_convt.Conv1DTranspose(6, 7, 3, "valid")
    randomized(causal, (None, None, 4), rng)
    valid.build((None, None, 4))
    valid.set_weights(causal.get_weights())
    x = normal(rng, 2, 23, 4)
    y, state = stream(causal.step, x, [5, 1, 17], causal.initial_state(2))
    rest = ops.convert_to_numpy(causal.flush(state))
    assert_close(
        np.concatenate([y, rest], axis=1),
        ops.convert_to_numpy(valid(x)),
        VALUES,
    )


def test_what_is_causal_by_another_name_streams(rng):
    # A kernel of at most one stride never overlaps.
    for padding in ("valid", "same", (0, -1)):
        layer = keras_convt.Conv1DTranspose(6, 2, 3, padding)
        randomized(layer, (None, None, 4), rng)
        x = normal(rng, 2, 23, 4)
        y, _ = stream(layer.step, x, [5, 1, 17], layer.initial_state(2))
        assert_close(y, ops.convert_to_numpy(layer(x)), VALUES)


def test_the_layer_refuses():
    layer = keras_convt.Conv1DTranspose(6, 4, 2, "same", name="decode")
    layer.build((None, None, 4))
    for refused in (
        lambda: layer.initial_state(1),
        lambda: layer.step(np.zeros((1, 1, 4)), np.zeros((1, 2, 6))),
        lambda: layer.flush(np.zeros((1, 2, 6))),
    ):
        with pytest.raises(ValueError, match="'decode' cannot stream"):
            refused()
    layer = keras_convt.Conv1DTranspose(6, 4, 2, "causal")
    with pytest.raises(ValueError, match="must be built before it streams"):
        layer.step(np.zeros((1, 1, 4)), layer.initial_state(1))
    with pytest.raises(ValueError, match="`batch_size`"):
        layer.initial_state(0)


def decoder(rng):
    """A small audio decoder, causal from end to end."""
    upsampling = keras.Sequential(
        [
            layers.Activation("elu"),
            keras_convt.Conv1DTranspose(6, 8, 4, "causal"),
            layers.BatchNormalization(),
        ]
    )
    model = keras.Sequential(
        [
            keras.Input((None, 4)),
            layers.Conv1D(8, 7, padding="causal", activation="tanh"),
            layers.Conv1D(8, 3, padding="causal", dilation_rate=3, groups=2),
            layers.LayerNormalization(),
            upsampling,
            layers.PReLU(shared_axes=[1]),
            layers.Dropout(0.5),
            layers.Dense(6, "relu"),
            keras_convt.Conv1DTranspose(3, 4, 2, "causal", use_bias=False),
            layers.Conv1D(1, 1, activation="tanh"),
        ]
    )
    model.set_weights(
        [0.5 * normal(rng, *w.shape) for w in model.get_weights()]
    )
    # Variances are not negative.
    norm = upsampling.layers[-1]
    norm.moving_variance.assign(np.full(6, 2.0))
    return model


@pytest.mark.parametrize("chunking", CHUNKINGS, ids=str)
def test_a_model(chunking, rng):
    model = decoder(rng)
    x = normal(rng, 2, 23, 4)
    whole = model.predict(x, verbose=0)
    streamed = StreamingModel(model)
    step = compiled(streamed.step) if BACKEND == "jax" else streamed.step
    y, _ = stream(step, x, chunking, streamed.initial_state(2))
    assert y.shape == (2, 23 * 8, 1)
    assert_close(y, whole, VALUES)


def test_a_model_compiled(rng):
    model = decoder(rng)
    x = normal(rng, 2, 23, 4)
    streamed = StreamingModel(model)
    with inference():
        y, _ = stream(
            compiled(streamed.step), x, [5, 1, 17], streamed.initial_state(2)
        )
    assert_close(y, model.predict(x, verbose=0), VALUES)


def test_a_model_with_channels_first(rng):
    pointwise = layers.Conv1D(6, 1, data_format="channels_first")
    up = keras_convt.Conv1DTranspose(
        2, 4, 2, "causal", data_format="channels_first"
    )
    model = keras.Sequential([keras.Input((4, None)), pointwise, up])
    x = normal(rng, 2, 4, 9)
    kernel, bias = pointwise.get_weights()
    between = np.einsum("nct,cf->nft", x, kernel[0]) + bias[:, None]
    whole = ops.convert_to_numpy(up(between))
    streamed = StreamingModel(model)
    state = streamed.initial_state(2)
    pieces = []
    for chunk in np.split(x, [1, 6], axis=2):
        y, state = streamed.step(chunk, state)
        pieces.append(ops.convert_to_numpy(y))
    assert_close(np.concatenate(pieces, axis=2), whole, VALUES)


def test_a_step_is_pure(rng):
    model = decoder(rng)
    streamed = StreamingModel(model)
    x = normal(rng, 2, 5, 4)
    _, state = streamed.step(x, streamed.initial_state(2))
    before = {n: ops.convert_to_numpy(s).copy() for n, s in state.items()}
    first, _ = streamed.step(x, state)
    second, _ = streamed.step(x, state)
    np.testing.assert_array_equal(
        ops.convert_to_numpy(first), ops.convert_to_numpy(second)
    )
    for name, old in before.items():
        np.testing.assert_array_equal(old, ops.convert_to_numpy(state[name]))


def test_tokens_and_other_layers(rng):
    model = keras.Sequential(
        [
            keras.Input((None,), dtype="int32"),
            layers.Embedding(10, 4),
            keras_convt.Conv1DTranspose(3, 4, 2, "causal"),
            layers.UpSampling1D(2),
            layers.Softmax(),
        ]
    )
    x = rng.integers(0, 10, size=(2, 23))
    streamed = StreamingModel(model)
    y, _ = stream(streamed.step, x, [5, 1, 17], streamed.initial_state(2))
    assert_close(y, model.predict(x, verbose=0), VALUES)


def test_a_hundred_thousand_steps_in_constant_memory(rng):
    layer = keras_convt.Conv1DTranspose(2, 4, 2, "causal")
    randomized(layer, (None, None, 2), rng)
    state = layer.initial_state(1)
    sizes = set()
    step = compiled(layer.step)
    chunk = ops.ones((1, 1000, 2))
    with inference():
        for _ in range(100):
            _, state = step(chunk, state)
            sizes.add(tuple(state.shape))
    assert sizes == {(1, 2, 2)}
    # 100,000 equal inputs: the same as after two.
    short = layer.initial_state(1)
    for _ in range(2):
        _, short = layer.step(chunk[:, :1], short)
    assert_close(
        ops.convert_to_numpy(state), ops.convert_to_numpy(short), VALUES
    )


def test_a_stream_leaves_nothing_behind(rng):
    """Neither memory of Python nor tensors, of a late and recurrent model."""
    inputs = keras.Input((None, 2))
    x = layers.GRU(3, return_sequences=True)(inputs)
    x = keras_convt.Conv1DTranspose(2, 4, 2, "same")(x)
    streamed = StreamingModel(keras.Model(inputs, x))
    # PyTorch's compiler traces anew what the eager step need not.
    step = streamed.step if BACKEND == "torch" else compiled(streamed.step)
    chunk = ops.convert_to_tensor(normal(rng, 1, 2, 2))
    kept = []
    with inference():
        state = streamed.initial_state(1)
        for number in range(1, 1201):
            y, state = step(chunk, state)
            if number % 200 == 0:
                gc.collect()
                # Every tensor has an object, whatever memory is behind it.
                kept.append(sys.getallocatedblocks())
    assert np.isfinite(ops.convert_to_numpy(y)).all()
    # One object for each step would be 200 each time. What others keep once,
    # like a cache that grows, is seen in some of the counts alone.
    assert np.median(np.diff(kept)) < 100, kept


@pytest.mark.parametrize("groups", [1, 4])
@pytest.mark.parametrize(
    ("chunk", "batch", "why"),
    [
        ((2, 5, 1), 2, r"`chunk` must have 3 axes, and 4 channels on axis 2"),
        ((2, 5), 2, r"`chunk` must have 3 axes"),
        ((2, 5, 4), 3, r"`state` must be.*state.shape=\(3, 3, 4\)"),
    ],
)
def test_chunks_that_do_not_fit(groups, chunk, batch, why):
    layer = keras_convt.Conv1DTranspose(4, 5, 2, "causal", groups=groups)
    layer.build((None, None, 4))
    with pytest.raises(ValueError, match=why):
        layer.step(np.ones(chunk, "float32"), layer.initial_state(batch))


@pytest.mark.parametrize("kernel_size", [5, 70])
def test_an_empty_chunk_changes_nothing(kernel_size, rng):
    layer = keras_convt.Conv1DTranspose(4, kernel_size, 8, "causal", groups=4)
    layer.build((None, None, 4))
    x = rng.normal(size=(1, 2, 4)).astype("float32")
    _, state = layer.step(x, layer.initial_state(1))
    y, after = layer.step(x[:, :0], state)
    assert tuple(y.shape) == (1, 0, 4)
    np.testing.assert_array_equal(
        ops.convert_to_numpy(after), ops.convert_to_numpy(state)
    )
