"""Masks: which steps of a batch are real, before and after a layer."""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_convt.geometry import Axis
from keras_convt.ops.core import conv_transpose


def zero_masked(inputs: Any, mask: Any, data_format: str) -> Any:
    """Zeros in place of the masked steps, so that they contribute nothing.

    Args:
        inputs: Tensor of shape `(batch, *steps, channels)`, or
            `(batch, channels, *steps)` if `data_format="channels_first"`.
        mask: Bool tensor of the shape `(batch, *steps)`, or without the last
            axes of steps, which are then all real.
        data_format: `"channels_last"` or `"channels_first"`.
    """
    missing = len(inputs.shape) - 1 - len(mask.shape)
    if data_format == "channels_first":
        mask = ops.expand_dims(mask, 1)
    else:
        mask = ops.expand_dims(mask, -1)
    for _ in range(missing):
        mask = ops.expand_dims(mask, -1)
    # Not a product, so that NaN in the padding of a batch goes too.
    return ops.where(mask, inputs, ops.zeros((), dtype=inputs.dtype))


def output_mask(
    mask: Any, axes: tuple[Axis, ...], output_size: tuple[Any, ...] | None
) -> Any:
    """Which output steps are real.

    With `"same"` and `"causal"`, those in the place of real input steps: the
    mask with each step repeated `strides` times. Otherwise those that a real
    input step contributes to.
    """
    axes = axes[: len(mask.shape) - 1]
    if output_size is not None:
        output_size = output_size[: len(axes)]
    if axes[0].padding in ("same", "causal"):
        return _repeated(mask, axes, output_size)
    return _contributed(mask, axes, output_size)


def _repeated(
    mask: Any, axes: tuple[Axis, ...], output_size: tuple[Any, ...] | None
) -> Any:
    for number, axis in enumerate(axes):
        mask = ops.repeat(mask, axis.stride, axis=number + 1)
    if output_size is None:
        # Short by the same number of steps for every input.
        lengths = [axis.output_steps(1) - axis.stride or None for axis in axes]
    else:
        lengths = list(output_size)
    return mask[(slice(None), *(slice(length) for length in lengths))]


def _contributed(
    mask: Any, axes: tuple[Axis, ...], output_size: tuple[Any, ...] | None
) -> Any:
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


class AttachMask(keras.layers.Layer):
    """The first of two inputs, with the second as its mask."""

    def __init__(self) -> None:
        super().__init__(name="attach_mask")
        self.supports_masking = True

    def call(self, inputs: tuple[Any, Any]) -> Any:
        return inputs[0]

    def compute_mask(
        self, inputs: tuple[Any, Any], previous_mask: Any = None
    ) -> Any:
        del previous_mask
        return inputs[1]


def attach(outputs: Any, mask: Any) -> Any:
    """`outputs` with `mask`, by the one public way that all backends have."""
    return AttachMask()((outputs, mask))
