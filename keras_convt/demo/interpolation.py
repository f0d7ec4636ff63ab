"""What there is to beat: interpolation between the coarse samples."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

from keras_convt.demo.signal import FACTOR, Samples


def places(steps: int) -> NDArray[Any]:
    """Where coarse samples lie: in the middle of those they are means of."""
    return np.arange(steps) * FACTOR + (FACTOR - 1) / 2


def linear(coarse: Samples) -> Samples:
    """Straight lines from sample to sample: `(batch, steps * FACTOR)`."""
    steps = coarse.shape[-1]
    fine = np.arange(steps * FACTOR)
    rows = [np.interp(fine, places(steps), row) for row in coarse]
    return np.asarray(rows, "float32")


def cubic(coarse: Samples) -> Samples:
    """The natural cubic spline: `(batch, steps * FACTOR)`."""
    steps = coarse.shape[-1]
    spline = CubicSpline(
        places(steps), coarse.astype("float64"), axis=1, bc_type="natural"
    )
    return np.asarray(spline(np.arange(steps * FACTOR)), "float32")
