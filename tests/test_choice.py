"""Which formulation is chosen, by backend, engine, device and sizes."""

import dataclasses
import itertools

import keras
import pytest
from keras import ops

from keras_convt.ops.backend import BACKENDS, backend, named
from keras_convt.ops.backend.generic import Backend
from keras_convt.ops.choice import check_implementation, choose, supported
from keras_convt.ops.problem import Choice, Context, Problem

ONE_D = {
    "kernel_size": (4,),
    "strides": (2,),
    "dilation_rate": (1,),
    "groups": 1,
    "channels": 128,
    "filters": 64,
    "positions": 2000,
}


IMAGE = {
    "kernel_size": (4, 4),
    "strides": (2, 2),
    "dilation_rate": (1, 1),
    "positions": 4096,
}


# A kernel of two strides, and steps that are known.
SIGNAL = {
    "kernel_size": (8,),
    "strides": (4,),
    "steps": (500,),
    "positions": 500,
}


FIRST = {"channels_first": True}


WIDE = {"channels": 64, "filters": 128}


LONG = {
    "kernel_size": (16,),
    "strides": (8,),
    "steps": (1000,),
    "positions": 1000,
    "channels": 256,
}


NARROW = {
    "kernel_size": (3,),
    "channels": 32,
    "filters": 32,
    "positions": 1536,
}


STRIDE_ONE = {"strides": (1,), "kernel_size": (4,)}


COLORS = STRIDE_ONE | {"kernel_size": (9, 9), "channels": 64, "filters": 3}


DILATED = {
    "strides": (1,),
    "dilation_rate": (256,),
    "groups": 128,
    "filters": 128,
}


UNEQUAL_GROUPS = {
    "kernel_size": (3, 2),
    "strides": (1, 2),
    "dilation_rate": (1, 1),
    "groups": 4,
}
VOLUME = {
    "kernel_size": (3, 3, 3),
    "strides": (2, 2, 2),
    "dilation_rate": (1, 1, 1),
}


RUNNING = {
    "jax": ("jax", "xla"),
    "jax-eager": ("jax", "eager"),
    "tensorflow-xla": ("tensorflow", "xla"),
    "tensorflow": ("tensorflow", "graph"),
    "tensorflow-eager": ("tensorflow", "eager"),
    "torch-inference": ("torch", "eager"),
    "torch-narrow": ("torch", "eager"),
    "torch-narrow-inference": ("torch", "eager"),
    "torch-export": ("torch", "export"),
    "torch-trace": ("torch", "trace"),
    "jax-export": ("jax", "export"),
}


