"""Times every formulation that can compute a layer, one row for each.

`python -m benchmarks.formulations` measures all modes, each in a process of
its own, and writes `formulations-MODE.csv` beside the other results of the
machine. The rules of speed rest on these rows: a test compares what `"auto"`
chooses with the fastest formulation of each shape, on every machine that has
rows.
"""

import argparse
import csv
import importlib
import importlib.util
import json
import math
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tqdm import tqdm

from benchmarks import environment
from benchmarks import measure as timing
from benchmarks.shapes import SETS, Shape, shapes_of
from benchmarks.worker import MODES

# Where each mode runs, as `keras_convt` calls it.
ENGINES = {
    "jax": "xla",
    "tensorflow": "graph",
    "tensorflow-xla": "xla",
    "torch": "eager",
}

COLUMNS = (
    "machine",
    "versions",
    "device",
    "engine",
    "set",
    "batch",
    "steps",
    "channels",
    "filters",
    "kernel_size",
    "strides",
    "padding",
    "groups",
    "data_format",
    "dtype",
    "formulation",
    "forward_ms",
    "training_ms",
    "first_training_s",
    "training_mib",
)
SHAPE = COLUMNS[4:15]


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.formulations", description=__doc__
    )
    parser.add_argument(
        "--modes", nargs="+", choices=MODES, default=list(MODES)
    )
    parser.add_argument(
        "--sets",
        nargs="+",
        choices=SETS,
        default=["1d", "2d", "3d", "few filters", "reported"],
    )
    parser.add_argument(
        "--seconds", type=float, default=0.5, help="time for each row"
    )
    parser.add_argument(
        "--cpu-time",
        action="store_true",
        help="the process's, of all its threads, where others run too",
    )
    parser.add_argument(
        "--data-format",
        choices=("channels_last", "channels_first"),
        default="channels_last",
    )
    parser.add_argument(
        "--dtype-policy", default="float32", help="mixed_bfloat16, for one"
    )
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.worker:
        if chosen.cpu_time:
            timing.clock = time.process_time
        measure(
            *chosen.modes,
            chosen.sets,
            chosen.seconds,
            chosen.data_format,
            chosen.dtype_policy,
        )
        return 0
    failed = False
    for mode in chosen.modes:
        if importlib.util.find_spec(MODES[mode]) is None:
            print(f"{mode}: skipped, {MODES[mode]} is not installed")
            continue
        command = [sys.executable, "-m", "benchmarks.formulations", "--worker"]
        command += ["--modes", mode, "--sets", *chosen.sets]
        command += ["--seconds", str(chosen.seconds)]
        command += ["--cpu-time"] if chosen.cpu_time else []
        command += ["--data-format", chosen.data_format]
        command += ["--dtype-policy", chosen.dtype_policy]
        variables = {**os.environ, "KERAS_BACKEND": MODES[mode]}
        variables.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        failed |= subprocess.run(command, env=variables, check=False) != 0
    return int(failed)


def measure(
    mode: str,
    sets: list[str],
    seconds: float,
    data_format: str,
    dtype_policy: str,
) -> None:
    # The backend is named before anything imports Keras.
    backend = importlib.import_module(f"benchmarks.on_{MODES[mode]}")
    import keras

    keras.config.set_image_data_format(data_format)
    keras.config.set_dtype_policy(dtype_policy)
    if mode == "tensorflow-xla":
        backend.jit_compile = True
    device = backend.device()
    suffix = "" if device == "cpu" else f"-{device}"
    path = environment.results() / f"formulations-{mode}{suffix}.csv"
    versions = environment.describe(backend.PACKAGES)["versions"]
    where = {
        "machine": environment.machine(),
        "versions": json.dumps(versions),
        "device": device,
        "engine": ENGINES[mode],
    }
    shapes = [(name, shape) for name in sets for shape in shapes_of(name)]
    with tqdm(shapes, desc=mode) as bar:
        for name, shape in bar:
            bar.set_postfix_str(shape.name)
            rows = rows_of(shape, mode, backend, seconds)
            save(path, [{**where, "set": name, **row} for row in rows])


def problem_of(
    batch: int,
    steps: tuple[int, ...],
    channels: int,
    filters: int,
    kernel_size: tuple[int, ...],
    strides: tuple[int, ...],
    groups: int,
    engine: str,
    device: str,
    dtype: str = "float32",
) -> Any:
    """What `choose` is asked for a layer of a row."""
    from keras_convt.ops.problem import Context, Problem

    return Problem(
        kernel_size=kernel_size,
        strides=strides,
        dilation_rate=(1,) * len(steps),
        groups=groups,
        channels=channels,
        filters=filters,
        positions=batch * math.prod(steps),
        steps=steps,
        dtype=dtype,
        context=Context(engine, device),
    )


def rows_of(
    shape: Shape, mode: str, backend: Any, seconds: float
) -> list[dict[str, Any]]:
    """The rows of one shape: the built-in layer, then each formulation."""
    import keras

    from benchmarks.contenders import keras_contenders, ours
    from benchmarks.worker import _normal, measure_contenders
    from keras_convt.ops.choice import supported

    problem = problem_of(
        shape.batch,
        shape.steps,
        shape.channels,
        shape.filters,
        shape.kernel_size,
        shape.strides,
        shape.groups,
        ENGINES[mode],
        backend.device(),
        keras.config.dtype_policy().compute_dtype,
    )
    normal = _normal()
    inputs, gradient = normal(*shape.input_shape), normal(*shape.output_shape)
    kernel = normal(
        *shape.kernel_size, shape.filters // shape.groups, shape.channels
    )
    names = supported(problem)
    measured = measure_contenders(
        shape.name,
        keras_contenders(shape)[:1] + [ours(shape, name) for name in names],
        [kernel, normal(shape.filters)],
        inputs,
        gradient,
        backend,
        seconds * len(names),
        5,
        groups=shape.groups,
    )
    found: dict[str, dict[str, Any]] = {}
    for row in measured:
        columns = found.setdefault(row["contender"], {})
        if row["kind"] == "forward":
            columns["forward_ms"] = row["median_ms"]
        else:
            columns["training_ms"] = row["median_ms"]
            columns["first_training_s"] = row["first_call_s"]
            columns["training_mib"] = row["peak_mib"]
    return [
        {**in_words(shape), "formulation": name, **columns}
        for name, columns in found.items()
    ]


def in_words(shape: Shape) -> dict[str, Any]:
    import keras

    def several(values: tuple[int, ...]) -> str:
        return "x".join(map(str, values))

    return {
        "batch": shape.batch,
        "steps": several(shape.steps),
        "channels": shape.channels,
        "filters": shape.filters,
        "kernel_size": several(shape.kernel_size),
        "strides": several(shape.strides),
        "padding": shape.padding,
        "groups": shape.groups,
        "data_format": keras.config.image_data_format(),
        "dtype": keras.config.dtype_policy().compute_dtype,
    }


def save(path: Path, rows: list[dict[str, Any]]) -> None:
    """Replace the rows of the same layer, and keep the others."""
    measured = {tuple(str(row[name]) for name in SHAPE) for row in rows}
    kept = [
        row
        for row in read(path)
        if tuple(row[name] for name in SHAPE) not in measured
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows([*kept, *rows])


def read(path: Path) -> list[dict[str, str]]:
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


if __name__ == "__main__":
    sys.exit(main())
