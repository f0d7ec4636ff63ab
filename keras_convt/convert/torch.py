"""Layers from those of PyTorch, with their weights."""

from typing import Any

import numpy as np

from keras_convt import arguments
from keras_convt.convert import layouts
from keras_convt.convert.plain import (
    after_zeros,
    name_or_zeros,
    refuse_implementation,
)
from keras_convt.convert.weights import (
    PLAIN,
    as_array,
    assign_weights,
    built_layer,
    refuse_strides_with_dilation,
)
from keras_convt.layers import BY_RANK
from keras_convt.weight_normalization import WeightNormalization


def from_torch(
    module: Any,
    data_format: str | None = None,
    *,
    name: str | None = None,
    dtype: Any = None,
    activation: Any = None,
    padding: Any = None,
    keep_weight_norm: bool = False,
    implementation: str = "auto",
) -> Any:
    """The layer that computes the same as a convolution of PyTorch.

    Args:
        module: A `torch.nn.ConvTranspose1d`, `2d` or `3d`, or a
            `torch.nn.Conv1d`, `2d` or `3d`. It may have weight normalization,
            from `torch.nn.utils.parametrizations.weight_norm` or the older
            `torch.nn.utils.weight_norm`. The kernel of the layer is then the
            normalized weight.
        data_format: `"channels_last"`, or `"channels_first"`, which is
            PyTorch's. `None` is the `image_data_format` of your Keras config.
        name: Name of the layer. `None` lets Keras choose one.
        dtype: Dtype or dtype policy of the layer. `None` is Keras's global
            policy, whatever the dtype of the module is.
        activation: Activation function of the layer. If `None`, none is
            applied.
        padding: Replaces the module's `padding` and `output_padding`. For a
            transposed layer, it is a name or the steps to crop, as in
            `keras_convt.Conv1DTranspose`. `"causal"` is for models that crop
            the end of the output themselves (EnCodec, Mimi). For a plain
            convolution, it is a name that Keras has, or the numbers of zeros
            to add. `None` keeps the module's padding.
        keep_weight_norm: Whether to keep weight normalization. If `True`, the
            result is a `keras_convt.WeightNormalization` of the layer, which
            trains as the module does. Defaults to `False`.
        implementation: How a transposed layer computes, as in
            `keras_convt.Conv1DTranspose`. Defaults to `"auto"`.

    Returns:
        A built layer. For a transposed module, it is a
        `keras_convt.Conv1DTranspose`, `Conv2DTranspose` or `Conv3DTranspose`.
        For a plain one, it is a `keras.layers.Conv1D`, `Conv2D` or `Conv3D`.
        If Keras does not have the padding of a plain module, it is a
        `keras.Sequential` of a `ZeroPadding` layer and the convolution.

    Raises:
        TypeError: If `module` is not such a module, or is quantized.
        ValueError: If no layer computes the same: for `stride > 1` together
            with `dilation > 1`, a `padding_mode` other than `"zeros"`, or
            complex weights. Also if `keep_weight_norm` is `True` and the
            module has no weight normalization.

    Example:

    ```python
    decoder = keras_convt.from_torch(torch.nn.ConvTranspose1d(64, 32, 4, 2, 1))
    ```
    """
    transposed = _is_transposed(module)
    strides, rates = tuple(module.stride), tuple(module.dilation)
    refuse_strides_with_dilation(strides, rates, "stride", "dilation", module)
    given: dict[str, Any] = {
        "filters": module.out_channels,
        "strides": strides,
        "dilation_rate": rates,
        "groups": module.groups,
        "data_format": arguments.data_format(data_format),
        "activation": activation,
        "dtype": dtype,
    }
    before = None
    if transposed:
        given |= _transposed_padding(module, padding)
        given["implementation"] = implementation
    else:
        refuse_implementation(implementation)
        given["padding"], before = _plain_padding(module, padding)
    layer = built_layer(
        layouts.swap(torch_weight(module)),
        module.bias,
        BY_RANK if transposed else PLAIN,
        name=name,
        **given,
    )
    if arguments.flag(keep_weight_norm, "keep_weight_norm"):
        layer = _normalized(layer, module)
    if before is None:
        return layer
    return after_zeros(layer, before, name)


def load_torch_weights(layer: Any, weight: Any, bias: Any = None) -> None:
    """Load the weight and the bias of a convolution from PyTorch.

    Args:
        layer: A transposed convolution of `keras_convt` or Keras, depthwise
            or not, or a plain one of Keras: `Conv1D`, `Conv2D`, `Conv3D`,
            `DepthwiseConv1D`, `DepthwiseConv2D`. If it is not built yet, the
            weights build it.
        weight: The weight in PyTorch's shape. This is
            `(channels, filters // groups, *kernel_size)` for a transposed
            convolution, and `(filters, channels // groups, *kernel_size)` for
            a plain one. For weight normalization, see `fold_weight_norm`.
        bias: The bias, of shape `(filters,)`, or `None`.

    Raises:
        TypeError: If `layer` is not such a layer.
        ValueError: If a shape is not what the layer needs, or if the layer
            has a bias and `bias` is `None`, or the other way around. The
            layer is not changed then.

    Example:

    >>> import numpy as np
    >>> import keras_convt
    >>> layer = keras_convt.Conv1DTranspose(3, 4, 2)
    >>> state = {"weight": np.ones((8, 3, 4)), "bias": np.zeros(3)}
    >>> keras_convt.load_torch_weights(layer, state["weight"], state["bias"])
    >>> tuple(layer.kernel.shape)
    (4, 3, 8)
    """
    layouts.check(layer)
    array = as_array(weight)
    rank = len(layer.kernel_size)
    if array.ndim != rank + 2:
        raise ValueError(
            f"`weight` must have {rank + 2} axes, as `layer` is {rank}D. "
            f"Received: weight.shape={array.shape}."
        )
    assign_weights(layer, layouts.from_torch(layer, array), bias)


