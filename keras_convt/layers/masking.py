"""Masks: which steps of a batch are real, before and after a layer."""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_convt.geometry import Axis, spatial
from keras_convt.ops.core import conv_transpose
from keras_convt.ops.types import Tensor
from keras_convt.types import Shape


def checked(mask: Any, input_shape: Any, data_format: str) -> Tensor:
    """The mask as a tensor of bool, or an error by name.

    Args:
        mask: Tensor, array or list, of the shape `(batch, *steps)` or
            without the last axes of it, which are then all real. With
            `data_format="channels_first"` also a mask of channels, as
            `keras.layers.Masking` makes there: see `is_of_channels`.
        input_shape: The shape of the inputs.
        data_format: `"channels_last"` or `"channels_first"`.
    """
    expected = _shape(input_shape, data_format)
    if not hasattr(mask, "shape"):
        mask = _as_array(mask, expected)
    shape = tuple(mask.shape)
    if not is_of_channels(mask, input_shape, data_format) and not (
        1 <= len(shape) <= len(expected) and _fits(shape, expected)
    ):
        raise _misfit(expected, f"mask.shape={shape}")
    return ops.cast(mask, "bool")


def is_of_channels(mask: Tensor, input_shape: Any, data_format: str) -> bool:
    """Whether a mask says which channels are real, and not which steps.

    `keras.layers.Masking` looks at the last axis of a tensor. Where channels
    come first, that leaves a mask of the shape `(batch, channels)`, or
    `(batch, channels, height)`. If there are as many steps as channels, it
    cannot be told from a mask of steps, and is taken for one.
    """
    shape, inputs = tuple(mask.shape), tuple(input_shape)
    if data_format != "channels_first" or len(shape) != len(inputs) - 1:
        return False
    of_steps = _shape(inputs, data_format)
    return (
        shape[1] is not None
        and shape[1] == inputs[1]
        and _fits(shape, inputs)
        and (of_steps[1] is None or not _fits(shape, of_steps))
    )


def zero_masked(inputs: Tensor, mask: Tensor, data_format: str) -> Tensor:
    """Zeros in place of what is masked, so that it contributes nothing.

    Args:
        inputs: Tensor of shape `(batch, *steps, channels)`, or
            `(batch, channels, *steps)` if `data_format="channels_first"`.
        mask: What `checked` returns.
        data_format: `"channels_last"` or `"channels_first"`.
    """
    if data_format == "channels_first" and not is_of_channels(
        mask, inputs.shape, data_format
    ):
        mask = ops.expand_dims(mask, 1)
    for _ in range(len(inputs.shape) - len(mask.shape)):
        mask = ops.expand_dims(mask, -1)
    # Not a product, so that NaN in the padding of a batch goes too.
    return ops.where(mask, inputs, ops.zeros((), dtype=inputs.dtype))


def output_mask(
    mask: Tensor, axes: tuple[Axis, ...], output_size: tuple[Any, ...] | None
) -> Tensor:
    """Which output steps are real.

    With `"same"` and `"causal"`, those in the place of real input steps: the
    mask with each step repeated `strides` times. Otherwise those that a real
    input step contributes to. Neither has more real steps than the output of
    the real inputs alone would have: what the layer crops off the end of the
    whole, it would crop off their end.

    Args:
        mask: What `checked` returns. Without axes of steps it is for whole
            samples, and stays as it is.
        axes: The axes of the layer.
        output_size: The steps that are asked for, one per axis, or None.
    """
    axes = axes[: len(mask.shape) - 1]
    if not axes:
        return mask
    if output_size is not None:
        output_size = output_size[: len(axes)]
    repeats = axes[0].padding in ("same", "causal")
    real = (_repeated if repeats else _contributed)(mask, axes, output_size)
    for number, axis in enumerate(axes):
        size = None if output_size is None else output_size[number]
        # Where steps are repeated, only the default length can be short.
        crops = (
            size is None and _excess(axis) < 0
            if repeats
            else max(axis.crop) > 0
        )
        if crops:
            span = _span(_any_along(mask, number), axis, size)
            for _ in range(number):
                span = ops.expand_dims(span, 1)
            for _ in range(len(axes) - number - 1):
                span = ops.expand_dims(span, -1)
            real = ops.logical_and(real, span)
    return real


def _as_array(mask: Any, expected: Shape) -> Any:
    try:
        return np.asarray(mask)
    except ValueError as error:
        # Lists of several lengths.
        raise _misfit(expected, f"mask={mask!r}") from error