@pytest.mark.parametrize(
    ("running", "changes", "expected"),
    [
        ("torch-export", UNEQUAL_GROUPS, "by_group"),
        ("torch-trace", UNEQUAL_GROUPS, "native"),
        ("jax-export", VOLUME, "overlap_add"),
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
            (name, SIGNAL | changes, expected)
            for changes, expected in [
                ({}, "winograd"),
                ({"positions": 3277}, "winograd_transposed"),
                (WIDE | {"positions": 820}, "winograd_transposed"),
                (WIDE | {"positions": 819}, "winograd"),
                ({"filters": 512}, "sub_pixel"),
                ({"filters": 511}, "winograd"),
            ]
            for name in ("jax", "tensorflow-xla")
        ),
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
        ("jax", IMAGE, "sub_pixel"),
        ("jax", IMAGE | {"positions": 1954}, "sub_pixel"),
        ("jax", IMAGE | {"positions": 1953}, "overlap_add"),
        ("jax", IMAGE | {"filters": 512}, "overlap_add"),
        ("jax", IMAGE | {"positions": None}, "overlap_add"),
        ("jax", IMAGE | {"kernel_size": (5, 5)}, "sub_pixel_convolution"),
        (
            "jax",
            IMAGE
            | {"kernel_size": (16, 16), "strides": (8, 8), "channels": 21}
            | {"filters": 21, "positions": 256},
            "sub_pixel",
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
        ("tensorflow-xla", {}, "overlap_add_transposed"),
        ("tensorflow-xla", {"channels": 129}, "overlap_add"),
        ("tensorflow-xla", {"filters": 65}, "overlap_add"),
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
        ("tensorflow-xla", IMAGE | {"kernel_size": (3, 3)}, "native"),
        (
            "tensorflow-xla",
            IMAGE | {"kernel_size": (3, 3), "positions": 30},
            "overlap_add",
        ),
        (
            "tensorflow-xla",
            IMAGE | {"kernel_size": (2, 2)},
            "overlap_add_transposed",
        ),
        ("numpy", {}, "native"),
        ("openvino", {"groups": 128, "filters": 128}, "overlap_add"),
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
        ("torch", DILATED | {"kernel_size": (3,)}, "native"),
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
        ("torch", {}, "native"),
        ("torch", {"kernel_size": (2,)}, "overlap_add"),
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
            "torch",
            {"kernel_size": (8,), "strides": (4,), "positions": 488},
            "native",
        ),
        (
            "torch",
            {"kernel_size": (8,), "strides": (4,), "positions": 489},
            "sub_pixel",
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
            "torch-narrow",
            {"kernel_size": (8,), "strides": (4,), "positions": 488},
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
        ("jax", VOLUME | {"kernel_size": (2, 2, 2)}, "overlap_add_by_chunk"),
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
        ("torch", {"positions": 7812}, "native"),
        ("torch", {"positions": 7813}, "sub_pixel"),
        ("torch-inference", {"positions": 7813}, "native"),
        ("torch", {"positions": 7813, "dtype": "bfloat16"}, "native"),
        ("torch", {"kernel_size": (3,), "positions": 9000}, "native"),
        ("torch", {"kernel_size": (6,), "positions": 90000}, "native"),
        (
            "torch",
            {"kernel_size": (12,), "strides": (4,), "positions": 2600},
            "native",
        ),
        (
            "torch",
            {"kernel_size": (12,), "strides": (4,), "positions": 2700},
            "sub_pixel",
        ),
        ("torch", {"kernel_size": (9,), "positions": 6900}, "native"),
        (
            "torch",
            {"kernel_size": (9,), "positions": 7000},
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
        ("torch", FIRST | {"positions": 7813}, "sub_pixel"),
        ("torch-export", FIRST | {"kernel_size": (2,)}, "overlap_add"),
        ("torch-export", IMAGE | {"kernel_size": (2, 2)}, "native"),
        ("torch-export", STRIDE_ONE | {"kernel_size": (1,)}, "convolution"),
        ("torch-narrow", FIRST | STRIDE_ONE | {"filters": 8}, "native"),
        (
            "torch-narrow",
            FIRST | {"kernel_size": (128,)},
            "sub_pixel_convolution",
        ),
        ("torch-narrow", FIRST | {"kernel_size": (127,)}, "native"),
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
        ("torch", FIRST | STRIDE_ONE, "convolution"),
        ("torch-narrow", {"positions": 7813, "dtype": "bfloat16"}, "sub_pixel"),
        (
            "torch-narrow",
            {"groups": 128, "filters": 128, "dtype": "float16"},
            "native",
        ),
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
    name, engine = RUNNING.get(running, (running, "eager"))
    context = Context(
        engine,
        "cpu",
        gradients="inference" not in running,
        wide_vectors="narrow" not in running,
    )
    fields = ONE_D | changes
    for field in ("strides", "dilation_rate"):
        if len(fields[field]) == 1:
            fields[field] = fields[field] * len(fields["kernel_size"])
    problem = Problem(**fields, context=context)
    choice = choose(problem, backend=named(name))
    assert choice.name == expected
    assert choice.reason
    assert choice.name in supported(problem, named(name))


# Of each backend, every engine that it says it is.
ENGINES = {
    "jax": ["eager", "xla", "export"],
    "numpy": ["eager"],
    "openvino": ["graph"],
    "tensorflow": ["eager", "graph", "xla"],
    "torch": ["eager", "graph", "export", "trace"],
}


@pytest.mark.parametrize("device", ["cpu", "gpu", "tpu"])
@pytest.mark.parametrize(
    ("name", "engine"),
    [(name, engine) for name in BACKENDS for engine in ENGINES[name]],
)
def test_every_choice_is_right_there(name, engine, device):
    chosen_by = named(name)
    for rank, groups, positions, k, s, d in itertools.product(
        (1, 2, 3), (1, 4, 64), (None, 0, 50, 9000), (1, 4, 300), (1, 2), (1, 3)
    ):
        problem = Problem(
            *(
                (k,) * rank,
                (s,) * rank,
                (d,) * rank,
                groups,
                64,
                128,
                positions,
            ),
            context=Context(engine, device),
        )
        choice = choose(problem, backend=chosen_by)
        assert choice.name in supported(problem, chosen_by)
        assert (choice.each is None) == (choice.name != "by_group")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, Choice("native", "not measured on a gpu")),
        ({"groups": 4}, Choice("native", "not measured on a gpu")),
        (
            {"groups": 64},
            Choice("overlap_add", "not measured on a gpu, many groups"),
        ),
        (
            STRIDE_ONE | {"groups": 64},
            Choice("convolution", "not measured on a gpu"),
        ),
        ({"positions": 0}, Choice("overlap_add", "no positions")),
    ],
)
def test_a_device_that_nobody_measured(changes, expected):
    problem = Problem(**(ONE_D | changes), context=Context("xla", "gpu"))
    assert choose(problem, backend=named("jax")) == expected


