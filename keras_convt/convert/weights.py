"""What all conversions share: arrays of other frameworks, and built layers.

Nothing of the other frameworks is imported: a module is known by its
attributes, and its weights are read as NumPy arrays. So it does not matter
which Keras backend is active.
"""

from typing import Any

import keras
import numpy as np

from keras_convt.geometry import channel_axis
from keras_convt.layers import BY_RANK as LAYERS
from keras_convt.layers.base import BaseTranspose


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


def from_torch_layout(weight: np.ndarray) -> np.ndarray:
    """(channels, filters, *kernel_size) to (*kernel_size, filters, channels)"""
    return np.moveaxis(weight, (0, 1), (-1, -2))


def as_array(tensor: Any) -> np.ndarray:
    """A NumPy array, of its own, of a tensor of any framework."""
    if hasattr(tensor, "detach"):
        tensor = tensor.detach().cpu()
        if "bfloat16" in str(tensor.dtype):
            # NumPy has none. All its values are float32 too.
            tensor = tensor.float()
    return np.array(tensor)


def built_layer(kernel: np.ndarray, bias: Any, **arguments: Any) -> Any:
    """A built layer with these weights."""
    rank = kernel.ndim - 2
    if rank not in LAYERS:
        raise ValueError(
            f"`module` must have one to three axes of steps. Received: {rank}."
        )
    if not np.issubdtype(kernel.dtype, np.floating):
        raise ValueError(
            "`module` must have real weights: no layer computes with others. "
            f"Received: dtype={kernel.dtype}."
        )
    layer = LAYERS[rank](
        kernel_size=kernel.shape[:-2],
        use_bias=bias is not None,
        dtype=keras.backend.standardize_dtype(kernel.dtype),
        **arguments,
    )
    assign_weights(layer, kernel, bias)
    return layer


def assign_weights(layer: BaseTranspose, kernel: np.ndarray, bias: Any) -> None:
    """Set the weights of a layer; build it, if need be."""
    if layer.use_bias != (bias is not None):
        raise ValueError(
            "`bias` must be given for a layer with a bias, and only for one. "
            f"Received: use_bias={layer.use_bias}, "
            f"bias={'None' if bias is None else 'an array'}."
        )
    if not layer.built:
        shape: list[int | None] = [None] * kernel.ndim
        shape[channel_axis(layer.data_format)] = kernel.shape[-1]
        layer.build(tuple(shape))
    _assign_one(layer.kernel, kernel, "weight")
    if bias is not None:
        _assign_one(layer.bias, as_array(bias), "bias")


def _assign_one(variable: Any, value: np.ndarray, name: str) -> None:
    expected = tuple(variable.shape)
    if value.shape != expected:
        if name == "weight":
            value, expected = (
                np.moveaxis(value, (-1, -2), (0, 1)),
                (*expected[:-3:-1], *expected[:-2]),
            )
        raise ValueError(
            f"`{name}` must have the shape {expected} for this layer. "
            f"Received: {name}.shape={value.shape}."
        )
    variable.assign(value)
