"""The depthwise transposed convolution of every rank."""

from typing import Any

from keras import ops

from keras_convt import arguments
from keras_convt.layers.base import BaseTranspose
from keras_convt.ops.core import transposed_convolution


class BaseDepthwiseConvTranspose(BaseTranspose):
    """Abstract depthwise transposed convolution. A subclass gives its `rank`.

    The arguments are those of `keras.layers.DepthwiseConv1D`, in its order,
    and `output_padding`; `keras_convt.DepthwiseConv1DTranspose` documents
    them.
    """

    def __init__(
        self,
        kernel_size: Any,
        strides: Any = 1,
        padding: Any = "valid",
        depth_multiplier: Any = 1,
        data_format: str | None = None,
        dilation_rate: Any = 1,
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        depthwise_constraint: Any = None,
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
                "bias_initializer": bias_initializer,
                "depthwise_regularizer": depthwise_regularizer,
                "bias_regularizer": bias_regularizer,
                "activity_regularizer": activity_regularizer,
                "depthwise_constraint": depthwise_constraint,
                "bias_constraint": bias_constraint,
            },
            **kwargs,
        )
        self.depth_multiplier = arguments.whole_number(
            depth_multiplier, "depth_multiplier", minimum=1
        )

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        channels = self._channels(input_shape)
        self._expect_channels(channels)
        self.kernel = self._add_kernel(
            "kernel",
            "depthwise",
            (*self.kernel_size, self.depth_multiplier, channels),
        )
        self._add_bias(self._filters(channels))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "depth_multiplier": self.depth_multiplier,
        }

    def _filters(self, channels: int) -> int:
        return channels * self.depth_multiplier

    def _transpose(self, inputs: Any, output_size: Any) -> Any:
        kernel = ops.convert_to_tensor(self.kernel)
        return transposed_convolution(
            inputs,
            kernel,
            self._axes,
            self.data_format,
            kernel.shape[-1],
            output_size,
            bias=self._bias(),
        )
