"""Layers from those of PyTorch, with their weights."""

from typing import Any

import numpy as np

from keras_convt.convert.weights import (
    as_array,
    assign_weights,
    built_layer,
    from_torch_layout,
    refuse_strides_with_dilation,
)
from keras_convt.layers.base import BaseTranspose
from keras_convt.layers.base_conv_transpose import BaseConvTranspose


def from_torch(
    module: Any, data_format: str | None = None
) -> BaseConvTranspose:
    """The layer that computes what a PyTorch module does.

    Args:
        module: A `torch.nn.ConvTranspose1d`, `2d` or `3d`. One with weight
            normalization, by `torch.nn.utils.parametrizations.weight_norm`
            or the older `torch.nn.utils.weight_norm`, gives a layer whose
            kernel is the normalized weight.
        data_format: `"channels_last"` or `"channels_first"`, which is
            PyTorch's. `None` is Keras's configured one.

    Returns:
        A built `keras_convt.Conv1DTranspose`, `Conv2DTranspose` or
        `Conv3DTranspose`, in the dtype of the module.

    Raises:
        TypeError: If `module` is no such module.
        ValueError: If no layer is equal to it: `stride > 1` together with
            `dilation > 1`, or complex weights.

    Example:

    ```python
    decoder = keras_convt.from_torch(torch.nn.ConvTranspose1d(64, 32, 4, 2, 1))
    ```
    """
    if not getattr(module, "transposed", False) or not hasattr(
        module, "output_padding"
    ):
        raise TypeError(
            "`module` must be a torch.nn.ConvTranspose1d, 2d or 3d. "
            f"Received: module={module!r} of type {type(module).__name__}."
        )
    lazy = getattr(module, "has_uninitialized_params", None)
    if lazy is not None and lazy():
        raise ValueError(
            "`module` must have its weights: call a lazy one once, before. "
            f"Received: module={module!r}."
        )
    weight = _torch_weight(module)
    strides, rates = tuple(module.stride), tuple(module.dilation)
    refuse_strides_with_dilation(strides, rates, "stride", "dilation", module)
    pairs = [(p, p) for p in module.padding]
    output_padding = tuple(module.output_padding)
    more: tuple[int, ...] | None = output_padding
    if any(o >= s for o, s in zip(output_padding, strides, strict=True)):
        # PyTorch allows it with a dilation. As a crop, so does the layer.
        pairs = [
            (p, p - o)
            for p, o in zip(module.padding, output_padding, strict=True)
        ]
        more = None
    return built_layer(
        from_torch_layout(weight),
        module.bias,
        filters=module.out_channels,
        strides=strides,
        padding=tuple(pairs),
        output_padding=more,
        dilation_rate=rates,
        groups=module.groups,
        data_format=data_format,
    )


def load_torch_weights(
    layer: BaseTranspose, weight: Any, bias: Any = None
) -> None:
    """Load what a PyTorch `state_dict` has for a transposed convolution.

    Args:
        layer: A `keras_convt` transposed convolution layer, depthwise or not.
            If it is not built yet, the weights build it.
        weight: The weight, as PyTorch has it, of shape
            `(channels, filters // groups, *kernel_size)`. For that of weight
            normalization see `fold_weight_norm`.
        bias: The bias, of shape `(filters,)`, or `None`.

    Raises:
        ValueError: If a shape is not what the layer needs, or if only one of
            the two has a bias.

    Example:

    >>> import numpy as np
    >>> import keras_convt
    >>> layer = keras_convt.Conv1DTranspose(3, 4, 2)
    >>> state = {"weight": np.ones((8, 3, 4)), "bias": np.zeros(3)}
    >>> keras_convt.load_torch_weights(layer, state["weight"], state["bias"])
    >>> tuple(layer.kernel.shape)
    (4, 3, 8)
    """
    array = as_array(weight)
    if array.ndim != layer.rank + 2:
        raise ValueError(
            f"`weight` must have {layer.rank + 2} axes, as `layer` is "
            f"{layer.rank}D. Received: weight.shape={array.shape}."
        )
    assign_weights(layer, from_torch_layout(array), bias)


def fold_weight_norm(magnitude: Any, direction: Any) -> np.ndarray:
    """The weight that PyTorch's weight normalization stands for.

    Args:
        magnitude: `weight_g`, or `parametrizations.weight.original0`. Its
            axes of size 1 are those that the norm was taken over.
        direction: `weight_v`, or `parametrizations.weight.original1`.

    Returns:
        The weight, as an array: `magnitude * direction / |direction|`.

    Example:

    >>> import numpy as np
    >>> import keras_convt
    >>> keras_convt.fold_weight_norm(np.full((1, 1, 1), 10.0),
    ...                              np.array([[[3.0, 4.0]]])).tolist()
    [[[6.0, 8.0]]]
    """
    g, v = as_array(magnitude), as_array(direction)
    if g.ndim not in (0, v.ndim):
        raise ValueError(
            "`magnitude` must be a scalar, or have as many axes as "
            f"`direction`. Received: magnitude.shape={g.shape}, "
            f"direction.shape={v.shape}."
        )
    normed = tuple(n for n in range(v.ndim) if g.ndim == 0 or g.shape[n] == 1)
    return g * v / np.sqrt(np.sum(v * v, axis=normed, keepdims=True))


def _torch_weight(module: Any) -> np.ndarray:
    """The weight of a PyTorch module, normalized if it is a normalized one."""
    if hasattr(module, "weight_g") and hasattr(module, "weight_v"):
        # `weight` is that of the last forward pass, so maybe an old one.
        return fold_weight_norm(module.weight_g, module.weight_v)
    return as_array(module.weight)
