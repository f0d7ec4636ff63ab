"""What the transposed convolutions of every rank share: all but the rank."""

from typing import Any, ClassVar

import keras
from keras import activations, constraints, initializers, ops, regularizers

from keras_convt import arguments, geometry
from keras_convt.ops.core import requested_steps, transposed_convolution


class BaseConvTranspose(keras.layers.Layer):
    """Abstract transposed convolution. A subclass gives its `rank`.

    The arguments are those of `keras.layers.Conv1DTranspose`, in its order,
    and `groups`; `Conv1DTranspose` documents them.
    """

    rank: ClassVar[int]

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
            activity_regularizer=arguments.keras_object(
                regularizers.get, activity_regularizer, "activity_regularizer"
            ),
            **kwargs,
        )
        rank = self.rank
        self.filters = arguments.whole_number(filters, "filters", minimum=1)
        self.groups = arguments.whole_number(groups, "groups", minimum=1)
        arguments.divisible(self.filters, self.groups, "filters")
        self.kernel_size = arguments.sizes(kernel_size, rank, "kernel_size")
        self.strides = arguments.sizes(strides, rank, "strides")
        self.dilation_rate = arguments.sizes(
            dilation_rate, rank, "dilation_rate"
        )
        arguments.strides_or_dilation(self.strides, self.dilation_rate)
        self.padding = arguments.padding(padding, rank)
        self.output_padding = arguments.output_padding(
            output_padding, self.strides, self.padding
        )
        self.data_format = arguments.data_format(data_format)
        self.activation = arguments.keras_object(
            activations.get, activation, "activation"
        )
        self.use_bias = arguments.flag(use_bias, "use_bias")
        self.kernel_initializer = arguments.keras_object(
            initializers.get,
            # The documented meaning of None.
            "glorot_uniform"
            if kernel_initializer is None
            else kernel_initializer,
            "kernel_initializer",
        )
        self.bias_initializer = arguments.keras_object(
            initializers.get,
            "zeros" if bias_initializer is None else bias_initializer,
            "bias_initializer",
        )
        self.kernel_regularizer = arguments.keras_object(
            regularizers.get, kernel_regularizer, "kernel_regularizer"
        )
        self.bias_regularizer = arguments.keras_object(
            regularizers.get, bias_regularizer, "bias_regularizer"
        )
        self.kernel_constraint = arguments.keras_object(
            constraints.get, kernel_constraint, "kernel_constraint"
        )
        self.bias_constraint = arguments.keras_object(
            constraints.get, bias_constraint, "bias_constraint"
        )
        self.input_spec = keras.layers.InputSpec(ndim=rank + 2)
        self._axes = geometry.axes(
            self.kernel_size,
            self.strides,
            self.dilation_rate,
            self.padding,
            self.output_padding,
        )

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        channels = self._channels(input_shape)
        self.input_spec = keras.layers.InputSpec(
            ndim=self.rank + 2,
            axes={geometry.channel_axis(self.data_format): channels},
        )
        self.kernel = self.add_weight(
            name="kernel",
            shape=(
                *self.kernel_size,
                self.filters // self.groups,
                channels,
            ),
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                name="bias",
                shape=(self.filters,),
                initializer=self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )

    def call(self, inputs: Any, output_size: Any = None) -> Any:
        outputs = transposed_convolution(
            inputs,
            ops.convert_to_tensor(self.kernel),
            self._axes,
            self.data_format,
            self.groups,
            output_size,
        )
        if self.bias is not None:
            outputs = ops.add(outputs, self._broadcast_bias())
        if self.activation is not None:
            outputs = self.activation(outputs)
        return outputs

    def compute_output_shape(
        self, input_shape: tuple[int | None, ...], output_size: Any = None
    ) -> tuple[int | None, ...]:
        self._channels(input_shape)
        return geometry.output_shape(
            input_shape,
            self._axes,
            self.filters,
            self.data_format,
            requested_steps(output_size, self.rank, self.data_format),
        )

    def compute_output_spec(
        self, inputs: Any, output_size: Any = None
    ) -> keras.KerasTensor:
        return keras.KerasTensor(
            self.compute_output_shape(inputs.shape, output_size),
            dtype=self.compute_dtype,
        )

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.update(
            {
                "filters": self.filters,
                "kernel_size": self.kernel_size,
                "strides": self.strides,
                "padding": self.padding,
                "output_padding": self.output_padding,
                "data_format": self.data_format,
                "dilation_rate": self.dilation_rate,
                "activation": activations.serialize(self.activation),
                "use_bias": self.use_bias,
                "kernel_initializer": initializers.serialize(
                    self.kernel_initializer
                ),
                "bias_initializer": initializers.serialize(
                    self.bias_initializer
                ),
                "kernel_regularizer": regularizers.serialize(
                    self.kernel_regularizer
                ),
                "bias_regularizer": regularizers.serialize(
                    self.bias_regularizer
                ),
                "activity_regularizer": regularizers.serialize(
                    self.activity_regularizer
                ),
                "kernel_constraint": constraints.serialize(
                    self.kernel_constraint
                ),
                "bias_constraint": constraints.serialize(self.bias_constraint),
                "groups": self.groups,
            }
        )
        return config

    def _channels(self, input_shape: tuple[int | None, ...]) -> int:
        """The channels of an input shape, which must be usable."""
        shape = tuple(input_shape)
        if len(shape) != self.rank + 2:
            raise ValueError(
                f"The input of {type(self).__name__} must have "
                f"{self.rank + 2} axes. Received: input_shape={shape}."
            )
        channels = shape[geometry.channel_axis(self.data_format)]
        if channels is None:
            raise ValueError(
                f"The channels of the input of {type(self).__name__} must be "
                f"known. Received: input_shape={shape}, "
                f"data_format={self.data_format!r}."
            )
        arguments.divisible(channels, self.groups, "channels")
        return channels

    def _broadcast_bias(self) -> Any:
        if self.data_format == "channels_last":
            return ops.convert_to_tensor(self.bias)
        return ops.reshape(self.bias, (1, self.filters) + (1,) * self.rank)
