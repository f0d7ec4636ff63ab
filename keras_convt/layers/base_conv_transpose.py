"""The transposed convolution of every rank: all but the rank."""

from typing import Any, Unpack

from keras import ops

from keras_convt import arguments
from keras_convt.layers import keras_objects
from keras_convt.layers.setting import Setting
from keras_convt.layers.stored_kernel import StoredKernel
from keras_convt.ops.core import transposed_convolution
from keras_convt.ops.types import Tensor
from keras_convt.types import (
    Config,
    DataFormat,
    KerasObject,
    LayerOptions,
    OnePerAxis,
    Padding,
    Shape,
)


class BaseConvTranspose(StoredKernel):
    """Abstract transposed convolution. A subclass gives its `rank`.

    The arguments are those of `keras.layers.Conv1DTranspose`, in its order,
    then those that it has not; `keras_convt.Conv1DTranspose` documents them.
    """

    filters = Setting(
        lambda layer, value, name: arguments.whole_number(
            value, name, minimum=1
        ),
        fixed=True,
    )
    groups = Setting(
        lambda layer, value, name: arguments.whole_number(
            value, name, minimum=1
        ),
        fixed=True,
    )

    def __init__(
        self,
        filters: int,
        kernel_size: OnePerAxis,
        strides: OnePerAxis = 1,
        padding: Padding = "valid",
        output_padding: OnePerAxis | None = None,
        data_format: DataFormat | None = None,
        dilation_rate: OnePerAxis = 1,
        activation: KerasObject = None,
        use_bias: bool = True,
        kernel_initializer: KerasObject = "glorot_uniform",
        bias_initializer: KerasObject = "zeros",
        kernel_regularizer: KerasObject = None,
        bias_regularizer: KerasObject = None,
        activity_regularizer: KerasObject = None,
        kernel_constraint: KerasObject = None,
        bias_constraint: KerasObject = None,
        *,
        groups: int = 1,
        lora_rank: int | None = None,
        lora_alpha: float | None = None,
        quantization_config: Any = None,
        implementation: str = "auto",
        **kwargs: Unpack[LayerOptions],
    ) -> None:
        super().__init__(
            kernel_size=kernel_size,
            strides=strides,
            padding=padding,
            output_padding=output_padding,
            data_format=data_format,
            dilation_rate=dilation_rate,
            activation=activation,
            use_bias=use_bias,
            bias_initializer=bias_initializer,
            bias_regularizer=bias_regularizer,
            activity_regularizer=activity_regularizer,
            bias_constraint=bias_constraint,
            implementation=implementation,
            lora_rank=lora_rank,
            lora_alpha=lora_alpha,
            quantization_config=quantization_config,
            **kwargs,
        )
        self.filters = filters
        self.groups = groups
        self.kernel_initializer = keras_objects.get(
            "kernel_initializer", kernel_initializer
        )
        self.kernel_regularizer = keras_objects.get(
            "kernel_regularizer", kernel_regularizer
        )
        self.kernel_constraint = keras_objects.get(
            "kernel_constraint", kernel_constraint
        )
        arguments.divisible(self.filters, self.groups, "filters")
        if self.lora_rank:
            self._check_lora()

    def build(self, input_shape: Shape) -> None:
        channels = self._channels(input_shape)
        self._expect_channels(channels)
        self._build_kernel(
            "kernel", (*self.kernel_size, self.filters // self.groups, channels)
        )
        self._add_bias(self.filters)
        if self.lora_rank:
            self._add_lora()

    def get_config(self) -> Config:
        config = {**super().get_config(), "filters": self.filters}
        if self.groups != 1:
            # The built-in layers, which do not know it, take all others.
            config["groups"] = self.groups
        return config

    def _shown(self) -> tuple[str, ...]:
        return ("filters", *super()._shown(), "groups")

    def _groups(self, channels: int) -> int:
        return int(self.groups)

    def _channels(self, input_shape: Any) -> int:
        channels = super()._channels(input_shape)
        arguments.divisible(self.filters, self.groups, "filters")
        arguments.divisible(channels, self.groups, "channels")
        if self.lora_rank:
            self._check_lora()
        return channels

    def _filters(self, channels: int | None) -> int:
        return int(self.filters)

    def _transpose(self, inputs: Tensor, output_size: Any) -> Tensor:
        return transposed_convolution(
            self._rounded(inputs, self.data_format),
            ops.convert_to_tensor(self.kernel),
            self._axes,
            self.data_format,
            self.groups,
            output_size,
            self.implementation,
            bias=self._bias(),
        )
