"""The rules of speed fit what was measured, on every machine with rows.

`python -m benchmarks.formulations` writes the rows. Nothing is timed here.
"""

import csv
import dataclasses
from pathlib import Path

import pytest

from keras_convt.ops.backend import named
from keras_convt.ops.choice import choose, is_exact
from keras_convt.ops.problem import Context, Problem

RESULTS = Path(__file__).resolve().parents[1] / "benchmarks" / "results"
FILES = sorted(RESULTS.glob("*/formulations-*.csv"))

# Rows that are not compared. Without wide vectors TensorFlow's graphs compute
# without oneDNN, and those of other machines with it, which is up to 80 times
# as fast or as slow (2.21): the rules of graphs have to suit both.
NO_RULE = {"amd-epyc-avx2/formulations-tensorflow.csv"}

# Formulations that are younger than the rows of a machine. JAX has computed the
# gradients of one of them in another way since then.
YOUNGER = {
    "intel-xeon-avx512/formulations-jax.csv": {
        "winograd",
        "winograd_transposed",
        "sub_pixel_convolution",
    },
    "intel-xeon-avx512/formulations-torch.csv": {
        "winograd",
        "winograd_transposed",
    },
}

# Forward and training together, and what noise may make of two equal ones.
SLOWER_THAN_THE_BEST = 1.15
FASTER_THAN_ITS_OWN = 0.95

# Seconds by which a first training call takes longer than the built-in layer's,
# from which a formulation is not what others are compared with.
SLOW_TO_COMPILE = 1.0

# Milliseconds under which a time is that of calling, and not of computing.
SHORTEST = 1.0


def sizes(text):
    return tuple(map(int, text.split("x")))


def layers(path):
    """The rows of each layer: milliseconds by formulation."""
    found, first_call = {}, {}
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            steps, batch = sizes(row["steps"]), int(row["batch"])
            positions = batch
            for n in steps:
                positions *= n
            problem = Problem(
                kernel_size=sizes(row["kernel_size"]),
                strides=sizes(row["strides"]),
                dilation_rate=(1,) * len(steps),
                groups=int(row["groups"]),
                channels=int(row["channels"]),
                filters=int(row["filters"]),
                positions=positions,
                steps=steps,
                dtype=row["dtype"],
                channels_first=row["data_format"] == "channels_first",
                whole=row["padding"] == "valid",
                context=Context(
                    row["engine"],
                    row["device"],
                    wide_vectors="avx512" in row["machine"],
                ),
            )
            times = found.setdefault((problem, row["padding"]), {})
            first = float(row["first_training_s"])
            # The built-in layer has the first row of each.
            if first - first_call.setdefault(problem, first) < SLOW_TO_COMPILE:
                times[row["formulation"]] = (
                    float(row["forward_ms"]),
                    float(row["training_ms"]),
                )
    return found


def chosen_for(problem, backend):
    """What is chosen for predictions, and for training."""
    forward = dataclasses.replace(
        problem,
        context=dataclasses.replace(problem.context, gradients=False),
    )
    return [choose(each, backend=backend).name for each in (forward, problem)]


def test_there_are_rows():
    assert FILES


def test_what_is_chosen_was_measured_somewhere():
    """Each layer, on one of the machines at least."""
    measured, missing = set(), set()
    for path in FILES:
        name = path.stem.removeprefix("formulations-").split("-")[0]
        for (problem, padding), times in layers(path).items():
            layer = (path.stem, dataclasses.replace(problem, context=Context()))
            found = {*chosen_for(problem, named(name))} <= times.keys()
            (measured if found else missing).add((*layer, padding))
    assert not missing - measured


@pytest.mark.parametrize(
    "path",
    [
        path
        for path in FILES
        if f"{path.parent.name}/{path.name}" not in NO_RULE
    ],
    ids=lambda path: f"{path.parent.name}-{path.stem}",
)
def test_what_is_chosen_is_nearly_the_fastest(path):
    name = path.stem.removeprefix("formulations-").split("-")[0]
    wrong = []
    backend = named(name)
    younger = YOUNGER.get(f"{path.parent.name}/{path.name}", set())
    for (problem, padding), times in layers(path).items():
        forward, training = chosen_for(problem, backend)
        if {forward, training} & younger:
            continue
        chosen = times[forward][0] + times[training][1]
        if chosen < SHORTEST:
            continue
        best = min(
            sum(time)
            for key, time in times.items()
            # With one group, "by_group" is what it applies to each.
            if key not in ("built-in", "by_group")
            and is_exact(key, problem, backend)
        )
        slower = chosen / best
        # Its own kernel, where that is exact enough to be used.
        own = 1.0
        if is_exact("native", problem, backend):
            own = sum(times["native"]) / chosen
        if slower > SLOWER_THAN_THE_BEST or own < FASTER_THAN_ITS_OWN:
            wrong.append(f"{problem}, {padding}: {slower:.2f}, {own:.2f}")
    assert not wrong, "\n".join(wrong)
