"""The reference against numbers that a person can check.

Ones at every third place, a short kernel: the full sums below can be added up
by hand, and each padding is a window of them.
"""

import numpy as np
import pytest
import reference

# Stride 2, kernel [1, 2, 3]: each input sets down three numbers, two apart.
#   1 -> 1 2 3
#   2 ->     2 4 6
#   3 ->         3 6 9
OVERLAPPING = [1, 2, 5, 4, 9, 6, 9]

# One axis: (x, kernel, arguments, expected). The remark is the rule taken.
LITERALS = [
    # Stride 1, the textbook case.
    ([1, 1, 1], [1, 1, 1], {}, [1, 2, 3, 2, 1]),
    ([1, 1, 1], [1, 1, 1], {"padding": "same"}, [2, 3, 2]),
    ([1, 1, 1], [1, 1, 1], {"padding": "causal"}, [1, 2, 3]),
    ([1, 1, 1], [1, 1, 1], {"padding": 1}, [2, 3, 2]),
    ([1, 1, 1], [1, 1, 1], {"padding": (2, 0)}, [3, 2, 1]),
    ([1, 1, 1], [1, 1, 1], {"padding": (0, 1)}, [1, 2, 3, 2]),
    # A negative right crop appends zeros.
    ([1, 1, 1], [1, 1, 1], {"padding": (1, -2)}, [2, 3, 2, 1, 0, 0]),
    # An even kernel crops less on the left.
    ([1, 1, 1], [1, 1], {"padding": "same"}, [1, 2, 2]),
    # The kernel is not flipped: an impulse returns it.
    ([1], [1, 2, 3], {}, [1, 2, 3]),
    ([0, 1], [1, 2, 3], {"padding": "same"}, [1, 2]),
    # Stride 2 with overlaps.
    ([1, 2, 3], [1, 2, 3], {"strides": 2}, OVERLAPPING),
    # crop max(3 - 2, 0) // 2 = 0
    ([1, 2, 3], [1, 2, 3], {"strides": 2, "padding": "same"}, OVERLAPPING[:6]),
    (
        [1, 2, 3],
        [1, 2, 3],
        {"strides": 2, "padding": "causal"},
        OVERLAPPING[:6],
    ),
    ([1, 2, 3], [1, 2, 3], {"strides": 2, "padding": (1, 2)}, [2, 5, 4, 9]),
    # crop max(4 - 2, 0) // 2 = 1
    (
        [1, 2],
        [1, 1, 1, 1],
        {"strides": 2, "padding": "same"},
        [1, 3, 3, 2],
    ),
    # A stride longer than the kernel: "valid" ends with zeros...
    ([1, 2], [1, 1], {"strides": 3}, [1, 1, 0, 2, 2, 0]),
    ([1, 2], [1, 1], {"strides": 3, "padding": "same"}, [1, 1, 0, 2, 2, 0]),
    ([1, 2], [1, 1], {"strides": 3, "padding": (0, 0)}, [1, 1, 0, 2, 2]),
    # ... unless output_padding says how many.
    ([1, 2], [1, 1], {"strides": 3, "output_padding": 0}, [1, 1, 0, 2, 2]),
    (
        [1, 2],
        [1, 1],
        {"strides": 3, "output_padding": 2},
        [1, 1, 0, 2, 2, 0, 0],
    ),
    (
        [1, 2, 3],
        [1, 2, 3],
        {"strides": 2, "output_padding": 1},
        [*OVERLAPPING, 0],
    ),
    # "same" with output_padding: (L - 1) s + ke % 2 + p, here 5 and 6, with
    # crops (3 - 1 - p) // 2 = 1 and 0.
    (
        [1, 2, 3],
        [1, 2, 3],
        {"strides": 2, "padding": "same", "output_padding": 0},
        [2, 5, 4, 9, 6],
    ),
    (
        [1, 2, 3],
        [1, 2, 3],
        {"strides": 2, "padding": "same", "output_padding": 1},
        [1, 2, 5, 4, 9, 6],
    ),
    # Crops with output_padding: that many more on the right.
    (
        [1, 2, 3],
        [1, 2, 3],
        {"strides": 2, "padding": (1, 2), "output_padding": 1},
        [2, 5, 4, 9, 6],
    ),
    # Dilation: the kernel is 1 0 2 0 3.
    ([1, 1], [1, 2, 3], {"dilation_rate": 2}, [1, 1, 2, 2, 3, 3]),
    ([1, 1], [1, 2, 3], {"dilation_rate": 2, "padding": "same"}, [2, 2]),
    (
        [1, 1],
        [1, 2, 3],
        {"dilation_rate": 2, "strides": 2},
        [1, 0, 3, 0, 5, 0, 3],
    ),
    # output_size: the forward convolution of 6 and of 5 samples has 3 steps.
    (
        [1, 2, 3],
        [1, 2, 3],
        {"strides": 2, "padding": "same", "output_size": 6},
        OVERLAPPING[:6],
    ),
    # crop ((3 - 1) 2 + 3 - 5) // 2 = 1
    (
        [1, 2, 3],
        [1, 2, 3],
        {"strides": 2, "padding": "same", "output_size": 5},
        [2, 5, 4, 9, 6],
    ),
    (
        [1, 2, 3],
        [1, 2, 3],
        {"strides": 2, "padding": "causal", "output_size": 5},
        OVERLAPPING[:5],
    ),
    (
        [1, 2, 3],
        [1, 2, 3],
        {"strides": 2, "output_size": 8},
        [*OVERLAPPING, 0],
    ),
    (
        [1, 2, 3],
        [1, 2, 3],
        {"strides": 2, "padding": (1, 1), "output_size": 6},
        [2, 5, 4, 9, 6, 9],
    ),
]


