"""Every combination of arguments, value by value, against the reference.

A test walks through one product of arguments and reports all that went wrong
as one list. The wide sweeps go through the stateless op, where JAX can compile
them together; the narrower ones go through the layer, eagerly.
"""

import formulations
import keras
import numpy as np
import pytest
import reference
from gradients import arrays, compiled_if_quicker, tensors
from keras import ops
from tolerances import VALUES, Failures, assert_close

import keras_convt

FORMATS = ["channels_last", "channels_first"]
KERNELS = range(1, 8)
STRIDES = range(1, 6)
# Crops: an int for both sides, and an uneven pair that appends zeros.
PADDINGS = ["valid", "same", "causal", 1, (2, -3)]


def output_paddings(padding, s):
    """Every output_padding that goes with a padding and a stride."""
    return [None] if padding == "causal" else [None, *range(s)]


def normal(rng, *shape):
    # Rounded to what the backends get, so that only the sums can differ.
    return rng.normal(size=shape).astype("float32")


def data(rng, steps, channels, data_format, batch=2):
    shape = (*steps, channels)
    if data_format == "channels_first":
        shape = (channels, *steps)
    return normal(rng, batch, *shape)


def compare_all(x, kernel, configurations, **more):
    """Compare the op with the reference, all configurations in one graph."""
    expected = [
        reference.conv_transpose(x, kernel, **configuration)
        for configuration in configurations
    ]
    # A window without a sample is no output: the arguments tests have those.
    kept = [
        (c, e) for c, e in zip(configurations, expected, strict=True) if e.size
    ]

    def outputs(x, kernel):
        return [
            keras_convt.ops.conv_transpose(x, kernel, **configuration, **more)
            for configuration, _ in kept
        ]

    actual = arrays(compiled_if_quicker(outputs)(*tensors([x, kernel])))
    failures = Failures()
    for y, (configuration, e) in zip(actual, kept, strict=True):
        failures.compare(
            y, e, VALUES, input=x.shape, kernel=kernel.shape, **configuration
        )
    return failures


@pytest.mark.parametrize("data_format", FORMATS)
@pytest.mark.parametrize("k", KERNELS)
def test_sweep(k, data_format, rng):
    # One step has no neighbor to overlap with.
    for length in (1, 4) if data_format == "channels_last" else (3,):
        x = data(rng, [length], 2, data_format)
        kernel = normal(rng, k, 3, 2)
        compare_all(
            x,
            kernel,
            [
                {
                    "strides": s,
                    "padding": padding,
                    "output_padding": p,
                    "data_format": data_format,
                }
                for s in STRIDES
                for padding in PADDINGS
                for p in output_paddings(padding, s)
            ],
        ).report()


@pytest.mark.parametrize("data_format", FORMATS)
@pytest.mark.parametrize("k", KERNELS)
def test_sweep_of_dilations(k, data_format, rng):
    """The op takes strides and dilation together; the layer must not."""
    length = 4 if data_format == "channels_last" else 1
    compare_all(
        data(rng, [length], 2, data_format),
        normal(rng, k, 3, 2),
        [
            {
                "strides": s,
                "dilation_rate": d,
                "padding": padding,
                "output_padding": p,
                "data_format": data_format,
            }
            for s in (1, 2, 3)
            for d in (2, 3)
            for padding in PADDINGS
            for p in (None, s - 1)
            if padding != "causal" or p is None
        ],
    ).report()


