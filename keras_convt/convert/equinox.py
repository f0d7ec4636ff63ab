"""Layers from those of Equinox, with their weights."""

from typing import Any

import numpy as np

from keras_convt.convert import layouts
from keras_convt.convert.weights import (
    as_array,
    built_layer,
    refuse_strides_with_dilation,
)
from keras_convt.geometry import effective_kernel
from keras_convt.layers import BY_RANK
from keras_convt.layers.base_conv_transpose import BaseConvTranspose


def from_equinox(
    module: Any,
    data_format: str | None = None,
    *,
    name: str | None = None,
    dtype: Any = None,
    activation: Any = None,
    implementation: str = "auto",
) -> BaseConvTranspose:
    """The layer that computes what an `equinox.nn.ConvTranspose` does.

    The module takes one signal without a batch axis; the layer takes a batch.

    Args:
        module: The module.
        data_format: `"channels_last"`, or `"channels_first"`, which is
            Equinox's. `None` is Keras's configured one.
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
        ValueError: If no layer is equal to it: `padding_mode="CIRCULAR"`,
            a negative padding before the input, strides together with
            dilation, or more than three axes.

    Example:

    ```python
    layer = keras_convt.from_equinox(
        equinox.nn.ConvTranspose1d(64, 32, 4, 2, key=jax.random.key(0))
    )
    ```
    """
    if not all(
        hasattr(module, name) for name in ("num_spatial_dims", "output_padding")
    ):
        raise TypeError(
            "`module` must be an equinox.nn.ConvTranspose. Received: "
            f"module={module!r} of type {type(module).__name__}."
        )
    refuse_strides_with_dilation(
        module.stride, module.dilation, "stride", "dilation", module
    )
    if module.padding_mode != "ZEROS":
        raise ValueError(
            "`module` must have padding_mode='ZEROS': no layer wraps around. "
            f"Received: padding_mode={module.padding_mode!r}."
        )
    weight = as_array(module.weight)
    # (filters, channels // groups, *kernel_size), turned round, to
    # (channels, filters // groups, *kernel_size).
    filters, of_group, *kernel_size = weight.shape
    groups = module.groups
    weight = weight.reshape(groups, filters // groups, of_group, *kernel_size)
    weight = np.swapaxes(weight, 1, 2)
    weight = weight.reshape(groups * of_group, filters // groups, *kernel_size)
    weight = np.flip(weight, tuple(range(2, weight.ndim)))
    pairs, more = _equinox_padding(module)
    return built_layer(
        layouts.swap(weight),
        None if module.bias is None else as_array(module.bias).reshape(-1),
        BY_RANK,
        filters=filters,
        strides=tuple(module.stride),
        padding=pairs,
        output_padding=more,
        dilation_rate=tuple(module.dilation),
        groups=groups,
        data_format=data_format,
        name=name,
        dtype=dtype,
        activation=activation,
        implementation=implementation,
    )


def _equinox_padding(module: Any) -> tuple[Any, tuple[int, ...] | None]:
    """The layer's padding and output_padding for Equinox's."""
    more = tuple(module.output_padding)
    if module.padding == "VALID":
        return ((0, 0),) * len(more), more
    if not isinstance(module.padding, str):
        pairs = tuple(tuple(pair) for pair in module.padding)
        if any(left < 0 for left, _ in pairs):
            raise ValueError(
                "`module` must have no negative padding before the input: no "
                "layer appends zeros before its output. Received: "
                f"padding={module.padding!r}."
            )
        return pairs, more
    crops = []
    lower = int(module.padding == "SAME_LOWER")
    for k, s, d, o in zip(
        module.kernel_size, module.stride, module.dilation, more, strict=True
    ):
        total = effective_kernel(k, d) - s + o
        left = (max(total, 0) + lower) // 2
        crops.append((left, total - left))
    return tuple(crops), None