@pytest.mark.parametrize(("x", "kernel", "arguments", "expected"), LITERALS)
def test_literals(x, kernel, arguments, expected):
    x = np.reshape(x, (1, -1, 1))
    kernel = np.reshape(kernel, (-1, 1, 1))
    y = reference.conv_transpose(x, kernel, **arguments)
    assert y[0, :, 0].tolist() == expected


def test_channels_and_bias():
    x = np.array([[[1, 2]]])  # one step of two channels
    kernel = np.array([[[1, 10], [100, 1000], [0, 1]]])  # one tap, 3 filters
    y = reference.conv_transpose(x, kernel, bias=[0.5, 0, 0])
    assert y.tolist() == [[[21.5, 2100, 2]]]


def test_groups():
    # Filters 0 and 1 see channel 0, filters 2 and 3 see channel 1.
    x = np.array([[[1, 2]]])
    kernel = np.array([[[1, 10], [100, 1000]]])
    y = reference.conv_transpose(x, kernel, groups=2)
    assert y.tolist() == [[[1, 100, 20, 2000]]]


def test_two_axes():
    x = np.reshape([1, 2], (1, 1, 2, 1))
    kernel = np.reshape([[1, 10], [100, 1000]], (2, 2, 1, 1))
    y = reference.conv_transpose(x, kernel, strides=(3, 1))
    assert y[0, :, :, 0].tolist() == [
        [1, 12, 20],
        [100, 1200, 2000],
        [0, 0, 0],
    ]


def test_channels_first_is_the_same_sum(rng):
    x, kernel = rng.normal(size=(2, 3, 4)), rng.normal(size=(3, 5, 4))
    last = reference.conv_transpose(x, kernel, strides=2)
    first = reference.conv_transpose(
        np.swapaxes(x, 1, 2), kernel, strides=2, data_format="channels_first"
    )
    np.testing.assert_array_equal(np.swapaxes(first, 1, 2), last)


