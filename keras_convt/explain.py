"""The sizes of a layer in words, with its numbers filled in."""

from collections.abc import Sequence

import keras

from keras_convt import arguments, geometry
from keras_convt.geometry import Axis
from keras_convt.keras2 import advice
from keras_convt.layers.base import BaseTranspose
from keras_convt.streaming import StreamingModel

# The layers that ours stand in for have the same arithmetic.
BUILT_IN = (
    keras.layers.Conv1DTranspose,
    keras.layers.Conv2DTranspose,
    keras.layers.Conv3DTranspose,
)


def explain(
    layer: BaseTranspose | keras.layers.Layer | StreamingModel,
    steps: int | Sequence[int] = 6,
) -> str:
    """Say how long a layer's output is and why, or list a stream's stages.

    Args:
        layer: A transposed convolution layer of `keras_convt` or of
            `keras.layers`, built or not, or a `keras_convt.StreamingModel`.
        steps: int, or a sequence of one int per axis, the number of input
            steps. Defaults to `6`.

    Returns:
        A text to print. For a `StreamingModel`, it is a table of its stages.

    Raises:
        TypeError: If `layer` is not such a layer.
        ValueError: If the crops leave no output.

    Example:

    >>> import keras_convt
    >>> print(keras_convt.explain(keras_convt.Conv1DTranspose(1, 3, 2, "same")))
    6 input steps, kernel_size=3, strides=2, padding="same"
      full length    (steps - 1) * strides + kernel_size = 5 * 2 + 3 = 13
      left crop      max(kernel_size - strides, 0) // 2 = 1 // 2 = 0
      right crop     kernel_size - strides - left = 1 - 0 = 1
      output steps   13 - 0 - 1 = 12
      output_size    11 to 12 (a convolution turns each of these into 6 steps)
      contributions  1 or 2 to each step: uneven, a checkerboard may show
    """
    if isinstance(layer, StreamingModel):
        return layer.explain()
    axes = axes_of(layer)
    lengths = arguments.sizes(steps, len(axes), "steps")
    parts = []
    for number, (axis, n) in enumerate(zip(axes, lengths, strict=True)):
        geometry.checked_output_steps(axis, n)
        heading = "" if len(axes) == 1 else f"axis {number}: "
        parts.append(heading + _axis(axis, n))
    return "\n".join(parts)


def axes_of(layer: BaseTranspose | keras.layers.Layer) -> tuple[Axis, ...]:
    """The axes of a transposed layer of the package or of Keras."""
    if isinstance(layer, BaseTranspose):
        return layer._axes
    if not isinstance(layer, BUILT_IN):
        raise TypeError(
            "`layer` must be a transposed convolution layer of keras_convt or "
            f"of keras.layers. Received: layer={layer!r} of type "
            f"{type(layer).__name__}.{advice(layer)}"
        )
    rank = len(layer.kernel_size)
    padding = arguments.padding(layer.padding, rank)
    return geometry.axes(
        layer.kernel_size,
        layer.strides,
        layer.dilation_rate,
        padding,
        arguments.output_padding(layer.output_padding, layer.strides, padding),
    )


def contributions(axis: Axis, steps: int) -> list[tuple[int, int, int]]:
    """Every (input step, tap, sample of the full sum), in order."""
    return [
        (i, t, i * axis.stride + t * axis.dilation_rate)
        for i in range(steps)
        for t in range(axis.kernel_size)
    ]


def overlaps(axis: Axis, steps: int) -> list[int]:
    """How many contributions each sample gets, cropped or not.

    As long as the full sum, and longer where the window reaches past it.
    """
    beyond = max(-axis.crop[1], 0)
    counts = [0] * (axis.full_steps(steps) + beyond)
    for _, _, sample in contributions(axis, steps):
        counts[sample] += 1
    return counts


