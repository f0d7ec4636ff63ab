"""Transposed convolutions, of this package and of Keras."""

from typing import Any

from keras import layers, ops

import keras_convt
from keras_convt.geometry import Axis
from keras_convt.layers.masking import zero_masked
from keras_convt.ops.backend import backend
from keras_convt.streaming import tensors
from keras_convt.streaming.graph import Node
from keras_convt.streaming.moment import Moment, only_existing
from keras_convt.streaming.signal import Signal
from keras_convt.streaming.stages.base import (
    Slot,
    Stage,
    activated,
    dtype_of,
    refusal,
    time_axis,
    to_time_axis,
    with_bias_and_activation,
)


class Transposed(Stage):
    """A transposed convolution: the sums that are not complete are kept."""

    def __init__(
        self,
        node: Node,
        signal: Signal,
        axis: Axis,
        filters: int,
        dtype: str,
    ) -> None:
        size, stride = axis.effective_kernel, axis.stride
        left, right = axis.crop
        self.axis = axis
        self.kept = max(size - stride, 0)
        slots = {}
        if self.kept:
            slots["sums"] = Slot((self.kept, filters), dtype)
        super().__init__(
            node, signal.transposed(size, stride, left, right), slots
        )
        self.input_signal = signal
        self.dtype = dtype
        self.start_matters = signal.delay > 0

    def run(
        self, values: dict[int, Any], state: dict[str, Any], moment: Moment
    ) -> tuple[Any, dict[str, Any]]:
        inputs = ops.cast(values[id(self.node.first)], self.dtype)
        inputs = to_time_axis(inputs, self.input_signal.axis, 1)
        exists = moment.exists(self.input_signal, backend.size(inputs, 1))
        inputs = only_existing(inputs, exists, 1)
        sums = self.sums(self.masked(inputs, values))
        after = {}
        if self.kept:
            # No length of the chunk's appears here, so a graph may leave it
            # open.
            sums = backend.concatenate(
                [sums[:, : self.kept] + state["sums"], sums[:, self.kept :]], 1
            )
            sums, after["sums"] = sums[:, : -self.kept], sums[:, -self.kept :]
        outputs = self.finished(sums)
        return to_time_axis(outputs, 1, self.input_signal.axis), after

    def masked(self, inputs: Any, values: dict[int, Any]) -> Any:
        """`inputs`, with zeros where the layer is given a mask."""
        return inputs

    def sums(self, inputs: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} has no sums().")

    def finished(self, sums: Any) -> Any:
        return sums

    def keeps_zeros(self) -> bool:
        return self.signal.delay >= 0


class TransposedLayer(Transposed):
    """A layer: `Conv1DTranspose` of this package or of Keras."""

    def __init__(self, node: Node, signal: Signal) -> None:
        time_axis(node, signal)
        if node.kwargs.get("output_size") is not None or len(node.args) > 1:
            raise refusal(
                node,
                "it is called with an `output_size`, a length that a stream "
                "does not know",
                "Crop with `padding=(left, right)` or `output_padding`.",
            )
        super().__init__(
            node,
            signal,
            _axis_of(node.operation),
            self.kept_channels(node),
            dtype_of(node),
        )

    def kept_channels(self, node: Node) -> int:
        return int(node.operation.filters)

    def run(
        self, values: dict[int, Any], state: dict[str, Any], moment: Moment
    ) -> tuple[Any, dict[str, Any]]:
        if _axis_of(self.node.operation) != self.axis:
            raise refusal(
                self.node,
                "its arguments have changed since the stream was made",
                "Make a new StreamingModel.",
            )
        return super().run(values, state, moment)

    def masked(self, inputs: Any, values: dict[int, Any]) -> Any:
        mask = self.node.kwargs.get("mask")
        if mask is None:
            return inputs
        return zero_masked(inputs, values[id(mask)], "channels_last")

    def sums(self, inputs: Any) -> Any:
        layer = self.node.operation
        if isinstance(layer, keras_convt.layers.Conv1DTranspose):
            inputs = layer._rounded(inputs, "channels_last")
        return tensors.full_transposed_convolution(
            inputs,
            ops.cast(layer.kernel, self.dtype),
            self.axis,
            getattr(layer, "groups", 1),
        )

    def finished(self, sums: Any) -> Any:
        layer = self.node.operation
        return activated(layer, with_bias_and_activation(layer, sums))


