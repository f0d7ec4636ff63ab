"""The separable transposed convolution of every rank."""

from typing import Any, Unpack

from keras import ops

from keras_convt import arguments
from keras_convt.layers import keras_objects
from keras_convt.layers.int8_kernels import Int8Kernels, stored_kernel
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


class BaseSeparableConvTranspose(Int8Kernels):
    """Abstract separable transposed convolution. A subclass gives its `rank`.

    The arguments are those of `keras.layers.SeparableConv1D`, in its order,
    then those that it has not; `keras_convt.SeparableConv1DTranspose` documents
    them.
    """

    kernel_argument = "depthwise"
    kernel_names = ("depthwise_kernel", "pointwise_kernel")
    depthwise_kernel = stored_kernel("depthwise_kernel")
    pointwise_kernel = stored_kernel("pointwise_kernel")

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
            quantization_config=quantization_config,
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

    def build(self, input_shape: Shape) -> None:
        channels = self._channels(input_shape)
        self._expect_channels(channels)
        self._build_kernel(
            "depthwise_kernel",
            (*self.kernel_size, self.depth_multiplier, channels),
        )
        self._build_kernel(
            "pointwise_kernel",
            (
                *(1,) * self.rank,
                channels * self.depth_multiplier,
                self.filters,
            ),
        )
        self._add_bias(self.filters)

    def enable_lora(self, *args: Any, **kwargs: Any) -> None:
        """Not there: a separable layer is two small kernels already."""
        raise NotImplementedError(
            f"The layer {self.name!r} cannot have LoRA: "
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

    def _of_kernel(self, name: str, kind: str) -> Any:
        return getattr(self, f"{name.removesuffix('_kernel')}_{kind}")

    def _layout(self, name: str, shape: Shape) -> tuple[int, int]:
        if name == "pointwise_kernel":
            return 1, -1
        return super()._layout(name, shape)

    def _transpose(self, inputs: Tensor, output_size: Any) -> Tensor:
        kernel = ops.convert_to_tensor(self.depthwise_kernel)
        depthwise = transposed_convolution(
            self._rounded(inputs, self.data_format),
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
                self._rounded(depthwise, self.data_format),
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
