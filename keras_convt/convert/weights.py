"""What all conversions share: arrays of other frameworks, and built layers.

Nothing of the other frameworks is imported: a module is known by its
attributes, and its weights are read as NumPy arrays. So it does not matter
which Keras backend is active.
"""

from typing import Any

import keras
import numpy as np
from keras import layers

from keras_convt.convert import layouts
from keras_convt.geometry import channel_axis
from keras_convt.layers import BY_RANK

TRANSPOSED = BY_RANK
PLAIN = {1: layers.Conv1D, 2: layers.Conv2D, 3: layers.Conv3D}


def refuse_strides_with_dilation(
    strides: Any, rates: Any, stride: str, dilation: str, module: Any
) -> None:
    """Refuse the two together, by the names that `module` has for them."""
    if max(strides) > 1 and max(rates) > 1:
        raise ValueError(
            f"`module` must not have {stride} > 1 together with {dilation} > "
            "1: Keras's layers refuse them together. "
            "`keras_convt.ops.conv_transpose` takes both. Received: "
            f"module={module!r}."
        )


def or_one(value: Any) -> Any:
    """The value, or 1 where other frameworks have None for it."""
    return 1 if value is None else value


def as_array(tensor: Any) -> np.ndarray:
    """A NumPy array, of its own, of a tensor of any framework."""
    if hasattr(tensor, "detach"):
        tensor = tensor.detach().cpu()
        if "bfloat16" in str(tensor.dtype):
            # NumPy has none. All its values are float32 too.
            tensor = tensor.float()
    return np.array(tensor)


def built_layer(
    kernel: np.ndarray, bias: Any, classes: dict[int, Any], **arguments: Any
) -> Any:
    """A built layer with these weights.

    Args:
        kernel: The kernel, as Keras has it.
        bias: The bias, or None.
        classes: `keras_convt.layers.BY_RANK` or `PLAIN`.
        **arguments: Of the layer, except its kernel size.
    """
    rank = kernel.ndim - 2
    if rank not in classes:
        raise ValueError(
            f"`module` must have one to three axes of steps. Received: {rank}."
        )
    # NumPy knows bfloat16 as JAX has it by name alone.
    if not (
        np.issubdtype(kernel.dtype, np.floating)
        or kernel.dtype.name == "bfloat16"
    ):
        raise ValueError(
            "`module` must have real weights: no layer computes with others. "
            f"Received: dtype={kernel.dtype}."
        )
    layer = classes[rank](
        kernel_size=kernel.shape[:-2], use_bias=bias is not None, **arguments
    )
    assign_weights(layer, kernel, bias)
    return layer


def assign_weights(layer: Any, kernel: np.ndarray, bias: Any) -> None:
    """Set the weights of a layer; build it, if need be.

    Args:
        layer: A convolution, transposed or not.
        kernel: The kernel, as Keras has it.
        bias: The bias, or None.
    """
    if layer.use_bias != (bias is not None):
        raise ValueError(
            "`bias` must be given for a layer with a bias, and only for one. "
            f"Received: use_bias={layer.use_bias}, "
            f"bias={'None' if bias is None else 'an array'}."
        )
    expected = layouts.kernel_shape(layer, kernel)
    if kernel.shape != expected:
        shape = layouts.torch_shape(layer, kernel.shape)
        raise ValueError(
            f"`weight` must have the shape "
            f"{layouts.torch_shape(layer, expected)} for this layer. "
            f"Received: weight.shape={shape}."
        )
    filters = layouts.filters(layer, kernel)
    if bias is not None:
        bias = as_array(bias)
        if bias.shape != (filters,):
            raise ValueError(
                f"`bias` must have the shape {(filters,)} for this layer. "
                f"Received: bias.shape={bias.shape}."
            )
    if not layer.built:
        inputs: list[int | None] = [None] * kernel.ndim
        inputs[channel_axis(layer.data_format)] = layouts.channels(
            layer, kernel
        )
        layer.build(tuple(inputs))
    if not isinstance(layer.kernel, keras.Variable):
        raise ValueError(
            f"`layer` must have a kernel of its own, without LoRA and "
            f"quantization. Received: layer={layer.name!r}."
        )
    layer.kernel.assign(kernel)
    if bias is not None:
        layer.bias.assign(bias)
