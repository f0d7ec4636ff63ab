"""Pictures of what is connected to what."""

from typing import Any

import keras

from keras_convt import geometry
from keras_convt.arguments import whole_number
from keras_convt.explain import (
    axes_of,
    contributions,
    evenness,
    inner_overlaps,
    overlaps,
)
from keras_convt.geometry import Axis
from keras_convt.layers.base import BaseTranspose

GREY = "0.6"
# Neighbors differ, so that one sees where they overlap.
INPUTS = ("#1f5fa8", "#e07b00")
FULL, FEWER, END = "#2f8f3f", "#d62728", "#c7dcc7"


def plot_connectivity(
    layer: BaseTranspose | keras.layers.Layer,
    steps: int = 6,
    to_file: Any = None,
) -> Any:
    """Draw which input steps reach which output steps of a layer.

    The inputs are above and the outputs below, with a line for each
    contribution. Outputs that the padding crops are gray. Under each output,
    a bar counts its contributions. A red bar is lower than others, so a
    checkerboard may show. Bars near an end of the signal are pale.

    Args:
        layer: A transposed convolution layer of `keras_convt` or of
            `keras.layers`, built or not. For an image or a volume, the last
            axis is drawn.
        steps: int, the number of input steps. Defaults to `6`.
        to_file: Path of a picture to write. Its extension gives the format.
            Defaults to `None`, which writes no file.

    Returns:
        The `matplotlib.figure.Figure`. A notebook shows it.

    Raises:
        TypeError: If `layer` is not such a layer.
        ValueError: If `steps` is below 1, or if the crops leave no output.
        ImportError: If matplotlib is not installed.

    Example:

    ```python
    layer = keras_convt.Conv1DTranspose(1, 3, 2, padding="same")
    keras_convt.plot_connectivity(layer, to_file="connectivity.png")
    ```
    """
    axis = axes_of(layer)[-1]
    steps = whole_number(steps, "steps", minimum=1)
    geometry.checked_output_steps(axis, steps)
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(
            "keras_convt.plot_connectivity needs matplotlib: "
            "pip install matplotlib"
        ) from error
    counts = overlaps(axis, steps)
    figure = Figure(
        figsize=(max(6.5, 0.42 * len(counts) + 1.6), 4.4), layout="constrained"
    )
    lines, bars = figure.subplots(2, 1, sharex=True, height_ratios=(2.4, 1.0))
    _draw_lines(lines, axis, steps, len(counts))
    _draw_bars(bars, axis, steps, counts)
    figure.suptitle(_title(axis, steps), fontsize=11)
    if to_file is not None:
        figure.savefig(to_file, dpi=150)
    return figure


def _draw_lines(axes: Any, axis: Axis, steps: int, samples: int) -> None:
    kept = _kept(axis, steps)
    # An input stands above the middle of what it reaches.
    middle = (axis.effective_kernel - 1) / 2
    places = [i * axis.stride + middle for i in range(steps)]
    for i, _, sample in contributions(axis, steps):
        inside = sample in kept
        axes.plot(
            [places[i], sample],
            [1, 0],
            color=INPUTS[i % 2] if inside else GREY,
            linestyle="-" if inside else ":",
            linewidth=1.4,
            zorder=2 if inside else 1,
        )
    for i, place in enumerate(places):
        axes.scatter([place], [1], s=210, color=INPUTS[i % 2], zorder=3)
        _number(axes, place, 1, i, "white")
    for sample in range(samples):
        inside = sample in kept
        axes.scatter(
            [sample],
            [0],
            s=210,
            color="black" if inside else "white",
            edgecolors="black" if inside else GREY,
            linestyle="-" if inside else ":",
            zorder=3,
        )
        # Outputs are numbered as the layer's caller sees them.
        if inside:
            _number(axes, sample, 0, sample - kept.start, "white")
    axes.set_ylim(-0.25, 1.25)
    axes.set_yticks([0, 1], ["output", "input"])
    _clean(axes)


def _draw_bars(axes: Any, axis: Axis, steps: int, counts: list[int]) -> None:
    kept = _kept(axis, steps)
    inner = inner_overlaps(axis)
    # Up to here, and from there on, taps are missing at the signal's ends.
    first, last = axis.effective_kernel - 1, axis.full_steps(steps) - 1
    last -= axis.effective_kernel - 1
    for sample, count in enumerate(counts):
        if sample not in kept:
            color = GREY
        elif not first <= sample <= last and count < inner[-1]:
            color = END
        else:
            color = FULL if count == inner[-1] else FEWER
        axes.bar(sample, count, width=0.8, color=color)
        axes.text(
            sample,
            count,
            str(count),
            ha="center",
            va="bottom",
            fontsize=8,
            color="black" if sample in kept else "0.5",
        )
    axes.set_ylim(0, max(counts) * 1.3)
    axes.set_yticks([])
    axes.set_ylabel("contributions", fontsize=9)
    axes.set_xlabel(evenness(axis), fontsize=10)
    axes.set_xlim(-0.8, len(counts) - 0.2)
    _clean(axes)


def _number(axes: Any, x: float, y: float, number: int, color: str) -> None:
    axes.text(
        x,
        y,
        str(number),
        ha="center",
        va="center",
        fontsize=8,
        color=color,
        zorder=4,
    )


def _clean(axes: Any) -> None:
    axes.set_xticks([])
    axes.tick_params(length=0)
    for side in axes.spines.values():
        side.set_visible(False)


def _kept(axis: Axis, steps: int) -> range:
    """The samples of the full sum that are the output."""
    left = axis.crop[0]
    return range(left, left + axis.output_steps(steps))


def _title(axis: Axis, steps: int) -> str:
    padding = axis.padding
    shown = f'"{padding}"' if isinstance(padding, str) else str(padding)
    words = [
        f"kernel_size={axis.kernel_size}",
        f"strides={axis.stride}",
        f"padding={shown}",
    ]
    if axis.dilation_rate > 1:
        words.append(f"dilation_rate={axis.dilation_rate}")
    if axis.output_padding is not None:
        words.append(f"output_padding={axis.output_padding}")
    left, right = axis.crop
    cropped = f"crops {left} left, {right} right"
    if right < 0:
        cropped = f"crops {left} left, appends {-right}"
    return (
        ", ".join(words)
        + f"\n{steps} steps in, {axis.output_steps(steps)} out ({cropped})"
    )
