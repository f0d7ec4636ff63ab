"""The separable transposed convolution of every rank."""

from typing import Any, Unpack

from keras import ops

from keras_convt import arguments
from keras_convt.layers import keras_objects
from keras_convt.layers.base import BaseTranspose
from keras_convt.layers.setting import Setting
from keras_convt.ops.backend import backend
from keras_convt.ops.core import transposed_convolution
from keras_convt.ops.types import Tensor
from keras_convt.ops.window import to_channels_first, to_channels_last
from keras_convt.types import (
    Config,
    DataFormat,
    KerasObject,
    LayerOptions,
    OnePerAxis,
    Padding,
    Shape,
)


class BaseSeparableConvTranspose(BaseTranspose):
    """Abstract separable transposed convolution. A subclass gives its `rank`.

    The arguments are those of `keras.layers.SeparableConv1D`, in its order,
    then those that it has not; `keras_convt.SeparableConv1DTranspose` documents
    them.
    """

    kernel_argument = "depthwise"

    filters = Setting(
        lambda layer, value, name: arguments.whole_number(
            value, name, minimum=1
        ),
        fixed=True,
    )
    depth_multiplier = Setting(
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
        data_format: DataFormat | None = None,
        dilation_rate: OnePerAxis = 1,
        depth_multiplier: int = 1,
        activation: KerasObject = None,
        use_bias: bool = True,
        depthwise_initializer: KerasObject = "glorot_uniform",
        pointwise_initializer: KerasObject = "glorot_uniform",
        bias_initializer: KerasObject = "zeros",
        depthwise_regularizer: KerasObject = None,
        pointwise_regularizer: KerasObject = None,
        bias_regularizer: KerasObject = None,
        activity_regularizer: KerasObject = None,
        depthwise_constraint: KerasObject = None,
        pointwise_constraint: KerasObject = None,
        bias_constraint: KerasObject = None,
        *,
        output_padding: OnePerAxis | None = None,
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
            **kwargs,
        )
        self.filters = filters
        self.depth_multiplier = depth_multiplier
        self.depthwise_initializer = keras_objects.get(
            "depthwise_initializer", depthwise_initializer
        )
        self.pointwise_initializer = keras_objects.get(
            "pointwise_initializer", pointwise_initializer
        )
        self.depthwise_regularizer = keras_objects.get(
            "depthwise_regularizer", depthwise_regularizer
        )
        self.pointwise_regularizer = keras_objects.get(
            "pointwise_regularizer", pointwise_regularizer
        )
        self.depthwise_constraint = keras_objects.get(
            "depthwise_constraint", depthwise_constraint
        )
        self.pointwise_constraint = keras_objects.get(
            "pointwise_constraint", pointwise_constraint
        )
        self._check_dtype()

    def build(self, input_shape: Shape) -> None:
        self._check_dtype()
        channels = self._channels(input_shape)
        self._expect_channels(channels)
        self.depthwise_kernel = self.add_weight(
            name="depthwise_kernel",
            shape=(*self.kernel_size, self.depth_multiplier, channels),
            initializer=self.depthwise_initializer,
            regularizer=self.depthwise_regularizer,
            constraint=self.depthwise_constraint,
        )
        self.pointwise_kernel = self.add_weight(
            name="pointwise_kernel",
            shape=(
                *(1,) * self.rank,
                channels * self.depth_multiplier,
                self.filters,
            ),
            initializer=self.pointwise_initializer,
            regularizer=self.pointwise_regularizer,
            constraint=self.pointwise_constraint,
        )
        self._add_bias(self.filters)

    def enable_lora(self, *args: Any, **kwargs: Any) -> None:
        """Not there: a separable layer is two small kernels already."""
        raise NotImplementedError(
            f"The layer {self.name!r} cannot have LoRA: "
            f"{type(self).__name__} has two kernels. A depthwise layer and a "
            "Dense layer, which together compute the same, can."
        )

    def quantize(self, *args: Any, **kwargs: Any) -> None:
        """Not there: see `enable_lora`. `model.quantize` leaves it out."""
        raise NotImplementedError(
            f"The layer {self.name!r} cannot be quantized: "
            f"{type(self).__name__} has two kernels. A depthwise layer and a "
            "Dense layer, which together compute the same, can."
        )

    def get_config(self) -> Config:
        return {
            **super().get_config(),
            "filters": self.filters,
            "depth_multiplier": self.depth_multiplier,
            **self._serialized(
                "depthwise_initializer",
                "pointwise_initializer",
                "depthwise_regularizer",
                "pointwise_regularizer",
                "depthwise_constraint",
                "pointwise_constraint",
            ),
        }

    def _shown(self) -> tuple[str, ...]:
        return ("filters", *super()._shown(), "depth_multiplier")

    def _groups(self, channels: int) -> int:
        return channels

    def _filters(self, channels: int | None) -> int:
        return int(self.filters)

    def _check_dtype(self) -> None:
        """Refuse a policy that stands for `quantize`."""
        if self.quantization_mode is not None:
            raise ValueError(
                f"`dtype` of {type(self).__name__} must not be a quantized "
                "policy, because the layer has two kernels. A depthwise layer "
                "and a Dense layer, which together compute the same, can "
                f"have one. Received: dtype={self.dtype_policy.name!r}."
            )

    def _transpose(self, inputs: Tensor, output_size: Any) -> Tensor:
        kernel = ops.convert_to_tensor(self.depthwise_kernel)
        depthwise = transposed_convolution(
            inputs,
            kernel,
            self._axes,
            self.data_format,
            kernel.shape[-1],
            output_size,
            self.implementation,
        )
        return backend.as_one_program(
            _pointwise,
            (
                depthwise,
                ops.convert_to_tensor(self.pointwise_kernel),
                self._bias(),
            ),
            self.data_format,
        )


def _pointwise(
    inputs: Tensor, kernel: Tensor, bias: Tensor | None, data_format: str
) -> Tensor:
    """The convolution with one tap, a matrix product."""
    if data_format == "channels_first":
        inputs = to_channels_last(inputs)
    outputs = backend.matmul(inputs, ops.reshape(kernel, kernel.shape[-2:]))
    if bias is not None:
        outputs = backend.add_bias(outputs, bias)
    if data_format == "channels_first":
        outputs = to_channels_first(outputs)
    return outputs
