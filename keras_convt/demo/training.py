"""Train models side by side, on the same windows in the same order."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median
from time import perf_counter
from typing import Any

import keras
import numpy as np
from tqdm import tqdm

from keras_convt.demo.signal import Samples, coarse, varied, windows

BATCH = 16  # windows in a step
BATCHES = 16  # steps in an epoch
LEARNING_RATE = 2e-3


@dataclass
class History:
    """What each epoch of one model gave and took."""

    losses: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    @property
    def seconds_per_step(self) -> float:
        """The median, without the first epoch, in which backends compile."""
        return median(self.seconds[1:]) / BATCHES


@contextmanager
def one_thread_on_torch() -> Iterator[None]:
    """Keep PyTorch from waiting for its own threads, if it is the backend.

    They wait by spinning. On a machine that has other work to do, operations
    as small as these then take ten times as long on two threads as on one.
    """
    if keras.backend.backend() != "torch":
        yield
        return
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@one_thread_on_torch()
def train(
    models: Mapping[str, Any], training: Samples, epochs: int, seed: int
) -> dict[str, History]:
    """Train each model for one epoch, then each for the next, and so on.

    Taking turns, with the first turn going round too, lets a machine that
    slows down do so for all of them alike.
    """
    for model in models.values():
        schedule = keras.optimizers.schedules.CosineDecay(
            LEARNING_RATE, epochs * BATCHES
        )
        model.compile(keras.optimizers.Adam(schedule), "mse")
    histories = {name: History() for name in models}
    names = list(models)
    with tqdm(total=epochs * len(models), unit="epoch") as bar:
        for epoch in range(epochs):
            rng = np.random.default_rng([seed, epoch])
            fine = varied(windows(training, BATCH * BATCHES, rng), rng)
            x, y = coarse(fine)[..., None], fine[..., None]
            first = epoch % len(names)
            for name in names[first:] + names[:first]:
                bar.set_description(name, refresh=False)
                start = perf_counter()
                losses = models[name].fit(
                    x, y, batch_size=BATCH, shuffle=False, verbose=0
                )
                histories[name].seconds.append(perf_counter() - start)
                loss = float(losses.history["loss"][0])
                histories[name].losses.append(loss)
                bar.set_postfix(loss=f"{loss:.4f}", refresh=False)
                bar.update()
    return histories
