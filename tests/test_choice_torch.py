"""What is chosen on PyTorch, below and above each bound of a rule."""

import pytest
from helpers.problems import (
    COLORS,
    DILATED,
    FEW_CHANNELS,
    FIRST,
    IMAGE,
    LASTING,
    LONG,
    STRIDE_ONE,
    UNEQUAL_GROUPS,
    VOLUME,
    chosen,
)


@pytest.mark.parametrize(
    ("running", "changes", "expected"),
    [
        ("torch-export", UNEQUAL_GROUPS, "by_group"),
        ("torch-trace", UNEQUAL_GROUPS, "native"),
        ("torch-export", STRIDE_ONE, "convolution"),
        ("torch-narrow", LASTING, "overlap_add"),
        ("torch-narrow", LASTING | {"steps": (2999,)}, "native"),
        ("torch-narrow", LASTING | {"channels": 63}, "native"),
        ("torch-narrow", LASTING | {"filters": 64}, "native"),
        ("torch-narrow", LASTING | {"kernel_size": (6,)}, "overlap_add"),
        ("torch-narrow", LASTING | {"kernel_size": (7,)}, "native"),
        (
            "torch-narrow",
            LASTING | {"strides": (4,), "filters": 8},
            "native",
        ),
        ("torch-narrow", LASTING | {"kernel_size": (1,)}, "native"),
        ("torch-narrow", LASTING | {"positions": 43690}, "overlap_add"),
        ("torch-narrow", LASTING | {"positions": 43691}, "native"),
        ("torch-narrow-inference", LASTING, "native"),
        ("torch", LASTING, "native"),
        ("torch-export", STRIDE_ONE | {"whole": True}, "native"),
        (
            "torch-export",
            STRIDE_ONE | {"whole": True, "dilation_rate": (2,)},
            "convolution",
        ),
        (
            "torch-export",
            STRIDE_ONE | {"whole": True, "kernel_size": (1,)},
            "convolution",
        ),
        (
            "torch-export",
            STRIDE_ONE | {"whole": True, "kernel_size": (4, 4)},
            "convolution",
        ),
        ("torch", DILATED | {"kernel_size": (3,)}, "native"),
        ("torch", {}, "native"),
        ("torch-narrow", {"kernel_size": (2,)}, "overlap_add"),
        ("torch", {"kernel_size": (2,)}, "native"),
        ("torch", {"kernel_size": (2,), "channels": 127}, "native"),
        ("torch", {"kernel_size": (2,), "dtype": "bfloat16"}, "native"),
        ("torch", VOLUME | {"kernel_size": (2, 2, 2)}, "overlap_add"),
        ("torch-inference", VOLUME | {"kernel_size": (2, 2, 2)}, "native"),
        ("torch", IMAGE | {"kernel_size": (2, 2)}, "overlap_add"),
        (
            "torch",
            IMAGE | {"kernel_size": (2, 2), "channels": 127},
            "native",
        ),
        (
            "torch-narrow",
            {"kernel_size": (8,), "strides": (4,), "positions": 488},
            "native",
        ),
        (
            "torch-narrow",
            {"kernel_size": (8,), "strides": (4,), "positions": 489},
            "sub_pixel",
        ),
        (
            "torch",
            {"kernel_size": (14,), "strides": (7,), "positions": 489},
            "native",
        ),
        (
            "torch",
            {"kernel_size": (16,), "strides": (8,), "positions": 122},
            "native",
        ),
        (
            "torch",
            {"kernel_size": (16,), "strides": (8,), "positions": 123},
            "sub_pixel",
        ),
        (
            "torch-inference",
            LONG | {"channels": 512, "positions": 524},
            "overlap_add",
        ),
        (
            "torch-inference",
            LONG | {"channels": 512, "positions": 525},
            "native",
        ),
        ("torch-narrow", {}, "overlap_add_transposed"),
        ("torch-narrow", {"channels": 127}, "native"),
        ("torch-narrow", {"positions": 999}, "native"),
        ("torch-narrow-inference", {}, "native"),
        *(
            ("torch-narrow-inference", LONG | changes, expected)
            for changes, expected in [
                ({}, "winograd"),
                ({"channels": 255}, "native"),
                ({"steps": (63,)}, "native"),
                ({"strides": (4,), "kernel_size": (8,)}, "native"),
                ({"positions": 762}, "native"),
                ({"positions": 399, "filters": 256}, "overlap_add"),
                ({"positions": 400, "filters": 256}, "winograd"),
            ]
        ),
        (
            "torch-narrow",
            {"kernel_size": (8,), "strides": (4,), "groups": 4},
            "sub_pixel",
        ),
        ("torch-narrow", {"groups": 4}, "native"),
        (
            "torch-narrow",
            {"kernel_size": (8,), "strides": (4,), "groups": 4}
            | {"positions": 488},
            "native",
        ),
        (
            "torch-narrow-inference",
            STRIDE_ONE
            | {"kernel_size": (5, 5, 5), "filters": 48, "channels": 48},
            "convolution",
        ),
        (
            "torch-narrow",
            STRIDE_ONE
            | {"kernel_size": (5, 5, 5), "filters": 48, "channels": 48},
            "convolution",
        ),
        ("torch", STRIDE_ONE, "convolution"),
        ("torch", STRIDE_ONE | {"filters": 32}, "native"),
        ("torch", STRIDE_ONE | {"filters": 48, "channels": 48}, "native"),
        ("torch", STRIDE_ONE | {"filters": 48, "channels": 49}, "convolution"),
        (
            "torch",
            STRIDE_ONE
            | {"kernel_size": (3, 3, 3), "filters": 48, "channels": 48},
            "native",
        ),
        (
            "torch",
            STRIDE_ONE
            | {"kernel_size": (5, 5, 5), "filters": 48, "channels": 48},
            "native",
        ),
        (
            "torch-narrow",
            STRIDE_ONE
            | {"kernel_size": (4, 4, 4), "filters": 48, "channels": 48},
            "native",
        ),
        (
            "torch-inference",
            STRIDE_ONE
            | {"kernel_size": (4, 4, 4), "filters": 48, "channels": 48},
            "native",
        ),
        (
            "torch-inference",
            STRIDE_ONE
            | {"kernel_size": (5, 5, 5), "filters": 48, "channels": 48},
            "convolution",
        ),
        (
            "torch-inference",
            STRIDE_ONE | {"kernel_size": (9, 9), "filters": 8},
            "overlap_add_transposed",
        ),
        (
            "torch-inference",
            STRIDE_ONE | {"kernel_size": (8, 8), "filters": 8},
            "native",
        ),
        (
            "torch-narrow",
            STRIDE_ONE | {"kernel_size": (9, 9), "filters": 8},
            "overlap_add_transposed",
        ),
        (
            "torch",
            STRIDE_ONE | {"kernel_size": (9, 9), "filters": 8},
            "native",
        ),
        ("torch-inference", {"kernel_size": (2,)}, "native"),
        ("torch", STRIDE_ONE | {"filters": 8}, "overlap_add"),
        ("torch", STRIDE_ONE | {"filters": 9}, "native"),
        ("torch", STRIDE_ONE | {"filters": 8, "positions": 999}, "native"),
        ("torch", STRIDE_ONE | {"filters": 1, "channels": 48}, "native"),
        ("torch-export", STRIDE_ONE | {"filters": 32}, "native"),
        ("torch-export", STRIDE_ONE | {"filters": 33}, "convolution"),
        ("torch-export", COLORS, "native"),
        ("torch-export", COLORS | {"filters": 9}, "convolution"),
        ("torch", {"kernel_size": (1024,)}, "sub_pixel_convolution"),
        ("torch", {"kernel_size": (127,), "positions": 10}, "native"),
        ("torch-inference", {"kernel_size": (1024,)}, "native"),
        (
            "torch",
            {"kernel_size": (40,), "positions": 7813},
            "sub_pixel_convolution",
        ),
        ("torch", {"kernel_size": (42,), "positions": 7813}, "native"),
        ("torch", FEW_CHANNELS, "sub_pixel_convolution"),
        ("torch-inference", FEW_CHANNELS, "sub_pixel_convolution"),
        ("torch-narrow", FEW_CHANNELS | FIRST, "sub_pixel_convolution"),
        ("torch", FEW_CHANNELS | {"kernel_size": (63,)}, "native"),
        ("torch", FEW_CHANNELS | {"filters": 3}, "native"),
        ("torch", FEW_CHANNELS | {"channels": 3}, "native"),
        ("torch", FEW_CHANNELS | {"strides": (4,)}, "sub_pixel_convolution"),
        (
            "torch",
            FEW_CHANNELS | {"kernel_size": (75,), "strides": (5,)},
            "native",
        ),
        (
            "torch",
            FEW_CHANNELS | {"kernel_size": (76,), "strides": (5,)},
            "sub_pixel_convolution",
        ),
        ("torch", FEW_CHANNELS | FIRST | {"dtype": "bfloat16"}, "native"),
        ("torch", FEW_CHANNELS | FIRST | {"groups": 2}, "native"),
        (
            "torch",
            LONG | {"channels": 512, "positions": 819},
            "overlap_add",
        ),
        (
            "torch",
            LONG | {"channels": 512, "positions": 820},
            "sub_pixel",
        ),
        (
            "torch-narrow-inference",
            LONG | {"channels": 512, "positions": 819, "steps": (63,)},
            "overlap_add",
        ),
        ("torch-narrow", {"positions": 7812}, "overlap_add_transposed"),
        ("torch-narrow", {"positions": 7813}, "sub_pixel"),
        ("torch", {"positions": 7813}, "native"),
        ("torch-inference", {"positions": 7813}, "native"),
        ("torch", {"positions": 7813, "dtype": "bfloat16"}, "native"),
        ("torch", {"kernel_size": (3,), "positions": 9000}, "native"),
        ("torch", {"kernel_size": (6,), "positions": 90000}, "native"),
        (
            "torch-narrow",
            {"kernel_size": (12,), "strides": (4,), "positions": 2600},
            "overlap_add_transposed",
        ),
        (
            "torch-narrow",
            {"kernel_size": (12,), "strides": (4,), "positions": 2700},
            "sub_pixel",
        ),
        (
            "torch",
            {"kernel_size": (12,), "strides": (4,), "positions": 2700},
            "native",
        ),
        ("torch", {"kernel_size": (9,), "positions": 6900}, "native"),
        (
            "torch",
            {"kernel_size": (9,), "positions": 7000},
            "sub_pixel_convolution",
        ),
        (
            "torch",
            {"kernel_size": (9,), "positions": 7000, "channels": 31},
            "native",
        ),
        (
            "torch",
            {"kernel_size": (9,), "positions": 7000, "channels": 32},
            "sub_pixel_convolution",
        ),
        (
            "torch-narrow",
            {"kernel_size": (9,), "strides": (3,), "positions": 9000},
            "overlap_add_transposed",
        ),
        (
            "torch-narrow",
            {"kernel_size": (9,), "positions": 7000, "channels": 31},
            "sub_pixel_convolution",
        ),
        (
            "torch",
            IMAGE | {"kernel_size": (16, 16), "strides": (8, 8)},
            "sub_pixel",
        ),
        ("torch", IMAGE | {"positions": 16}, "native"),
        (
            "torch",
            IMAGE | {"positions": 16, "channels": 256},
            "overlap_add_by_chunk",
        ),
        ("torch", STRIDE_ONE | {"steps": (1,)}, "overlap_add"),
        (
            "torch",
            {"kernel_size": (1024,), "strides": (256,), "positions": 60},
            "overlap_add",
        ),
        (
            "torch",
            {"kernel_size": (1024,), "filters": 1},
            "sub_pixel_convolution",
        ),
        (
            "torch",
            {"kernel_size": (32, 32), "strides": (8, 8)}
            | {"dilation_rate": (1, 1)},
            "native",
        ),
        ("torch", {"groups": 2}, "native"),
        ("torch", {"positions": 0}, "overlap_add"),
        ("torch-export", {"groups": 128, "filters": 128}, "native"),
        ("torch-export", {}, "native"),
        ("torch-export", {"kernel_size": (2,)}, "overlap_add"),
        ("torch-export", {"kernel_size": (2,), "groups": 2}, "native"),
        ("torch", {"groups": 128, "filters": 128}, "native"),
        (
            "torch",
            {"groups": 128, "filters": 128, "dtype": "float64"},
            "shift_multiply_add",
        ),
        (
            "torch",
            {"groups": 128, "filters": 128, "dtype": "float64"}
            | {"kernel_size": (31,)},
            "native",
        ),
        (
            "torch",
            {"kernel_size": (16,), "channels": 512, "filters": 256}
            | {"positions": 50},
            "overlap_add",
        ),
        (
            "torch",
            {"kernel_size": (16,), "channels": 512, "filters": 256}
            | {"positions": None},
            "native",
        ),
        ("torch-narrow", FIRST, "native"),
        ("torch-narrow", FIRST | STRIDE_ONE, "native"),
        ("torch-narrow", FIRST | IMAGE | {"kernel_size": (2, 2)}, "native"),
        ("torch-narrow", FIRST | {"positions": 8}, "native"),
        ("torch-narrow", FIRST | LONG | {"positions": 64}, "overlap_add"),
        ("torch-narrow", FIRST | LONG | {"positions": 65}, "native"),
        (
            "torch-narrow",
            FIRST | {"kernel_size": (1024,), "strides": (256,)},
            "overlap_add",
        ),
        (
            "torch-narrow",
            FIRST | {"kernel_size": (1024,), "strides": (256,), "filters": 1},
            "overlap_add",
        ),
        (
            "torch",
            FIRST | {"kernel_size": (1024,), "strides": (256,), "filters": 1},
            "native",
        ),
        (
            "torch",
            FIRST | {"kernel_size": (1024,), "strides": (256,), "filters": 2},
            "overlap_add",
        ),
        ("torch", FIRST | {"positions": 7813}, "native"),
        ("torch", FIRST | LONG | {"positions": 64}, "overlap_add"),
        ("torch-export", FIRST | {"kernel_size": (2,)}, "overlap_add"),
        ("torch-export", IMAGE | {"kernel_size": (2, 2)}, "native"),
        ("torch-export", STRIDE_ONE | {"kernel_size": (1,)}, "convolution"),
        ("torch-narrow", FIRST | STRIDE_ONE | {"filters": 8}, "native"),
        (
            "torch-narrow",
            FIRST | {"kernel_size": (256,)},
            "sub_pixel_convolution",
        ),
        ("torch-narrow", FIRST | {"kernel_size": (255,)}, "native"),
        (
            "torch-narrow",
            FIRST | IMAGE | {"kernel_size": (16, 16), "strides": (8, 8)},
            "sub_pixel",
        ),
        (
            "torch-narrow",
            FIRST | IMAGE | {"positions": 16, "channels": 256},
            "overlap_add_by_chunk",
        ),
        ("torch", FIRST | STRIDE_ONE, "native"),
        ("torch-narrow", {"positions": 7813, "dtype": "bfloat16"}, "sub_pixel"),
        (
            "torch-narrow",
            {"groups": 128, "filters": 128, "dtype": "float16"},
            "native",
        ),
    ],
)
def test_the_choice(running, changes, expected):
    assert chosen(running, changes) == expected
