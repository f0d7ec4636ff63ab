"""The electrocardiogram, cut in two, and made coarse.

PyWavelets ships 1024 samples with three heartbeats and names neither a source
nor a rate. 360 Hz, the rate of the arrhythmia recordings everybody uses, puts
the hum in it at 60 Hz, where mains hum is, and the heart at 66 beats a minute.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pywt.data
from numpy.typing import NDArray

Samples = NDArray[np.float32]

SAMPLE_RATE = 360
FACTOR = 8  # samples of which the coarse signal keeps only the mean
TRAINING_SAMPLES = 704  # two heartbeats; the third is held out
WINDOW = 128
# Coarse steps at each end of the held-out stretch that no method is judged
# by: interpolation has a neighbor on one side only there.
MARGIN = 2


@dataclass(frozen=True)
class Recording:
    """A signal cut in time, in standard deviations of its first part."""

    training: Samples
    held_out: Samples
    mean: float
    scale: float


def electrocardiogram() -> NDArray[Any]:
    """The recording as it is, in the counts of its converter."""
    return np.asarray(pywt.data.ecg())


def cut(signal: NDArray[Any]) -> Recording:
    """Split in time; the held-out part has no say in mean and scale."""
    training = signal[:TRAINING_SAMPLES].astype("float64")
    mean, scale = float(training.mean()), float(training.std())
    standardised = ((signal - mean) / scale).astype("float32")
    return Recording(
        standardised[:TRAINING_SAMPLES],
        standardised[TRAINING_SAMPLES:],
        mean,
        scale,
    )


def coarse(fine: Samples) -> Samples:
    """The mean of every `FACTOR` samples along the last axis."""
    *batch, steps = fine.shape
    return fine.reshape(*batch, steps // FACTOR, FACTOR).mean(-1)


def windows(training: Samples, count: int, rng: np.random.Generator) -> Samples:
    """Stretches of the training part from random places: `(count, WINDOW)`."""
    starts = rng.integers(0, len(training) - WINDOW, count, endpoint=True)
    return training[starts[:, None] + np.arange(WINDOW)]


def varied(fine: Samples, rng: np.random.Generator) -> Samples:
    """Each window louder or quieter, higher or lower, as heartbeats are."""
    gain = rng.uniform(0.6, 1.3, (len(fine), 1))
    offset = rng.uniform(-0.5, 0.5, (len(fine), 1))
    return (fine * gain + offset).astype("float32")


def alignments(held_out: Samples) -> Samples:
    """The stretch from each of its first `FACTOR` samples on, as rows.

    Where a beat falls between coarse samples is chance: all cases are judged.
    """
    steps = (len(held_out) - FACTOR + 1) // FACTOR * FACTOR
    return np.stack([held_out[i : i + steps] for i in range(FACTOR)])


def error(restored: Samples, fine: Samples) -> float:
    """Root of the mean square difference, without the margin."""
    inner = slice(MARGIN * FACTOR, -MARGIN * FACTOR)
    difference = (restored - fine)[..., inner].astype("float64")
    return float(np.sqrt(np.mean(np.square(difference))))
