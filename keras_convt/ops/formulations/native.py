"""The backend's own transposed convolution."""

from typing import Any

import keras
from keras import ops

from keras_convt.ops.adapters import (
    tensorflow_conv_transpose,
    torch_conv_transpose,
)
from keras_convt.ops.formulations.by_group import one_after_another
from keras_convt.ops.formulations.taps import Crops, Sizes, dilate
from keras_convt.ops.window import finish


def native(
    inputs: Any,
    kernel: Any,
    bias: Any,
    strides: Sizes,
    dilation_rate: Sizes,
    groups: int,
    crops: Crops,
) -> Any:
    """The backend's own transposed convolution, and our window of it.

    Never Keras's "same" of a backend, whose values differed between backends
    and versions. Where the backend has no groups they are computed one after
    another, and where it has no dilation, that becomes zeros in the kernel.
    """
    backend = keras.backend.backend()
    if backend == "torch":
        return torch_conv_transpose(
            inputs, kernel, bias, strides, dilation_rate, groups, crops
        )
    if groups > 1:
        return one_after_another(
            native, inputs, kernel, bias, strides, dilation_rate, groups, crops
        )
    kernel = dilate(kernel, dilation_rate)
    if backend == "tensorflow":
        return tensorflow_conv_transpose(inputs, kernel, bias, strides, crops)
    outputs = ops.conv_transpose(
        inputs,
        kernel,
        strides=strides,
        padding="valid",
        # The plain sum. By default zeros are appended where the stride is
        # above the kernel, which the window does itself.
        output_padding=(0,) * len(strides),
        data_format="channels_last",
    )
    return finish(outputs, crops, bias)
