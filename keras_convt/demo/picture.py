"""The result in one picture."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from keras_convt.demo.interpolation import places
from keras_convt.demo.model import BUILT_IN, OURS
from keras_convt.demo.signal import (
    FACTOR,
    MARGIN,
    SAMPLE_RATE,
    TRAINING_SAMPLES,
    WINDOW,
    Recording,
    Samples,
    alignments,
    coarse,
)
from keras_convt.demo.training import BATCH, History

LINEAR, CUBIC = "linear interpolation", "cubic interpolation"
# A short label, and colors that differ for the color-blind too.
STYLES = {
    LINEAR: ("linear\ninterpolation", "#9a9a9a"),
    CUBIC: ("cubic\ninterpolation", "#d55e00"),
    OURS: ("keras_convt", "#0072b2"),
    BUILT_IN: ("keras.layers", "#009e73"),
}
INK = "#222222"


def draw(
    path: Path,
    recording: Recording,
    restored: Mapping[str, Samples],
    errors: Mapping[str, float],
    histories: Mapping[str, History],
    backends: Mapping[str, float | str],
    streamed: float,
) -> None:
    """Write the picture. Rows of `restored` are those of `alignments`."""
    # Not through pyplot: this needs no screen and touches no other plots.
    figure = Figure(figsize=(12, 9.2), dpi=120)
    figure.set_layout_engine("constrained", h_pad=0.1, w_pad=0.1)
    FigureCanvasAgg(figure)
    figure.suptitle(
        "keras_convt.Conv1DTranspose restores an electrocardiogram "
        f"(Keras {keras.__version__}, {keras.backend.backend()})"
    )
    rows: Any = figure.subfigures(2, 1, height_ratios=[1.7, 1])
    stretch, beat = rows[0].subplots(
        1, 2, gridspec_kw={"width_ratios": [1.7, 1]}
    )
    draw_stretch(stretch, recording, restored)
    draw_stretch(beat, recording, restored)
    zoom_to_beat(beat, stretch, recording)
    error, loss, seconds = rows[1].subplots(
        1, 3, gridspec_kw={"width_ratios": [1.15, 1, 1.15]}
    )
    draw_bars(
        error,
        errors,
        "Held-out error",
        "root mean square, in standard deviations\n"
        f"of the training part (1 is {recording.scale:.0f} counts)",
    )
    draw_losses(loss, histories)
    times = {name: 1e3 * h.seconds_per_step for name, h in histories.items()}
    draw_bars(
        seconds,
        times,
        "Time of a training step",
        f"milliseconds for a batch of {BATCH} windows\nof {WINDOW} samples",
    )
    figure.supxlabel(
        f"{agreement(backends)}\nStreamed in chunks, the signal differs from "
        f"the whole by at most {streamed:.0e}.",
        fontsize="medium",
    )
    figure.savefig(path)


def agreement(backends: Mapping[str, float | str]) -> str:
    """How far the backends are from each other, in a sentence."""
    here = keras.backend.backend()
    differences = ", ".join(
        f"{name} {difference:.0e}"
        for name, difference in backends.items()
        if name != here and not isinstance(difference, str)
    )
    if not differences:
        return f"Computed with {here}. No other backend is installed."
    return (
        f"Computed with {here}. With the same weights, other backends differ "
        f"by at most: {differences} (standard deviations)."
    )


def draw_stretch(
    axes: Axes, recording: Recording, restored: Mapping[str, Samples]
) -> None:
    """The held-out signal and what the methods made of its coarse version."""
    fine = alignments(recording.held_out)[0]
    given = coarse(fine)
    inner = slice(MARGIN * FACTOR, -MARGIN * FACTOR)

    def seconds(samples: Any) -> Any:
        return (TRAINING_SAMPLES + samples) / SAMPLE_RATE

    def counts(standardised: Any) -> Any:
        return standardised * recording.scale + recording.mean

    time = seconds(np.arange(len(fine)))
    axes.plot(
        time[inner],
        counts(fine)[inner],
        color=INK,
        lw=4.5,
        alpha=0.25,
        label="original, held out",
    )
    for name in (CUBIC, OURS):
        row = counts(restored[name][0])
        axes.plot(
            time[inner], row[inner], color=STYLES[name][1], lw=1.6, label=name
        )
    axes.plot(
        seconds(places(len(given)))[MARGIN:-MARGIN],
        counts(given)[MARGIN:-MARGIN],
        "o",
        color=INK,
        ms=4,
        label=f"coarse, the mean of {FACTOR} samples",
    )
    axes.set_xlabel("seconds")
    axes.set_ylabel("counts of the recorder's converter")
    tidy(axes)


def zoom_to_beat(beat: Axes, stretch: Axes, recording: Recording) -> None:
    """Turn the second view into a close one of the beat in the first."""
    peak = TRAINING_SAMPLES + int(np.argmax(recording.held_out))
    left, right = (peak - 24) / SAMPLE_RATE, (peak + 30) / SAMPLE_RATE
    beat.set_xlim(left, right)
    beat.set_title("The heartbeat, closer", loc="left", weight="bold")
    beat.set_ylabel("")
    stretch.axvspan(left, right, color=INK, alpha=0.06, lw=0)
    stretch.set_title(
        f"A heartbeat not trained on, from the mean of every {FACTOR} samples",
        loc="left",
        weight="bold",
    )
    stretch.legend(frameon=False, loc="upper right")


def draw_bars(
    axes: Axes, values: Mapping[str, float], title: str, unit: str
) -> None:
    """One bar for each method, with its value at its end."""
    names = list(values)
    bars = axes.barh(
        [STYLES[name][0] for name in names],
        [values[name] for name in names],
        color=[STYLES[name][1] for name in names],
        height=0.6,
    )
    axes.bar_label(bars, fmt="%.3g", padding=4)
    axes.invert_yaxis()
    axes.margins(x=0.18)
    axes.set_xlabel(unit)
    axes.set_title(title, loc="left", weight="bold")
    tidy(axes)


def draw_losses(axes: Axes, histories: Mapping[str, History]) -> None:
    """The loss by epoch: two lines that ought to be one."""
    for (name, history), style in zip(
        histories.items(), ("-", "--"), strict=True
    ):
        axes.semilogy(
            range(1, len(history.losses) + 1),
            history.losses,
            style,
            color=STYLES[name][1],
            lw=2,
            label=STYLES[name][0],
        )
    axes.set_xlabel("epoch")
    axes.set_ylabel("mean square, in variances")
    axes.set_title("Training loss", loc="left", weight="bold")
    axes.legend(frameon=False)
    tidy(axes)


def tidy(axes: Axes) -> None:
    """Take away the lines that say nothing."""
    axes.spines[["top", "right"]].set_visible(False)
