"""Interpolation as the start of a transposed convolution."""

from functools import reduce
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_convt import arguments
from keras_convt.initializers import filters
from keras_convt.initializers.strides import checked, refuse_others


@keras.saving.register_keras_serializable(package="keras_convt")
class Interpolation(keras.initializers.Initializer):
    """Initializer that makes a transposed convolution start as interpolation.

    Each output channel is the interpolation of the input channel with the
    same number. The bilinear upsampling of FCN and U-Net is
    `Interpolation(2)` with a `kernel_size` of 4.

    The filter is in the middle of the kernel. If `kernel_size` is odd, the
    filter has a tap in its middle, and the input steps are among the output
    steps. If it is even, the output steps lie half a step beside the input
    steps, as with `keras.layers.UpSampling2D`. `padding="same"` does not shift
    the output. Near its ends, the output mixes with zeros, because the input
    counts as zero beyond its ends.

    Args:
        strides: The strides of the layer: an int for every axis, or a
            sequence of one int per axis.
        kind: `"nearest"` repeats each step. `"linear"` connects the steps by
            lines (bilinear in images). `"cubic"` connects them by Keys's
            cubics with a = -1/2. `"sinc"` is a low-pass filter at the Nyquist
            frequency of the input, in a Kaiser window, as in the resamplers
            of BigVGAN. It gets better with each tap. Defaults to `"linear"`.
        groups: int, the `groups` of the layer. Defaults to `1`.
        depthwise: Whether the layer is a depthwise one. Each of the
            `depth_multiplier` filters of a channel is then the same.
            Defaults to `False`.

    Returns:
        An initializer of kernels of shape
        `(*kernel_size, filters // groups, channels)`, in 1D, 2D or 3D, or
        `(*kernel_size, depth_multiplier, channels)`.

    Raises:
        ValueError, TypeError: If an argument cannot be used. When it is
            called, if `kernel_size` has too few taps for the filter
            (`"nearest"` needs `strides`, `"linear"` and `"sinc"` need
            `2 * strides - 1`, and `"cubic"` needs `4 * strides - 1`), or if
            there are not as many filters as channels.

    Example:

    >>> import keras
    >>> import keras_convt
    >>> layer = keras_convt.Conv1DTranspose(
    ...     1, 3, 2, padding=(1, 1),
    ...     kernel_initializer=keras_convt.initializers.Interpolation(2),
    ... )
    >>> y = layer(keras.ops.array([[[0.0], [4.0], [2.0]]]))
    >>> keras.ops.convert_to_numpy(y)[0, :, 0].tolist()
    [0.0, 2.0, 4.0, 3.0, 2.0]
    """

    def __init__(
        self,
        strides: Any,
        kind: str = "linear",
        groups: Any = 1,
        depthwise: bool = False,
    ) -> None:
        self.strides = checked(strides)
        if kind not in filters.FILTERS:
            raise ValueError(
                f"`kind` must be one of {', '.join(filters.FILTERS)}. "
                f"Received: kind={kind!r}."
            )
        self.kind = kind
        self.groups = arguments.whole_number(groups, "groups", minimum=1)
        self.depthwise = arguments.flag(depthwise, "depthwise")

    def __repr__(self) -> str:
        return (
            f"Interpolation(strides={self.strides}, kind={self.kind!r}, "
            f"groups={self.groups}, depthwise={self.depthwise})"
        )

    def __call__(self, shape: tuple[int, ...], dtype: Any = None) -> Any:
        *kernel_size, rows, channels = shape
        steps = arguments.sizes(self.strides, len(kernel_size), "strides")
        least = [filters.smallest(self.kind, s) for s in steps]
        if any(k < n for k, n in zip(kernel_size, least, strict=True)):
            raise ValueError(
                f"`kernel_size` must be at least {tuple(least)} to hold "
                f"{self.kind!r} interpolation with strides={steps}. "
                f"Received: kernel_size={tuple(kernel_size)}."
            )
        taps = reduce(
            np.multiply.outer,
            [
                filters.FILTERS[self.kind](k, s)
                for k, s in zip(kernel_size, steps, strict=True)
            ],
        )
        kernel = np.multiply.outer(taps, self._connections(rows, channels))
        return ops.convert_to_tensor(
            kernel, dtype=dtype or keras.config.floatx()
        )

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
            "strides": self.strides,
            "kind": self.kind,
            "groups": self.groups,
            "depthwise": self.depthwise,
        }

    def _connections(self, rows: int, channels: int) -> np.ndarray:
        """Which channels reach which filters of their group."""
        if self.depthwise:
            return np.ones((rows, channels))
        if rows * self.groups != channels:
            raise ValueError(
                "`filters` must be as many as the channels of the input, as "
                "each is interpolated to one. Received: "
                f"filters={rows * self.groups}, channels={channels}, "
                f"groups={self.groups}."
            )
        return np.tile(np.eye(rows), self.groups)
