"""The demo from beginning to end."""

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np

import keras_convt
from keras_convt._backend import BACKENDS
from keras_convt.demo import interpolation
from keras_convt.demo.backends import forward_everywhere
from keras_convt.demo.model import BUILT_IN, OURS, build, restore
from keras_convt.demo.picture import draw
from keras_convt.demo.signal import (
    FACTOR,
    SAMPLE_RATE,
    alignments,
    coarse,
    cut,
    electrocardiogram,
    error,
)
from keras_convt.demo.streamed import CHUNK, restore_streamed
from keras_convt.demo.training import BATCHES, train

# What to install for each backend.
INSTALL = {"tensorflow": "tensorflow", "jax": '"jax[cpu]"', "torch": "torch"}


def run(epochs: int, out: Path, seed: int) -> dict[str, Any]:
    """Train, measure, print, and write `ecg.png` and `ecg.json` to `out`.

    Returns:
        The numbers that `ecg.json` holds.
    """
    out.mkdir(parents=True, exist_ok=True)
    signal = electrocardiogram()
    recording = cut(signal)
    print(
        f"keras_convt {keras_convt.__version__} on Keras {keras.__version__} "
        f"with {keras.backend.backend()}\n"
        f"An electrocardiogram of {len(signal)} samples at {SAMPLE_RATE} Hz, "
        f"to be restored from the mean of every {FACTOR}.\n"
        f"Trained on the first {len(recording.training)} samples (two "
        f"heartbeats), judged by the last {len(recording.held_out)} (a third)."
    )

    keras.utils.set_random_seed(seed)
    models = {
        OURS: build(keras_convt.Conv1DTranspose),
        BUILT_IN: build(keras.layers.Conv1DTranspose),
    }
    models[BUILT_IN].set_weights(models[OURS].get_weights())
    histories = train(models, recording.training, epochs, seed)

    fine = alignments(recording.held_out)
    given = coarse(fine)
    restored = {
        "linear interpolation": interpolation.linear(given),
        "cubic interpolation": interpolation.cubic(given),
        **{name: restore(model, given) for name, model in models.items()},
    }
    errors = {name: error(rows, fine) for name, rows in restored.items()}

    streamed, late = restore_streamed(models[OURS], given)
    print("The same forward pass on every installed backend ...", flush=True)
    outputs = forward_everywhere(models[OURS], given)
    numbers = {
        "keras": keras.__version__,
        "backend": keras.backend.backend(),
        "epochs": epochs,
        "seed": seed,
        "held_out_error": errors,
        "loss": {name: h.losses[-1] for name, h in histories.items()},
        "seconds_per_step": {
            name: h.seconds_per_step for name, h in histories.items()
        },
        "backends": differences(outputs, restored[OURS]),
        "streamed": {
            "difference": float(np.max(np.abs(streamed - restored[OURS]))),
            "samples_late": late,
        },
    }
    print_table(numbers)

    written = [out / "ecg.png", out / "ecg.json"]
    draw(
        written[0],
        recording,
        restored,
        errors,
        histories,
        numbers["backends"],
        numbers["streamed"]["difference"],
    )
    written[1].write_text(json.dumps(numbers, indent=2) + "\n", "utf-8")
    print("\nWrote:")
    for path in written:
        print(f"  {path.resolve()}")
    return numbers


def differences(outputs: dict[str, Any], here: Any) -> dict[str, float | str]:
    """How far each backend's output is from that of this process, at most."""
    return {
        name: output
        if isinstance(output, str)
        else float(np.max(np.abs(output - here)))
        for name, output in outputs.items()
    }


def print_table(numbers: dict[str, Any]) -> None:
    """Print what was found, in one table for each question."""
    errors = numbers["held_out_error"]
    print(
        "\nHeld-out error (root mean square, in standard deviations of the "
        "training part)"
    )
    for name, value in errors.items():
        print(f"  {name:<30}{value:9.4f}")
    best = min(v for name, v in errors.items() if "interpolation" in name)
    print(
        f"  The error of {OURS} is {best / errors[OURS]:.1f} times smaller "
        "than that of the better interpolation."
    )

    seconds = numbers["seconds_per_step"]
    how = ", on one thread" if numbers["backend"] == "torch" else ""
    print(
        f"\nTraining, {numbers['epochs']} epochs of {BATCHES} steps from the "
        f"same weights{how}\n  {'':<30}{'loss':>9}{'ms/step':>11}"
    )
    for name, loss in numbers["loss"].items():
        print(f"  {name:<30}{loss:9.5f}{1e3 * seconds[name]:11.2f}")
    print(
        "  A step with the built-in layer takes "
        f"{seconds[BUILT_IN] / seconds[OURS]:.2f} times as long."
    )
    print_agreement(numbers["backends"], numbers["backend"])
    streamed = numbers["streamed"]
    print(
        f"\nStreamed, {CHUNK} coarse samples at a time: the largest difference "
        f"to the whole is {streamed['difference']:.1e}.\n  The stream is "
        f"{streamed['samples_late']} samples late "
        f"({1e3 * streamed['samples_late'] / SAMPLE_RATE:.0f} ms of the "
        "signal), because the model looks ahead."
    )


def print_agreement(backends: dict[str, float | str], here: str) -> None:
    """Print how far other backends are from this one, or how to get one."""
    print(
        "\nThe same weights on each installed backend: the largest difference "
        f"to the signal restored with {here}"
    )
    for name, difference in backends.items():
        words = (
            f"failed: {difference}"
            if isinstance(difference, str)
            else f"{difference:9.1e}"
        )
        print(f"  {name:<30}{words}")
    if not backends.keys() - {here}:
        missing = next(name for name in BACKENDS if name not in backends)
        print(
            f"  No other is installed. To compare with one: pip install "
            f"{INSTALL[missing]}"
        )
