"""Operations that look through a window: convolutions, pooling, slices."""

from typing import Any

import keras
from keras import layers, ops

from keras_convt.geometry import effective_kernel
from keras_convt.ops.backend import backend
from keras_convt.streaming import tensors
from keras_convt.streaming.graph import Node
from keras_convt.streaming.moment import Moment, only_existing
from keras_convt.streaming.signal import Signal
from keras_convt.streaming.stages.base import (
    Slot,
    Stage,
    activated,
    channels_of,
    dtype_of,
    refusal,
    time_axis,
    to_time_axis,
    with_bias_and_activation,
)


class Window(Stage):
    """A window over the last steps. A subclass says what it `computes`.

    Args:
        node: The call of the operation.
        signal: What is known of its input.
        size: Steps from the first to the last that the window sees.
        stride: Steps from one window to the next.
        padding: Steps before and after that do not exist.
        dtype: What it computes with.
        fill: What stands in the place of steps that do not exist.
        shape: The input's shape, `channels_last`, without batch and time.
    """

    def __init__(
        self,
        node: Node,
        signal: Signal,
        size: int,
        stride: int,
        padding: tuple[int, int],
        dtype: str,
        shape: tuple[int, ...],
        fill: float = 0,
    ) -> None:
        left, right = padding
        result = signal.windowed(size, stride, left, right)
        # The first window of a chunk begins so many steps after the chunk.
        offset = signal.delay - left - result.delay * stride
        self.kept, self.skipped = max(-offset, 0), max(offset, 0)
        slots = {}
        if self.kept:
            slots["past"] = Slot((self.kept, *shape), dtype, fill)
        super().__init__(node, result, slots)
        self.input_signal = signal
        self.padding = padding
        self.dtype = dtype
        self.fill = fill
        self.start_matters = left > 0 and signal.delay > 0

    def computes(self, window: Any) -> Any:
        """The outputs of all windows, `channels_last`, without padding."""
        raise NotImplementedError(f"{type(self).__name__} has no computes().")

    def run(
        self, values: dict[int, Any], state: dict[str, Any], moment: Moment
    ) -> tuple[Any, dict[str, Any]]:
        axis = self.input_signal.axis
        inputs = ops.cast(values[id(self.node.first)], self.dtype)
        inputs = to_time_axis(inputs, axis, 1)
        inputs = self.existing(inputs, moment)
        after = {}
        if self.kept:
            inputs = backend.concatenate([state["past"], inputs], 1)
            after["past"] = inputs[:, -self.kept :]
        if self.skipped:
            inputs = inputs[:, self.skipped :]
        return to_time_axis(self.computes(inputs), 1, axis), after

    def existing(self, inputs: Any, moment: Moment) -> Any:
        """`inputs`, filled where the padding is."""
        left, right = self.padding
        exists = moment.exists(
            self.input_signal,
            backend.size(inputs, 1),
            start=left > 0,
            end=right > 0,
        )
        return only_existing(inputs, exists, 1, self.fill)

    def keeps_zeros(self) -> bool:
        return self.fill == 0 and self.signal.delay >= 0


class LayerWindow(Window):
    """The window of a convolution layer or a pooling layer of Keras."""

    def __init__(
        self,
        node: Node,
        signal: Signal,
        size: int,
        stride: int,
        fill: float = 0,
        more_channels: int = 0,
    ) -> None:
        time_axis(node, signal)
        padding = node.operation.padding
        before_and_after = {
            "valid": (0, 0),
            "same": signal.same_padding(size, stride),
            "causal": (size - 1, 0),
        }
        super().__init__(
            node,
            signal,
            size,
            stride,
            before_and_after[padding],
            dtype_of(node),
            (channels_of(node) + more_channels,),
            fill,
        )


class Convolution(LayerWindow):
    """`keras.layers.Conv1D`."""

    def __init__(self, node: Node, signal: Signal) -> None:
        layer = node.operation
        self.stride = _one(layer.strides)
        self.dilation_rate = _one(layer.dilation_rate)
        size = effective_kernel(_one(layer.kernel_size), self.dilation_rate)
        super().__init__(node, signal, size, self.stride)

    def computes(self, window: Any) -> Any:
        layer = self.node.operation
        return activated(
            layer, with_bias_and_activation(layer, self.sums(window))
        )

    def sums(self, window: Any) -> Any:
        layer = self.node.operation
        return tensors.convolution(
            window,
            ops.cast(layer.kernel, self.dtype),
            self.stride,
            self.dilation_rate,
            layer.groups,
        )


