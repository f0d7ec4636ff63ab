"""What is drawn and said of a layer, against the reference."""

import re
import sys

import keras
import matplotlib
import numpy as np
import pytest
import reference
from matplotlib.colors import to_hex

import keras_convt
from keras_convt.explain import explain
from keras_convt.plots import END, FEWER, FULL, GREY, plot_connectivity

CASES = [
    {"kernel_size": 3, "strides": 2},
    {"kernel_size": 4, "strides": 2},
    {"kernel_size": 5, "strides": 2, "padding": "same"},
    {"kernel_size": 2, "strides": 3, "padding": "same"},
    {"kernel_size": 7, "strides": 3, "padding": "causal"},
    {"kernel_size": 3, "dilation_rate": 2, "padding": "same"},
    {"kernel_size": 5, "strides": 3, "padding": (2, -1)},
    {"kernel_size": 4, "strides": 3, "output_padding": 1},
    {"kernel_size": 5, "strides": 2, "padding": "same", "output_padding": 1},
    {"kernel_size": 1, "strides": 1},
]


def full_counts(arguments, steps):
    """How many contributions each sample of the full sum gets."""
    arguments = {
        key: value
        for key, value in arguments.items()
        if key not in ("padding", "output_padding")
    }
    k = arguments.pop("kernel_size")
    counts = reference.conv_transpose(
        np.ones((1, steps, 1)), np.ones((k, 1, 1)), padding=(0, 0), **arguments
    )
    return counts[0, :, 0]


@pytest.mark.parametrize("arguments", CASES, ids=str)
def test_a_picture_has_every_contribution(arguments):
    steps = 5
    layer = keras_convt.Conv1DTranspose(1, **arguments)
    lines, bars = plot_connectivity(layer, steps).axes
    counts = full_counts(arguments, steps)
    k = arguments["kernel_size"]
    assert len(lines.lines) == steps * k
    ends = [int(line.get_xdata()[1]) for line in lines.lines]
    drawn = np.bincount(ends, minlength=len(counts))
    np.testing.assert_array_equal(drawn, counts)
    heights = [bar.get_height() for bar in bars.patches]
    np.testing.assert_array_equal(heights[: len(counts)], counts)
    assert not any(heights[len(counts) :])
    # Outside of the window, and only there, it is grey.
    left, length = reference.window(
        steps,
        k,
        arguments.get("strides", 1),
        arguments.get("dilation_rate", 1),
        arguments.get("padding", "valid"),
        arguments.get("output_padding"),
    )
    grey = {n for n, bar in enumerate(bars.patches) if is_color(bar, GREY)}
    assert grey == set(range(len(heights))) - set(range(left, left + length))
    for line, end in zip(lines.lines, ends, strict=True):
        assert (to_hex(line.get_color()) == to_hex(GREY)) == (end in grey)
    numbers = [text.get_text() for text in lines.texts]
    assert numbers == [str(n) for n in [*range(steps), *range(length)]]


def is_color(bar, color):
    return to_hex(bar.get_facecolor()) == to_hex(color)


def test_a_checkerboard_shows():
    _, bars = plot_connectivity(keras_convt.Conv1DTranspose(1, 3, 2)).axes
    inner = bars.patches[2:-2]
    assert all(is_color(bar, FULL) for bar in inner[::2])
    assert all(is_color(bar, FEWER) for bar in inner[1::2])
    assert "checkerboard" in bars.get_xlabel()
    _, bars = plot_connectivity(keras_convt.Conv1DTranspose(1, 4, 2)).axes
    assert all(is_color(bar, FULL) for bar in bars.patches[2:-2])
    assert all(is_color(bar, END) for bar in bars.patches[:2])
    assert bars.get_xlabel() == "2 to each step: even"


def test_a_file(tmp_path):
    layer = keras_convt.Conv2DTranspose(1, (2, 4), 2, "same")
    path = tmp_path / "connectivity.png"
    figure = plot_connectivity(layer, 3, to_file=path)
    height, width, _ = matplotlib.image.imread(path).shape
    assert width > 500 < height
    # The last axis.
    assert "kernel_size=4" in figure.get_suptitle()


