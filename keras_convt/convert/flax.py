"""Layers from those of Flax, with their weights."""

from typing import Any

import numpy as np

from keras_convt.arguments import sizes
from keras_convt.convert.weights import (
    as_array,
    built_layer,
    or_one,
    refuse_strides_with_dilation,
)
from keras_convt.geometry import effective_kernel
from keras_convt.layers import BY_RANK
from keras_convt.layers.base_conv_transpose import BaseConvTranspose


def from_flax(
    module: Any,
    data_format: str | None = None,
    *,
    name: str | None = None,
    dtype: Any = None,
    activation: Any = None,
    implementation: str = "auto",
) -> BaseConvTranspose:
    """The layer that computes what a `flax.nnx.ConvTranspose` does.

    Args:
        module: The module. Its mask, if it has one, is applied to the kernel.
        data_format: `"channels_last"`, which is Flax's, or
            `"channels_first"`. `None` is Keras's configured one.
        name: Name of the layer. `None` lets Keras choose one.
        dtype: Dtype or dtype policy of the layer. `None` is Keras's global
            policy, whatever the dtype of the module.
        activation: Activation function of the layer. `None` is none.
        implementation: How the layer computes, as in
            `keras_convt.Conv1DTranspose`. Defaults to `"auto"`.

    Returns:
        A built layer of the module's rank.

    Raises:
        TypeError: If `module` is no such module.
        ValueError: If no layer is equal to it: padding `"CIRCULAR"` or
            `"CAUSAL"`, padding of more than `ke - 1` before the input,
            strides together with dilation, or more than three axes.

    Example:

    ```python
    layer = keras_convt.from_flax(
        flax.nnx.ConvTranspose(64, 32, 4, 2, rngs=flax.nnx.Rngs(0))
    )
    ```
    """
    if type(module).__module__.startswith("flax.linen"):
        raise TypeError(
            "`module` must be a flax.nnx.ConvTranspose. One of flax.linen has "
            "no weights of its own: build the flax.nnx.ConvTranspose of the "
            "same arguments, and give it the kernel and the bias. "
            f"Received: module={module!r}."
        )
    if not hasattr(module, "transpose_kernel"):
        raise TypeError(
            "`module` must be a flax.nnx.ConvTranspose. Received: "
            f"module={module!r} of type {type(module).__name__}."
        )
    kernel_size = tuple(module.kernel_size)
    rank = len(kernel_size)
    strides = sizes(or_one(module.strides), rank, "strides")
    rates = sizes(or_one(module.kernel_dilation), rank, "kernel_dilation")
    refuse_strides_with_dilation(
        strides, rates, "strides", "kernel_dilation", module
    )
    kernel = as_array(module.kernel[...])
    if module.mask is not None:
        kernel = kernel * as_array(module.mask).astype(kernel.dtype)
    if not module.transpose_kernel:
        # It is used as that of the convolution of the spread-out input:
        # turned round, with channels before filters.
        kernel = np.flip(np.swapaxes(kernel, -1, -2), tuple(range(rank)))
    return built_layer(
        kernel,
        None if module.bias is None else module.bias[...],
        BY_RANK,
        filters=module.out_features,
        strides=strides,
        padding=_flax_padding(module.padding, kernel_size, rates),
        dilation_rate=rates,
        data_format=data_format,
        name=name,
        dtype=dtype,
        activation=activation,
        implementation=implementation,
    )


def _flax_padding(
    padding: Any, kernel_size: tuple[int, ...], rates: tuple[int, ...]
) -> Any:
    """The layer's padding for one of `lax.conv_transpose`."""
    rank = len(kernel_size)
    if isinstance(padding, str):
        if padding not in ("VALID", "SAME"):
            raise ValueError(
                "`module` must have the padding 'VALID', 'SAME' or numbers: "
                "no layer is equal to the others. Received: "
                f"padding={padding!r}."
            )
        # The layer's have the same crops.
        return padding.lower()
    if isinstance(padding, int):
        padding = (padding,) * rank
    pads = [(p, p) if isinstance(p, int) else tuple(p) for p in padding]
    # All of the full sum is there with ke - 1 zeros on both sides.
    reach = [
        effective_kernel(k, d) - 1
        for k, d in zip(kernel_size, rates, strict=True)
    ]
    if any(low > r for (low, _), r in zip(pads, reach, strict=True)):
        raise ValueError(
            "`module` must have a padding of at most (kernel_size - 1) * "
            "kernel_dilation before the input: no layer appends zeros "
            f"before its output. Received: padding={padding!r}, "
            f"kernel_size={kernel_size}, kernel_dilation={rates}."
        )
    return tuple(
        (r - low, r - high) for (low, high), r in zip(pads, reach, strict=True)
    )