def test_a_backend_that_nobody_measured():
    nobody_knows = named("cntk")
    assert type(nobody_knows) is Backend
    problem = Problem(**ONE_D, context=nobody_knows.context(None))
    assert choose(problem, backend=nobody_knows) == Choice(
        "native", "not measured with cntk"
    )


def test_what_the_caller_sets():
    problem = Problem(**ONE_D)
    assert choose(problem, "sub_pixel") == Choice(
        "sub_pixel", "set by the caller"
    )


@pytest.mark.parametrize(
    ("name", "engine"),
    [("jax", "export"), ("torch", "export"), ("torch", "trace")],
)
def test_what_is_set_for_this_machine_does_not_hinder_an_export(name, engine):
    problem = Problem(**ONE_D, context=Context(engine))
    exported = choose(problem, "winograd", named(name))
    assert exported == choose(problem, backend=named(name))
    assert exported.name == "native"


def test_where_gradients_of_products_are():
    name = "native_with_products"
    problem = Problem(**ONE_D)
    assert name in supported(problem, named("jax"))
    assert name in supported(problem, named("tensorflow"))
    for other in ("numpy", "openvino", "torch"):
        # A model that was tuned on JAX is right everywhere.
        assert choose(problem, name, named(other)).name == name
        assert name not in supported(problem, named(other))
    exported = dataclasses.replace(problem, context=Context("export"))
    assert choose(exported, name, named("jax")).name == "native"


def test_groups_one_after_another_choose_for_one_group():
    problem = Problem(**(ONE_D | {"groups": 4, "channels": 256}))
    assert choose(problem, backend=named("jax")) == Choice(
        "by_group", "few groups", each="overlap_add"
    )
    assert choose(problem, "by_group", backend=named("torch")) == Choice(
        "by_group", "set by the caller", each="native"
    )


def test_what_is_not_exact_enough_is_not_chosen():
    """Though it is faster, and computed if the caller sets it."""
    image = {"strides": (2, 2), "dilation_rate": (1, 1), "positions": 10_000}
    image |= {"context": Context("xla", "cpu"), "kernel_size": (4, 4)}
    problem = Problem(**(ONE_D | image))
    assert choose(problem, backend=named("jax")).name == "sub_pixel"
    volume = {"kernel_size": (4,) * 3, "strides": (2,) * 3}
    volume |= {"dilation_rate": (1,) * 3, "positions": 1000}
    problem = Problem(**(ONE_D | volume))
    assert choose(problem, backend=named("jax")).name == "overlap_add"
    assert "sub_pixel" in supported(problem, named("jax"))


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("convolution", {}, r"'auto', 'native', .*: 'convolution' is for "),
        ("winograd", {"kernel_size": (5,)}, r"'winograd' is for kernels "),
        ("shift_multiply_add", {}, r"'shift_multiply_add' is for groups of "),
        ("fft", {}, r"'fft' is not known.*Received: implementation='fft'"),
    ],
)
def test_what_is_refused(name, changes, message):
    problem = Problem(**(ONE_D | changes))
    assert name not in supported(problem)
    with pytest.raises(ValueError, match=f"`implementation` must .*{message}"):
        check_implementation(name, problem)


def test_the_context():
    context = backend.context(ops.ones((1, 2, 3)))
    assert context.engine in ENGINES[backend.name]
    assert context.device in ("cpu", "gpu", "tpu")
    assert (backend.name, context.engine) != ("tensorflow", "graph")


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow",
    reason="only TensorFlow runs with and without XLA",
)
@pytest.mark.parametrize("jit_compile", [True, False])
def test_the_context_within_xla(jit_compile):
    import tensorflow as tf

    seen = []

    @tf.function(jit_compile=jit_compile)
    def function(x):
        seen.append(backend.context(x).engine)
        return x

    function(tf.zeros(()))
    assert seen == ["xla" if jit_compile else "graph"]
