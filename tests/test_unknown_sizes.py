"""`output_size` from sizes that are not known when a model is made."""

import keras
import numpy as np
import pytest
import reference
from keras import ops
from tolerances import VALUES, assert_close

import keras_convt

# Kernel size, padding, and an output size of n steps at strides of 2.
WINDOWS = {
    "same": (4, "same", lambda n: 2 * n - 1),
    "same, small kernel": (1, "same", lambda n: 2 * n - 1),
    "valid": (3, "valid", lambda n: 2 * n + 2),
    "crops": (3, ((1, 0), (0, 1)), lambda n: 2 * n),
}
STEPS = (5, 6)


def _of_sizes(x, size_of):
    _, height, width, _ = ops.shape(x)
    return size_of(height), size_of(width)


def _of_a_tensor(x, size_of):
    return ops.zeros((1, *_of_sizes(x, size_of), 1))


def _of_numbers(x, size_of):
    return tuple(map(size_of, STEPS))


class Decoder(keras.layers.Layer):
    """A layer of one's own, which asks for a size in its `call`."""

    def __init__(self, window, asked):
        super().__init__()
        kernel_size, padding, self.size_of = WINDOWS[window]
        self.asked = asked
        self.up = keras_convt.Conv2DTranspose(
            8, kernel_size, 2, padding, bias_initializer="normal"
        )

    def build(self, input_shape):
        self.up.build(input_shape)
        self.built = True

    def call(self, x):
        return self.up(x, output_size=self.asked(x, self.size_of))


class Model(keras.Model):
    """A subclassed model, which asks for the size of its second input."""

    def __init__(self, window):
        super().__init__()
        kernel_size, padding, _ = WINDOWS[window]
        self.up = keras_convt.Conv2DTranspose(
            8, kernel_size, 2, padding, bias_initializer="normal"
        )

    def build(self, x_shape, like_shape):
        self.up.build(x_shape)
        self.built = True

    def call(self, x, like):
        return self.up(x, output_size=like)


def check(window, up, model, inputs):
    _, padding, size_of = WINDOWS[window]
    kernel, bias = up.get_weights()
    expected = reference.conv_transpose(
        inputs[0],
        kernel,
        bias,
        strides=2,
        padding=padding,
        output_size=tuple(map(size_of, STEPS)),
    )
    assert_close(ops.convert_to_numpy(model(inputs)), expected, VALUES)
    assert_close(model.predict(inputs, verbose=0), expected, VALUES)


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("asked", [_of_sizes, _of_a_tensor, _of_numbers])
def test_within_a_layer_of_ones_own(window, asked, rng):
    decoder = Decoder(window, asked)
    x = keras.Input((None, None, 8))
    y = decoder(x)
    *_, size_of = WINDOWS[window]
    # TensorFlow does not know what numbers come of a window of a graph.
    known = (None, *map(size_of, STEPS), 8)
    assert y.shape == (None, None, None, 8) or (
        asked is _of_numbers and y.shape == known
    )
    inputs = [rng.normal(size=(1, *STEPS, 8)).astype("float32")]
    check(window, decoder.up, keras.Model([x], y), inputs)


@pytest.mark.parametrize("window", WINDOWS)
def test_within_a_subclassed_model(window, rng):
    x, like = keras.Input((None, None, 8)), keras.Input((None, None, 3))
    inner = Model(window)
    y = inner(x, like)
    assert y.shape == (None, None, None, 8)
    *_, size_of = WINDOWS[window]
    inputs = [
        rng.normal(size=(1, *STEPS, 8)).astype("float32"),
        np.zeros((1, *map(size_of, STEPS), 3), "float32"),
    ]
    check(window, inner.up, keras.Model([x, like], y), inputs)


def test_a_size_that_does_not_fit_is_still_refused(rng):
    decoder = Decoder("valid", lambda x, size_of: (13, 14))
    model = keras.Model(x := keras.Input((None, None, 8)), decoder(x))
    with pytest.raises(ValueError, match="must be from 11 to 12"):
        model(rng.normal(size=(1, *STEPS, 8)).astype("float32"))
