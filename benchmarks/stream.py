"""`python -m benchmarks.stream`: one frame a step, real time and memory."""

import argparse
import contextlib
import datetime
import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import keras_convt  # first: it chooses an installed backend
from benchmarks import environment

import keras  # isort: skip

# As in EnCodec's decoder: frames of 320 samples, at 24 kHz.
STRIDES, SAMPLE_RATE = (8, 5, 4, 2), 24_000
CHANNELS = 128


def decoder() -> keras.Sequential:
    """Causal from end to end, with half the channels at each upsampling."""
    model = keras.Sequential(
        [
            keras.Input((None, CHANNELS)),
            keras.layers.Conv1D(2 * CHANNELS, 7, padding="causal"),
        ]
    )
    for number, stride in enumerate(STRIDES):
        model.add(keras.layers.Activation("elu"))
        model.add(
            keras_convt.Conv1DTranspose(
                CHANNELS >> number, 2 * stride, stride, "causal"
            )
        )
    model.add(keras.layers.Activation("elu"))
    model.add(keras.layers.Conv1D(1, 7, padding="causal", activation="tanh"))
    return model


def compiled(step: Callable[..., Any]) -> Callable[..., Any]:
    """As users of this backend decode: compiled, but on PyTorch."""
    if keras.backend.backend() == "jax":
        import jax

        return jax.jit(step)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.function(step)
    return step


def without_gradients() -> contextlib.AbstractContextManager[Any]:
    if keras.backend.backend() == "torch":
        import torch

        return torch.inference_mode()
    return contextlib.nullcontext()


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.stream", description=__doc__
    )
    parser.add_argument("--steps", type=int, default=100_000)
    parser.add_argument("--quick", action="store_true")
    chosen = parser.parse_args()
    import psutil
    from tqdm import tqdm

    steps = 2_000 if chosen.quick else chosen.steps
    backend = keras.backend.backend()
    process = psutil.Process()
    stream = keras_convt.StreamingModel(decoder())
    step = compiled(stream.step)
    frame = keras.ops.convert_to_tensor(
        np.random.default_rng(0).standard_normal((1, 1, CHANNELS)), "float32"
    )
    seconds, memory = [], {}
    with without_gradients():
        state = stream.initial_state(batch_size=1)
        for number in tqdm(range(1, steps + 1), desc=backend):
            start = time.perf_counter()
            samples, state = step(frame, state)
            # Read, as a sound card would.
            keras.ops.convert_to_numpy(samples)
            seconds.append(time.perf_counter() - start)
            if number in (1_000, steps):
                memory[number] = process.memory_info().rss
    frame_s = float(np.prod(STRIDES)) / SAMPLE_RATE
    low, middle, high = np.quantile(seconds[10:], (0.1, 0.5, 0.99))
    result = {
        "backend": backend,
        "environment": environment.describe(
            ("tensorflow", "tensorflow-cpu", "jax", "torch")
        ),
        "commit": environment.commit(),
        "date": datetime.date.today().isoformat(),
        "steps": steps,
        "frame_s": frame_s,
        "step_s": float(middle),
        "step_s_p10": float(low),
        "step_s_p99": float(high),
        "real_time_factor": float(middle / frame_s),
        "memory_after_1000_steps": memory[1_000],
        "memory_at_the_end": memory[steps],
    }
    folder = environment.results(chosen.quick)
    environment.write(folder / f"stream-{backend}.json", result)
    grown = (memory[steps] - memory[1_000]) / 2**20
    print(
        f"{backend}: {1e3 * middle:.2f} ms (99 %: {1e3 * high:.2f} ms) for "
        f"{1e3 * frame_s:.1f} ms of sound, a real-time factor of "
        f"{middle / frame_s:.3f}; from step 1000 to {steps} the process grew "
        f"by {grown:.1f} MiB"
    )


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    main()
