"""Layers from those of Flax, with their weights."""

from typing import Any

import numpy as np

from keras_convt.arguments import sizes
from keras_convt.convert.plain import Pairs, plain_layer
from keras_convt.convert.weights import (
    as_array,
    built_layer,
    or_one,
    refuse_strides_with_dilation,
)
from keras_convt.geometry import effective_kernel
from keras_convt.layers import BY_RANK


def from_flax(
    module: Any,
    data_format: str | None = None,
    *,
    name: str | None = None,
    dtype: Any = None,
    activation: Any = None,
    implementation: str = "auto",
) -> Any:
    """The layer that computes the same as a convolution of Flax.

    Args:
        module: A `flax.nnx.ConvTranspose` or a `flax.nnx.Conv`. Its mask, if
            it has one, is applied to the kernel.
        data_format: `"channels_last"`, which is Flax's, or
            `"channels_first"`. `None` is the `image_data_format` of your
            Keras config.
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
        ValueError: If no layer computes the same: for padding `"CIRCULAR"` or
            `"REFLECT"`, strides together with dilation, an input dilation, or
            more than three axes. A transposed module is also refused for
            padding `"CAUSAL"`, and for padding of more than `ke - 1` before
            the input.

    Example:

    ```python
    layer = keras_convt.from_flax(
        flax.nnx.ConvTranspose(64, 32, 4, 2, rngs=flax.nnx.Rngs(0))
    )
    ```
    """
    transposed = _is_transposed(module)
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
    bias = None if module.bias is None else module.bias[...]
    given: dict[str, Any] = {
        "filters": module.out_features,
        "strides": strides,
        "dilation_rate": rates,
        "data_format": data_format,
        "name": name,
        "dtype": dtype,
        "activation": activation,
        "implementation": implementation,
    }
    if not transposed:
        return plain_layer(
            kernel,
            bias,
            _plain_padding(module, rank),
            groups=module.feature_group_count,
            **given,
        )
    if not module.transpose_kernel:
        # It is used as that of the convolution of the spread-out input:
        # turned round, with channels before filters.
        kernel = np.flip(np.swapaxes(kernel, -1, -2), tuple(range(rank)))
    return built_layer(
        kernel,
        bias,
        BY_RANK,
        padding=_flax_padding(module.padding, kernel_size, rates),
        **given,
    )


def _is_transposed(module: Any) -> bool:
    """Whether a module is a transposed convolution, and not a plain one."""
    known = "`module` must be a flax.nnx.ConvTranspose or a flax.nnx.Conv. "
    if type(module).__module__.startswith("flax.linen"):
        raise TypeError(
            f"{known}One of flax.linen has no weights of its own: build the "
            "module of flax.nnx of the same arguments, and give it the kernel "
            f"and the bias. Received: module={module!r}."
        )
    if hasattr(module, "transpose_kernel"):
        return True
    if not hasattr(module, "feature_group_count"):
        raise TypeError(
            f"{known}Received: module={module!r} of type "
            f"{type(module).__name__}."
        )
    return False


def _plain_padding(module: Any, rank: int) -> str | Pairs:
    """The padding of a plain module: Keras's name of it, or zeros."""
    padding = module.padding
    if max(sizes(or_one(module.input_dilation), rank, "input_dilation")) > 1:
        raise ValueError(
            "`module` must not have an input dilation, which is that of a "
            "transposed convolution: build the flax.nnx.ConvTranspose. "
            f"Received: input_dilation={module.input_dilation!r}."
        )
    if not isinstance(padding, str):
        return _pairs(padding, rank)
    if padding not in ("VALID", "SAME", "CAUSAL"):
        raise ValueError(
            "`module` must have the padding 'VALID', 'SAME', 'CAUSAL' or "
            "numbers. Pad with `keras.ops.pad(x, ..., mode=...)`, and convert "
            f"with padding='VALID'. Received: padding={padding!r}."
        )
    # Keras's have the same zeros, also with strides.
    return padding.lower()


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
    pads = _pairs(padding, rank)
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


def _pairs(padding: Any, rank: int) -> Pairs:
    """Zeros as Flax takes them, as one pair per axis."""
    if isinstance(padding, int):
        padding = (padding,) * rank
    return tuple((p, p) if isinstance(p, int) else tuple(p) for p in padding)
