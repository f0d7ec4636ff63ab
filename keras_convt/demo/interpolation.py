"""What there is to beat: interpolation between the coarse samples."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_convt.demo.signal import FACTOR, Samples


def places(steps: int) -> NDArray[Any]:
    """Where coarse samples lie among the fine: amid those they are means of."""
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
    # Second derivatives m, in coarse steps: smoothness at each inner sample
    # says m[i - 1] + 4 m[i] + m[i + 1] = 6 (y[i - 1] - 2 y[i] + y[i + 1]).
    smooth = 4 * np.eye(steps - 2) + np.eye(steps - 2, k=1)
    smooth += np.eye(steps - 2, k=-1)
    bends = np.zeros(coarse.shape)
    bends[:, 1:-1] = np.linalg.solve(smooth, 6 * np.diff(coarse, 2).T).T
    at = (np.arange(steps * FACTOR) - places(steps)[0]) / FACTOR
    left = np.clip(np.floor(at).astype(int), 0, steps - 2)
    b = at - left
    a = 1 - b
    return np.asarray(
        a * coarse[:, left]
        + b * coarse[:, left + 1]
        + (a**3 - a) / 6 * bends[:, left]
        + (b**3 - b) / 6 * bends[:, left + 1],
        "float32",
    )