def test_a_text():
    text = explain(keras_convt.Conv1DTranspose(1, 5, 2, "same"), 6)
    assert text.splitlines() == [
        '6 input steps, kernel_size=5, strides=2, padding="same"',
        "  full length    (steps - 1) * strides + kernel_size = 5 * 2 + 5 = 15",
        "  left crop      max(kernel_size - strides, 0) // 2 = 3 // 2 = 1",
        "  right crop     kernel_size - strides - left = 3 - 1 = 2",
        "  output steps   15 - 1 - 2 = 12",
        "  output_size    11 to 12 "
        "(a convolution turns each of these into 6 steps)",
        "  contributions  2 or 3 to each step: uneven, a checkerboard may show",
    ]


@pytest.mark.parametrize("steps", [1, 6])
@pytest.mark.parametrize("arguments", CASES, ids=str)
def test_every_equation_is_true(arguments, steps):
    layer = keras_convt.Conv1DTranspose(1, **arguments)
    text = explain(layer, steps)
    equations = 0
    for line in text.splitlines()[1:]:
        sides = [side.strip() for side in line.split("(zeros")[0].split(" = ")]
        # The first has the row's name and the formula.
        numbers = [
            side for side in sides[1:] if set(side) <= set("-+*/ 0123456789")
        ]
        if len(numbers) < 2 and not line.startswith("  output steps"):
            continue
        if line.startswith("  output steps"):
            numbers.append(sides[0].removeprefix("output steps"))
        assert len({eval(number.strip()) for number in numbers}) == 1, line
        equations += 1
    assert equations >= 2
    y = layer(np.zeros((1, steps, 1), "float32"))
    row = next(line for line in text.splitlines() if "output steps" in line)
    assert int(row.split("=")[1]) == y.shape[1]
    sizes = reference.legal_output_sizes(
        steps,
        arguments["kernel_size"],
        arguments.get("strides", 1),
        arguments.get("dilation_rate", 1),
        arguments.get("padding", "valid"),
    )
    row = next(line for line in text.splitlines() if "output_size " in line)
    found = [int(n) for n in re.findall(r"\d+", row.split("(")[0])]
    assert found == sorted({sizes[0], sizes[-1]})


def test_a_text_of_every_axis():
    layer = keras_convt.Conv2DTranspose(1, (3, 4), 2)
    text = explain(layer, (5, 7))
    assert "axis 0: 5 input steps, kernel_size=3" in text
    assert "axis 1: 7 input steps, kernel_size=4" in text


@pytest.mark.parametrize(
    ("rank", "arguments"),
    [
        (1, {"kernel_size": 3, "strides": 2}),
        (1, {"kernel_size": 5, "strides": 2, "output_padding": 1}),
        (1, {"kernel_size": 5, "dilation_rate": 2, "padding": "same"}),
        (2, {"kernel_size": (3, 4), "strides": 2, "padding": "same"}),
        (3, {"kernel_size": 2, "strides": (1, 2, 3), "output_padding": 0}),
    ],
)
def test_the_layers_of_keras_are_explained_too(rank, arguments):
    """Their users have the checkerboard."""
    name = f"Conv{rank}DTranspose"
    built_in = getattr(keras.layers, name)(1, **arguments)
    ours = getattr(keras_convt, name)(1, **arguments)
    assert explain(built_in, 7) == explain(ours, 7)
    steps = built_in.compute_output_shape((1, *[7] * rank, 2))[1:-1]
    assert all(f" = {n}\n" in explain(built_in, 7) for n in steps)
    bars = [plot_connectivity(one, 7).axes[1] for one in (built_in, ours)]
    heights = [[bar.get_height() for bar in axes.patches] for axes in bars]
    assert heights[0] == heights[1]


def test_a_layer_of_keras_2_is_refused_with_advice():
    kind = type("Conv1DTranspose", (), {"__module__": "tf_keras.src.layers"})
    for layer in (kind(), type("Own", (kind,), {})()):
        with pytest.raises(TypeError, match=r"Keras 2 \(tf_keras\)"):
            explain(layer)


@pytest.mark.parametrize("show", [plot_connectivity, explain])
def test_refusals(show):
    with pytest.raises(TypeError, match="`layer` must be a transposed"):
        show(keras.layers.Conv1D(1, 3))
    layer = keras_convt.Conv1DTranspose(1, 3, padding=5)
    with pytest.raises(ValueError, match="`padding` must leave a sample"):
        show(layer, 2)
    with pytest.raises(ValueError, match="`steps` must be a whole number"):
        show(layer, 0)


def test_matplotlib_is_asked_for_only_by_pictures(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    layer = keras_convt.Conv1DTranspose(1, 3)
    with pytest.raises(ImportError, match="pip install matplotlib"):
        plot_connectivity(layer)
    assert explain(layer)
