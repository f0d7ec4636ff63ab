"""Groups: a formulation for one, applied to one after another."""

from collections.abc import Callable

from keras import ops

from keras_convt.ops.backend import backend
from keras_convt.ops.types import Crops, Sizes, Tensor


def by_group(
    inputs: Tensor,
    kernel: Tensor,
    bias: Tensor | None,
    strides: Sizes,
    dilation_rate: Sizes,
    groups: int,
    crops: Crops,
    each: Callable[..., Tensor],
) -> Tensor:
    """One group after another, each as a layer of its own would be.

    Args:
        each: The formulation that is applied to each group.
    """
    outputs = [
        each(*group, None, strides, dilation_rate, 1, crops)
        for group in zip(
            ops.split(inputs, groups, axis=-1),
            ops.split(kernel, groups, axis=-1),
            strict=True,
        )
    ]
    together = ops.concatenate(outputs, axis=-1)
    return together if bias is None else backend.add_bias(together, bias)
