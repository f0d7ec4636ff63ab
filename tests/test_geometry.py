"""The arithmetic of one axis, against the reference and by search."""

import reference
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_convt import geometry


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
