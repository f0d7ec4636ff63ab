"""What is chosen on TensorFlow, below and above each bound of a rule."""

import pytest
from helpers.problems import (
    COLORS,
    DILATED,
    FIRST,
    IMAGE,
    LONG,
    STRIDE_ONE,
    VOLUME,
    chosen,
)


@pytest.mark.parametrize(
    ("running", "changes", "expected"),
    [
        ("tensorflow-xla", {}, "overlap_add_transposed"),
        ("tensorflow-xla", {"channels": 129}, "overlap_add"),
        ("tensorflow-xla", {"filters": 65}, "overlap_add"),
        (
            "tensorflow-xla",
            IMAGE | {"kernel_size": (5, 5), "channels": 65},
            "native",
        ),
        (
            "tensorflow-xla",
            IMAGE | {"kernel_size": (5, 5), "channels": 64},
            "sub_pixel_convolution",
        ),
        ("tensorflow-xla", FIRST | {"kernel_size": (3,)}, "native"),
        (
            "tensorflow-xla",
            FIRST | {"kernel_size": (3,), "channels": 64},
            "native",
        ),
        (
            "tensorflow-xla",
            FIRST | {"kernel_size": (3,), "channels": 63},
            "overlap_add_transposed",
        ),
        (
            "tensorflow-xla",
            FIRST | {"kernel_size": (3,), "dilation_rate": (2,)},
            "overlap_add",
        ),
        ("tensorflow-xla", FIRST | {"kernel_size": (6,)}, "native"),
        (
            "tensorflow-xla",
            FIRST | {"kernel_size": (7,)},
            "overlap_add_transposed",
        ),
        (
            "tensorflow-xla",
            FIRST | {"kernel_size": (2,)},
            "overlap_add",
        ),
        (
            "tensorflow-xla",
            FIRST | {"kernel_size": (4,)},
            "overlap_add_transposed",
        ),
        ("tensorflow-xla", STRIDE_ONE, "native"),
        ("tensorflow-xla", STRIDE_ONE | {"positions": None}, "convolution"),
        ("tensorflow-xla", STRIDE_ONE | {"filters": 128}, "convolution"),
        ("tensorflow-xla", STRIDE_ONE | {"filters": 32}, "overlap_add"),
        (
            "tensorflow-xla",
            STRIDE_ONE | {"positions": 396},
            "overlap_add",
        ),
        (
            "tensorflow-xla",
            STRIDE_ONE | {"filters": 128, "positions": 198},
            "overlap_add_transposed",
        ),
        (
            "tensorflow-xla",
            STRIDE_ONE | {"dilation_rate": (2,)},
            "convolution",
        ),
        (
            "tensorflow-xla",
            STRIDE_ONE | {"kernel_size": (3, 3)},
            "native",
        ),
        (
            "tensorflow-xla",
            STRIDE_ONE | {"kernel_size": (3, 3), "filters": 42},
            "overlap_add",
        ),
        ("tensorflow-xla", COLORS, "overlap_add"),
        (
            "tensorflow-xla",
            COLORS | {"kernel_size": (7, 7), "channels": 32},
            "overlap_add_transposed",
        ),
        ("tensorflow-xla", COLORS | {"channels": 11}, "native"),
        ("tensorflow-xla", COLORS | {"filters": 5}, "native"),
        ("tensorflow-xla", COLORS | {"kernel_size": (11, 11)}, "native"),
        (
            "tensorflow-xla",
            STRIDE_ONE | {"kernel_size": (3, 3), "positions": None},
            "convolution",
        ),
        (
            "tensorflow-xla",
            STRIDE_ONE
            | {"kernel_size": (3, 3, 3), "filters": 128}
            | {"positions": 1000},
            "overlap_add",
        ),
        ("tensorflow-xla", {"positions": None}, "overlap_add"),
        ("tensorflow-xla", {"kernel_size": (8,)}, "overlap_add_transposed"),
        (
            "tensorflow-xla",
            {"kernel_size": (8,), "positions": 65},
            "overlap_add",
        ),
        (
            "tensorflow-xla",
            {"kernel_size": (8,), "positions": None},
            "overlap_add",
        ),
        ("tensorflow-xla", IMAGE | {"channels": 65}, "native"),
        ("tensorflow", {"channels": 33, "positions": 10}, "overlap_add"),
        ("tensorflow", {"channels": 32, "positions": 10}, "native"),
        (
            "tensorflow",
            {"channels": 32, "filters": 8, "positions": 10},
            "overlap_add",
        ),
        (
            "tensorflow",
            {"channels": 32, "filters": 9, "positions": 10},
            "native",
        ),
        (
            "tensorflow",
            LONG | {"channels": 512, "positions": 32},
            "overlap_add",
        ),
        ("tensorflow", LONG | {"channels": 512, "positions": 33}, "native"),
        (
            "tensorflow",
            LONG | {"channels": 512, "positions": 32, "dtype": "bfloat16"},
            "native",
        ),
        (
            "tensorflow",
            IMAGE | {"filters": 4, "channels": 64},
            "overlap_add",
        ),
        ("tensorflow", IMAGE | {"filters": 4, "channels": 63}, "native"),
        ("tensorflow", IMAGE | {"filters": 5}, "native"),
        (
            "tensorflow",
            IMAGE | {"filters": 4, "positions": 65536},
            "overlap_add",
        ),
        ("tensorflow", IMAGE | {"filters": 4, "positions": 65537}, "native"),
        ("tensorflow", IMAGE | {"filters": 4, "positions": None}, "native"),
        (
            "tensorflow",
            IMAGE | {"filters": 4, "kernel_size": (2, 2)},
            "native",
        ),
        ("tensorflow", IMAGE | FIRST | {"filters": 4}, "native"),
        ("tensorflow", VOLUME | {"filters": 4, "channels": 512}, "native"),
        (
            "tensorflow",
            IMAGE | {"filters": 4, "strides": (1, 1)},
            "native",
        ),
        ("tensorflow-xla", IMAGE | {"kernel_size": (3, 3)}, "native"),
        (
            "tensorflow-xla",
            IMAGE | {"kernel_size": (3, 3), "positions": 18},
            "overlap_add",
        ),
        (
            "tensorflow-xla",
            IMAGE | {"kernel_size": (3, 3), "positions": 19},
            "native",
        ),
        (
            "tensorflow-xla",
            IMAGE | {"kernel_size": (2, 2)},
            "overlap_add_transposed",
        ),
        (
            "tensorflow",
            DILATED | {"kernel_size": (3,)},
            "overlap_add_by_chunk",
        ),
        (
            "tensorflow-xla",
            DILATED | {"kernel_size": (3,)},
            "shift_multiply_add",
        ),
        ("tensorflow-xla", DILATED | {"kernel_size": (9,)}, "convolution"),
        (
            "tensorflow",
            IMAGE
            | {"kernel_size": (3, 3, 3), "strides": (1, 1, 1)}
            | {"dilation_rate": (2, 2, 2)},
            "overlap_add",
        ),
        ("tensorflow", {}, "native"),
        ("tensorflow", {"positions": None}, "native"),
        ("tensorflow", {"positions": 40}, "overlap_add"),
        ("tensorflow-eager", {"positions": 40}, "native"),
        ("tensorflow-eager", {"kernel_size": (2,)}, "native"),
        ("tensorflow-eager", VOLUME, "native_with_products"),
        ("tensorflow-eager", VOLUME | {"positions": 100_000}, "native"),
        ("tensorflow-eager", VOLUME | {"strides": (1, 1, 1)}, "native"),
        (
            "tensorflow-eager",
            VOLUME | {"dtype": "bfloat16"},
            "native",
        ),
        ("tensorflow", VOLUME, "native"),
        (
            "tensorflow",
            {"kernel_size": (64,), "positions": 8000, "channels": 16},
            "sub_pixel_convolution",
        ),
        ("tensorflow", {"kernel_size": (64,), "positions": 8000}, "native"),
        (
            "tensorflow",
            STRIDE_ONE | {"kernel_size": (64,), "channels": 16},
            "native",
        ),
        (
            "tensorflow",
            IMAGE
            | {"kernel_size": (16, 16), "strides": (8, 8)}
            | {"channels": 21, "filters": 21, "positions": 256},
            "sub_pixel",
        ),
        (
            "tensorflow",
            IMAGE | {"kernel_size": (16, 16), "strides": (8, 8)},
            "native",
        ),
        ("tensorflow-xla", VOLUME, "overlap_add_transposed"),
        (
            "tensorflow-xla",
            {"kernel_size": (64,), "strides": (2,), "positions": 8000},
            "sub_pixel_convolution",
        ),
        (
            "tensorflow-xla",
            IMAGE | {"channels": 64},
            "sub_pixel_convolution",
        ),
        (
            "tensorflow-xla",
            IMAGE | {"channels": 64, "filters": 3},
            "overlap_add",
        ),
        (
            "tensorflow-xla",
            IMAGE | {"channels": 64, "filters": 3, "positions": 65_536},
            "overlap_add",
        ),
        (
            "tensorflow-xla",
            IMAGE | {"channels": 64, "filters": 4, "positions": 65_536},
            "sub_pixel_convolution",
        ),
        (
            "tensorflow-eager",
            IMAGE | {"steps": (1, 1), "positions": 64, "strides": (1, 1)},
            "native",
        ),
        ("tensorflow", {"kernel_size": (2,)}, "overlap_add"),
        ("tensorflow", IMAGE | {"kernel_size": (2, 2)}, "native"),
        ("tensorflow", {"kernel_size": (1024,)}, "native"),
        (
            "tensorflow",
            {"kernel_size": (1024,), "strides": (256,), "positions": 60},
            "overlap_add",
        ),
        (
            "tensorflow",
            {"kernel_size": (1024,), "strides": (256,), "filters": 1},
            "native",
        ),
        ("tensorflow", {"groups": 2}, "by_group"),
        (
            "tensorflow",
            {"groups": 128, "filters": 128},
            "overlap_add_by_chunk",
        ),
        (
            "tensorflow",
            {"strides": (1,), "dilation_rate": (2,)},
            "convolution",
        ),
    ],
)
def test_the_choice(running, changes, expected):
    assert chosen(running, changes) == expected
