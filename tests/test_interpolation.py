"""A layer that starts as an interpolation computes SciPy's."""

import math

import keras
import numpy as np
import pytest
import scipy
from keras.ops import convert_to_numpy as numpy
from tolerances import VALUES, assert_close

import keras_convt
from keras_convt.initializers import ICNR, Interpolation

LAYERS = {
    1: keras_convt.Conv1DTranspose,
    2: keras_convt.Conv2DTranspose,
    3: keras_convt.Conv3DTranspose,
}


def upsampled(x, kernel_size, strides, kind, **layer_arguments):
    """All of the layer's output, and where its steps are in the input."""
    rank = x.ndim - 2
    given = dict(kernel_initializer=Interpolation(strides, kind))
    layer = LAYERS[rank](
        x.shape[-1], kernel_size, strides, **{**given, **layer_arguments}
    )
    y = numpy(layer(x.astype("float32")))
    sizes = np.broadcast_to(kernel_size, rank)
    steps = np.broadcast_to(strides, rank)
    places = [
        (np.arange(n) - (k - 1) / 2) / s
        for n, k, s in zip(y.shape[1:-1], sizes, steps, strict=True)
    ]
    return y, places


def inner(places, lengths, margin):
    """Which steps are so far from the ends that all of a filter is inside."""
    return np.ix_(
        *(
            (p >= margin - 1e-9) & (p <= n - 1 - margin + 1e-9)
            for p, n in zip(places, lengths, strict=True)
        )
    )


CASES = [
    # Kernel size, strides: odd and even, tight and loose, in every rank.
    (2, 2),
    (3, 2),
    (4, 2),
    (7, 2),
    (8, 2),
    (5, 3),
    (11, 3),
    (12, 3),
    (16, 4),
    (17, 4),
    (1, 1),
    (3, 1),
    ((8, 12), (2, 3)),
    ((3, 4, 5), (1, 2, 3)),
]


def long_enough(kernel_size, strides, least):
    return np.all(np.asarray(kernel_size) >= least(np.asarray(strides)))


@pytest.mark.parametrize(
    ("order", "kind", "least"),
    [(0, "nearest", lambda s: s), (1, "linear", lambda s: 2 * s - 1)],
)
@pytest.mark.parametrize(("kernel_size", "strides"), CASES)
def test_nearest_and_linear(order, kind, least, kernel_size, strides, rng):
    rank = np.size(strides)
    x = rng.normal(size=(1, *(7, 6, 5)[:rank], 2))
    if not long_enough(kernel_size, strides, least):
        with pytest.raises(ValueError, match=r"`kernel_size` must be at least"):
            upsampled(x, kernel_size, strides, kind)
        return
    y, places = upsampled(x, kernel_size, strides, kind)
    grid = np.meshgrid(*places, indexing="ij")
    kept = inner(places, x.shape[1:-1], 0)
    for channel in range(2):
        expected = scipy.ndimage.map_coordinates(
            x[0, ..., channel], grid, order=order
        )
        assert expected[kept].size > 0
        assert_close(y[0, ..., channel][kept], expected[kept], VALUES)


@pytest.mark.parametrize(("kernel_size", "strides"), CASES)
def test_cubic(kernel_size, strides, rng):
    x = rng.normal(size=(1, *(9, 8, 7)[: np.size(strides)], 2))
    if not long_enough(kernel_size, strides, lambda s: 4 * s - 1):
        with pytest.raises(ValueError, match=r"`kernel_size` must be at least"):
            upsampled(x, kernel_size, strides, "cubic")
        return
    y, places = upsampled(x, kernel_size, strides, "cubic")
    expected = x[0]
    for axis, at in enumerate(places):
        steps = np.arange(expected.shape[axis])
        # The cubics with the slopes of central differences.
        slopes = np.gradient(expected, axis=axis)
        expected = scipy.interpolate.CubicHermiteSpline(
            steps, expected, slopes, axis=axis
        )(at)
    kept = inner(places, x.shape[1:-1], 1)
    assert expected[kept].size > 0
    assert_close(y[0][kept], expected[kept], VALUES)