@pytest.mark.parametrize(
    ("padding", "expected"),
    [
        ("valid", [1 + 2 + 3, 3 + 4 + 5]),
        ("same", [1 + 2 + 3, 3 + 4 + 5, 5 + 6]),
        ("causal", [1 + 2 + 3, 3 + 4 + 5, 5 + 6]),
        ((2, 0), [1, 1 + 2 + 3, 3 + 4 + 5]),
    ],
)
def test_the_forward_convolution(padding, expected):
    x = np.reshape([1, 2, 3, 4, 5, 6], (1, -1, 1))
    y = reference.conv(x, np.ones((3, 1, 1)), strides=2, padding=padding)
    assert y[0, :, 0].tolist() == expected


@pytest.mark.parametrize(
    ("steps", "k", "s", "d", "padding", "expected"),
    [
        (3, 3, 2, 1, "same", [5, 6]),
        (3, 3, 2, 1, "causal", [5, 6]),
        (3, 3, 2, 1, "valid", [7, 8]),
        (3, 3, 2, 1, (1, 1), [5, 6]),
        (3, 3, 2, 1, (2, 2), [3, 4]),
        (1, 2, 5, 1, "valid", [2, 3, 4, 5, 6]),
        (4, 3, 1, 2, "valid", [8]),
    ],
)
def test_legal_output_sizes(steps, k, s, d, padding, expected):
    assert reference.legal_output_sizes(steps, k, s, d, padding) == expected


CONFIGURATIONS = [
    {},
    {"strides": 3, "padding": "same", "output_size": (7, 9)},
    {"strides": (2, 3), "padding": ((1, 0), (0, -1)), "groups": 2},
    {"strides": 2, "dilation_rate": (1, 2), "padding": ((2, 0), (0, 3))},
    {"strides": 4, "output_padding": (3, 0)},
]


@pytest.mark.parametrize("arguments", CONFIGURATIONS)
def test_gradients_are_difference_quotients(arguments, rng):
    groups = arguments.get("groups", 1)
    x = rng.normal(size=(2, 3, 3, 4))
    kernel = rng.normal(size=(2, 3, 2 // groups, 4))
    bias = rng.normal(size=2)
    y = reference.conv_transpose(x, kernel, bias, **arguments)
    upstream = rng.normal(size=y.shape)

    def loss(*variables):
        y = reference.conv_transpose(*variables, **arguments)
        return np.sum(upstream * y)

    def penalty(*variables):
        return reference.penalty_gradients(*variables, upstream, **arguments)[3]

    check = [
        (loss, reference.gradients(x, kernel, upstream, **arguments)),
        (
            penalty,
            reference.penalty_gradients(x, kernel, bias, upstream, **arguments)[
                :3
            ],
        ),
    ]
    step = 1e-5
    for function, slopes in check:
        for index, slope in enumerate(slopes):
            direction = rng.normal(size=slope.shape)
            ends = []
            for sign in (1, -1):
                variables = [x, kernel, bias]
                variables[index] = variables[index] + sign * step * direction
                ends.append(function(*variables))
            quotient = (ends[0] - ends[1]) / (2 * step)
            np.testing.assert_allclose(
                np.sum(slope * direction), quotient, rtol=1e-6, atol=1e-6
            )


@pytest.mark.parametrize(
    "padding", ["valid", "same", "causal", (1, 2), (2, -1)]
)
def test_it_is_the_transpose_of_the_forward_convolution(padding, rng):
    checked = 0
    for k in range(1, 6):
        for s in range(1, 5):
            for d in (1, 2):
                for steps in (1, 3):
                    sizes = {
                        "strides": s,
                        "padding": padding,
                        "dilation_rate": d,
                    }
                    legal = reference.legal_output_sizes(
                        steps, k, s, d, padding
                    )
                    for n in legal:
                        kernel = rng.normal(size=(k, 1, 4))
                        x = rng.normal(size=(1, n, 2))
                        y = rng.normal(size=(1, steps, 4))
                        forward = reference.conv(x, kernel, groups=2, **sizes)
                        back = reference.conv_transpose(
                            y, kernel, groups=2, output_size=n, **sizes
                        )
                        np.testing.assert_allclose(
                            np.sum(forward * y), np.sum(x * back), atol=1e-9
                        )
                        checked += 1
    assert checked > 100
