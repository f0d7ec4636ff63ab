"""Plain convolutions of Keras, padded as other frameworks pad theirs."""

from typing import Any

import keras
import numpy as np

from keras_convt.convert import layouts
from keras_convt.convert.weights import PLAIN, built_layer

Pairs = tuple[tuple[int, int], ...]


def plain_layer(
    kernel: np.ndarray,
    bias: Any,
    padding: str | Pairs,
    *,
    name: str | None,
    implementation: str,
    **given: Any,
) -> Any:
    """A built plain convolution, with zeros before it where it needs them.

    Args:
        kernel: The kernel, as Keras has it.
        bias: The bias, or None.
        padding: The name that Keras has for it, or the zeros to append.
        name: Name of what is returned, or None.
        implementation: What the caller was given, which must be "auto".
        **given: More arguments of the layer.
    """
    refuse_implementation(implementation)
    padding, zeros = name_or_zeros(
        padding, kernel.shape[:-2], given["strides"], given["dilation_rate"]
    )
    layer = built_layer(
        kernel,
        bias,
        PLAIN,
        padding=padding,
        name=name,
        **given,
    )
    return layer if zeros is None else after_zeros(layer, zeros, name)


def refuse_implementation(implementation: str) -> None:
    """Refuse to choose how a layer of Keras computes."""
    if implementation != "auto":
        raise ValueError(
            '`implementation` must be "auto" for a plain convolution, which '
            "Keras computes. Received: "
            f"implementation={implementation!r}."
        )


def name_or_zeros(
    padding: str | Pairs,
    kernel_size: tuple[int, ...],
    strides: tuple[int, ...],
    rates: tuple[int, ...],
) -> tuple[str, Pairs | None]:
    """The padding of a plain layer of Keras, and the zeros before it, or None.

    Args:
        padding: The name that Keras has for it, or the zeros to append.
        kernel_size, strides, rates: Of the layer, one number per axis.
    """
    if isinstance(padding, str):
        return padding, None
    if any(n < 0 for pair in padding for n in pair):
        raise ValueError(
            "`padding` of a plain convolution must not be negative. "
            f"Received: padding={padding!r}."
        )
    if not any(n for pair in padding for n in pair):
        return "valid", None
    reach = [(k - 1) * d for k, d in zip(kernel_size, rates, strict=True)]
    same = tuple((r // 2, r - r // 2) for r in reach)
    if padding == same and max(strides) == 1:
        return "same", None
    return "valid", padding


def after_zeros(layer: Any, pairs: Pairs, name: str | None) -> Any:
    """A model of zeros at the ends of the steps, and a plain convolution."""
    rank = len(pairs)
    convolution = getattr(layer, "layer", layer)
    padding = getattr(keras.layers, f"ZeroPadding{rank}D")(
        pairs[0] if rank == 1 else pairs,
        data_format=convolution.data_format,
    )
    channels = layouts.channels(convolution, convolution.kernel)
    steps: tuple[int | None, ...] = (None,) * rank
    shape = (
        (channels, *steps)
        if convolution.data_format == "channels_first"
        else (*steps, channels)
    )
    return keras.Sequential([keras.Input(shape), padding, layer], name=name)
