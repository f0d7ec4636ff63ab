"""What cannot stream is refused by name, with the reason and the remedy."""

import keras
import numpy as np
import pytest
from keras import layers, ops
from tolerances import VALUES, assert_close

import keras_convt
from keras_convt import StreamingModel

pytestmark = pytest.mark.usefixtures("quick_weights")


class Doubled(layers.Conv1D):
    def call(self, inputs):
        return 2 * super().call(inputs)


class OtherConvolution(layers.Conv1D):
    def convolution_op(self, inputs, kernel):
        return 2 * super().convolution_op(inputs, kernel)


class DoubledTranspose(keras_convt.Conv1DTranspose):
    def call(self, inputs, mask=None, output_size=None):
        return 2 * super().call(inputs, mask, output_size)


class CalledTwice(keras_convt.Conv1DTranspose):
    def __call__(self, *args, **kwargs):
        return 2 * super().__call__(*args, **kwargs)


class DoubledStep(DoubledTranspose):
    def step(self, chunk, state):
        y, state = super().step(chunk, state)
        return 2 * y, state

    def initial_state(self, batch_size):
        return super().initial_state(batch_size)


class DoubledDense(layers.Dense):
    def call(self, inputs):
        return 2 * super().call(inputs)


class DoubledAdd(layers.Add):
    def _merge_function(self, inputs):
        return 2 * super()._merge_function(inputs)


class Unknown(layers.Layer):
    def call(self, inputs):
        return inputs - ops.mean(inputs, axis=1, keepdims=True)


class OwnModel(keras.Model):
    def call(self, inputs):
        return 2 * super().call(inputs)


class Renamed(layers.Conv1D):
    """Of its own are a constructor and a config only."""

    def __init__(self, size, **kwargs):
        super().__init__(4, size, **kwargs)

    def build(self, input_shape):
        super().build(input_shape)

    def get_config(self):
        return {**super().get_config(), "size": 3}


def refused(layer, why, steps=None):
    inputs = keras.Input((steps, 4))
    model = keras.Model(inputs, layer(inputs))
    with pytest.raises(ValueError, match=why):
        StreamingModel(model)


