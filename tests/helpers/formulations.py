"""What each formulation computes; the others compute everything."""

import numpy as np

from keras_convt.ops.formulations import FORMULATIONS

NAMES = sorted(FORMULATIONS)

# What it says of what it does not compute.
REFUSALS = {
    "convolution": "strides of 1",
    "shift_multiply_add": "groups of one channel",
}


def computes(name, strides, groups, channels):
    if name == "convolution":
        return np.max(strides) == 1
    if name == "shift_multiply_add":
        return groups == channels
    return True
