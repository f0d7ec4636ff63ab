"""The separable transposed convolution of every rank."""

from typing import Any

from keras import ops

from keras_convt import arguments
from keras_convt.layers.base import BaseTranspose
from keras_convt.ops.backend import backend
from keras_convt.ops.core import transposed_convolution
from keras_convt.ops.window import to_channels_first, to_channels_last


class BaseSeparableConvTranspose(BaseTranspose):
    """Abstract separable transposed convolution. A subclass gives its `rank`.

    The arguments are those of `keras.layers.SeparableConv1D`, in its order,
    and `output_padding`; `keras_convt.SeparableConv1DTranspose` documents
    them.
    """

    def __init__(
        self,
        filters: Any,
        kernel_size: Any,
        strides: Any = 1,
        padding: Any = "valid",
        data_format: str | None = None,
        dilation_rate: Any = 1,
        depth_multiplier: Any = 1,
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        pointwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        pointwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        depthwise_constraint: Any = None,
        pointwise_constraint: Any = None,
        bias_constraint: Any = None,
        *,
        output_padding: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            kernel_size,
            strides,
            padding,
            output_padding,
            data_format,
            dilation_rate,
            use_bias,
            {
                "activation": activation,
                "depthwise_initializer": depthwise_initializer,
                "pointwise_initializer": pointwise_initializer,
                "bias_initializer": bias_initializer,
                "depthwise_regularizer": depthwise_regularizer,
                "pointwise_regularizer": pointwise_regularizer,
                "bias_regularizer": bias_regularizer,
                "activity_regularizer": activity_regularizer,
                "depthwise_constraint": depthwise_constraint,
                "pointwise_constraint": pointwise_constraint,
                "bias_constraint": bias_constraint,
            },
            **kwargs,
        )
        self.filters = arguments.whole_number(filters, "filters", minimum=1)
        self.depth_multiplier = arguments.whole_number(
            depth_multiplier, "depth_multiplier", minimum=1
        )

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        channels = self._channels(input_shape)
        self._expect_channels(channels)
        self.depthwise_kernel = self._add_kernel(
            "depthwise_kernel",
            "depthwise",
            (*self.kernel_size, self.depth_multiplier, channels),
        )
        self.pointwise_kernel = self._add_kernel(
            "pointwise_kernel",
            "pointwise",
            (
                *(1,) * self.rank,
                channels * self.depth_multiplier,
                self.filters,
            ),
        )
        self._add_bias(self.filters)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "filters": self.filters,
            "depth_multiplier": self.depth_multiplier,
        }

    def _filters(self, channels: int) -> int:
        return self.filters

    def _transpose(self, inputs: Any, output_size: Any) -> Any:
        kernel = ops.convert_to_tensor(self.depthwise_kernel)
        depthwise = transposed_convolution(
            inputs,
            kernel,
            self._axes,
            self.data_format,
            kernel.shape[-1],
            output_size,
        )
        if self.data_format == "channels_first":
            depthwise = to_channels_last(depthwise)
        outputs = backend.matmul(
            depthwise,
            ops.reshape(self.pointwise_kernel, (-1, self.filters)),
        )
        if self.bias is not None:
            outputs = ops.add(outputs, self._bias())
        if self.data_format == "channels_first":
            outputs = to_channels_first(outputs)
        return outputs
