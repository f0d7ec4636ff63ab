"""Measuring, on the user's own machine, how each layer had best compute.

No formulation is the fastest everywhere, and what is fast in a layer alone may
be slow in a model, where the next layer wants its data in another order. So
the whole model is timed, in the way it is run, with one layer changed at a
time. What is found is written into the layers' `implementation`, which is
saved with the model: nothing is measured when the model runs.
"""

import copy
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_convt import arguments
from keras_convt.convert.nested import inside
from keras_convt.keras2 import advice
from keras_convt.layers.base import BaseTranspose
from keras_convt.ops.backend import backend
from keras_convt.ops.formulations import FORMULATIONS

RUNTIMES = ("onnxruntime",)

# Comparisons of what may be faster, and the rounds of each: each round times
# both models.
COMPARISONS = 4
ROUNDS = 15

# A comparison is as long as this, in seconds, if a round is short.
SECONDS = 0.5

Call = Callable[[], Any]


@dataclass(frozen=True)
class TunedLayer:
    """What was found for one layer.

    Attributes:
        name: The layer's name.
        before: Its implementation before.
        after: Its implementation now.
        gain: The time of the whole model before over that after the change
            of this layer; 1.0 where nothing was changed.
    """

    name: str
    before: str
    after: str
    gain: float


class Tuning(tuple[TunedLayer, ...]):
    """What `tune` found: one `TunedLayer` for each layer, as a table."""

    def __repr__(self) -> str:
        head = ("layer", "before", "after", "gain")
        rows = [
            (row.name, row.before, row.after, f"{row.gain:.2f}") for row in self
        ]
        widths = [
            max(map(len, column)) for column in zip(head, *rows, strict=True)
        ]
        return "\n".join(
            "  ".join(
                cell.ljust(width)
                for cell, width in zip(line, widths, strict=True)
            ).rstrip()
            for line in (head, *rows)
        )


def tune(
    model: keras.Model,
    inputs: Any,
    training: bool = True,
    runtime: str | None = None,
    margin: float = 0.05,
    verbose: Any = True,
) -> Tuning:
    """Measure which implementation of each transposed layer is fastest.

    For each layer, `tune` tries each implementation that the layer supports.
    It times the whole model with it and without it in turn, in a training
    step or a prediction that is compiled as the model is. If the model is
    faster by more than `margin`, by the median of at least 60 calls, `tune`
    sets the layer's `implementation`. The choice is part of the layer's config,
    so it is saved with the model. It is right for this machine and these sizes.

    Args:
        model: A built `keras.Model` with layers of this package. A copy of it
            is timed. Its weights, optimizer and state are not touched. A
            compiled model is timed with its own `jit_compile` and
            `run_eagerly`.
        inputs: A batch of inputs for `model`, with the sizes that matter to
            you.
        training: bool. If `True`, a training step is timed (the gradients of
            all weights, with a quadratic loss). If `False`, a prediction is
            timed. Defaults to `True`.
        runtime: `"onnxruntime"` exports the model to ONNX and times its
            prediction in that runtime. `None` times the model in Keras.
            Defaults to `None`.
        margin: float, the smallest gain that is worth a change. Defaults to
            `0.05`, which is above the noise of a quiet machine.
        verbose: bool, whether a progress bar and the table are printed.
            Defaults to `True`.

    Returns:
        A tuple of one `TunedLayer` (`name`, `before`, `after`, `gain`) for
        each layer, which prints as a table.

    Raises:
        TypeError: If `model` is not a `keras.Model`.
        ValueError: If `model` is not built or has no layer of this package,
            or if another argument cannot be used. Nothing is changed then. An
            interrupt changes nothing either.

    Example:

    ```python
    print(keras_convt.tune(model, batch))
    model.save("tuned.keras")
    ```
    """
    _check(model, runtime)
    training = arguments.flag(training, "training") and runtime is None
    margin = arguments.number(margin, "margin")
    verbose = arguments.flag(verbose, "verbose")
    found = transposed_layers(model)
    if not found:
        raise ValueError(
            "`model` must have a transposed layer of keras_convt. Received: "
            f"model={model.name!r}."
        )
    before = [layer.implementation for layer in found]
    timed = _TimedModels(model, inputs, training, runtime, margin)
    after, gains = timed.search(_Progress(verbose))
    for layer, name in zip(found, after, strict=True):
        layer.implementation = name
    table = Tuning(
        TunedLayer(layer.name, *row)
        for layer, *row in zip(found, before, after, gains, strict=True)
    )
    if verbose:
        print(table)
    return table


def transposed_layers(model: Any) -> list[Any]:
    """The transposed layers in a model, each once, in a fixed order."""
    return [
        layer for layer in inside(model) if isinstance(layer, BaseTranspose)
    ]