@pytest.mark.parametrize(
    ("kernel_size", "stride"), [(12, 2), (13, 2), (3, 2), (24, 4), (48, 8)]
)
def test_sinc(kernel_size, stride, rng):
    x = rng.normal(size=(1, 30, 1))
    y, _ = upsampled(x, kernel_size, stride, "sinc")
    # BigVGAN's: a transition of 1.2 / stride, in units of pi.
    width = 1.2 / stride * 2 * math.pi
    attenuation = 2.285 * (kernel_size // 2 - 1) * width + 7.95
    taps = scipy.signal.firwin(
        kernel_size,
        1 / stride,
        window=("kaiser", scipy.signal.kaiser_beta(attenuation)),
    )
    expected = scipy.signal.upfirdn(stride * taps, x[0, :, 0], stride)
    # The layer's output has zeros after the last tap.
    assert_close(y[0, : len(expected), 0], expected, VALUES)


def test_a_tone_is_what_it_was_by_sinc():
    times = np.arange(60)
    x = np.sin(0.5 * times)[None, :, None]
    y, (places,) = upsampled(x, 48, 4, "sinc")
    kept = inner([places], [60], 12)
    assert np.abs(y[0, :, 0] - np.sin(0.5 * places))[kept].max() < 2e-3


@pytest.mark.parametrize("kind", ["nearest", "linear", "cubic"])
@pytest.mark.parametrize("kernel_size", [8, 9])
def test_a_constant_stays_one(kind, kernel_size):
    y, places = upsampled(np.full((1, 9, 1), 3.0), kernel_size, 2, kind)
    kept = inner(places, [9], 1)
    np.testing.assert_allclose(y[0, :, 0][kept], 3.0, rtol=1e-6)


def test_bilinear_upsampling_as_in_fcn():
    kernel = numpy(Interpolation(2)((4, 4, 1, 1)))[..., 0, 0]
    row = np.array([0.25, 0.75, 0.75, 0.25])
    np.testing.assert_allclose(kernel, np.outer(row, row))
    x = np.random.default_rng(0).normal(size=(1, 6, 5, 3)).astype("float32")
    layer = keras_convt.Conv2DTranspose(
        3, 4, 2, "same", kernel_initializer=Interpolation(2)
    )
    expected = keras.layers.UpSampling2D(2, interpolation="bilinear")(x)
    assert_close(
        numpy(layer(x))[:, 1:-1, 1:-1],
        numpy(expected)[:, 1:-1, 1:-1],
        VALUES,
    )


def test_groups_and_depthwise(rng):
    x = rng.normal(size=(1, 7, 6))
    y, _ = upsampled(x, 4, 2, "linear")
    grouped, _ = upsampled(
        x,
        4,
        2,
        "linear",
        groups=3,
        kernel_initializer=Interpolation(2, groups=3),
    )
    np.testing.assert_array_equal(grouped, y)
    depthwise = keras_convt.DepthwiseConv1DTranspose(
        4,
        2,
        depth_multiplier=2,
        depthwise_initializer=Interpolation(2, depthwise=True),
    )
    np.testing.assert_allclose(
        numpy(depthwise(x.astype("float32"))),
        np.repeat(y, 2, axis=-1),
        rtol=1e-6,
    )


def test_it_is_saved(tmp_path):
    initializer = Interpolation((2, 3), "cubic", groups=2, depthwise=False)
    layer = keras_convt.Conv2DTranspose(
        4, (8, 12), (2, 3), groups=2, kernel_initializer=initializer
    )
    model = keras.Sequential([keras.Input((3, 3, 4)), layer])
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras").layers[0]
    config = loaded.kernel_initializer.get_config()
    assert config == {
        **initializer.get_config(),
        "strides": config["strides"],
    }
    assert tuple(config["strides"]) == (2, 3)
    np.testing.assert_array_equal(numpy(loaded.kernel), numpy(layer.kernel))


def test_what_is_refused():
    with pytest.raises(ValueError, match=r"`kind` must be one of nearest, li"):
        Interpolation(2, "spline")
    with pytest.raises(ValueError, match=r"`strides` must be"):
        Interpolation(0)
    with pytest.raises(ValueError, match=r"`groups` must be"):
        Interpolation(2, groups=0)
    message = r"at least \(3, 5\) to hold 'linear'.*kernel_size=\(4, 4\)"
    with pytest.raises(ValueError, match=message):
        Interpolation((2, 3))((4, 4, 1, 1))
    with pytest.raises(ValueError, match=r"filters=2, channels=3, groups=1"):
        Interpolation(2)((4, 2, 3))
    with pytest.raises(ValueError, match=r"sequence of 1"):
        Interpolation((2, 2))((4, 1, 1))


@pytest.mark.parametrize("initializer", [Interpolation(2), ICNR(strides=2)])
def test_the_strides_of_a_layer(initializer):
    initializer.check_strides((2, 2))
    message = r"`kernel_initializer` must be for .* strides=2, .*strides=\(3,\)"
    with pytest.raises(ValueError, match=message):
        initializer.check_strides((3,))


@pytest.mark.parametrize("initializer", [Interpolation(2), ICNR(strides=2)])
@pytest.mark.parametrize(
    ("layer_class", "name", "filters"),
    [
        (keras_convt.Conv1DTranspose, "kernel_initializer", (3,)),
        (keras_convt.Conv2DTranspose, "kernel_initializer", (3,)),
        (keras_convt.DepthwiseConv1DTranspose, "depthwise_initializer", ()),
        (keras_convt.SeparableConv2DTranspose, "depthwise_initializer", (3,)),
    ],
)
def test_a_layer_of_other_strides_is_refused_when_built(
    layer_class, name, filters, initializer
):
    if isinstance(initializer, Interpolation):
        initializer = Interpolation(2, depthwise=name.startswith("depthwise"))
    layer = layer_class(*filters, 6, 3, **{name: initializer})
    shape = (2, *(5,) * layer.rank, 3)
    with pytest.raises(ValueError, match=rf"`{name}` .* strides=2, .*\(3,"):
        layer.build(shape)
    assert layer.weights == []
    assert not layer.built
    layer.strides = 2
    layer.build(shape)
    with pytest.raises(ValueError, match=rf"`{name}` .* strides=2, .*\(3,"):
        layer.strides = 3
    assert layer.strides == (2,) * layer.rank
