"""The backend's own transposed convolution."""

from keras_convt.ops.backend import backend
from keras_convt.ops.formulations.by_group import by_group
from keras_convt.ops.formulations.taps import dilate
from keras_convt.ops.types import Crops, Sizes, Tensor


def native(
    inputs: Tensor,
    kernel: Tensor,
    bias: Tensor | None,
    strides: Sizes,
    dilation_rate: Sizes,
    groups: int,
    crops: Crops,
) -> Tensor:
    """The backend's own transposed convolution, and our window of it.

    Where the backend has no groups they are computed one after another, and
    where it has no dilation, that becomes zeros in the kernel.
    """
    if groups > 1 and not backend.transposes_groups:
        return by_group(
            inputs,
            kernel,
            bias,
            strides,
            dilation_rate,
            groups,
            crops,
            each=native,
        )
    if not backend.transposes_dilated and max(dilation_rate) > 1:
        kernel = dilate(kernel, dilation_rate)
        dilation_rate = (1,) * len(strides)
    return backend.conv_transpose(
        inputs, kernel, bias, strides, dilation_rate, groups, crops
    )