class _TimedModels:
    """Two copies of a model: the best one so far, and one to try out."""

    def __init__(
        self,
        model: keras.Model,
        inputs: Any,
        training: bool,
        runtime: str | None,
        margin: float,
    ) -> None:
        self.inputs = keras.tree.map_structure(
            keras.ops.convert_to_tensor, inputs
        )
        self.training, self.runtime = training, runtime
        self.margin = margin
        self.best, self.other = (self._copy(model) for _ in range(2))
        self.best_call = self._call(self.best)

    def search(self, progress: "_Progress") -> tuple[list[str], list[float]]:
        """The names to use, and what each of the changes gained."""
        names = [layer.implementation for layer in transposed_layers(self.best)]
        gains = [1.0] * len(names)
        trials = [
            (number, name)
            for number in range(len(names))
            for name in _supported(transposed_layers(self.best)[number])
        ]
        for number, name in progress(trials):
            if name == names[number]:
                continue
            gain = self._gain(number, name)
            if gain is not None:
                names[number] = name
                gains[number] *= gain
        return names, gains

    def _gain(self, number: int, name: str) -> float | None:
        """Try `name` in one layer, and keep it if it is faster."""
        layer = transposed_layers(self.other)[number]
        before = layer.implementation
        _set(layer, name)
        call = self._call(self.other)
        ratios: list[float] = []
        # What may be faster is compared several times, so that one lucky
        # moment changes nothing, and another run finds the same.
        for _ in range(COMPARISONS):
            ratios += compare(self.best_call, call)
            if statistics.median(ratios) < 1 + self.margin / 2:
                break
        if not _is_gain(ratios, self.margin):
            _set(layer, before)
            return None
        self.best, self.other = self.other, self.best
        self.best_call = call
        _set(transposed_layers(self.other)[number], name)
        return statistics.median(ratios)

    def _copy(self, model: keras.Model) -> keras.Model:
        with warnings.catch_warnings():
            # Keras warns that the optimizer of a model that has not been
            # trained has fewer variables than that of its copy (3.15.1). The
            # copy gets another one.
            warnings.filterwarnings(
                "ignore", message="Skipping variable loading for optimizer"
            )
            made = copy.deepcopy(model)
        outputs = made(self.inputs)
        self.targets = keras.tree.map_structure(keras.ops.zeros_like, outputs)
        made.compile(
            # The weights stay what they are, so that no step differs from
            # the one before.
            optimizer=keras.optimizers.SGD(0.0),
            loss=keras.tree.map_structure(lambda _: "mse", outputs),
            run_eagerly=getattr(model, "run_eagerly", False),
            jit_compile=getattr(model, "jit_compile", "auto"),
        )
        return made

    def _call(self, model: keras.Model) -> Call:
        """What is timed, compiled anew and run once."""
        if self.runtime is not None:
            call = _exported(model, self.inputs)
        elif self.training:
            model.make_train_function(force=True)

            def call() -> Any:
                return model.train_on_batch(self.inputs, self.targets)

        else:
            model.make_predict_function(force=True)

            def call() -> Any:
                return model.predict_on_batch(self.inputs)

        call()
        return call


def compare(first: Call, second: Call) -> list[float]:
    """The time of the first call over that of the second, in each round."""
    ratios: list[float] = []
    end = time.perf_counter() + SECONDS
    while len(ratios) < ROUNDS or time.perf_counter() < end:
        # Who is first changes, so that nobody always finds warm caches.
        order = (first, second) if len(ratios) % 2 else (second, first)
        times = {id(call): _seconds(call) for call in order}
        ratios.append(times[id(first)] / times[id(second)])
    return ratios


def _seconds(call: Call) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def _is_gain(ratios: list[float], margin: float) -> bool:
    lower, median, _ = statistics.quantiles(ratios, n=4)
    return median > 1 + margin and lower > 1


def _supported(layer: Any) -> Iterator[str]:
    """The implementations that a layer takes, the automatic one first."""
    for name in ("auto", *FORMULATIONS):
        if name == "native_with_products" and not backend.replaces_gradients:
            # It would be native.
            continue
        try:
            type(layer).implementation.check(layer, name, "implementation")
        except ValueError:
            continue
        yield name


def _set(layer: Any, name: str) -> None:
    """Set the implementation of a layer in a copy that is tried out.

    The copy is compiled anew for each trial. To tell everything that holds
    the layer of the change, as an assignment does, would take longer than many
    trials.
    """
    type(layer).implementation.keep(layer, name)


def _exported(model: keras.Model, inputs: Any) -> Call:
    """A prediction of the model, exported to ONNX, in onnxruntime."""
    import onnxruntime

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        model.export(path, format="onnx", verbose=False)
        session = onnxruntime.InferenceSession(
            str(path), providers=["CPUExecutionProvider"]
        )
    values = keras.tree.flatten(
        keras.tree.map_structure(keras.ops.convert_to_numpy, inputs)
    )
    feed: dict[str, np.ndarray] = {
        entry.name: value
        for entry, value in zip(session.get_inputs(), values, strict=True)
    }
    return lambda: session.run(None, feed)


class _Progress:
    """Keras's progress bar around a list, or nothing."""

    def __init__(self, visible: bool) -> None:
        self.visible = visible

    def __call__(self, items: list[Any]) -> Iterator[Any]:
        bar = keras.utils.Progbar(len(items), unit_name="trial")
        for number, item in enumerate(items, start=1):
            yield item
            if self.visible:
                bar.update(number)


def _check(model: Any, runtime: Any) -> None:
    if not isinstance(model, keras.Model):
        raise TypeError(
            f"`model` must be a keras.Model. Received: model={model!r} of "
            f"type {type(model).__name__}.{advice(model)}"
        )
    if not model.built:
        raise ValueError(
            "`model` must be built before it is tuned: call it, or give it a "
            f"keras.Input. Received: model={model.name!r}."
        )
    if runtime is not None and runtime not in RUNTIMES:
        raise ValueError(
            f"`runtime` must be None or one of {RUNTIMES}. Received: "
            f"runtime={runtime!r}."
        )
