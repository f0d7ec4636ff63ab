"""The examples of distribution: one step equals that of a single device.

Each script compares the weights itself, and looks at what was divided. It is
run in a process of its own, because devices are divided before a backend
starts.
"""

import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import keras
import pytest

EXAMPLES = Path(__file__).parent.parent / "examples" / "distribution"
BACKEND = keras.backend.backend()

# What a script has to say besides its differences, and how many those are.
SAYS = {
    "jax_data_parallel.py": (["4 devices, 2 of 8 examples each"], 1),
    "jax_model_parallel.py": (
        [
            "/up/kernel (4, 16, 8) is divided as (None, 'model', None)",
            "/grouped/kernel (3, 4, 16) is divided as (None, 'model', None)",
            "/last/bias (4,) is divided as ('model',)",
            "noticed: sequential_3/up/kernel is divided as (None, None, None)",
        ],
        1,
    ),
    "tensorflow_mirrored.py": (["2 devices, 4 of 8 examples each"], 1),
    "torch_ddp.py": (
        ["process 0, 4 of 8 examples", "process 1, 4 of 8 examples"],
        2,
    ),
}


@pytest.mark.parametrize(
    "name", [name for name in SAYS if name.startswith(BACKEND)]
)
def test_the_step_of_many_is_the_step_of_one(name):
    # Without what would take the place of a script's own devices.
    kept = {k: v for k, v in os.environ.items() if k != "XLA_FLAGS"}
    ran = subprocess.run(
        [sys.executable, EXAMPLES / name],
        env={**kept, "KERAS_BACKEND": BACKEND},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    said, count = SAYS[name]
    for words in said:
        assert words in ran.stdout, ran.stdout
    differences = re.findall(r"largest difference from .*: (\S+)", ran.stdout)
    steps = re.findall(r"moved every weight array by .* (\S+)", ran.stdout)
    assert len(differences) == len(steps) == count, ran.stdout
    assert all(float(d) <= 1e-6 for d in differences), ran.stdout
    assert all(float(s) > 1e-3 for s in steps), ran.stdout


def test_every_script_is_one_of_them():
    assert {path.name for path in EXAMPLES.glob("*_*.py")} == set(SAYS)


@pytest.mark.parametrize("wrong", [2e-6, float("nan")])
def test_a_script_stops_where_a_weight_differs(wrong, monkeypatch, capsys):
    monkeypatch.syspath_prepend(EXAMPLES)
    decoder = importlib.import_module("decoder")
    alone = decoder.step(decoder.build())
    weights = [w.copy() for w in alone]
    weights[2][0, 0, 0] += wrong
    with pytest.raises(SystemExit, match="not the same step"):
        decoder.compare("one weight off", weights, alone)
    assert (
        f"from the step of one device: {wrong:.1e}" in capsys.readouterr().out
    )
