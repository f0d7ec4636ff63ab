"""Layers from those of PyTorch, Flax and Equinox, with their weights.

Nothing of theirs is imported: a module is known by its attributes, and its
weights are read as NumPy arrays. So it does not matter which Keras backend is
active.
"""

from typing import Any

import keras
import numpy as np

from keras_convt.arguments import sizes
from keras_convt.geometry import channel_axis, effective_kernel
from keras_convt.layers import (
    Conv1DTranspose,
    Conv2DTranspose,
    Conv3DTranspose,
)
from keras_convt.layers.base import BaseTranspose
from keras_convt.layers.base_conv_transpose import BaseConvTranspose

LAYERS = {1: Conv1DTranspose, 2: Conv2DTranspose, 3: Conv3DTranspose}


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
    _refuse_both(strides, rates, "stride", "dilation", module)
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
    return _layer(
        _transposed(weight),
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
    array = _array(weight)
    if array.ndim != layer.rank + 2:
        raise ValueError(
            f"`weight` must have {layer.rank + 2} axes, as `layer` is "
            f"{layer.rank}D. Received: weight.shape={array.shape}."
        )
    _assign(layer, _transposed(array), bias)


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
    g, v = _array(magnitude), _array(direction)
    if g.ndim not in (0, v.ndim):
        raise ValueError(
            "`magnitude` must be a scalar, or have as many axes as "
            f"`direction`. Received: magnitude.shape={g.shape}, "
            f"direction.shape={v.shape}."
        )
    normed = tuple(n for n in range(v.ndim) if g.ndim == 0 or g.shape[n] == 1)
    return g * v / np.sqrt(np.sum(v * v, axis=normed, keepdims=True))


def from_flax(module: Any, data_format: str | None = None) -> BaseConvTranspose:
    """The layer that computes what a `flax.nnx.ConvTranspose` does.

    Args:
        module: The module. Its mask, if it has one, is applied to the kernel.
        data_format: `"channels_last"`, which is Flax's, or
            `"channels_first"`. `None` is Keras's configured one.

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
    if not hasattr(module, "transpose_kernel"):
        raise TypeError(
            "`module` must be a flax.nnx.ConvTranspose. Received: "
            f"module={module!r} of type {type(module).__name__}."
        )
    kernel_size = tuple(module.kernel_size)
    rank = len(kernel_size)
    strides = sizes(_or_one(module.strides), rank, "strides")
    rates = sizes(_or_one(module.kernel_dilation), rank, "kernel_dilation")
    _refuse_both(strides, rates, "strides", "kernel_dilation", module)
    kernel = _array(module.kernel[...])
    if module.mask is not None:
        kernel = kernel * _array(module.mask).astype(kernel.dtype)
    if not module.transpose_kernel:
        # It is used as that of the convolution of the spread-out input:
        # turned round, with channels before filters.
        kernel = np.flip(np.swapaxes(kernel, -1, -2), tuple(range(rank)))
    return _layer(
        kernel,
        None if module.bias is None else module.bias[...],
        filters=module.out_features,
        strides=strides,
        padding=_flax_padding(module.padding, kernel_size, rates),
        dilation_rate=rates,
        data_format=data_format,
    )


def from_equinox(
    module: Any, data_format: str | None = None
) -> BaseConvTranspose:
    """The layer that computes what an `equinox.nn.ConvTranspose` does.

    The module takes one signal without a batch axis; the layer takes a batch.

    Args:
        module: The module.
        data_format: `"channels_last"`, or `"channels_first"`, which is
            Equinox's. `None` is Keras's configured one.

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
    _refuse_both(module.stride, module.dilation, "stride", "dilation", module)
    if module.padding_mode != "ZEROS":
        raise ValueError(
            "`module` must have padding_mode='ZEROS': no layer wraps around. "
            f"Received: padding_mode={module.padding_mode!r}."
        )
    weight = _array(module.weight)
    # (filters, channels // groups, *kernel_size), turned round, to
    # (channels, filters // groups, *kernel_size).
    filters, of_group, *kernel_size = weight.shape
    groups = module.groups
    weight = weight.reshape(groups, filters // groups, of_group, *kernel_size)
    weight = np.swapaxes(weight, 1, 2)
    weight = weight.reshape(groups * of_group, filters // groups, *kernel_size)
    weight = np.flip(weight, tuple(range(2, weight.ndim)))
    pairs, more = _equinox_padding(module)
    return _layer(
        _transposed(weight),
        None if module.bias is None else _array(module.bias).reshape(-1),
        filters=filters,
        strides=tuple(module.stride),
        padding=pairs,
        output_padding=more,
        dilation_rate=tuple(module.dilation),
        groups=groups,
        data_format=data_format,
    )


def _torch_weight(module: Any) -> np.ndarray:
    """The weight of a PyTorch module, normalized if it is a normalized one."""
    if hasattr(module, "weight_g") and hasattr(module, "weight_v"):
        # `weight` is that of the last forward pass, so maybe an old one.
        return fold_weight_norm(module.weight_g, module.weight_v)
    return _array(module.weight)


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


def _refuse_both(
    strides: Any, rates: Any, stride: str, dilation: str, module: Any
) -> None:
    if max(strides) > 1 and max(rates) > 1:
        raise ValueError(
            f"`module` must not have {stride} > 1 together with {dilation} > "
            "1: Keras's layers refuse them together. "
            "`keras_convt.ops.conv_transpose` takes both. Received: "
            f"module={module!r}."
        )


def _or_one(value: Any) -> Any:
    return 1 if value is None else value


def _transposed(weight: np.ndarray) -> np.ndarray:
    """(channels, filters, *kernel_size) to (*kernel_size, filters, channels)"""
    return np.moveaxis(weight, (0, 1), (-1, -2))


def _array(tensor: Any) -> np.ndarray:
    """A NumPy array, of its own, of a tensor of any framework."""
    if hasattr(tensor, "detach"):
        tensor = tensor.detach().cpu()
        if "bfloat16" in str(tensor.dtype):
            # NumPy has none. All its values are float32 too.
            tensor = tensor.float()
    return np.array(tensor)


def _layer(kernel: np.ndarray, bias: Any, **arguments: Any) -> Any:
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
    _assign(layer, kernel, bias)
    return layer


def _assign(layer: BaseTranspose, kernel: np.ndarray, bias: Any) -> None:
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
        _assign_one(layer.bias, _array(bias), "bias")


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