class DepthwiseConvolution(Convolution):
    """`keras.layers.DepthwiseConv1D`."""

    def sums(self, window: Any) -> Any:
        return self.of_each_channel(window, self.node.operation.kernel)

    def of_each_channel(self, window: Any, kernel: Any) -> Any:
        """A convolution with the kernel `(size, channels, multiplier)`."""
        size, channels, multiplier = kernel.shape
        # The filters of one channel stand together, as those of a group do.
        kernel = ops.reshape(kernel, (size, 1, channels * multiplier))
        return tensors.convolution(
            window,
            ops.cast(kernel, self.dtype),
            self.stride,
            self.dilation_rate,
            channels,
        )


class SeparableConvolution(DepthwiseConvolution):
    """`keras.layers.SeparableConv1D`."""

    def sums(self, window: Any) -> Any:
        layer = self.node.operation
        kernel = ops.cast(layer.pointwise_kernel, self.dtype)
        return tensors.convolution(
            self.of_each_channel(window, layer.depthwise_kernel),
            kernel,
            1,
            1,
            1,
        )


class MaxPooling(LayerWindow):
    """`keras.layers.MaxPooling1D`."""

    def __init__(self, node: Node, signal: Signal) -> None:
        self.size, self.stride = _pool(node.operation)
        # No infinity, whose gradient may be NaN where no step exists.
        lowest = {"float16": -65504.0}.get(dtype_of(node), -3e38)
        super().__init__(node, signal, self.size, self.stride, lowest)

    def computes(self, window: Any) -> Any:
        return ops.max_pool(
            window,
            self.size,
            self.stride,
            padding="valid",
            data_format="channels_last",
        )


class AveragePooling(LayerWindow):
    """`keras.layers.AveragePooling1D`.

    With `"same"` the average is of the steps that exist. A channel that is 1
    where they do counts them.
    """

    def __init__(self, node: Node, signal: Signal) -> None:
        self.size, self.stride = _pool(node.operation)
        self.counts = node.operation.padding == "same"
        left, right = signal.same_padding(self.size, self.stride)
        uneven = left != right and not backend.averages_existing_steps
        if self.counts and uneven:
            # Seen in Keras 3.15.1: on PyTorch an uneven "same" repeats the
            # last step where the other backends leave it out.
            raise refusal(
                node,
                'on PyTorch, Keras averages uneven "same" windows with steps '
                "that do not exist",
                "Choose pool_size and strides that are both odd or both even.",
            )
        super().__init__(
            node, signal, self.size, self.stride, more_channels=self.counts
        )

    def existing(self, inputs: Any, moment: Moment) -> Any:
        if self.counts:
            ones = ops.ones_like(inputs[:, :, :1])
            inputs = backend.concatenate([inputs, ones], -1)
        return super().existing(inputs, moment)

    def computes(self, window: Any) -> Any:
        means = ops.average_pool(
            window,
            self.size,
            self.stride,
            padding="valid",
            data_format="channels_last",
        )
        if not self.counts:
            return means
        existing = ops.maximum(means[:, :, -1:], 0.5 / self.size)
        return ops.divide(means[:, :, :-1], existing)


class Slice(Window):
    """Every so many steps, from one step to one before the end."""

    def __init__(
        self, node: Node, signal: Signal, left: int, right: int, stride: int
    ) -> None:
        self.stride = stride
        # Windows of one step over what is cropped.
        cropped = signal.cropped(0, right)
        shape = list(node.first.shape[1:])
        del shape[signal.axis - 1]
        if signal.axis != 1 and len(shape) != 2:
            raise refusal(
                node, "it takes every few steps of an axis that is not 1"
            )
        super().__init__(
            node,
            cropped,
            1,
            stride,
            (-left, 0),
            keras.backend.standardize_dtype(node.first.dtype),
            tuple(shape),
        )

    def computes(self, window: Any) -> Any:
        return window[:, :: self.stride]


def _pool(layer: keras.layers.Layer) -> tuple[int, int]:
    return _one(layer.pool_size), _one(layer.strides)


def _one(size: Any) -> int:
    """The number of a signal's only axis."""
    return int(size[0] if isinstance(size, (tuple, list)) else size)


STAGES = {
    layers.Conv1D: Convolution,
    layers.DepthwiseConv1D: DepthwiseConvolution,
    layers.SeparableConv1D: SeparableConvolution,
    layers.MaxPooling1D: MaxPooling,
    layers.AveragePooling1D: AveragePooling,
}
