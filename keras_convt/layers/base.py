"""What all transposed layers share: their axes, shapes, masks and config."""

from typing import Any, ClassVar

import keras
from keras import ops

from keras_convt import arguments, geometry
from keras_convt.layers import keras_objects, masking
from keras_convt.ops.core import requested_steps


class BaseTranspose(keras.layers.Layer):
    """Abstract layer over a window of a transposed convolution.

    A subclass has a `rank`, says how many `_filters` come of the channels of
    an input, and what `_transpose` does with a tensor.

    Args:
        kernel_size, strides, padding, output_padding, data_format,
        dilation_rate, use_bias: As in `keras_convt.Conv1DTranspose`.
        objects: The activation, initializers, regularizers and constraints,
            by the names of their arguments.
        **kwargs: Arguments of `keras.layers.Layer`.
    """

    rank: ClassVar[int]

    def __init__(
        self,
        kernel_size: Any,
        strides: Any,
        padding: Any,
        output_padding: Any,
        data_format: str | None,
        dilation_rate: Any,
        use_bias: bool,
        objects: dict[str, Any],
        **kwargs: Any,
    ) -> None:
        checked = {
            name: keras_objects.get(name, value)
            for name, value in objects.items()
        }
        super().__init__(
            activity_regularizer=checked["activity_regularizer"], **kwargs
        )
        self._object_names = tuple(checked)
        for name, value in checked.items():
            setattr(self, name, value)
        rank = self.rank
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
        self.use_bias = arguments.flag(use_bias, "use_bias")
        self.input_spec = keras.layers.InputSpec(ndim=rank + 2)
        self.supports_masking = True
        self._axes = geometry.axes(
            self.kernel_size,
            self.strides,
            self.dilation_rate,
            self.padding,
            self.output_padding,
        )

    def _filters(self, channels: int) -> int:
        """Channels of the output for so many of the input."""
        raise NotImplementedError(f"{type(self).__name__} has no _filters().")

    def _transpose(self, inputs: Any, output_size: Any) -> Any:
        """The output before the activation."""
        raise NotImplementedError(f"{type(self).__name__} has no _transpose().")

    def call(
        self, inputs: Any, mask: Any = None, output_size: Any = None
    ) -> Any:
        if mask is not None:
            inputs = masking.zero_masked(inputs, mask, self.data_format)
        outputs = self._transpose(inputs, output_size)
        if self.activation is not None:
            outputs = self.activation(outputs)
        if mask is not None:
            # Keras asks `compute_mask` for the default length, and before
            # 3.15 not at all where the mask is given in the call.
            outputs = masking.attach(
                outputs, self.compute_mask(inputs, mask, output_size)
            )
        return outputs

    def compute_mask(
        self, inputs: Any, previous_mask: Any = None, output_size: Any = None
    ) -> Any:
        if previous_mask is None:
            return None
        requested = requested_steps(output_size, self.rank, self.data_format)
        return masking.output_mask(previous_mask, self._axes, requested)

    def compute_output_shape(
        self, input_shape: tuple[int | None, ...], output_size: Any = None
    ) -> tuple[int | None, ...]:
        return geometry.output_shape(
            input_shape,
            self._axes,
            self._filters(self._channels(input_shape)),
            self.data_format,
            requested_steps(output_size, self.rank, self.data_format),
        )

    def compute_output_spec(
        self, inputs: Any, mask: Any = None, output_size: Any = None
    ) -> keras.KerasTensor:
        outputs = keras.KerasTensor(
            self.compute_output_shape(inputs.shape, output_size),
            dtype=self.compute_dtype,
        )
        if mask is not None and output_size is not None:
            outputs._keras_mask = self.compute_mask(inputs, mask, output_size)
        return outputs

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "padding": self.padding,
            "output_padding": self.output_padding,
            "data_format": self.data_format,
            "dilation_rate": self.dilation_rate,
            "use_bias": self.use_bias,
            **{
                name: keras_objects.serialize(name, getattr(self, name))
                for name in self._object_names
            },
        }

    def _channels(self, input_shape: tuple[int | None, ...]) -> int:
        """The channels of an input shape, which must be usable."""
        shape = tuple(input_shape)
        if len(shape) != self.rank + 2:
            raise ValueError(
                f"The input of {type(self).__name__} must have "
                f"{self.rank + 2} axes. Received: input_shape={shape}."
            )
        channels = shape[geometry.channel_axis(self.data_format)]
        if channels == 0:
            raise ValueError(
                f"The input of {type(self).__name__} must have channels. "
                f"Received: input_shape={shape}, "
                f"data_format={self.data_format!r}."
            )
        if channels is None:
            raise ValueError(
                f"The channels of the input of {type(self).__name__} must be "
                f"known. Received: input_shape={shape}, "
                f"data_format={self.data_format!r}."
            )
        return channels

    def _expect_channels(self, channels: int) -> None:
        """From now on, refuse inputs with other channels."""
        self.input_spec = keras.layers.InputSpec(
            ndim=self.rank + 2,
            axes={geometry.channel_axis(self.data_format): channels},
        )

    def _add_kernel(
        self, name: str, argument: str, shape: tuple[int, ...]
    ) -> Any:
        """Add a weight with the objects whose names begin with `argument`."""
        return self.add_weight(
            name=name,
            shape=shape,
            initializer=getattr(self, f"{argument}_initializer"),
            regularizer=getattr(self, f"{argument}_regularizer"),
            constraint=getattr(self, f"{argument}_constraint"),
        )

    def _add_bias(self, filters: int) -> None:
        self.bias = (
            self._add_kernel("bias", "bias", (filters,))
            if self.use_bias
            else None
        )

    def _bias(self) -> Any:
        """The bias as a tensor, or None."""
        return None if self.bias is None else ops.convert_to_tensor(self.bias)
