"""Random graphs: outputs, gradients, and what must not be read."""

import keras
import numpy as np
import pytest
from gradients import BACKEND, tensors, value_and_derivative
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from keras import layers, ops
from streams import check, inference, randomize

import keras_convt
from keras_convt import StreamingModel

pytestmark = pytest.mark.usefixtures("quick_weights")

# Each makes a new tensor of another. Strides are undone by the same draw, so
# that branches can be merged.
PADDINGS = st.sampled_from(["same", "causal"])


@st.composite
def blocks(draw):
    """One piece of a graph that keeps rate and length."""
    kind = draw(
        st.sampled_from(
            [
                "conv",
                "down and up",
                "pool",
                "pad",
                "step",
                "recurrent",
                "nested",
            ]
        )
    )
    size = draw(st.integers(1, 5))
    stride = draw(st.integers(2, 3))
    padding = draw(PADDINGS)
    dilation = draw(st.integers(1, 3))
    left = draw(st.integers(0, size - 1))

    def conv(x):
        return layers.Conv1D(2, size, padding=padding, dilation_rate=dilation)(
            x
        )

    def down_and_up(x):
        x = layers.Conv1D(3, size, stride, padding)(x)
        x = layers.Activation("tanh")(x)
        return keras_convt.Conv1DTranspose(2, size, stride, padding)(x)

    def pool(x):
        x = layers.MaxPooling1D(stride)(x)
        return layers.UpSampling1D(stride)(x)

    def pad(x):
        x = layers.ZeroPadding1D((left, size - 1 - left))(x)
        return layers.Conv1D(2, size)(layers.Dense(2, "sigmoid")(x))

    def step(x):
        return ops.tanh(layers.Dense(2)(x)) + 0.5

    def recurrent(x):
        return layers.GRU(2, return_sequences=True)(x)

    def nested(x):
        inner = keras.Input((None, 2))
        return keras.Model(inner, pad(down_and_up(inner)))(x)

    return {
        "conv": conv,
        "down and up": down_and_up,
        "pool": pool,
        "pad": pad,
        "step": step,
        "recurrent": recurrent,
        "nested": nested,
    }[kind]


# Blocks, and for each how many tensors before its own it is added to, or 0.
RECIPES = st.lists(
    st.tuples(blocks(), st.integers(0, 3)), min_size=1, max_size=4
)


def graph(recipe):
    """A functional model of blocks and branches."""
    inputs = keras.Input((None, 2))
    made = [inputs]
    for block, before in recipe:
        y = block(made[-1])
        if before:
            y = layers.Add()([y, made[-min(before, len(made))]])
        made.append(y)
    return keras.Model(inputs, made[-1])


@settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
@given(RECIPES, st.integers(1, 2))
def test_random_graphs(recipe, blocks):
    rng = np.random.default_rng(0)
    model = randomize(graph(recipe), rng)
    stream = check(model, rng, blocks, batch=1, kinds=("one",))
    not_read_before_its_time(stream, rng)
    same_gradients(model, stream, blocks, rng)


def not_read_before_its_time(stream, rng):
    """NaN in what comes later changes nothing that is given before."""
    block = stream.block_size
    x = rng.normal(size=(1, block, 2)).astype("float32")
    with inference():
        first, state = stream.step(x, stream.initial_state(1))
        assert np.isfinite(ops.convert_to_numpy(first)).all()
        stream.step(np.full_like(x, np.nan), state)
        # A state that has seen NaN is as good as new after a reset.
        _, spoilt = stream.step(np.full_like(x, np.nan), state)
        again, _ = stream.step(x, stream.reset(spoilt, [0]))
    np.testing.assert_array_equal(
        ops.convert_to_numpy(first), ops.convert_to_numpy(again)
    )


def same_gradients(model, stream, blocks, rng):
    """The gradients of a stream's outputs are those of the whole."""
    steps = blocks * stream.block_size
    x = rng.normal(size=(1, steps, 2)).astype("float32")

    def whole(x):
        return ops.sum(ops.square(model(x, training=False)))

    def in_chunks(x):
        state = stream.initial_state(1)
        pieces = []
        for number in range(blocks):
            start = number * stream.block_size
            y, state = stream.step(
                x[:, start : start + stream.block_size], state
            )
            pieces.append(y)
        pieces.append(stream.flush(state))
        y = ops.concatenate(pieces, axis=1)
        return ops.sum(ops.square(y[:, stream.output_latency :]))

    found = []
    for function in (whole, in_chunks):
        _, (slope,) = value_and_derivative(function, tensors([x]))
        if BACKEND == "torch":
            slope = slope.detach()
        found.append(ops.convert_to_numpy(slope))
    expected, streamed = found
    assert np.isfinite(streamed).all()
    scale = max(np.abs(expected).max(), 1e-3)
    np.testing.assert_allclose(
        streamed / scale, expected / scale, rtol=1e-4, atol=1e-4
    )


class Median(layers.Layer):
    """A layer of the user's: the median of three steps, by the protocol."""

    def call(self, x):
        before = ops.pad(x, ((0, 0), (2, 0), (0, 0)))
        return self._of(before)

    def initial_state(self, batch_size):
        return {"past": ops.zeros((batch_size, 2, 2))}

    def step(self, chunk, state):
        both = ops.concatenate([state["past"], chunk], axis=1)
        return self._of(both), {"past": both[:, -2:]}

    def _of(self, x):
        return ops.median(
            ops.stack([x[:, :-2], x[:, 1:-1], x[:, 2:]], axis=-1), axis=-1
        )


class Mean(layers.Layer):
    """The mean of all steps so far, which must know which steps exist."""

    def call(self, x):
        count = ops.cumsum(ops.ones_like(x), axis=1)
        return ops.cumsum(x, axis=1) / count

    def initial_state(self, batch_size):
        return [ops.zeros((batch_size, 1, 2)), ops.zeros((batch_size, 1, 1))]

    def step(self, chunk, state, mask):
        total, count = state
        ones = ops.cast(ops.expand_dims(mask, -1), chunk.dtype)
        sums = total + ops.cumsum(chunk * ones, axis=1)
        counts = count + ops.cumsum(ones, axis=1)
        return sums / ops.maximum(counts, 1), [sums[:, -1:], counts[:, -1:]]


class Unmasked(Mean):
    def call(self, x):
        return super().call(x)

    def step(self, chunk, state):
        return super().step(chunk, state, ops.ones(chunk.shape[:2], "bool"))

    def initial_state(self, batch_size):
        return super().initial_state(batch_size)


class Inherited(Median):
    def call(self, x):
        return 2 * super().call(x)


@pytest.mark.parametrize("layer", [Median, Mean])
def test_a_layer_with_its_own_step(layer, rng):
    inputs = keras.Input((None, 2))
    x = (
        inputs
        if layer is Median
        else layers.Conv1D(2, 3, padding="same")(inputs)
    )
    model = randomize(keras.Model(inputs, layer()(x)), rng)
    stream = check(model, rng, 6, kinds=("mixed",))
    assert stream.output_latency == (0 if layer is Median else 1)


@pytest.mark.parametrize(
    ("layer", "why"),
    [
        (Unmasked, "its input is 1 steps late.*Let its `step` take `mask`"),
        (Inherited, "nothing is known of the class Inherited"),
    ],
)
def test_a_step_that_does_not_fit(layer, why):
    inputs = keras.Input((None, 2))
    x = layers.Conv1D(2, 3, padding="same")(inputs)
    with pytest.raises(ValueError, match=why):
        StreamingModel(keras.Model(inputs, layer()(x)))
