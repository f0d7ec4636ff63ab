"""Shapes: what is said of them beforehand, and what comes out."""

import keras
import numpy as np
import pytest
import reference
from hypothesis import given, settings
from hypothesis import strategies as st

import keras_convt
from keras_convt import geometry

LAYERS = {
    1: keras_convt.Conv1DTranspose,
    2: keras_convt.Conv2DTranspose,
    3: keras_convt.Conv3DTranspose,
}


@st.composite
def axes(draw):
    """The numbers of one axis that a layer takes, and input steps."""
    kernel_size = draw(st.integers(1, 9))
    stride = draw(st.integers(1, 6))
    dilation = draw(st.integers(1, 4)) if stride == 1 else 1
    padding = draw(
        st.one_of(
            st.sampled_from(["valid", "same", "causal"]),
            st.tuples(st.integers(0, 4), st.integers(-4, 4)),
        )
    )
    output_padding = None
    if padding != "causal":
        output_padding = draw(st.none() | st.integers(0, stride - 1))
    steps = draw(st.integers(1, 7))
    return kernel_size, stride, dilation, padding, output_padding, steps


@settings(max_examples=400, deadline=None)
@given(axes())
def test_geometry_is_the_reference(numbers):
    kernel_size, stride, dilation, padding, output_padding, steps = numbers
    axis = geometry.Axis(kernel_size, stride, dilation, padding, output_padding)
    lengths = reference.window(
        steps, kernel_size, stride, dilation, padding, output_padding
    )
    left, right = axis.crop
    assert (left, axis.output_steps(steps)) == tuple(lengths)
    assert axis.full_steps(steps) - left - right == axis.output_steps(steps)


@settings(max_examples=300, deadline=None)
@given(axes())
def test_output_sizes_are_those_of_the_forward_convolution(numbers):
    kernel_size, stride, dilation, padding, _, steps = numbers
    axis = geometry.Axis(kernel_size, stride, dilation, padding)
    # Every length, whether its forward convolution has so many steps.
    longest = steps * stride + 20 + axis.effective_kernel
    by_search = [
        n
        for n in range(1, longest)
        if reference.forward_steps(n, kernel_size, stride, dilation, padding)
        == steps
    ]
    assert [n for n in axis.output_sizes(steps) if n > 0] == by_search
    for n in by_search:
        left, right = axis.crop_to(steps, n)
        assert axis.full_steps(steps) - left - right == n
        assert left >= 0


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 3), st.data())
def test_symbolic_and_computed_shapes_agree(rank, data):
    drawn = [data.draw(axes()) for _ in range(rank)]
    kernel_size, strides, dilation, _, _, steps = zip(*drawn, strict=True)
    if max(strides) > 1:
        dilation = (1,) * rank
    padding = data.draw(st.sampled_from(["valid", "same", ((1, -2),) * rank]))
    data_format = data.draw(
        st.sampled_from(["channels_last", "channels_first"])
    )
    layer = LAYERS[rank](
        4, kernel_size, strides, padding,
        dilation_rate=dilation, data_format=data_format,
    )  # fmt: skip
    lengths = [
        reference.window(n, k, s, d, p)[1]
        for n, k, s, d, p in zip(
            steps,
            kernel_size,
            strides,
            dilation,
            reference.per_axis_padding(padding, rank),
            strict=True,
        )
    ]
    if min(lengths) < 1:
        return

    def shape(batch, steps, channels):
        if data_format == "channels_last":
            return (batch, *steps, channels)
        return (batch, channels, *steps)

    for batch in (2, None):
        expected = shape(batch, lengths, 4)
        given = shape(batch, steps, 3)
        assert layer.compute_output_shape(given) == expected
        assert layer(keras.Input(batch_shape=given)).shape == expected
    unknown = shape(None, (None,) * rank, 3)
    expected = shape(None, (None,) * rank, 4)
    assert layer(keras.Input(batch_shape=unknown)).shape == expected


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("padding", ["valid", "same", "causal", (1, -3)])
@pytest.mark.parametrize(
    ("kernel_size", "strides", "dilation_rate"),
    [(1, 1, 1), (3, 2, 1), (2, 3, 1), (3, 1, 2), (4, 2, 1)],
)
def test_eager_shapes(
    kernel_size, strides, dilation_rate, padding, data_format
):
    layer = keras_convt.Conv1DTranspose(
        4, kernel_size, strides, padding,
        dilation_rate=dilation_rate, data_format=data_format,
    )  # fmt: skip
    for batch in (0, 2):
        shape = (
            (batch, 5, 3) if data_format == "channels_last" else (batch, 3, 5)
        )
        y = layer(np.ones(shape, "float32"))
        assert tuple(y.shape) == layer.compute_output_shape(shape)
