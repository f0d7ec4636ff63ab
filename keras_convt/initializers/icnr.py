"""Phases that start equal, against checkerboards."""

import math
from typing import Any

import keras
from keras import ops

from keras_convt import arguments
from keras_convt.initializers.strides import checked, refuse_others


@keras.saving.register_keras_serializable(package="keras_convt")
class ICNR(keras.initializers.Initializer):
    """Initializer that makes the phases of the output start equal.

    A transposed convolution with strides above 1 computes the output steps
    of each phase, `n % strides`, with taps of their own. Drawn at random,
    they differ, which shows as a checkerboard. Here the taps of one stride
    all start with the value of the first: the layer starts as a convolution
    of fewer taps followed by a repetition of each step (Aitken et al.,
    "Checkerboard artifact free sub-pixel convolution", arXiv 1707.02937).

    Args:
        initializer: Initializer that one value for each stride of taps is
            drawn with. `None` is `"glorot_uniform"`.
        strides: int for every axis, or a sequence of one int per axis: those
            of the layer.

    Returns:
        An initializer of kernels of shape `(*kernel_size, filters,
        channels)`, in 1D, 2D or 3D. The last taps of a kernel size that is
        no multiple of the stride are a part of one stride: the phases are
        then equal as far as the taps go.

    Raises:
        ValueError, TypeError: If an argument cannot be used.

    Example:

    >>> import keras
    >>> import keras_convt
    >>> layer = keras_convt.Conv1DTranspose(
    ...     1, 4, 2, "causal",
    ...     kernel_initializer=keras_convt.initializers.ICNR("ones", 2),
    ... )
    >>> y = layer(keras.ops.reshape(keras.ops.arange(3.0), (1, 3, 1)))
    >>> keras.ops.convert_to_numpy(y)[0, :, 0].tolist()
    [0.0, 0.0, 1.0, 1.0, 3.0, 3.0]
    """

    def __init__(
        self, initializer: Any = "glorot_uniform", strides: Any = 1
    ) -> None:
        self.initializer = arguments.keras_object(
            keras.initializers.get,
            "glorot_uniform" if initializer is None else initializer,
            "initializer",
        )
        self.strides = checked(strides)

    def __call__(self, shape: tuple[int, ...], dtype: Any = None) -> Any:
        *kernel_size, filters, channels = shape
        strides = arguments.sizes(self.strides, len(kernel_size), "strides")
        coarse = [
            math.ceil(k / s) for k, s in zip(kernel_size, strides, strict=True)
        ]
        kernel = self.initializer((*coarse, filters, channels), dtype=dtype)
        for axis, stride in enumerate(strides):
            kernel = ops.repeat(kernel, stride, axis=axis)
        return kernel[tuple(slice(k) for k in kernel_size)]

    def __repr__(self) -> str:
        drawn = getattr(
            self.initializer, "__name__", type(self.initializer).__name__
        )
        return f"ICNR(initializer={drawn}, strides={self.strides})"

    def check_strides(
        self, strides: tuple[int, ...], name: str = "kernel_initializer"
    ) -> None:
        """Refuse a layer with other strides. A layer calls it when built.

        Args:
            strides: Those of the layer.
            name: The argument of the layer that the initializer is, for the
                error.
        """
        refuse_others(self, self.strides, strides, name)

    def get_config(self) -> dict[str, Any]:
        return {
            "initializer": keras.initializers.serialize(self.initializer),
            "strides": self.strides,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "ICNR":
        return cls(
            keras.initializers.deserialize(config["initializer"]),
            config["strides"],
        )
