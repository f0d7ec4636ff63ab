"""The transposed convolution of every rank: all but the rank."""

from typing import Any

from keras import ops

from keras_convt import arguments
from keras_convt.geometry import channel_axis
from keras_convt.layers.stored_kernel import StoredKernel
from keras_convt.ops.core import transposed_convolution


class BaseConvTranspose(StoredKernel):
    """Abstract transposed convolution. A subclass gives its `rank`.

    The arguments are those of `keras.layers.Conv1DTranspose`, in its order,
    and `groups`; `keras_convt.Conv1DTranspose` documents them.
    """

    def __init__(
        self,
        filters: Any,
        kernel_size: Any,
        strides: Any = 1,
        padding: Any = "valid",
        output_padding: Any = None,
        data_format: str | None = None,
        dilation_rate: Any = 1,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        *,
        groups: Any = 1,
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
                "kernel_initializer": kernel_initializer,
                "bias_initializer": bias_initializer,
                "kernel_regularizer": kernel_regularizer,
                "bias_regularizer": bias_regularizer,
                "activity_regularizer": activity_regularizer,
                "kernel_constraint": kernel_constraint,
                "bias_constraint": bias_constraint,
            },
            **kwargs,
        )
        self.filters = arguments.whole_number(filters, "filters", minimum=1)
        self.groups = arguments.whole_number(groups, "groups", minimum=1)
        arguments.divisible(self.filters, self.groups, "filters")

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        channels = self._channels(input_shape)
        self._expect_channels(channels)
        self._build_kernel(
            (*self.kernel_size, self.filters // self.groups, channels)
        )
        self._add_bias(self.filters)
        if self.lora_rank:
            self._add_lora()

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "filters": self.filters,
            "groups": self.groups,
        }

    def _channels(self, input_shape: tuple[int | None, ...]) -> int:
        channels = super()._channels(input_shape)
        arguments.divisible(channels, self.groups, "channels")
        return channels

    def _filters(self, channels: int) -> int:
        return self.filters

    def _transpose(self, inputs: Any, output_size: Any) -> Any:
        return transposed_convolution(
            self._rounded(inputs, channel_axis(self.data_format)),
            ops.convert_to_tensor(self.kernel),
            self._axes,
            self.data_format,
            self.groups,
            output_size,
            bias=self._bias(),
        )