def inner_overlaps(axis: Axis) -> list[int]:
    """The different overlap counts of samples far from both ends."""
    taps = [t * axis.dilation_rate for t in range(axis.kernel_size)]
    return sorted(
        {
            sum(tap % axis.stride == phase for tap in taps)
            for phase in range(axis.stride)
        }
    )


def _axis(axis: Axis, n: int) -> str:
    ke, k, s = axis.effective_kernel, axis.kernel_size, axis.stride
    full, (left, right) = axis.full_steps(n), axis.crop
    padding = axis.padding
    shown = f'"{padding}"' if isinstance(padding, str) else str(padding)
    given = [f"kernel_size={k}", f"strides={s}", f"padding={shown}"]
    if axis.dilation_rate > 1:
        given.append(f"dilation_rate={axis.dilation_rate}")
    if axis.output_padding is not None:
        given.append(f"output_padding={axis.output_padding}")
    name = "kernel_size"
    rows = []
    if axis.dilation_rate > 1:
        name = "ke"
        rows.append(
            (
                "ke",
                f"(kernel_size - 1) * dilation_rate + 1 = "
                f"{k - 1} * {axis.dilation_rate} + 1 = {ke}",
            )
        )
    rows.append(
        (
            "full length",
            f"(steps - 1) * strides + {name} = {n - 1} * {s} + {ke} = {full}",
        )
    )
    why_left, why_right = _crop_formulas(axis, name)
    possible = axis.output_sizes(n)
    rows += [
        ("left crop", f"{why_left}{left}"),
        (
            "right crop",
            f"{why_right}{right}" + (" (zeros added)" if right < 0 else ""),
        ),
        (
            "output steps",
            f"{full} - {left} {'-' if right >= 0 else '+'} {abs(right)} = "
            f"{axis.output_steps(n)}",
        ),
        ("output_size", _sizes(max(possible.start, 1), possible.stop - 1, n)),
        ("contributions", evenness(axis)),
    ]
    head = f"{n} input {'step' if n == 1 else 'steps'}, " + ", ".join(given)
    return "\n".join([head, *(f"  {what:<13}  {why}" for what, why in rows)])


def _crop_formulas(axis: Axis, name: str) -> tuple[str, str]:
    """What comes before the two crops: formula and numbers."""
    ke, s, p = axis.effective_kernel, axis.stride, axis.output_padding
    left = axis.crop[0]
    if axis.padding == "same":
        if p is None:
            return (
                f"max({name} - strides, 0) // 2 = {max(ke - s, 0)} // 2 = ",
                f"{name} - strides - left = {ke - s} - {left} = ",
            )
        total = ke - ke % 2 - p
        return (
            f"max({name} - {name} % 2 - output_padding, 0) // 2 = "
            f"{max(total, 0)} // 2 = ",
            f"{name} - {name} % 2 - output_padding - left = "
            f"{total} - {left} = ",
        )
    if axis.padding == "causal":
        return "", f"{name} - strides = {ke} - {s} = "
    if axis.padding == "valid" and p is None:
        return "", f"{name} - max({name}, strides) = {ke} - {max(ke, s)} = "
    if p is None:
        return "", ""
    if axis.padding == "valid":
        return "", "-output_padding = "
    return "", f"right - output_padding = {axis.crop[1] + p} - {p} = "


def _sizes(least: int, most: int, n: int) -> str:
    steps = f"{n} step{'' if n == 1 else 's'}"
    if least == most:
        return f"{least} (a convolution turns it into {steps})"
    return f"{least} to {most} (a convolution turns each of these into {steps})"


def evenness(axis: Axis) -> str:
    """Whether all samples get as many contributions, in words."""
    counts = inner_overlaps(axis)
    if counts[0] == counts[-1]:
        return f"{counts[0]} to each step: even"
    words = f"{counts[0]} or {counts[-1]} to each step: uneven, "
    if counts[0] == 0:
        return words + "there are holes"
    return words + "a checkerboard may show"