def _misfit(expected: Shape, received: str) -> ValueError:
    return ValueError(
        "`mask` must have the shape (batch, *steps) of the inputs, "
        f"{expected}, or the first axes of it. Received: {received}."
    )


def _shape(input_shape: Any, data_format: str) -> Shape:
    """The shape of a mask of all steps."""
    return (input_shape[0], *spatial(input_shape, data_format))


def _fits(shape: Shape, expected: Shape) -> bool:
    return all(
        None in (n, wanted) or n == wanted
        for n, wanted in zip(shape, expected, strict=False)
    )


def _repeated(
    mask: Tensor, axes: tuple[Axis, ...], output_size: tuple[Any, ...] | None
) -> Tensor:
    for number, axis in enumerate(axes):
        mask = ops.repeat(mask, axis.stride, axis=number + 1)
    if output_size is None:
        # Short by the same number of steps for every input.
        lengths = [_excess(axis) or None for axis in axes]
    else:
        lengths = list(output_size)
    return mask[(slice(None), *(slice(length) for length in lengths))]


def _contributed(
    mask: Tensor, axes: tuple[Axis, ...], output_size: tuple[Any, ...] | None
) -> Tensor:
    # The public function, because a mask may be symbolic. Its values count
    # the real steps that reach a step.
    contributors = conv_transpose(
        ops.expand_dims(ops.cast(mask, "float32"), -1),
        np.ones((*(axis.kernel_size for axis in axes), 1, 1), "float32"),
        strides=tuple(axis.stride for axis in axes),
        padding=tuple(axis.crop for axis in axes),
        data_format="channels_last",
        dilation_rate=tuple(axis.dilation_rate for axis in axes),
        output_size=output_size,
    )
    return ops.squeeze(contributors, axis=-1) > 0.5


def _any_along(mask: Tensor, number: int) -> Tensor:
    """Whether anything is real at a step of one axis: (batch, steps)."""
    others = [n for n in range(1, len(mask.shape)) if n != number + 1]
    return ops.any(mask, axis=others) if others else mask


def _excess(axis: Axis) -> int:
    """Output steps beyond `stride` for each input step, or short of them."""
    return axis.output_steps(1) - axis.stride


def _span(mask: Tensor, axis: Axis, output_size: Any) -> Tensor:
    """The outputs of the inputs from the first to the last real one, alone.

    Args:
        mask: Bool tensor of shape `(batch, steps)`.
        axis: The axis.
        output_size: The steps that are asked for, or None.

    Returns:
        Bool tensor of shape `(batch, output_steps)`.
    """
    count = ops.cumsum(ops.cast(mask, "int32"), axis=1)
    total = count[:, -1:]
    # From the first real step on, and up to the last one.
    begun = count > 0
    last = ops.logical_or(total > count, mask)
    excess = _excess(axis)
    if output_size is not None:
        excess = axis.output_sizes(1).start - axis.stride
    begun = _resized(ops.repeat(begun, axis.stride, axis=1), total, excess)
    # Its end moves, where its beginning does not.
    last = ops.repeat(last, axis.stride, axis=1)
    if excess < 0:
        last = last[:, -excess:]
    elif excess > 0:
        last = ops.concatenate(
            [ops.repeat(total > 0, excess, axis=1), last], axis=1
        )
    span = ops.logical_and(begun, last)
    if output_size is None:
        return span
    if axis.stride > 1:
        # The whole may have more, of which its last step is the reason.
        more = ops.repeat(mask[:, -1:], axis.stride - 1, axis=1)
        span = ops.concatenate([span, more], axis=1)
    return span[:, :output_size]


def _resized(begun: Tensor, total: Tensor, excess: int) -> Tensor:
    if excess < 0:
        return begun[:, :excess]
    if excess == 0:
        return begun
    more = ops.repeat(total > 0, excess, axis=1)
    return ops.concatenate([begun, more], axis=1)


class AttachMask(keras.layers.Layer):
    """The first of two inputs, with the second as its mask."""

    def __init__(self) -> None:
        # Without `autocast`, which would change the dtype of the outputs.
        super().__init__(name="attach_mask", autocast=False)
        self.supports_masking = True

    def call(self, inputs: tuple[Tensor, Tensor]) -> Tensor:
        return inputs[0]

    def compute_mask(
        self, inputs: tuple[Tensor, Tensor], previous_mask: Any = None
    ) -> Tensor:
        del previous_mask
        return inputs[1]


ATTACH_MASK = AttachMask()


def attach(outputs: Tensor, mask: Tensor) -> Tensor:
    """`outputs` with `mask`, by the one public way that all backends have."""
    return ATTACH_MASK((outputs, mask))
