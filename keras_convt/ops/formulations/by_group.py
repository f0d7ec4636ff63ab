"""Groups: a formulation for one, applied to one after another."""

from collections.abc import Callable
from typing import Any

from keras import ops

from keras_convt.ops.formulations.taps import Crops, Sizes
from keras_convt.ops.window import finish


def one_after_another(
    formulation: Callable[..., Any],
    inputs: Any,
    kernel: Any,
    bias: Any,
    strides: Sizes,
    dilation_rate: Sizes,
    groups: int,
    crops: Crops,
) -> Any:
    """A `formulation` for one group, applied to each of several."""
    outputs = [
        formulation(*group, None, strides, dilation_rate, 1, crops)
        for group in zip(
            ops.split(inputs, groups, axis=-1),
            ops.split(kernel, groups, axis=-1),
            strict=True,
        )
    ]
    together = ops.concatenate(outputs, axis=-1)
    return finish(together, ((0, 0),) * len(strides), bias)