@pytest.mark.parametrize(
    ("layer", "name"),
    [
        (Doubled(4, 3, padding="causal"), "call"),
        (OtherConvolution(4, 3, padding="causal"), "convolution_op"),
        (DoubledTranspose(4, 3, padding="causal"), "call"),
        (CalledTwice(4, 3, padding="causal"), "__call__"),
        (DoubledDense(4), "call"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_subclass_is_not_taken_for_its_base(layer, name):
    refused(
        layer,
        f"The layer '{layer.name}' cannot stream: {type(layer).__name__} has "
        f"a `{name}` of its own.*`initial_state` and `step`.*`pointwise`",
    )


@pytest.mark.parametrize(
    ("kind", "name"), [(DoubledTranspose, "call"), (CalledTwice, "__call__")]
)
def test_the_step_of_a_layer_is_not_taken_for_that_of_a_subclass(kind, name):
    layer = kind(4, 3, padding="causal", name="up")
    layer.build((None, None, 4))
    state = np.zeros((1, 2, 4))
    for call in (
        lambda: layer.initial_state(1),
        lambda: layer.step(np.zeros((1, 5, 4)), state),
        lambda: layer.flush(state),
    ):
        with pytest.raises(
            ValueError, match=f"'up' cannot stream: .* has a `{name}` of its"
        ):
            call()


def test_a_subclass_with_a_step_of_its_own_streams(rng):
    layer = DoubledStep(4, 3, 2, padding="causal")
    model = keras.Sequential([keras.Input((None, 4)), layer])
    x = rng.normal(size=(1, 6, 4)).astype("float32")
    expected = ops.convert_to_numpy(model(x))
    for streamed in (layer, StreamingModel(model)):
        first, state = streamed.step(x[:, :4], streamed.initial_state(1))
        second, _ = streamed.step(x[:, 4:], state)
        y = np.concatenate([*map(ops.convert_to_numpy, (first, second))], 1)
        assert_close(y, expected, VALUES)


def test_a_merge_of_its_own_is_not_taken_for_its_base():
    inputs = keras.Input((None, 4))
    model = keras.Model(inputs, DoubledAdd()([inputs, inputs]))
    with pytest.raises(ValueError, match="DoubledAdd has a `_merge_function`"):
        StreamingModel(model)


def test_a_subclass_that_computes_the_same_streams():
    inputs = keras.Input((None, 4))
    StreamingModel(keras.Model(inputs, Renamed(3)(inputs)))


def test_a_model_with_a_call_of_its_own():
    inputs = keras.Input((None, 4))
    outputs = layers.Dense(4)(inputs)
    with pytest.raises(TypeError, match="a `call` of its own"):
        StreamingModel(OwnModel(inputs, outputs))
    nested = OwnModel(inputs, outputs, name="inner")
    other = keras.Input((None, 4))
    with pytest.raises(ValueError, match="'inner' cannot stream: OwnModel"):
        StreamingModel(keras.Model(other, nested(other)))


@pytest.mark.parametrize(
    ("layer", "why"),
    [
        (
            lambda: layers.Bidirectional(layers.GRU(2, return_sequences=True)),
            "goes backwards.*Use the forward layer alone",
        ),
        (lambda: layers.LSTM(2), "return_sequences=False.*alone"),
        (
            lambda: layers.GRU(2, return_sequences=True, go_backwards=True),
            "goes backwards",
        ),
        (layers.GlobalAveragePooling1D, "needs all steps.*AveragePooling1D"),
        (layers.GlobalMaxPooling1D, "needs all steps.*MaxPooling1D"),
        (lambda: layers.GroupNormalization(2), "mean is that of all steps"),
        (lambda: layers.Lambda(ops.tanh), "not known.*`pointwise`"),
        (lambda: layers.Softmax(axis=1), "axis=1 is that of time"),
        (Unknown, "nothing is known of the class Unknown.*`pointwise`"),
        (
            lambda: (
                lambda x: ops.pad(x, ((0, 0), (2, 0), (0, 0)), mode="reflect")
            ),
            "mode='reflect' pads.*Pad with zeros",
        ),
        (lambda: lambda x: ops.mean(x, 1, keepdims=True), "reduces all steps"),
        (lambda: lambda x: ops.cumsum(x, 1), "works along axis 1"),
        (lambda: lambda x: ops.flip(x, 1), "works along axis 1"),
        (lambda: lambda x: x[:, -3:], "it takes slice"),
        (lambda: lambda x: x[:, :3], "it takes slice"),
        (lambda: lambda x: x[:, 0], "takes single steps"),
        (lambda: lambda x: x @ ops.transpose(x, (0, 2, 1)), "axes"),
        (
            lambda: lambda x: x + layers.UpSampling1D(2)(x),
            "different rates: 1 and 2 steps.*Upsample or pool",
        ),
        (
            lambda: lambda x: x + layers.Conv1D(4, 3)(x),
            "different lengths: they differ by 2 steps.*Pad or crop",
        ),
        (
            lambda: lambda x: layers.Attention()([x, x]),
            "attends to all steps.*remembers a window",
        ),
        (
            lambda: lambda x: layers.MultiHeadAttention(2, 2)(x, x),
            "attends to all steps",
        ),
        (
            lambda: lambda x: layers.Concatenate(axis=1)([x, x]),
            "one tensor after another in time",
        ),
    ],
)
def test_what_cannot_stream_is_named(layer, why):
    refused(layer(), f"cannot stream: .*{why}")


def test_a_stateful_layer():
    inputs = keras.Input(batch_shape=(2, None, 4))
    layer = layers.LSTM(2, return_sequences=True, stateful=True)
    with pytest.raises(ValueError, match=r"is stateful.*is an argument"):
        StreamingModel(keras.Model(inputs, layer(inputs)))


@pytest.mark.parametrize(
    ("name", "value"), [("strides", 3), ("padding", "same")]
)
def test_a_layer_that_has_changed_since(name, value):
    layer = keras_convt.Conv1DTranspose(2, 4, 2, "causal", name="up")
    stream = StreamingModel(keras.Sequential([keras.Input((None, 3)), layer]))
    state = stream.initial_state(batch_size=1)
    chunk = np.ones((1, 2, 3), "float32")
    stream.step(chunk, state)
    setattr(layer, name, value)
    words = "'up' cannot stream: its arguments have changed since"
    with pytest.raises(ValueError, match=words):
        stream.step(chunk, state)


def test_values_for_each_step():
    refused(layers.PReLU(), r"slopes differ.*shared_axes=\[1\]", steps=8)
    table = np.ones((1, 8, 4), "float32")
    refused(lambda x: x + table, "a value for each step", steps=8)
    refused(layers.BatchNormalization(axis=1), "axis=1 is that of", steps=8)


def test_only_models():
    with pytest.raises(TypeError, match=r"must be a keras.Sequential or"):
        StreamingModel(layers.Dense(2))
    with pytest.raises(ValueError, match="must be built"):
        StreamingModel(keras.Sequential([layers.Dense(2)]))
    inputs = keras.Input((None, 4), name="sound")
    model = keras.Model(inputs, layers.Dense(2)(inputs))
    with pytest.raises(ValueError, match=r"positions of the inputs \['sound"):
        StreamingModel(model, static=["speaker"])
    with pytest.raises(ValueError, match="One input must have time"):
        StreamingModel(model, static=[0])


def test_calls_that_do_not_fit():
    inputs = keras.Input((None, 4), name="sound")
    model = keras.Model(inputs, layers.Conv1D(2, 4, 2, "causal")(inputs))
    stream = StreamingModel(model)
    state = stream.initial_state(2)
    with pytest.raises(ValueError, match=r"multiple of 2 steps.*3 steps"):
        stream.step(np.zeros((2, 3, 4)), state)
    with pytest.raises(ValueError, match=r"`chunk` must have the shape"):
        stream.step(np.zeros((2, 2, 5)), state)
    with pytest.raises(ValueError, match=r"list of 1 chunks.*\['sound'\]"):
        stream.step([np.zeros((2, 2, 4))] * 2, state)
    with pytest.raises(ValueError, match=r"a dict of \['conv1d.*tuple"):
        stream.step(np.zeros((2, 2, 4)), tuple(state.values()))
    with pytest.raises(ValueError, match="`batch_size`"):
        stream.initial_state(0)
    with pytest.raises(ValueError, match="must have 0 values"):
        stream.initial_state(1, [np.zeros((1, 2))])
