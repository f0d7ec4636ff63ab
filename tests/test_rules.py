"""The rules of speed fit what was measured, on every machine with rows.

`python -m benchmarks.formulations` writes the rows. Nothing is timed here.
"""

import csv
import dataclasses
from pathlib import Path

import pytest

from keras_convt.ops.backend import named
from keras_convt.ops.choice import choose, is_exact
from keras_convt.ops.formulations import FORMULATIONS
from keras_convt.ops.problem import Context, Problem

RESULTS = Path(__file__).resolve().parents[1] / "benchmarks" / "results"
FILES = sorted(RESULTS.glob("*/formulations-*.csv"))

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

# The same where the fastest is another one on each machine.
WHERE_MACHINES_DIFFER = 0.8

# A formulation whose first training call takes longer than 1.5 times that of
# the built-in layer, and so many seconds more, is not compared with.
SLOWER_TO_COMPILE = 1.5
SECONDS_TO_COMPILE = 0.3

# Milliseconds under which a time is that of calling, and not of computing.
SHORTEST = 1.0


def sizes(text):
    return tuple(map(int, text.split("x")))


def layers(path):
    """The rows of each layer: milliseconds by formulation.

    And the names of those that compile soon enough.
    """
    found, first_call, soon = {}, {}, {}
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
            layer, formulation = (problem, row["padding"]), row["formulation"]
            found.setdefault(layer, {})[formulation] = (
                float(row["forward_ms"]),
                float(row["training_ms"]),
            )
            first = float(row["first_training_s"])
            # The built-in layer has the first row of each.
            limit = SLOWER_TO_COMPILE * first_call.setdefault(layer, first)
            if first <= limit + SECONDS_TO_COMPILE:
                soon.setdefault(layer, set()).add(formulation)
    return {layer: (times, soon[layer]) for layer, times in found.items()}


def differs_by_machine(path, problem):
    """Whether the fastest is another one on each machine, and no rule can tell.

    Then what is chosen is compared with the backend's own kernel alone.
    """
    if path.name == "formulations-tensorflow.csv":
        # TensorFlow's graphs compute with oneDNN where vectors are wide, and
        # without it elsewhere (2.21). One is up to 80 times as fast or as slow
        # as the other, and TensorFlow does not say which it uses.
        return True
    # Contributions of 24 MB and more, which the caches of one processor hold:
    # 24x24x24x16 -> 16 k3 is 2.2 / 3.1 times as fast by overlap-add there, and
    # 0.5 / 1.3 times on another.
    return (
        path.name == "formulations-tensorflow-xla.csv"
        and problem.rank == 3
        and problem.unit_strides
    )


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
        for (problem, padding), (times, _) in layers(path).items():
            layer = (path.stem, dataclasses.replace(problem, context=Context()))
            found = {*chosen_for(problem, named(name))} <= times.keys()
            (measured if found else missing).add((*layer, padding))
    assert not missing - measured


@pytest.mark.parametrize(
    "path",
    FILES,
    ids=lambda path: f"{path.parent.name}-{path.stem}",
)
def test_what_is_chosen_is_nearly_the_fastest(path):
    name = path.stem.removeprefix("formulations-").split("-")[0]
    wrong = []
    backend = named(name)
    younger = YOUNGER.get(f"{path.parent.name}/{path.name}", set())
    for (problem, padding), (times, soon) in layers(path).items():
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
            and key in soon | {forward, training}
            and is_exact(key, problem, backend)
        )
        slower, least = chosen / best, FASTER_THAN_ITS_OWN
        if differs_by_machine(path, problem):
            slower, least = 1.0, WHERE_MACHINES_DIFFER
        # Its own kernel, where that is exact enough to be used.
        own = 1.0
        if is_exact("native", problem, backend):
            own = sum(times["native"]) / chosen
        if slower > SLOWER_THAN_THE_BEST or own < least:
            wrong.append(f"{problem}, {padding}: {slower:.2f}, {own:.2f}")
    assert not wrong, "\n".join(wrong)


def test_where_machines_differ_none_is_the_fastest_on_all():
    """Else a rule could say so."""
    gains = {}
    for path in FILES:
        backend = named(path.stem.removeprefix("formulations-").split("-")[0])
        for (problem, padding), (times, _) in layers(path).items():
            if not differs_by_machine(path, problem):
                continue
            forward, training = chosen_for(problem, backend)
            chosen = times[forward][0] + times[training][1]
            layer = dataclasses.replace(problem, context=Context())
            for name, time in times.items():
                if name in FORMULATIONS and is_exact(name, problem, backend):
                    gains.setdefault(
                        (path.stem, layer, padding, name), []
                    ).append(chosen / sum(time))
    assert any(len(each) > 1 for each in gains.values())
    missed = {
        name: each
        for name, each in gains.items()
        if len(each) > 1 and min(each) > SLOWER_THAN_THE_BEST
    }
    assert not missed