class BuiltInTransposed(TransposedLayer):
    """`keras.layers.Conv1DTranspose`, which knows no mask."""

    def masked(self, inputs: Any, values: dict[int, Any]) -> Any:
        return inputs


class DepthwiseTransposed(TransposedLayer):
    """`keras_convt.DepthwiseConv1DTranspose`."""

    def kept_channels(self, node: Node) -> int:
        layer = node.operation
        return int(layer.depth_multiplier * layer.kernel.shape[-1])

    def sums(self, inputs: Any) -> Any:
        layer = self.node.operation
        return self.of_each_channel(
            layer._rounded(inputs, "channels_last"), layer.kernel
        )

    def of_each_channel(self, inputs: Any, kernel: Any) -> Any:
        return tensors.full_transposed_convolution(
            inputs, ops.cast(kernel, self.dtype), self.axis, kernel.shape[-1]
        )


class SeparableTransposed(DepthwiseTransposed):
    """`keras_convt.SeparableConv1DTranspose`: the depthwise sums are kept."""

    def kept_channels(self, node: Node) -> int:
        layer = node.operation
        return int(layer.depth_multiplier * layer.depthwise_kernel.shape[-1])

    def sums(self, inputs: Any) -> Any:
        layer = self.node.operation
        return self.of_each_channel(
            layer._rounded(inputs, "channels_last"), layer.depthwise_kernel
        )

    def finished(self, sums: Any) -> Any:
        layer = self.node.operation
        sums = layer._rounded(sums, "channels_last")
        kernel = ops.cast(layer.pointwise_kernel, self.dtype)
        return super().finished(ops.matmul(sums, kernel[0]))


class TransposedOperation(Transposed):
    """`keras_convt.ops.conv_transpose` with a kernel that is no input."""

    def __init__(self, node: Node, signal: Signal) -> None:
        operation = node.operation
        kernel = node.args[1] if len(node.args) > 1 else node.kwargs["kernel"]
        expected = 2 if operation.data_format == "channels_first" else 1
        if len(node.inputs) > 1 or signal.axis != expected:
            raise refusal(
                node,
                "only its first argument may be a tensor of the graph, with "
                f"time on axis {expected}",
            )
        self.kernel = kernel
        (axis,) = operation._axes(node.first, kernel)
        super().__init__(
            node,
            signal,
            axis,
            kernel.shape[-2] * operation.groups,
            str(node.flat_outputs[0].dtype),
        )

    def sums(self, inputs: Any) -> Any:
        return tensors.full_transposed_convolution(
            inputs,
            ops.cast(self.kernel, self.dtype),
            self.axis,
            self.node.operation.groups,
        )


def _axis_of(layer: Any) -> Axis:
    if hasattr(layer, "_axes"):
        (axis,) = layer._axes
        return axis
    # Keras's arguments mean the same as ours.
    output_padding = layer.output_padding
    return Axis(
        layer.kernel_size[0],
        layer.strides[0],
        layer.dilation_rate[0],
        layer.padding,
        output_padding[0]
        if isinstance(output_padding, (tuple, list))
        else output_padding,
    )


STAGES = {
    keras_convt.layers.Conv1DTranspose: TransposedLayer,
    keras_convt.layers.DepthwiseConv1DTranspose: DepthwiseTransposed,
    keras_convt.layers.SeparableConv1DTranspose: SeparableTransposed,
    layers.Conv1DTranspose: BuiltInTransposed,
}
