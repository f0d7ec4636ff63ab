"""Every formulation against the reference, and what has none."""

import keras
import numpy as np
import pytest
import reference
import tolerances
from formulations import NAMES, REFUSALS, computes
from gradients import BACKEND, value_and_gradients
from keras import ops

import keras_convt

# rank, kernel_size, strides, dilation_rate, groups, padding: each with what
# one formulation or another has to treat apart.
CASES = [
    (1, 4, 2, 1, 1, "same"),  # chunks of a whole stride
    (1, 5, 3, 1, 2, "valid"),  # a narrower last chunk, groups
    (1, 2, 3, 1, 1, "valid"),  # zeros past the last tap
    (1, 3, 2, 3, 1, (1, -2)),  # strides with dilation, zeros at the end
    (1, 3, 1, 2, 2, (3, 0)),  # a crop beyond the kernel's reach
    (1, 3, 2, 1, 4, "causal"),  # depthwise
    (1, 5, 2, 1, 4, (3, 1)),  # depthwise, more chunks than two
    (2, (3, 2), (2, 1), 1, 4, "same"),  # depthwise images
    (1, 3, 1, 5, 4, "same"),  # depthwise, chunks of zeros alone
    (1, 3, 2, 5, 4, (3, -2)),  # and phases of zeros alone
    (2, 2, 1, (3, 1), 4, "valid"),
    (1, 1, 1, 1, 1, 0),
    (2, (3, 4), (2, 3), 1, 2, "same"),
    (2, 2, 2, 1, 1, "valid"),
    (3, (2, 3, 1), (2, 1, 1), 1, 1, "same"),
    (3, 2, 1, (1, 2, 1), 1, "valid"),
    (2, (2, 4), 2, 1, 1, "valid"),  # two strides on the second axis alone
    (3, (4, 4, 3), 2, 1, 1, "same"),
]


