"""Layers from those of Equinox, with their weights."""

from typing import Any

import numpy as np

from keras_convt.convert import layouts
from keras_convt.convert.plain import Pairs, plain_layer
from keras_convt.convert.weights import (
    as_array,
    built_layer,
    refuse_strides_with_dilation,
)
from keras_convt.geometry import effective_kernel
from keras_convt.layers import BY_RANK


def from_equinox(
    module: Any,
    data_format: str | None = None,
    *,
    name: str | None = None,
    dtype: Any = None,
    activation: Any = None,
    implementation: str = "auto",
) -> Any:
    """The layer that computes the same as a convolution of Equinox.

    The module takes one signal without a batch axis. The layer takes a batch.

    Args:
        module: An `equinox.nn.ConvTranspose` or `equinox.nn.Conv`, or one of
            their subclasses of one rank.
        data_format: `"channels_last"`, or `"channels_first"`, which is
            Equinox's. `None` is the `image_data_format` of your Keras config.
        name: Name of the layer. `None` lets Keras choose one.
        dtype: Dtype or dtype policy of the layer. `None` is Keras's global
            policy, whatever the dtype of the module is.
        activation: Activation function of the layer. If `None`, none is
            applied.
        implementation: How a transposed layer computes, as in
            `keras_convt.Conv1DTranspose`. Defaults to `"auto"`.

    Returns:
        A built layer. For a transposed module, it is a
        `keras_convt.Conv1DTranspose`, `Conv2DTranspose` or `Conv3DTranspose`.
        For a plain one, it is a `keras.layers.Conv1D`, `Conv2D` or `Conv3D`.
        If Keras does not have the padding of a plain module, it is a
        `keras.Sequential` of a `ZeroPadding` layer and the convolution.

    Raises:
        TypeError: If `module` is not such a module.
        ValueError: If no layer computes the same: for a `padding_mode` other
            than `"ZEROS"`, a negative padding before the input, strides
            together with dilation, or more than three axes. A plain module is
            also refused for `"SAME_LOWER"` with strides.

    Example:

    ```python
    layer = keras_convt.from_equinox(
        equinox.nn.ConvTranspose1d(64, 32, 4, 2, key=jax.random.key(0))
    )
    ```
    """
    transposed = _is_transposed(module)
    refuse_strides_with_dilation(
        module.stride, module.dilation, "stride", "dilation", module
    )
    weight = as_array(module.weight)
    bias = None if module.bias is None else as_array(module.bias).reshape(-1)
    given: dict[str, Any] = {
        "filters": weight.shape[0],
        "strides": tuple(module.stride),
        "dilation_rate": tuple(module.dilation),
        "groups": module.groups,
        "data_format": data_format,
        "name": name,
        "dtype": dtype,
        "activation": activation,
        "implementation": implementation,
    }
    if not transposed:
        return plain_layer(
            layouts.swap(weight), bias, _plain_padding(module), **given
        )
    if module.padding_mode != "ZEROS":
        raise ValueError(
            "`module` must have padding_mode='ZEROS': no layer wraps around. "
            f"Received: padding_mode={module.padding_mode!r}."
        )
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
        bias,
        BY_RANK,
        padding=pairs,
        output_padding=more,
        **given,
    )


def _is_transposed(module: Any) -> bool:
    """Whether a module is a transposed convolution, and not a plain one."""
    needed = ("num_spatial_dims", "stride", "dilation", "groups", "weight")
    if not all(hasattr(module, name) for name in needed):
        raise TypeError(
            "`module` must be an equinox.nn.ConvTranspose or an "
            f"equinox.nn.Conv. Received: module={module!r} of type "
            f"{type(module).__name__}."
        )
    return hasattr(module, "output_padding")


def _plain_padding(module: Any) -> str | Pairs:
    """The padding of a plain module: Keras's name of it, or zeros."""
    padding = module.padding
    pads = padding.startswith("SAME") if isinstance(padding, str) else padding
    if module.padding_mode != "ZEROS" and np.any(pads):
        raise ValueError(
            "`module` must have padding_mode='ZEROS'. Pad with "
            "`keras.ops.pad(x, ..., mode=...)`, and convert with `padding=0`. "
            f"Received: padding_mode={module.padding_mode!r}."
        )
    if not isinstance(padding, str):
        return tuple((left, right) for left, right in padding)
    if padding != "SAME_LOWER":
        # Keras's have the same zeros, also with strides.
        return padding.lower()
    if max(module.stride) > 1:
        raise ValueError(
            "`module` must not have the padding 'SAME_LOWER' with a stride: "
            "Keras has no name for it, and the zeros depend on the input. "
            f"Give them as numbers. Received: stride={module.stride}."
        )
    reach = [
        effective_kernel(k, d) - 1
        for k, d in zip(module.kernel_size, module.dilation, strict=True)
    ]
    return tuple((r - r // 2, r // 2) for r in reach)


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