def fold_weight_norm(magnitude: Any, direction: Any) -> np.ndarray:
    """The weight that PyTorch's weight normalization computes.

    Args:
        magnitude: `weight_g`, or `parametrizations.weight.original0`. The
            norm is taken over its axes of size 1.
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


def _is_transposed(module: Any) -> bool:
    """Whether a module is a transposed convolution, and not a plain one."""
    needed = ("transposed", "output_padding", "stride", "dilation", "groups")
    weight = getattr(module, "weight", None)
    if not all(hasattr(module, name) for name in needed) or weight is None:
        raise TypeError(
            "`module` must be a torch.nn.ConvTranspose1d, 2d or 3d, or a "
            "torch.nn.Conv1d, 2d or 3d. "
            f"Received: module={module!r} of type {type(module).__name__}."
        )
    if callable(weight) and not hasattr(weight, "shape"):
        raise TypeError(
            "`module` must not be quantized: its weights are packed. Convert "
            f"the module that it was made of. Received: module={module!r}."
        )
    lazy = getattr(module, "has_uninitialized_params", None)
    if lazy is not None and lazy():
        raise ValueError(
            "`module` must have its weights: call a lazy one once, before. "
            f"Received: module={module!r}."
        )
    return bool(module.transposed)


def _transposed_padding(module: Any, padding: Any) -> dict[str, Any]:
    """The padding and output_padding of a transposed layer."""
    if padding is not None:
        return {"padding": padding}
    pairs = [(p, p) for p in module.padding]
    more = tuple(module.output_padding)
    if any(o >= s for o, s in zip(more, module.stride, strict=True)):
        # PyTorch allows it with a dilation. As a crop, so does the layer.
        pairs = [(p, p - o) for p, o in zip(module.padding, more, strict=True)]
        return {"padding": tuple(pairs)}
    return {"padding": tuple(pairs), "output_padding": more}


def _plain_padding(module: Any, padding: Any) -> tuple[str, Any]:
    """The padding of a plain layer, and the zeros before it, or None."""
    rank = len(module.kernel_size)
    if padding is None:
        padding = module.padding
        if not isinstance(padding, str):
            padding = tuple((p, p) for p in padding)
        mode = getattr(module, "padding_mode", "zeros")
        if mode != "zeros" and padding != ((0, 0),) * rank:
            raise ValueError(
                "`module` must have padding_mode='zeros'. Pad with "
                "`keras.ops.pad(x, ..., mode=...)`, and convert with "
                f"`padding=0`. Received: padding_mode={mode!r}."
            )
    padding = arguments.padding(padding, rank)
    if padding == "same" and max(module.stride) > 1:
        raise ValueError(
            '`padding` must not be "same" with a stride: Keras and PyTorch '
            "do not mean the same by it. Give the zeros as numbers. Received: "
            f"stride={tuple(module.stride)}."
        )
    return name_or_zeros(
        padding, module.kernel_size, module.stride, module.dilation
    )


def torch_weight(module: Any) -> np.ndarray:
    """The weight of a PyTorch module, normalized if it is a normalized one."""
    parts = _weight_norm(module)
    if parts is None:
        return as_array(module.weight)
    # `weight` of the older kind is that of the last forward pass, so maybe an
    # old one.
    return fold_weight_norm(*parts)


def _weight_norm(module: Any) -> tuple[Any, Any] | None:
    """The magnitude and direction of a normalized module, or None."""
    if hasattr(module, "weight_g") and hasattr(module, "weight_v"):
        return module.weight_g, module.weight_v
    normalized = getattr(module, "parametrizations", None)
    weight: Any = getattr(normalized, "weight", None)
    if hasattr(weight, "original0") and hasattr(weight, "original1"):
        return weight.original0, weight.original1
    return None


def _normalized(layer: Any, module: Any) -> WeightNormalization:
    """A layer, with the weight normalization that a module has."""
    parts = _weight_norm(module)
    if parts is None:
        raise ValueError(
            "`keep_weight_norm` must be False for a module without weight "
            f"normalization. Received: module={module!r}."
        )
    magnitude, direction = map(as_array, parts)
    if magnitude.ndim != direction.ndim:
        raise ValueError(
            "`module` must have a weight normalization with a `dim`, which is "
            "not None, for `keep_weight_norm`. Received: magnitude.shape="
            f"{magnitude.shape}."
        )
    kept = [n for n, size in enumerate(magnitude.shape) if size > 1]
    if not kept:
        # One magnitude: that of any axis of one place.
        kept = [direction.shape.index(1)]
    # PyTorch's axes in Keras's kernel.
    axis = [(-1, -2)[n] if n < 2 else n - 2 for n in kept]
    wrapper = WeightNormalization(layer, axis=axis)
    wrapper.build(None)
    wrapper.layer.kernel.assign(layouts.swap(direction))
    wrapper.g.assign(magnitude.reshape(wrapper.g.shape))
    return wrapper