@pytest.mark.parametrize("data_format", FORMATS)
@pytest.mark.parametrize("groups", [1, 2, 4])
def test_sweep_of_groups_and_output_sizes(groups, data_format, rng):
    """Every legal output_size of every padding."""
    length = 3 if data_format == "channels_last" else 2
    for k in KERNELS:
        x = data(rng, [length], 4, data_format)
        kernel = normal(rng, k, 8 // groups, 4)
        compare_all(
            x,
            kernel,
            [
                {
                    "strides": s,
                    "padding": padding,
                    "output_size": n,
                    "groups": groups,
                    "data_format": data_format,
                }
                for s in (1, 2, 3, 5)
                for padding in PADDINGS
                for n in reference.legal_output_sizes(
                    length,
                    k,
                    s,
                    1,
                    reference.per_axis_padding(padding, 1)[0],
                )
            ],
        ).report()


@pytest.mark.parametrize("implementation", formulations.NAMES)
def test_every_implementation(implementation, rng):
    """Whichever "auto" takes on a backend, the others are right there too."""
    compared = 0
    for k in KERNELS:
        for groups in (1, 2, 4):
            x = data(rng, [4], 4, "channels_last")
            kernel = normal(rng, k, 4 // groups, 4)
            failures = compare_all(
                x,
                kernel,
                [
                    {"strides": s, "padding": padding, "dilation_rate": d}
                    | {"groups": groups}
                    for s in (1, 2, 3, 5)
                    for d in (1, 2)
                    if formulations.computes(implementation, s, groups, 4, k, d)
                    for padding in ("same", (1, -3))
                ],
                implementation=implementation,
            )
            if failures.compared:
                failures.report()
            compared += failures.compared
    assert compared > 50


@pytest.mark.parametrize(
    "implementation",
    [
        name
        for name in formulations.NAMES
        if formulations.computes(name, 1, 1, 1, kernel_size=1)
    ],
)
@pytest.mark.parametrize("padding", [(2, -3), (1, -1), (4, -6)])
def test_a_window_beside_the_full_sum(padding, implementation, rng):
    """All of the sum is cropped, and zeros are appended after it."""
    # One channel, which is a group of its own.
    x, kernel = normal(rng, 2, 1, 1), normal(rng, 1, 2, 1)
    y = keras_convt.ops.conv_transpose(
        x, kernel, padding=padding, implementation=implementation
    )
    expected = reference.conv_transpose(x, kernel, padding=padding)
    assert not expected.any()
    assert_close(ops.convert_to_numpy(y), expected, VALUES)


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize(
    ("padding", "steps"), [("causal", 0), ("same", 0), ("valid", 2)]
)
def test_no_steps(padding, steps, groups):
    """A chunk of a stream may be empty; what overlaps is there all the same."""
    y = keras_convt.ops.conv_transpose(
        np.ones((1, 0, 4), "float32"),
        np.ones((4, 4 // groups, 4), "float32"),
        strides=2,
        padding=padding,
        groups=groups,
    )
    np.testing.assert_array_equal(
        ops.convert_to_numpy(y), np.zeros((1, steps, 4))
    )


def layer_with(weights, channels, rank=1, **arguments):
    cls = [
        keras_convt.Conv1DTranspose,
        keras_convt.Conv2DTranspose,
        keras_convt.Conv3DTranspose,
    ][rank - 1]
    layer = cls(kernel_initializer="zeros", **arguments)
    shape = [None] * (rank + 2)
    first = arguments.get("data_format") == "channels_first"
    shape[1 if first else -1] = channels
    layer.build(tuple(shape))
    layer.set_weights(weights)
    return layer


@pytest.mark.parametrize("k", KERNELS)
def test_the_layer_eagerly(k, rng):
    """Shortest and longest output_padding; formats and lengths take turns."""
    failures = Failures()
    turn = 0
    for s in STRIDES:
        for padding in ["valid", "same", "causal", (1, -3)]:
            ends = {None, 0, s - 1}
            if padding == "causal":
                ends = {None}
            for p in sorted(ends, key=str):
                for d in (1, 3) if s == 1 else (1,):
                    turn += 1
                    data_format = FORMATS[turn % 2]
                    x = data(rng, [1 + turn % 3], 2, data_format)
                    weights = [normal(rng, k, 3, 2), normal(rng, 3)]
                    configuration = {
                        "strides": s,
                        "padding": padding,
                        "output_padding": p,
                        "dilation_rate": d,
                        "data_format": data_format,
                    }
                    expected = reference.conv_transpose(
                        x, *weights, **configuration
                    )
                    if not expected.size:
                        continue
                    layer = layer_with(
                        weights, 2, filters=3, kernel_size=k, **configuration
                    )
                    failures.compare(
                        ops.convert_to_numpy(layer(x)),
                        expected,
                        VALUES,
                        k=k,
                        input=x.shape,
                        **configuration,
                    )
    failures.report()


def test_activation_and_bias_reach_the_zeros_past_the_end(rng):
    weights = [normal(rng, 2, 3, 2), np.array([1, -1, 2], "float32")]
    layer = layer_with(
        weights,
        2,
        filters=3,
        kernel_size=2,
        strides=5,
        activation=lambda y: ops.exp(y),
    )
    x = data(rng, [2], 2, "channels_last")
    y = ops.convert_to_numpy(layer(x))
    assert_close(
        y, np.exp(reference.conv_transpose(x, *weights, strides=5)), VALUES
    )
    # Steps 7 to 9 lie past the last tap: exp(0 + bias).
    assert_close(y[:, 7:], np.tile(np.exp([1.0, -1, 2]), (2, 3, 1)), VALUES)


def test_without_a_bias(rng):
    kernel = normal(rng, 3, 3, 2)
    layer = layer_with([kernel], 2, filters=3, kernel_size=3, use_bias=False)
    x = data(rng, [4], 2, "channels_last")
    assert_close(
        ops.convert_to_numpy(layer(x)),
        reference.conv_transpose(x, kernel),
        VALUES,
    )


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_groups_with_a_bias_in_the_layer(groups, rng):
    weights = [normal(rng, 4, 8 // groups, 4), normal(rng, 8)]
    arguments = {"strides": 2, "padding": "same", "groups": groups}
    layer = layer_with(weights, 4, filters=8, kernel_size=4, **arguments)
    x = data(rng, [5], 4, "channels_last")
    assert_close(
        ops.convert_to_numpy(layer(x)),
        reference.conv_transpose(x, *weights, **arguments),
        VALUES,
    )


def test_causal_outputs_depend_on_no_later_input(rng):
    """y[o] sees x[0 .. o // s]: a later input changes nothing before it."""
    s = 3
    layer = layer_with(
        [normal(rng, 7, 3, 2), normal(rng, 3)],
        2,
        filters=3,
        kernel_size=7,
        strides=s,
        padding="causal",
    )
    x = data(rng, [6], 2, "channels_last")
    before = ops.convert_to_numpy(layer(x))
    assert before.shape == (2, 6 * s, 3)
    for i in range(6):
        changed = x.copy()
        changed[:, i] += 1
        after = ops.convert_to_numpy(layer(changed))
        same = np.all(before == after, axis=(0, 2))
        assert same[: i * s].all()
        assert not same[i * s]


# Every size differs by axis, in 2D and in 3D.
UNEVEN = [
    ((3, 4), (2, 3), {"strides": (1, 2)}),
    ((1, 3), (5, 2), {"strides": (3, 5)}),
    ((3, 2), (4, 3), {"strides": (2, 3), "padding": "same"}),
    ((3, 2), (3, 4), {"dilation_rate": (1, 3), "padding": "same"}),
    ((3, 2), (2, 3), {"dilation_rate": (3, 2)}),
    ((3, 2), (4, 3), {"strides": (2, 3), "output_padding": (1, 0)}),
    (
        (3, 2),
        (4, 3),
        {"strides": (2, 3), "padding": "same", "output_padding": (0, 2)},
    ),
    ((3, 2), (4, 3), {"strides": (2, 1), "padding": 1}),
    ((3, 2), (4, 3), {"strides": (2, 1), "padding": ((1, 2), (0, -2))}),
    (
        (3, 2),
        (4, 3),
        {"strides": (2, 3), "padding": ((3, 0), (0, 1)), "groups": 2},
    ),
    ((2, 3, 1), (1, 2, 3), {"strides": (3, 1, 2)}),
    ((2, 3, 1), (3, 2, 4), {"strides": (3, 1, 2), "padding": "same"}),
    ((2, 3, 2), (1, 2, 3), {"dilation_rate": (2, 3, 1), "padding": "same"}),
    (
        (2, 1, 2),
        (3, 2, 2),
        {"strides": (2, 1, 3), "output_padding": (0, 0, 2)},
    ),
    (
        (2, 3, 2),
        (3, 2, 1),
        {
            "strides": (2, 1, 2),
            "padding": ((1, 0), (0, 1), (0, -1)),
            "groups": 2,
        },
    ),
]


@pytest.mark.parametrize("data_format", FORMATS)
@pytest.mark.parametrize(("steps", "kernel_size", "arguments"), UNEVEN)
def test_two_and_three_axes(steps, kernel_size, arguments, data_format, rng):
    rank, groups = len(steps), arguments.get("groups", 1)
    arguments = {**arguments, "data_format": data_format}
    weights = [normal(rng, *kernel_size, 4 // groups, 2), normal(rng, 4)]
    layer = layer_with(
        weights, 2, rank, filters=4, kernel_size=kernel_size, **arguments
    )
    x = data(rng, steps, 2, data_format)
    assert_close(
        ops.convert_to_numpy(layer(x)),
        reference.conv_transpose(x, *weights, **arguments),
        VALUES,
    )


@pytest.mark.parametrize("data_format", FORMATS)
@pytest.mark.parametrize("padding", ["valid", "same", ((1, 0), (0, -1))])
def test_output_size_of_two_axes(padding, data_format, rng):
    steps, kernel_size, strides = (2, 3), (4, 2), (2, 3)
    choices = [
        reference.legal_output_sizes(length, k, s, 1, axis)
        for length, k, s, axis in zip(
            steps,
            kernel_size,
            strides,
            reference.per_axis_padding(padding, 2),
            strict=True,
        )
    ]
    compare_all(
        data(rng, steps, 2, data_format),
        normal(rng, *kernel_size, 3, 2),
        [
            {
                "strides": strides,
                "padding": padding,
                "output_size": (n, m),
                "data_format": data_format,
            }
            for n in choices[0]
            for m in choices[1]
        ],
    ).report()


def test_output_size_forms(rng):
    """An int, one an axis, or a tensor whose spatial shape is meant."""
    weights = [normal(rng, 4, 3, 2), normal(rng, 3)]
    arguments = {"strides": 2, "padding": "same"}
    layer = layer_with(weights, 2, filters=3, kernel_size=4, **arguments)
    x = data(rng, [5], 2, "channels_last")
    for n in (9, 10):
        expected = reference.conv_transpose(
            x, *weights, output_size=n, **arguments
        )
        for form in [
            n,
            float(n),
            np.int64(n),
            (n,),
            [n],
            ops.zeros((2, n, 7)),
            np.zeros((2, n, 7)),
        ]:
            y = ops.convert_to_numpy(layer(x, output_size=form))
            assert_close(y, expected, VALUES, f"output_size={form!r}")
    first = layer_with(
        weights,
        2,
        filters=3,
        kernel_size=4,
        data_format="channels_first",
        **arguments,
    )
    y = first(np.swapaxes(x, 1, 2), output_size=ops.zeros((2, 7, 9)))
    assert y.shape == (2, 3, 9)


def test_numpy_lists_and_kinds_of_numbers_in(rng):
    """The op converts what NumPy takes, whatever its dtype and layout."""
    x = rng.integers(-3, 4, size=(2, 3, 2))
    kernel = rng.integers(-3, 4, size=(3, 2, 2))
    expected = reference.conv_transpose(x, kernel, strides=2)
    for form in [
        x.astype("float32"),
        x.astype("float64"),
        np.asfortranarray(x.astype("float64")),
        ops.convert_to_tensor(x.astype("float32")),
    ]:
        y = keras_convt.ops.conv_transpose(
            form, kernel.astype("float32"), strides=2
        )
        assert_close(ops.convert_to_numpy(y), expected, VALUES)
    for dtype in ("int8", "int32", "uint8", "float32"):
        integers = keras_convt.ops.conv_transpose(
            abs(x).astype(dtype), abs(kernel).astype("int32"), strides=2
        )
        assert keras.backend.standardize_dtype(integers.dtype) == "float32"
        assert_close(
            ops.convert_to_numpy(integers),
            reference.conv_transpose(abs(x), abs(kernel), strides=2),
            VALUES,
        )


def test_the_configured_data_format_is_the_default(rng):
    x, kernel = normal(rng, 2, 4, 3), normal(rng, 3, 2, 4)
    expected = reference.conv_transpose(x, kernel, data_format="channels_first")
    before = keras.config.image_data_format()
    keras.config.set_image_data_format("channels_first")
    try:
        layer = keras_convt.Conv1DTranspose(2, 3)
        y = layer(x)
        op = keras_convt.ops.conv_transpose(x, kernel)
    finally:
        keras.config.set_image_data_format(before)
    assert layer.data_format == "channels_first"
    assert y.shape == expected.shape
    assert_close(ops.convert_to_numpy(op), expected, VALUES)
