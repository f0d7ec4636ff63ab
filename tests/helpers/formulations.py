"""What each formulation computes; the others compute everything."""

import math

import numpy as np

from keras_convt.ops.formulations import FORMULATIONS

NAMES = sorted(FORMULATIONS)

# What it says of what it does not compute.
REFUSALS = {
    "convolution": "strides of 1",
    "shift_multiply_add": "groups of one channel",
    "winograd": "two strides",
    "winograd_transposed": "two strides",
}


def computes(name, strides, groups, channels, kernel_size, dilation_rate=1):
    """One int for all axes, or one for each."""
    if name == "convolution":
        return np.max(strides) == 1
    if name == "shift_multiply_add":
        return groups == channels
    if name.startswith("winograd"):
        sizes = np.broadcast_arrays(kernel_size, strides, dilation_rate)
        chunks = [
            math.ceil(((k - 1) * d + 1) / s)
            for k, s, d in zip(*map(np.atleast_1d, sizes), strict=True)
        ]
        return max(chunks) == 2
    return True
