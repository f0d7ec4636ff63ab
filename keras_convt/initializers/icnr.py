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

    With strides above 1, the output steps fall into phases, `n % strides`,
    and each phase is computed with its own taps of the kernel. Random taps
    differ from phase to phase, which makes a checkerboard. This initializer
    draws one value for every `strides` taps and repeats it. The layer then
    starts as a convolution with fewer taps, followed by a repetition of each
    step (Aitken et al., "Checkerboard artifact free sub-pixel convolution",
    arXiv 1707.02937).

    Args:
        initializer: Initializer that draws the values. `None` is
            `"glorot_uniform"`.
        strides: The strides of the layer: an int for every axis, or a
            sequence of one int per axis.

    Returns:
        An initializer of kernels of shape `(*kernel_size, filters,
        channels)`, in 1D, 2D or 3D. If the kernel size is not a multiple of
        the stride, the last value is repeated fewer times, and the phases
        that have no such tap differ from the others.

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
