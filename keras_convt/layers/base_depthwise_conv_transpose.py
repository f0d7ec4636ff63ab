"""The depthwise transposed convolution of every rank."""

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


class BaseDepthwiseConvTranspose(StoredKernel):
    """Abstract depthwise transposed convolution. A subclass gives its `rank`.

    The arguments are those of `keras.layers.DepthwiseConv1D`, in its order,
    then those that it has not; `keras_convt.DepthwiseConv1DTranspose`
    documents them.
    """

    kernel_argument = "depthwise"

    depth_multiplier = Setting(
        lambda layer, value, name: arguments.whole_number(
            value, name, minimum=1
        ),
        fixed=True,
    )

    def __init__(
        self,
        kernel_size: OnePerAxis,
        strides: OnePerAxis = 1,
        padding: Padding = "valid",
        depth_multiplier: int = 1,
        data_format: DataFormat | None = None,
        dilation_rate: OnePerAxis = 1,
        activation: KerasObject = None,
        use_bias: bool = True,
        depthwise_initializer: KerasObject = "glorot_uniform",
        bias_initializer: KerasObject = "zeros",
        depthwise_regularizer: KerasObject = None,
        bias_regularizer: KerasObject = None,
        activity_regularizer: KerasObject = None,
        depthwise_constraint: KerasObject = None,
        bias_constraint: KerasObject = None,
        *,
        output_padding: OnePerAxis | None = None,
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
        self.depth_multiplier = depth_multiplier
        self.depthwise_initializer = keras_objects.get(
            "depthwise_initializer", depthwise_initializer
        )
        self.depthwise_regularizer = keras_objects.get(
            "depthwise_regularizer", depthwise_regularizer
        )
        self.depthwise_constraint = keras_objects.get(
            "depthwise_constraint", depthwise_constraint
        )
        if self.lora_rank:
            self._check_lora()

    def build(self, input_shape: Shape) -> None:
        channels = self._channels(input_shape)
        if self.lora_rank:
            self._check_lora()
        self._expect_channels(channels)
        self._build_kernel(
            "kernel", (*self.kernel_size, self.depth_multiplier, channels)
        )
        self._add_bias(channels * self.depth_multiplier)
        if self.lora_rank:
            self._add_lora()

    def get_config(self) -> Config:
        return {
            **super().get_config(),
            "depth_multiplier": self.depth_multiplier,
        }

    def _shown(self) -> tuple[str, ...]:
        return (*super()._shown(), "depth_multiplier")

    def _groups(self, channels: int) -> int:
        return channels

    def _filters(self, channels: int | None) -> int | None:
        return None if channels is None else channels * self.depth_multiplier

    def _transpose(self, inputs: Tensor, output_size: Any) -> Tensor:
        kernel = ops.convert_to_tensor(self.kernel)
        return transposed_convolution(
            self._rounded(inputs, self.data_format),
            kernel,
            self._axes,
            self.data_format,
            kernel.shape[-1],
            output_size,
            self.implementation,
            bias=self._bias(),
        )
