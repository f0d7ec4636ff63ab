"""The same forward pass on every installed backend.

Keras chooses its backend once in a process, so each gets a process of its
own: `python -m keras_convt.demo.backends INPUT OUTPUT`.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import keras_convt
from keras_convt._backend import installed
from keras_convt.demo.model import build, restore

SECONDS = 120  # long enough to import any of them


def forward_here(given: Path, result: Path) -> None:
    """Restore what the file `given` holds with the weights it holds."""
    with np.load(given) as arrays:
        model = build(keras_convt.Conv1DTranspose)
        model.set_weights(
            [arrays[f"weight_{i}"] for i in range(len(arrays) - 1)]
        )
        np.save(result, restore(model, arrays["coarse"]))


def forward_everywhere(
    model: Any, coarse: NDArray[Any]
) -> dict[str, NDArray[Any] | str]:
    """The output on each installed backend, or how it failed, in words."""
    arrays = {f"weight_{i}": w for i, w in enumerate(model.get_weights())}
    outputs: dict[str, NDArray[Any] | str] = {}
    with tempfile.TemporaryDirectory() as folder:
        given = Path(folder) / "given.npz"
        np.savez(given, coarse=coarse, **arrays)
        for name in installed():
            result = Path(folder) / f"{name}.npy"
            outputs[name] = forward_in_a_process(name, given, result)
    return outputs


def forward_in_a_process(
    name: str, given: Path, result: Path
) -> NDArray[Any] | str:
    """The output on one backend, or how it failed, in words."""
    command = [sys.executable, "-m", "keras_convt.demo.backends"]
    try:
        subprocess.run(
            [*command, str(given), str(result)],
            env={**os.environ, "KERAS_BACKEND": name},
            check=True,
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )
    except subprocess.CalledProcessError as failure:
        words = failure.stderr.strip().splitlines()
        return words[-1] if words else f"exit status {failure.returncode}"
    except subprocess.TimeoutExpired:
        return f"not ready within {SECONDS} seconds"
    return np.asarray(np.load(result))


if __name__ == "__main__":
    forward_here(Path(sys.argv[1]), Path(sys.argv[2]))