@pytest.mark.parametrize("implementation", ["auto", *NAMES])
@pytest.mark.parametrize("case", CASES)
def test_values_and_gradients(rng, case, implementation):
    rank, kernel_size, strides, dilation_rate, groups, padding = case
    kernel_size = (
        (kernel_size,) * rank if isinstance(kernel_size, int) else kernel_size
    )
    if not computes(
        implementation, strides, groups, 4, kernel_size, dilation_rate
    ):
        with pytest.raises(ValueError, match=REFUSALS[implementation]):
            keras_convt.ops.conv_transpose(
                np.ones((1, *(4,) * rank, 4), "float32"),
                np.ones((*kernel_size, 4 // groups, 4), "float32"),
                strides,
                dilation_rate=dilation_rate,
                groups=groups,
                implementation=implementation,
            )
        return
    sizes = {
        "strides": strides,
        "padding": padding,
        "dilation_rate": dilation_rate,
        "groups": groups,
    }
    x = rng.standard_normal((2, *(5, 4, 3)[:rank], 4)).astype("float32")
    kernel = rng.standard_normal((*kernel_size, 4 // groups, 4))
    kernel = kernel.astype("float32")
    expected = reference.conv_transpose(x, kernel, **sizes)
    upstream = rng.standard_normal(expected.shape).astype("float32")

    def outputs(x, kernel):
        return keras_convt.ops.conv_transpose(
            x, kernel, implementation=implementation, **sizes
        )

    y = ops.convert_to_numpy(outputs(x, kernel))
    tolerances.assert_close(y, expected, tolerances.VALUES)
    weights = ops.convert_to_tensor(upstream)
    _, slopes = value_and_gradients(
        lambda x, kernel: ops.sum(outputs(x, kernel) * weights), [x, kernel]
    )
    dx, dkernel, _ = reference.gradients(x, kernel, upstream, **sizes)
    tolerances.assert_close(slopes[0], dx, tolerances.GRADIENTS)
    tolerances.assert_close(slopes[1], dkernel, tolerances.GRADIENTS)


@pytest.mark.parametrize(
    ("kernel_size", "padding"),
    [
        ((4,), "valid"),
        ((5,), "same"),
        ((4,), "same"),
        ((3,), (1, -2)),
        ((2, 3), "same"),
        ((3, 2), "valid"),
        ((2, 1, 2), "valid"),
    ],
)
@pytest.mark.parametrize(
    ("implementation", "strides"),
    [
        ("native", 1),
        ("convolution", 1),
        ("winograd", 2),
        ("winograd_transposed", 2),
    ],
)
def test_within_xla(kernel_size, padding, implementation, strides, rng):
    if strides == 2:
        # More than one stride, and two at the most.
        kernel_size = tuple(min(max(k, 3), 4) for k in kernel_size)
    x = rng.standard_normal((2, *(5, 4, 3)[: len(kernel_size)], 3))
    x = x.astype("float32")
    kernel = rng.standard_normal((*kernel_size, 2, 3)).astype("float32")
    sizes = {"strides": strides, "padding": padding}
    expected = reference.conv_transpose(x, kernel, **sizes)
    upstream = rng.standard_normal(expected.shape).astype("float32")

    def weighted(x, kernel, weights):
        y = keras_convt.ops.conv_transpose(
            x, kernel, implementation=implementation, **sizes
        )
        return ops.sum(y * weights)

    value, slopes = value_and_gradients(
        weighted, [x, kernel, upstream], compile="xla"
    )
    dx, dkernel, _ = reference.gradients(x, kernel, upstream, **sizes)
    scale = np.abs(expected * upstream).sum()
    assert abs(value - (expected * upstream).sum()) < 1e-6 * scale
    tolerances.assert_close(slopes[0], dx, tolerances.GRADIENTS)
    tolerances.assert_close(slopes[1], dkernel, tolerances.GRADIENTS)
    tolerances.assert_close(slopes[2], expected, tolerances.VALUES)


@pytest.mark.parametrize(
    "implementation", ["native", "overlap_add", "winograd"]
)
def test_unknown_steps_and_batch(rng, implementation):
    inputs = keras.Input((None, 3))
    kernel = rng.standard_normal((4, 2, 3)).astype("float32")
    model = keras.Model(
        inputs,
        keras_convt.ops.conv_transpose(
            inputs, kernel, 2, "same", implementation=implementation
        ),
    )
    for steps in (1, 5, 6):
        x = rng.standard_normal((2, steps, 3)).astype("float32")
        tolerances.assert_close(
            model.predict(x, verbose=0),
            reference.conv_transpose(x, kernel, strides=2, padding="same"),
            tolerances.VALUES,
        )


@pytest.mark.parametrize("implementation", ["auto", *NAMES])
def test_a_formulation_adds_the_bias(rng, implementation):
    """Also to the zeros past the end, and in sizes that are not known."""
    strides, groups = next(
        (strides, groups)
        for groups in (1, 4)
        for strides in (2, 1)
        if computes(implementation, strides, groups, 4, kernel_size=3)
    )
    sizes = {"strides": strides, "padding": (1, -2), "groups": groups}
    kernel = rng.standard_normal((3, 4 // groups, 4)).astype("float32")
    bias = rng.standard_normal(4).astype("float32")
    layer = keras_convt.Conv1DTranspose(
        4, 3, **sizes, implementation=implementation
    )
    model = keras.Sequential([keras.Input((None, 4)), layer])
    layer.set_weights([kernel, bias])
    for steps in (1, 5):
        x = rng.standard_normal((2, steps, 4)).astype("float32")
        tolerances.assert_close(
            model.predict(x, verbose=0),
            reference.conv_transpose(x, kernel, **sizes) + bias,
            tolerances.VALUES,
        )


def test_what_is_refused_of_a_symbolic_input():
    with pytest.raises(ValueError, match="'convolution' is for strides of 1"):
        keras_convt.ops.conv_transpose(
            keras.Input((None, 3)),
            np.ones((4, 2, 3), "float32"),
            2,
            implementation="convolution",
        )


@pytest.mark.parametrize("implementation", ["auto", *NAMES])
@pytest.mark.parametrize("shape", [(0, 5, 4), (2, 0, 4)])
def test_without_positions(shape, implementation):
    """Empty batches and empty signals, with groups of one channel if it can."""
    strides, groups = next(
        (strides, groups)
        for groups in (4, 1)
        for strides in (2, 1)
        if computes(implementation, strides, groups, 4, kernel_size=3)
    )
    y = keras_convt.ops.conv_transpose(
        np.ones(shape, "float32"),
        np.ones((3, 4 // groups, 4), "float32"),
        strides,
        "same",
        groups=groups,
        implementation=implementation,
    )
    assert tuple(y.shape) == (shape[0], shape[1] * strides, 4)


@pytest.mark.skipif(
    BACKEND != "torch", reason="torch.compile is of PyTorch alone"
)
@pytest.mark.filterwarnings(
    # Of rules for dtypes, which Keras keeps.
    "ignore:.*Dynamo detected a call to a `functools.lru_cache`:UserWarning"
)
@pytest.mark.parametrize("implementation", NAMES)
def test_one_graph_of_torch_compile(implementation, rng):
    import torch

    strides, groups = next(
        (strides, groups)
        for groups in (1, 4)
        for strides in (2, 1)
        if computes(implementation, strides, groups, 4, kernel_size=3)
    )
    x, kernel = (
        torch.tensor(rng.normal(size=shape)).float()
        for shape in ((2, 9, 4), (3, 4 // groups, 4))
    )

    def function(x, kernel):
        return keras_convt.ops.conv_transpose(
            x, kernel, strides, groups=groups, implementation=implementation
        )

    torch.compiler.reset()
    compiled = torch.compile(function, backend="eager", fullgraph=True)
    assert torch.equal(compiled(x, kernel), function(x, kernel))


def test_an_unknown_implementation():
    with pytest.raises(ValueError, match=r"`implementation`.*'fft'"):
        keras_convt.ops.conv_transpose(
            np.ones((1, 2, 1)), np.ones((2, 1, 1)), implementation="fft"
        )
