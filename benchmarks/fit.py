"""`python -m benchmarks.fit`: epochs of `model.fit`, ours and built-in."""

import argparse
import datetime
import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import keras_convt  # first: it chooses an installed backend
from benchmarks import environment

import keras  # isort: skip

SAMPLES, STEPS, CHANNELS = 2048, 128, 8


def autoencoder(transpose: Callable[..., Any]) -> keras.Model:
    """Two layers down, two up by `transpose`."""
    inputs = keras.Input((STEPS, CHANNELS))
    x = inputs
    for filters in (32, 64):
        x = keras.layers.Conv1D(
            filters, 5, strides=2, padding="same", activation="relu"
        )(x)
    x = transpose(32, 5, strides=2, padding="same", activation="relu")(x)
    outputs = transpose(CHANNELS, 5, strides=2, padding="same")(x)
    model = keras.Model(inputs, outputs)
    model.compile("adam", "mse")
    return model


def epoch(model: keras.Model, samples: np.ndarray) -> tuple[float, float]:
    """Seconds and the loss."""
    start = time.perf_counter()
    history = model.fit(
        samples, samples, batch_size=64, shuffle=False, verbose=0
    )
    return time.perf_counter() - start, history.history["loss"][0]


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.fit", description=__doc__
    )
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--quick", action="store_true")
    chosen = parser.parse_args()
    from tqdm import tqdm

    backend = keras.backend.backend()
    samples = np.random.default_rng(0).standard_normal(
        (SAMPLES, STEPS, CHANNELS), dtype="float32"
    )
    models = {
        "built_in": autoencoder(keras.layers.Conv1DTranspose),
        "ours": autoencoder(keras_convt.Conv1DTranspose),
    }
    models["ours"].set_weights(models["built_in"].get_weights())
    # The first epoch compiles.
    first = {name: epoch(model, samples) for name, model in models.items()}
    np.testing.assert_allclose(
        first["ours"][1], first["built_in"][1], rtol=1e-3
    )
    times: dict[str, list[float]] = {name: [] for name in models}
    for _ in tqdm(range(3 if chosen.quick else chosen.epochs), desc=backend):
        for name, model in models.items():
            times[name].append(epoch(model, samples)[0])
    ratios = np.divide(times["built_in"], times["ours"])
    low, ratio, high = np.quantile(ratios, (0.1, 0.5, 0.9))
    result = {
        "backend": backend,
        "environment": environment.describe(
            ("tensorflow", "tensorflow-cpu", "jax", "torch")
        ),
        "commit": environment.commit(),
        "date": datetime.date.today().isoformat(),
        "built_in_s": float(np.median(times["built_in"])),
        "ours_s": float(np.median(times["ours"])),
        "ratio": float(ratio),
        "ratio_p10": float(low),
        "ratio_p90": float(high),
        "epochs": len(ratios),
    }
    folder = environment.results(chosen.quick)
    environment.write(folder / f"fit-{backend}.json", result)
    print(
        f"{backend}: built-in {result['built_in_s']:.3f} s an epoch, ours "
        f"{result['ours_s']:.3f} s, {ratio:.2f} times as fast"
    )


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    main()
