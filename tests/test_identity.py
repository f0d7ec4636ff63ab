"""<conv(x), y> = <x, conv_transpose(y)>, with Keras's own forward layers.

The transpose is *defined* by this identity, so it needs no reference: Keras's
convolution and ours are given the very same kernel, and `output_size` names
the length that the forward layer started from.
"""

import keras
import numpy as np
import pytest
from keras import ops
from tolerances import IDENTITY

import keras_convt

FORWARD = [keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D]
TRANSPOSE = [
    keras_convt.Conv1DTranspose,
    keras_convt.Conv2DTranspose,
    keras_convt.Conv3DTranspose,
]
SAMPLES, CHANNELS = 4, 8  # of the forward layer: in and out


def inner(a, b):
    """<a, b>, and the sum of the magnitudes that went into it."""
    products = np.asarray(a, "float64") * np.asarray(b, "float64")
    return products.sum(), np.abs(products).sum()


def check(rng, sizes, kernel_size, padding, ours=None, groups=1, **arguments):
    """`ours` is the transpose's word for the forward layer's padding."""
    rank = len(sizes)
    forward = FORWARD[rank - 1](
        CHANNELS,
        kernel_size,
        padding=padding,
        groups=groups,
        use_bias=False,
        kernel_initializer="zeros",
        **arguments,
    )
    x = rng.normal(size=(2, *sizes, SAMPLES)).astype("float32")
    forward.build(x.shape)
    kernel = rng.normal(size=forward.kernel.shape).astype("float32")
    forward.set_weights([kernel])
    convolved = ops.convert_to_numpy(forward(x))

    transpose = TRANSPOSE[rank - 1](
        SAMPLES,
        kernel_size,
        padding=padding if ours is None else ours,
        groups=groups,
        use_bias=False,
        kernel_initializer="zeros",
        **arguments,
    )
    y = rng.normal(size=convolved.shape).astype("float32")
    transpose.build(y.shape)
    # The same array: (*kernel_size, samples // groups, channels) in both.
    transpose.set_weights([kernel])
    back = ops.convert_to_numpy(transpose(y, output_size=sizes))

    assert back.shape == x.shape
    left, magnitude = inner(convolved, y)
    right, _ = inner(x, back)
    assert abs(left - right) <= IDENTITY * magnitude
    assert magnitude > 0


# k < s with "same" is left to the sweep: on PyTorch, the forward layer of the
# oldest supported Keras is itself wrong there.
STRIDED = [
    (k, s, padding)
    for k, s in [(1, 1), (3, 1), (3, 2), (4, 2), (2, 3), (7, 5)]
    for padding in ("valid", "same")
    if padding == "valid" or k >= s
]


@pytest.mark.parametrize(("k", "s", "padding"), STRIDED)
def test_strided(k, s, padding, rng):
    for n in range(10, 10 + s):  # every remainder of the stride
        check(rng, (n,), k, padding, strides=s)


@pytest.mark.filterwarnings(
    # PyTorch on what its own convolution does, reached by the oldest Keras.
    "ignore:Using padding='same' with even kernel lengths:UserWarning"
)
@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize(("k", "d"), [(2, 2), (3, 2), (3, 3), (4, 3)])
def test_dilated(k, d, padding, rng):
    check(rng, (13,), k, padding, dilation_rate=d)


@pytest.mark.parametrize(
    ("k", "s", "d"), [(3, 1, 1), (4, 2, 1), (5, 3, 1), (3, 1, 2)]
)
def test_causal(k, s, d, rng):
    """The convolution looks back, so its transpose looks ahead.

    It crops on the left what the convolution padded there.
    """
    crop = ((k - 1) * d, 0)
    for n in range(10, 10 + s):
        check(rng, (n,), k, "causal", crop, strides=s, dilation_rate=d)


@pytest.mark.parametrize("groups", [2, 4])
@pytest.mark.parametrize(
    ("padding", "s", "d"), [("valid", 2, 1), ("same", 3, 1), ("same", 1, 2)]
)
def test_grouped(padding, s, d, groups, rng):
    check(rng, (11,), 4, padding, groups=groups, strides=s, dilation_rate=d)


def test_grouped_and_causal(rng):
    check(rng, (11,), 4, "causal", (3, 0), groups=2, strides=2)


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize(
    ("sizes", "kernel_size", "arguments"),
    [
        ((7, 8), (3, 4), {"strides": (2, 3)}),
        ((7, 8), (2, 5), {"strides": (3, 1)}),
        ((7, 8), (3, 2), {"dilation_rate": (2, 3)}),
        ((7, 8), (3, 4), {"strides": (2, 2), "groups": 2}),
        ((5, 6, 7), (3, 2, 4), {"strides": (2, 1, 3)}),
        ((5, 6, 7), (2, 3, 2), {"dilation_rate": (2, 1, 3)}),
    ],
)
def test_two_and_three_axes(sizes, kernel_size, arguments, padding, rng):
    check(rng, sizes, kernel_size, padding, **arguments)
