"""Every tolerance of the suite, each with its reason.

All comparisons are of float32 results with float64 references, made of
standard normal numbers: a sum of n products has a typical size of sqrt(n), and
each rounding of it an error of 2**-24 (6e-8) relative to its partial sums.
"""

import numpy as np

# Sums of up to a few hundred products: the error is a few 1e-6 whatever the
# order of summation, and a wrong tap or crop is off by about 1.
VALUES = {"rtol": 1e-5, "atol": 1e-5}

# Gradients sum over batch and steps too, and a second derivative chains three
# such sums.
GRADIENTS = {"rtol": 1e-4, "atol": 1e-4}
SECOND_DERIVATIVES = {"rtol": 1e-4, "atol": 1e-3}

# <conv(x), y> and <x, convT(y)> are single sums over all elements, positive
# and negative: their error goes with the sum of magnitudes, not with the
# value. Callers multiply this by that sum.
IDENTITY = 1e-6

# The promise made to users: outputs agree with the built-in layer to 1e-5.
BUILT_IN = {"rtol": 1e-5, "atol": 1e-5}

# The same layer on the same numbers, saved and loaded, or eager and compiled:
# only the order of summation may differ.
SAME_LAYER = {"rtol": 1e-5, "atol": 1e-6}

# 2**-11 and 2**-8 relative to sums of size 2 of a few products each.
HALF_PRECISION = {"float16": 1e-2, "bfloat16": 8e-2}


def difference(actual, expected, *, rtol, atol):
    """What is wrong with `actual`, or None."""
    actual, expected = (np.asarray(a, "float64") for a in (actual, expected))
    if actual.shape != expected.shape:
        return f"shape {actual.shape}, expected {expected.shape}"
    if actual.size == 0:
        return None
    excess = np.abs(actual - expected) - (atol + rtol * np.abs(expected))
    # Written so that a NaN is a difference.
    if not np.all(excess <= 0):
        worst = np.nanmax(np.abs(actual - expected), initial=0.0)
        return f"largest difference {worst:.3g}"
    return None


def assert_close(actual, expected, tolerance, what=""):
    wrong = difference(actual, expected, **tolerance)
    assert wrong is None, f"{what}: {wrong}" if what else wrong


class Failures:
    """Collects what went wrong in a sweep, to be reported as one list."""

    def __init__(self):
        self.compared = 0
        self.found = []

    def compare(self, actual, expected, tolerance, **configuration):
        self.compared += 1
        wrong = difference(actual, expected, **tolerance)
        if wrong is not None:
            self.add(wrong, **configuration)

    def add(self, wrong, **configuration):
        words = ", ".join(f"{k}={v!r}" for k, v in configuration.items())
        self.found.append(f"{words}: {wrong}")

    def report(self):
        assert self.compared, "the sweep compared nothing"
        assert not self.found, (
            f"{len(self.found)} of {self.compared} configurations:\n"
            + "\n".join(self.found[:40])
        )
