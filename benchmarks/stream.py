"""`python -m benchmarks.stream`: one frame a step, real time and memory.

The decoders of EnCodec and Mimi in their published sizes, with random weights.
"""

import argparse
import contextlib
import datetime
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import keras_convt  # first: it chooses an installed backend
from benchmarks import environment

import keras  # isort: skip

# The tests have the decoders, and compare them with the original ones.
sys.path.insert(0, str(environment.ROOT / "tests" / "helpers"))
import decoders

SAMPLE_RATE = 24_000
# Of each: its builder, its configuration, frames a second.
MODELS = {
    "encodec": (decoders.seanet_decoder, decoders.ENCODEC),
    "mimi": (decoders.mimi_decoder, decoders.MIMI),
}


def decoder(name: str) -> keras.Model:
    build, defaults = MODELS[name]
    return build(decoders.configuration(defaults))


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
    parser.add_argument("--model", choices=MODELS, default="encodec")
    parser.add_argument("--steps", type=int, default=100_000)
    parser.add_argument("--quick", action="store_true")
    chosen = parser.parse_args()
    import psutil
    from tqdm import tqdm

    steps = 200 if chosen.quick else chosen.steps
    backend = keras.backend.backend()
    process = psutil.Process()
    model = decoder(chosen.model)
    stream = keras_convt.StreamingModel(model)
    step = compiled(stream.step)
    frame = keras.ops.convert_to_tensor(
        np.random.default_rng(0).standard_normal(
            (1, 1, model.inputs[0].shape[-1])
        ),
        "float32",
    )
    seconds, busy, memory = [], [], {}
    with without_gradients():
        state = stream.initial_state(batch_size=1)
        for number in tqdm(
            range(1, steps + 1), desc=f"{chosen.model}, {backend}"
        ):
            start, working = time.perf_counter(), time.process_time()
            samples, state = step(frame, state)
            # Read, as a sound card would.
            keras.ops.convert_to_numpy(samples)
            seconds.append(time.perf_counter() - start)
            busy.append(time.process_time() - working)
            if number in (min(1_000, steps), steps):
                memory[number] = process.memory_info().rss
    frame_s = float(stream.output_ratio) / SAMPLE_RATE
    low, middle, high = np.quantile(seconds[10:], (0.1, 0.5, 0.99))
    cpu = float(np.median(busy[10:]))
    result = {
        "model": chosen.model,
        "weights": model.count_params(),
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
        "step_cpu_s": cpu,
        "real_time_factor": float(middle / frame_s),
        "memory_after_1000_steps": memory[min(1_000, steps)],
        "memory_at_the_end": memory[steps],
    }
    folder = environment.results(chosen.quick)
    environment.write(folder / f"stream-{chosen.model}-{backend}.json", result)
    grown = (memory[steps] - memory[min(1_000, steps)]) / 2**20
    print(
        f"{chosen.model}, {backend}: {1e3 * middle:.2f} ms (99 %: "
        f"{1e3 * high:.2f} ms, CPU time {1e3 * cpu:.2f} ms) for "
        f"{1e3 * frame_s:.1f} ms of sound, a real-time factor of "
        f"{middle / frame_s:.3f}; from step {min(1_000, steps)} to {steps} "
        f"the process grew by {grown:.1f} MiB"
    )


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    main()
