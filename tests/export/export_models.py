"""The models that are exported, each with a reason to be one of them."""

import keras
from keras import layers

import keras_convt

CHANNELS = 4


def _first(layer, *args, **kwargs):
    return layer(*args, data_format="channels_first", **kwargs)


# Name to (axes of steps, layers). Converters differ in the ranks they pad and
# transpose, in what they make of sizes that are not known, and in the order of
# the axes.
MODELS = {
    "k3 s2 same": (1, lambda: [keras_convt.Conv1DTranspose(6, 3, 2, "same")]),
    "k4 s2 causal": (
        1,
        lambda: [keras_convt.Conv1DTranspose(6, 4, 2, "causal")],
    ),
    "k2 s2": (1, lambda: [keras_convt.Conv1DTranspose(6, 2, 2)]),
    "k3 dilation 2": (
        1,
        lambda: [keras_convt.Conv1DTranspose(6, 3, dilation_rate=2)],
    ),
    "k10 s5 padding (3, 2)": (
        1,
        lambda: [keras_convt.Conv1DTranspose(6, 10, 5, padding=(3, 2))],
    ),
    "k5 s2 same": (1, lambda: [keras_convt.Conv1DTranspose(6, 5, 2, "same")]),
    "k4 s2 padding (1, 0)": (
        1,
        lambda: [keras_convt.Conv1DTranspose(6, 4, 2, padding=(1, 0))],
    ),
    "groups": (
        1,
        lambda: [keras_convt.Conv1DTranspose(6, 3, 2, "same", groups=2)],
    ),
    "depthwise": (
        1,
        lambda: [keras_convt.Conv1DTranspose(4, 4, 2, "same", groups=4)],
    ),
    "channels_first": (
        1,
        lambda: [_first(keras_convt.Conv1DTranspose, 6, 3, 2, "same")],
    ),
    "separable channels_first": (
        1,
        lambda: [_first(keras_convt.SeparableConv1DTranspose, 6, 4, 2, "same")],
    ),
    "2D k4 s2 same": (
        2,
        lambda: [keras_convt.Conv2DTranspose(6, 4, 2, "same")],
    ),
    "many filters at stride 1": (
        1,
        lambda: [keras_convt.Conv1DTranspose(40, 3, padding="same")],
    ),
    "2D many filters": (
        2,
        lambda: [
            keras_convt.Conv2DTranspose(128, 3),
            keras_convt.Conv2DTranspose(16, 2, 2),
        ],
    ),
    "2D few filters": (
        2,
        lambda: [
            keras_convt.Conv2DTranspose(16, 2, 2),
            keras_convt.Conv2DTranspose(2, 5, padding="same"),
        ],
    ),
    "2D one filter": (
        2,
        lambda: [
            keras_convt.Conv2DTranspose(8, 2, 2),
            keras_convt.Conv2DTranspose(1, 5),
        ],
    ),
    "2D depthwise k3 s2 channels_first": (
        2,
        lambda: [
            _first(keras_convt.DepthwiseConv2DTranspose, 3, 2, "same"),
        ],
    ),
    "3D k3 s2 same": (
        3,
        lambda: [keras_convt.Conv3DTranspose(3, 3, 2, "same")],
    ),
    "decoder": (
        1,
        lambda: [
            layers.Conv1D(16, 3, padding="same", activation="relu"),
            keras_convt.Conv1DTranspose(8, 4, 2, "same", activation="elu"),
            keras_convt.Conv1DTranspose(2, 8, 4, "same", activation="tanh"),
        ],
    ),
}


def build(name, steps, rng):
    """The model for inputs of so many steps an axis, None for any number."""
    rank, make = MODELS[name]
    stack = make()
    first = stack[-1].data_format == "channels_first"
    model = keras.Sequential(
        [keras.Input(_shape(rank, steps, first)), *stack],
    )
    for weight in model.weights:
        weight.assign(0.3 * rng.normal(size=weight.shape))
    return model


def input_shape(name, batch, steps):
    rank, make = MODELS[name]
    first = make()[-1].data_format == "channels_first"
    return (batch, *_shape(rank, steps, first))


def step_axes(name):
    """The axes of an input that are steps."""
    shape = input_shape(name, 1, 1)
    return [
        axis
        for axis in range(1, len(shape))
        if axis != shape.index(CHANNELS, 1)
    ]


def _shape(rank, steps, first):
    spatial = (steps,) * rank
    return (CHANNELS, *spatial) if first else (*spatial, CHANNELS)
