"""What is chosen on JAX, below and above each bound of a rule."""

import pytest
from helpers.problems import (
    COLORS,
    DILATED,
    FIRST,
    IMAGE,
    NARROW,
    REACHING,
    SIGNAL,
    STRIDE_ONE,
    UNEVEN,
    VOLUME,
    chosen,
)


@pytest.mark.parametrize(
    ("running", "changes", "expected"),
    [
        ("jax-export", VOLUME, "overlap_add"),
        ("jax-export", STRIDE_ONE | {"filters": 16}, "overlap_add"),
        ("jax-export", STRIDE_ONE | {"filters": 17}, "convolution"),
        (
            "jax-export",
            STRIDE_ONE | {"channels": 31, "filters": 1},
            "convolution",
        ),
        (
            "jax-export",
            STRIDE_ONE | {"channels": 32, "filters": 1},
            "overlap_add",
        ),
        (
            "jax-export",
            STRIDE_ONE | {"kernel_size": (129,), "filters": 1},
            "convolution",
        ),
        (
            "jax-export",
            STRIDE_ONE | {"dilation_rate": (2,), "filters": 1},
            "convolution",
        ),
        (
            "jax-export",
            STRIDE_ONE | {"groups": 2, "filters": 2},
            "convolution",
        ),
        ("jax-export", COLORS, "overlap_add"),
        (
            "jax-export",
            COLORS | {"channels": 128, "filters": 8},
            "overlap_add",
        ),
        (
            "jax-export",
            COLORS | {"channels": 128, "filters": 9},
            "convolution",
        ),
        ("jax-export", VOLUME | {"groups": 4}, "by_group"),
        ("jax-export", VOLUME | {"groups": 64}, "overlap_add"),
        ("jax", STRIDE_ONE, "overlap_add"),
        ("jax", STRIDE_ONE | {"filters": 193}, "convolution"),
        (
            "jax",
            STRIDE_ONE | {"kernel_size": (5, 5), "filters": 16},
            "convolution",
        ),
        (
            "jax",
            STRIDE_ONE | {"kernel_size": (5, 5), "filters": 17},
            "overlap_add",
        ),
        (
            "jax",
            STRIDE_ONE | {"kernel_size": (4, 5), "filters": 16},
            "overlap_add",
        ),
        ("jax", STRIDE_ONE | {"filters": 1}, "overlap_add"),
        ("jax", STRIDE_ONE | {"dilation_rate": (2,)}, "convolution"),
        ("jax", STRIDE_ONE | {"kernel_size": (129,)}, "convolution"),
        ("jax", STRIDE_ONE | {"kernel_size": (5, 5, 5)}, "convolution"),
        ("jax", STRIDE_ONE | {"kernel_size": (6, 6, 6)}, "convolution"),
        ("jax", {}, "overlap_add"),
        ("jax", {"kernel_size": (3,)}, "overlap_add"),
        *(
            ("jax", SIGNAL | changes, "overlap_add")
            for changes in [
                {"steps": (63,)},
                {"positions": 457},
                {"positions": 127, "channels": 512},
                {"positions": None, "steps": None},
                {"channels": 31, "filters": 240},
                {"dtype": "bfloat16"},
                {"dilation_rate": (3,)},
            ]
        ),
        *(
            ("jax", NARROW | changes, expected)
            for changes, expected in [
                ({}, "overlap_add_transposed"),
                ({"positions": 1535}, "overlap_add"),
                ({"channels": 33}, "overlap_add"),
                ({"filters": 21}, "overlap_add"),
                ({"strides": (1,)}, "overlap_add_transposed"),
                ({"strides": (1,), "channels": 33}, "overlap_add"),
            ]
        ),
        ("jax", {"positions": None}, "overlap_add"),
        ("jax", IMAGE, "sub_pixel_convolution"),
        ("jax", IMAGE | {"positions": 1954}, "sub_pixel_convolution"),
        ("jax", IMAGE | {"positions": 1953}, "overlap_add"),
        ("jax", IMAGE | {"filters": 512}, "overlap_add"),
        ("jax", IMAGE | {"positions": None}, "overlap_add"),
        ("jax", IMAGE | {"filters": 63}, "overlap_add"),
        ("jax", IMAGE | {"channels": 256, "filters": 128}, "winograd"),
        (
            "jax",
            IMAGE | {"channels": 255, "filters": 128},
            "sub_pixel_convolution",
        ),
        (
            "jax",
            IMAGE | {"channels": 256, "filters": 128, "dtype": "bfloat16"},
            "sub_pixel_convolution",
        ),
        ("jax", UNEVEN, "native_with_products"),
        ("jax", UNEVEN | {"positions": 6944}, "overlap_add"),
        ("jax", UNEVEN | {"channels": 127}, "overlap_add"),
        ("jax", UNEVEN | {"dilation_rate": (2, 2)}, "overlap_add"),
        ("jax", REACHING, "sub_pixel_convolution"),
        (
            "jax",
            REACHING | {"filters": 21, "positions": 1029},
            "sub_pixel_convolution",
        ),
        (
            "jax",
            REACHING | {"filters": 21, "positions": 1028},
            "native_with_products",
        ),
        ("jax-eager", REACHING | {"positions": 64}, "overlap_add"),
        (
            "jax",
            REACHING
            | {"kernel_size": (16, 1), "strides": (2, 1), "positions": 400},
            "native_with_products",
        ),
        (
            "jax",
            REACHING
            | {"kernel_size": (17, 1), "strides": (2, 1), "positions": 400},
            "overlap_add",
        ),
        (
            "jax",
            FIRST | IMAGE | {"kernel_size": (3, 3), "positions": 2000},
            "native_with_products",
        ),
        ("jax", FIRST | IMAGE, "sub_pixel_convolution"),
        (
            "jax",
            IMAGE
            | {"kernel_size": (14, 14), "strides": (7, 7), "channels": 21}
            | {"filters": 21, "positions": 256},
            "overlap_add",
        ),
        ("jax", REACHING | {"positions": 2674}, "native_with_products"),
        ("jax", REACHING | {"positions": 2675}, "sub_pixel_convolution"),
        ("jax", REACHING | {"filters": 21}, "sub_pixel_convolution"),
        ("jax", REACHING | {"filters": 20}, "native_with_products"),
        ("jax", REACHING | {"positions": None}, "overlap_add"),
        ("jax", REACHING | {"dilation_rate": (3, 3)}, "sub_pixel_convolution"),
        (
            "jax",
            REACHING | {"kernel_size": (6, 6), "positions": 400},
            "overlap_add",
        ),
        ("jax", REACHING | {"positions": 400}, "native_with_products"),
        ("jax", IMAGE | {"kernel_size": (5, 5)}, "sub_pixel_convolution"),
        (
            "jax",
            IMAGE
            | {"kernel_size": (16, 16), "strides": (8, 8), "channels": 21}
            | {"filters": 21, "positions": 256},
            "sub_pixel_convolution",
        ),
        (
            "jax",
            IMAGE | {"kernel_size": (5, 5), "positions": 1000},
            "overlap_add",
        ),
        ("jax", {"kernel_size": (64,)}, "sub_pixel_convolution"),
        (
            "jax",
            {"kernel_size": (64,), "steps": (20,), "positions": 20},
            "overlap_add",
        ),
        ("jax", STRIDE_ONE | {"steps": (1,), "filters": 512}, "overlap_add"),
        ("jax", IMAGE | {"kernel_size": (2, 2)}, "overlap_add_transposed"),
        (
            "jax",
            IMAGE | {"kernel_size": (2, 2), "dilation_rate": (3, 3)},
            "overlap_add",
        ),
        ("jax", NARROW | {"dilation_rate": (3,)}, "overlap_add"),
        (
            "jax",
            IMAGE | {"kernel_size": (2, 2), "positions": 4095},
            "overlap_add",
        ),
        ("jax", {"groups": 128, "filters": 128}, "shift_multiply_add"),
        ("jax", {"groups": 128, "filters": 256}, "shift_multiply_add"),
        (
            "jax",
            {"groups": 128, "filters": 128, "kernel_size": (64,)},
            "overlap_add",
        ),
        ("jax", DILATED | {"kernel_size": (3,)}, "shift_multiply_add"),
        ("jax", DILATED | {"kernel_size": (65,)}, "convolution"),
        (
            "jax",
            {"groups": 128, "filters": 128, "kernel_size": (3,)}
            | {"strides": (300,)},
            "overlap_add",
        ),
        ("jax-export", {"positions": None}, "native"),
        ("jax-export", {"kernel_size": (2,)}, "overlap_add"),
        ("jax-export", {"groups": 4}, "by_group"),
        ("jax-export", {"groups": 64}, "overlap_add"),
        (
            "jax-export",
            {"groups": 128, "filters": 128},
            "shift_multiply_add",
        ),
        ("jax-export", STRIDE_ONE, "convolution"),
        (
            "jax-export",
            IMAGE
            | {"kernel_size": (3, 3, 3), "strides": (1, 1, 1)}
            | {"dilation_rate": (2, 2, 2)},
            "overlap_add",
        ),
        ("jax-eager", SIGNAL, "overlap_add"),
        ("jax-eager", SIGNAL | {"positions": None}, "overlap_add"),
        ("jax-eager", IMAGE, "sub_pixel_convolution"),
        (
            "jax-eager",
            IMAGE | {"kernel_size": (3, 3), "positions": 2048},
            "native",
        ),
        (
            "jax-eager",
            IMAGE | {"kernel_size": (3, 3), "positions": 64},
            "overlap_add",
        ),
        (
            "jax-eager",
            IMAGE | {"kernel_size": (2, 2)},
            "overlap_add_transposed",
        ),
        (
            "jax-eager",
            COLORS | {"kernel_size": (3, 3), "positions": 4096},
            "convolution",
        ),
        (
            "jax-eager",
            IMAGE
            | {"kernel_size": (9, 9), "channels": 16, "filters": 8}
            | {"positions": 2**14},
            "sub_pixel_convolution",
        ),
        ("jax-eager", SIGNAL | {"filters": 512}, "sub_pixel"),
        ("jax-eager", VOLUME, "overlap_add"),
        ("jax", {"groups": 4}, "by_group"),
        ("jax", {"groups": 64}, "overlap_add"),
        ("jax", VOLUME | {"kernel_size": (2, 2, 2)}, "overlap_add_by_chunk"),
        ("jax", FIRST | {"kernel_size": (5,)}, "native_with_products"),
        ("jax", FIRST | STRIDE_ONE, "convolution"),
        ("jax", FIRST | STRIDE_ONE | {"whole": True}, "native_with_products"),
        ("jax", FIRST | STRIDE_ONE | {"filters": 63}, "overlap_add"),
        ("jax", FIRST, "overlap_add"),
        ("jax", {"kernel_size": (5,)}, "overlap_add"),
        ("jax", FIRST | {"kernel_size": (5,), "positions": 9}, "overlap_add"),
        (
            "jax",
            FIRST | {"kernel_size": (5,), "positions": 10},
            "native_with_products",
        ),
        (
            "jax",
            FIRST | {"kernel_size": (5,), "dtype": "bfloat16"},
            "overlap_add",
        ),
        (
            "jax",
            FIRST | {"kernel_size": (5,), "positions": None},
            "overlap_add",
        ),
        (
            "jax",
            FIRST | {"kernel_size": (129,), "strides": (64,)},
            "overlap_add",
        ),
        (
            "jax",
            FIRST | IMAGE | {"kernel_size": (5, 5), "positions": 400},
            "native_with_products",
        ),
        (
            "jax-export",
            FIRST | {"kernel_size": (5,), "positions": None},
            "native",
        ),
    ],
)
def test_the_choice(running, changes, expected):
    assert chosen(running, changes) == expected
