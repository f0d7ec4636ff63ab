"""Measures one mode: `python -m benchmarks.worker --mode jax`."""

import argparse
import datetime
import importlib
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from benchmarks import environment, measure
from benchmarks.measure import (
    Call,
    first_call,
    interleaved,
    peak_memory,
)
from benchmarks.shapes import SETS, Shape, shapes_of

# The backend that each mode needs.
MODES = {
    "jax": "jax",
    "tensorflow": "tensorflow",
    "tensorflow-xla": "tensorflow",
    "torch": "torch",
}
KINDS = ("forward", "forward+backward")
LIMIT = "matmul"

# The largest difference from the built-in layer's values, relative to the
# largest of them: sums in another order. Of whole models, gradients too.
TOLERANCES = {"float32": 1e-3, "mixed_float16": 2e-2, "mixed_bfloat16": 1e-1}


def options(parser: argparse.ArgumentParser) -> None:
    """What `python -m benchmarks` passes on."""
    parser.add_argument("--set", choices=SETS, default="1d")
    parser.add_argument(
        "--shapes", default="", help="only those whose name contains this"
    )
    parser.add_argument(
        "--seconds", type=float, default=1.0, help="time for each row"
    )
    parser.add_argument("--seed", type=int, default=0, help="of heldout")
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
    parser.add_argument(
        "--resume",
        action="store_true",
        help="leave out shapes measured already at this commit",
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="three rounds, into results/quick: to see that it works",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mode", choices=MODES, required=True)
    options(parser)
    chosen = parser.parse_args()
    os.environ["KERAS_BACKEND"] = MODES[chosen.mode]
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if chosen.cpu_time:
        measure.clock = time.process_time
    # The backend is named before anything imports Keras.
    backend = importlib.import_module(f"benchmarks.on_{MODES[chosen.mode]}")
    if chosen.mode == "tensorflow-xla":
        backend.jit_compile = True
    run(chosen, backend)


def run(chosen: argparse.Namespace, backend: Any) -> None:
    import keras

    from benchmarks.contenders import OURS

    keras.config.set_image_data_format(chosen.data_format)
    keras.config.set_dtype_policy(chosen.dtype_policy)
    if chosen.set == "models":
        from benchmarks.models import MODELS

        rows_of, measured = measure_model, list(MODELS)
    else:
        rows_of, measured = measure_shape, shapes_of(chosen.set, chosen.seed)
    shapes = [shape for shape in measured if chosen.shapes in shape.name]
    path = results_path(chosen, backend)
    if chosen.resume:
        done = measured_now(path, chosen, backend)
        shapes = [shape for shape in shapes if shape.name not in done]
    # What a process pays once is no contender's.
    measure_shape(Shape("", 1, (4,), 2, 2, (3,), (2,), "same"), backend, 0, 1)
    with tqdm(shapes, desc=chosen.mode) as bar:
        for shape in bar:
            bar.set_postfix_str(shape.name)
            rows = rows_of(
                shape,
                backend,
                0 if chosen.quick else chosen.seconds,
                3 if chosen.quick else 5,
            )
            save(path, chosen, backend, rows)
            for row in rows:
                if row["contender"] == OURS:
                    bar.write(
                        f"{shape.name:45s} {row['kind']:17s}"
                        f"{row['median_ms']:9.2f} ms"
                        f"{row['ratio']:7.2f} x built-in"
                    )


def measure_shape(
    shape: Shape, backend: Any, seconds: float, least_rounds: int
) -> list[dict[str, Any]]:
    """The rows of one layer."""
    from benchmarks.contenders import keras_contenders

    normal = _normal()
    inputs = normal(*shape.input_shape)
    gradient = normal(*shape.output_shape)
    kernel = normal(
        *shape.kernel_size, shape.filters // shape.groups, shape.channels
    )
    weights = [kernel, normal(shape.filters)]
    return measure_contenders(
        shape.name,
        keras_contenders(shape) + backend.peers(shape),
        weights,
        inputs,
        gradient,
        backend,
        seconds,
        least_rounds,
        lambda kind: limit(shape, backend, kind, normal),
        shape.groups,
    )


def measure_model(
    model: Any, backend: Any, seconds: float, least_rounds: int
) -> list[dict[str, Any]]:
    """The rows of one whole model, and the gradients of all its weights."""
    from benchmarks.contenders import model_contenders

    normal = _normal()
    contenders, weights, output_shape = model_contenders(model)
    inputs = normal(*model.input_shape)
    return measure_contenders(
        model.name,
        contenders,
        weights,
        inputs,
        normal(*output_shape),
        backend,
        seconds,
        least_rounds,
        model_limit(model, backend, inputs, normal(*output_shape)),
    )


def model_limit(
    model: Any, backend: Any, inputs: np.ndarray, gradient: np.ndarray
) -> Callable[[str], Callable[[], Call]] | None:
    """The model whose transposed layers are one matrix product each.

    None where the channels come first, which those layers do not have.
    """
    import keras

    from benchmarks import bare_product
    from benchmarks.contenders import started

    if keras.config.image_data_format() == "channels_first":
        return None
    parameters, apply = started([model.keras_model(bare_product)])
    return lambda kind: preparation(
        backend, kind, apply, parameters, inputs, gradient
    )


def _normal() -> Callable[..., np.ndarray]:
    generator = np.random.default_rng(0)

    def normal(*size: int) -> np.ndarray:
        return generator.standard_normal(size, dtype="float32")

    return normal


def measure_contenders(
    name: str,
    contenders: list[Any],
    weights: list[np.ndarray],
    inputs: np.ndarray,
    gradient: np.ndarray,
    backend: Any,
    seconds: float,
    least_rounds: int,
    limit_of: Callable[[str], Callable[[], Call]] | None = None,
    groups: int = 1,
) -> list[dict[str, Any]]:
    """One row for each kind and contender."""
    from benchmarks.contenders import channels_last

    rows = []
    for kind in KINDS:
        calls: dict[str, Call] = {}
        first_seconds = {}
        sizes = {}
        reference: list[np.ndarray] = []
        for contender in contenders:
            prepare = preparation(
                backend,
                kind,
                *reversed(contender.start(contender.weights(*weights))),
                contender.layout(inputs),
                contender.layout(gradient),
            )
            call, result, spent = first_call(prepare)
            if not reference:
                reference = in_keras_layout(result, groups)
                reference[:2] = map(channels_last, reference[:2])
            agree(contender, result, reference)
            calls[contender.name] = call
            first_seconds[contender.name] = spent
            sizes[contender.name] = mebibytes(result)
        if limit_of is not None:
            calls[LIMIT] = first_call(limit_of(kind))[0]
        times = interleaved(calls, seconds, least_rounds)
        for contender in contenders:
            row = summary(times, contender.name, contenders[0].name)
            row["first_call_s"] = round(first_seconds[contender.name], 4)
            planned = getattr(calls[contender.name], "memory", None)
            peak = planned() if planned else peak_memory(calls[contender.name])
            # A call makes at least its results. A smaller reading comes from
            # an allocator that kept earlier memory: it is none.
            known = peak is not None and peak >= sizes[contender.name]
            on_host = backend.device() == "cpu"
            row["peak_mib"] = round(peak, 2) if known and on_host else None
            rows.append(
                {
                    "shape": name,
                    "kind": kind,
                    "contender": contender.name,
                    **row,
                }
            )
    return rows


def preparation(
    backend: Any,
    kind: str,
    apply: Any,
    parameters: Any,
    inputs: np.ndarray,
    gradient: np.ndarray,
) -> Callable[[], Call]:
    x, dy = backend.tensor(inputs), backend.tensor(gradient)
    if kind == "forward":
        return lambda: backend.forward(apply, parameters, x)
    return lambda: backend.both(apply, parameters, x, dy)


def limit(
    shape: Shape, backend: Any, kind: str, normal: Any
) -> Callable[[], Call]:
    """The matrix product of as many FLOPs, or it and its two gradients."""
    rows, inner, columns = shape.product
    factor = backend.tensor(normal(inner, columns))
    return preparation(
        backend,
        kind,
        lambda parameters, inputs: inputs @ parameters[0],
        [factor],
        normal(rows, inner),
        normal(rows, columns),
    )


def in_keras_layout(result: Any, groups: int) -> list[np.ndarray]:
    """The built-in's output and gradients, groups put together."""
    if not isinstance(result, list | tuple):
        return [to_numpy(result)]
    if groups == 1:
        return [to_numpy(value) for value in result]
    outputs, by_inputs, *by_weights = map(to_numpy, result)
    kernel = np.concatenate(by_weights[::2], axis=-1)
    return [outputs, by_inputs, kernel, np.concatenate(by_weights[1::2])]


def agree(contender: Any, result: Any, reference: list[np.ndarray]) -> None:
    """Fail where a contender computes something else."""
    results = result if isinstance(result, list | tuple) else [result]
    expected = [contender.layout(value) for value in reference[:2]]
    if len(reference) > 2:
        expected += contender.weights(*reference[2:])
    for got, want in zip(map(to_numpy, results), expected, strict=True):
        error = np.abs(got - want).max() / np.abs(want).max()
        if not error < TOLERANCES[_policy()]:
            raise ValueError(
                f"{contender.name} differs from the built-in layer by {error}."
            )


def _policy() -> str:
    import keras

    return str(keras.config.dtype_policy().name)


def mebibytes(result: Any) -> float:
    results = result if isinstance(result, list | tuple) else [result]
    return sum(to_numpy(value).nbytes for value in results) / 2**20


def to_numpy(value: Any) -> np.ndarray:
    from keras import ops

    return np.asarray(ops.convert_to_numpy(value))


def summary(
    times: dict[str, np.ndarray], name: str, base: str
) -> dict[str, Any]:
    """Ratios are the medians of the rounds' own ratios."""
    low, median, high = np.quantile(times[name], (0.1, 0.5, 0.9)) * 1e3
    ratios = times[base] / times[name]
    ratio_low, ratio, ratio_high = np.quantile(ratios, (0.1, 0.5, 0.9))
    values = {
        "median_ms": median,
        "p10_ms": low,
        "p90_ms": high,
        "ratio": ratio,
        "ratio_p10": ratio_low,
        "ratio_p90": ratio_high,
    }
    if LIMIT in times:
        values["share_of_limit"] = np.median(times[LIMIT] / times[name])
    rounded = {key: round(float(value), 4) for key, value in values.items()}
    return {**rounded, "rounds": len(ratios)}


def results_path(chosen: argparse.Namespace, backend: Any) -> Path:
    folder = environment.results(chosen.quick)
    suffix = "" if backend.device() == "cpu" else f"-{backend.device()}"
    return folder / f"{chosen.mode}{suffix}.json"


def kept_rows(path: Path, backend: Any) -> list[dict[str, Any]]:
    """What was measured with the same versions on the same machine."""
    where = environment.describe(backend.PACKAGES)
    old = json.loads(path.read_text("utf-8")) if path.exists() else {}
    return old.get("rows", []) if old.get("environment") == where else []


def measured_now(
    path: Path, chosen: argparse.Namespace, backend: Any
) -> set[str]:
    """The names of the shapes with rows of this commit."""
    now = (set_name(chosen), environment.commit())
    return {
        row["shape"]
        for row in kept_rows(path, backend)
        if (row["set"], row["commit"]) == now
    }


def set_name(chosen: argparse.Namespace) -> str:
    """The set, with the data format and the dtypes that are not Keras's."""
    parts = [chosen.set]
    if chosen.data_format != "channels_last":
        parts.append(chosen.data_format)
    if chosen.dtype_policy != "float32":
        parts.append(chosen.dtype_policy)
    return " ".join(parts)


def save(
    path: Path,
    chosen: argparse.Namespace,
    backend: Any,
    rows: list[dict[str, Any]],
) -> None:
    """Replace the rows of the same shapes; keep those of other runs.

    Rows that were measured with other versions, or elsewhere, go.
    """
    kept = kept_rows(path, backend)
    measured = {(set_name(chosen), row["shape"]) for row in rows}
    run = {
        "set": set_name(chosen),
        "commit": environment.commit(),
        "date": datetime.date.today().isoformat(),
        # The benchmark itself keeps about all cores busy; more is others.
        "load": environment.load(),
    }
    environment.write(
        path,
        {
            "mode": path.stem,
            "environment": environment.describe(backend.PACKAGES),
            "rows": [
                row
                for row in kept
                if (row["set"], row["shape"]) not in measured
            ]
            + [{**run, **row} for row in rows],
        },
    )


if __name__ == "__main__":
    main()
