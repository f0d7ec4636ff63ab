"""What all transposed layers share: their axes, shapes, masks and config."""

import inspect
from typing import Any, ClassVar

import keras
from keras import ops

from keras_convt import arguments, geometry
from keras_convt.geometry import Axis
from keras_convt.layers import holders, keras_objects, masking
from keras_convt.layers.own_constructor import give_constructor
from keras_convt.layers.setting import Setting
from keras_convt.ops.backend import backend
from keras_convt.ops.choice import check_implementation
from keras_convt.ops.core import requested_steps
from keras_convt.ops.formulations import FORMULATIONS
from keras_convt.ops.problem import Problem
from keras_convt.ops.types import Tensor
from keras_convt.types import Config, Shape


def _sizes(layer: Any, value: Any, name: str) -> tuple[int, ...]:
    return arguments.sizes(value, layer.rank, name)


def _strides(layer: Any, value: Any, name: str) -> tuple[int, ...]:
    checked = _sizes(layer, value, name)
    if layer._built_channels is not None:
        layer._check_initializer(checked)
    return checked


def _output_padding(
    layer: Any, value: Any, name: str
) -> tuple[int, ...] | None:
    if value is None:
        return None
    return arguments.sizes(value, layer.rank, name, minimum=0)


def _implementation(layer: Any, value: Any, name: str) -> str:
    checked = arguments.implementation(value, FORMULATIONS)
    if layer._built_channels is not None:
        layer._check_implementation(checked, layer._built_channels)
    return checked


class BaseTranspose(keras.layers.Layer):
    """Abstract layer over a window of a transposed convolution.

    A subclass has a `rank`, says how many `_filters` come of the channels of
    an input, and what `_transpose` does with a tensor.

    Args:
        kernel_size, strides, padding, output_padding, data_format,
            dilation_rate, activation, use_bias, bias_initializer,
            bias_regularizer, activity_regularizer, bias_constraint,
            implementation: As in `keras_convt.Conv1DTranspose`.
        **kwargs: Arguments of `keras.layers.Layer`.
    """

    rank: ClassVar[int]
    # How the arguments of the kernel that has the strides begin.
    kernel_argument: ClassVar[str] = "kernel"
    _known_axes: tuple[Axis, ...] | None = None
    # The shape of the last inputs that were found to be right.
    _known_shape: Shape | None = None
    _built_channels: int | None = None

    kernel_size = Setting(_sizes, fixed=True)
    strides = Setting(_strides)
    dilation_rate = Setting(_sizes)
    padding = Setting(
        lambda layer, value, name: arguments.padding(value, layer.rank, name)
    )
    output_padding = Setting(_output_padding)
    data_format = Setting(
        lambda layer, value, name: arguments.data_format(value), fixed=True
    )
    use_bias = Setting(
        lambda layer, value, name: arguments.flag(value, name), fixed=True
    )
    implementation = Setting(_implementation)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        give_constructor(cls)

    def __init__(
        self,
        *,
        kernel_size: Any,
        strides: Any,
        padding: Any,
        output_padding: Any,
        data_format: Any,
        dilation_rate: Any,
        activation: Any,
        use_bias: Any,
        bias_initializer: Any,
        bias_regularizer: Any,
        activity_regularizer: Any,
        bias_constraint: Any,
        implementation: Any,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            activity_regularizer=keras_objects.get(
                "activity_regularizer", activity_regularizer
            ),
            **kwargs,
        )
        self.kernel_size = kernel_size
        self.strides = strides
        self.dilation_rate = dilation_rate
        self.padding = padding
        self.output_padding = arguments.output_padding(
            output_padding, self.strides, self.padding
        )
        self.data_format = data_format
        self.activation = keras_objects.get("activation", activation)
        self.use_bias = use_bias
        self.bias_initializer = keras_objects.get(
            "bias_initializer", bias_initializer
        )
        self.bias_regularizer = keras_objects.get(
            "bias_regularizer", bias_regularizer
        )
        self.bias_constraint = keras_objects.get(
            "bias_constraint", bias_constraint
        )
        self.implementation = implementation
        self.input_spec = keras.layers.InputSpec(ndim=self.rank + 2)
        self.supports_masking = True
        _ = self._axes  # refuses what cannot stand together

    def _filters(self, channels: int | None) -> int | None:
        """Channels of the output for so many of the input."""
        raise NotImplementedError(f"{type(self).__name__} has no _filters().")

    def _groups(self, channels: int) -> int:
        """Groups of the transposed convolution of so many channels."""
        raise NotImplementedError(f"{type(self).__name__} has no _groups().")

    def _transpose(self, inputs: Tensor, output_size: Any) -> Tensor:
        """The output before the activation."""
        raise NotImplementedError(f"{type(self).__name__} has no _transpose().")

    def _renew(self) -> None:
        """Let models that hold the layer compile their functions anew."""
        if self.weights:
            holders.renew(self.weights[0])

    @property
    def _axes(self) -> tuple[Axis, ...]:
        """The arithmetic of each axis, checked as a whole."""
        # Kept, because each call asks; a `Setting` that changes forgets it.
        if self._known_axes is None:
            arguments.strides_or_dilation(self.strides, self.dilation_rate)
            arguments.output_padding(
                self.output_padding, self.strides, self.padding
            )
            self._known_axes = geometry.axes(
                self.kernel_size,
                self.strides,
                self.dilation_rate,
                self.padding,
                self.output_padding,
            )
        return self._known_axes

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        # Here, because Keras puts its own words around what `call` raises.
        self._check_call(*args, **kwargs)
        return super().__call__(*args, **kwargs)

    def call(
        self, inputs: Tensor, mask: Tensor = None, output_size: Any = None
    ) -> Tensor:
        if mask is not None:
            mask = masking.checked(mask, inputs.shape, self.data_format)
            inputs = backend.as_one_program(
                masking.zero_masked, (inputs, mask), self.data_format
            )
        outputs = self._transpose(inputs, output_size)
        if self.activation is not None:
            outputs = self.activation(outputs)
        return self._with_mask(outputs, inputs, mask, output_size)

    def rematerialized_call(
        self, layer_call: Any, *args: Any, **kwargs: Any
    ) -> Any:
        """The `call` that Keras runs within a `keras.RematScope`.

        TensorFlow's gradient checkpointing takes no keyword arguments, and
        Keras always sends a layer with masks one (seen in Keras 3.15.1). It
        loses the mask of an output, too.
        """

        def without_keywords(*args: Any) -> Any:
            return layer_call(*args, **kwargs)

        checkpointed = super().rematerialized_call(
            without_keywords, *args, **kwargs
        )

        def call(*args: Any, **kwargs: Any) -> Any:
            outputs = checkpointed(*args)
            return self._with_mask(
                outputs, args[0], kwargs.get("mask"), kwargs.get("output_size")
            )

        return call

    def compute_mask(
        self,
        inputs: Tensor,
        previous_mask: Tensor = None,
        output_size: Any = None,
    ) -> Tensor:
        if previous_mask is None:
            return None
        mask = masking.checked(previous_mask, inputs.shape, self.data_format)
        if masking.is_of_channels(mask, inputs.shape, self.data_format):
            # Each filter sees all channels, and each step is real.
            return None
        requested = requested_steps(output_size, self.rank, self.data_format)
        return backend.mask_as_one_program(
            masking.output_mask, mask, self._axes, requested
        )

    def compute_output_shape(
        self, input_shape: Shape, output_size: Any = None
    ) -> Shape:
        shape = self._checked_shape(input_shape)
        return geometry.output_shape(
            shape,
            self._axes,
            self._filters(shape[geometry.channel_axis(self.data_format)]),
            self.data_format,
            requested_steps(output_size, self.rank, self.data_format),
        )

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        shape_of = inspect.signature(self.compute_output_shape).parameters
        if "output_size" not in shape_of:
            # A subclass has its own: Keras finds out what that takes.
            return super().compute_output_spec(*args, **kwargs)
        call = inspect.signature(self.call).bind(*args, **kwargs).arguments
        inputs = next(iter(call.values()))
        mask, size = call.get("mask"), call.get("output_size")
        outputs = keras.KerasTensor(
            self.compute_output_shape(inputs.shape, size),
            dtype=self.compute_dtype,
        )
        if mask is not None and size is not None:
            outputs._keras_mask = self.compute_mask(inputs, mask, size)
        return outputs

    def get_config(self) -> Config:
        config = {
            **super().get_config(),
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "padding": self.padding,
            "output_padding": self.output_padding,
            "data_format": self.data_format,
            "dilation_rate": self.dilation_rate,
            "use_bias": self.use_bias,
            **self._serialized(
                "activation",
                "bias_initializer",
                "bias_regularizer",
                "activity_regularizer",
                "bias_constraint",
            ),
        }
        if self.implementation != "auto":
            # The built-in layers, which do not know it, take all others.
            config["implementation"] = self.implementation
        return config

    def __repr__(self) -> str:
        # In the constructor, some may not be there yet.
        settings = "".join(
            f", {name}={vars(self)[name]!r}"
            for name in self._shown()
            if name in vars(self)
        )
        return (
            f"<keras_convt.{type(self).__name__} name={self.name}{settings}, "
            f"built={self.built}>"
        )

    def _shown(self) -> tuple[str, ...]:
        """The arguments that `repr` shows."""
        return ("kernel_size", "strides", "padding")

    def _serialized(self, *names: str) -> Config:
        return {
            name: keras_objects.serialize(name, getattr(self, name))
            for name in names
        }

    def _check_call(self, *args: Any, **kwargs: Any) -> None:
        """Refuse what `call` cannot compute with, by shapes that are known."""
        inputs = args[0] if args else kwargs.get("inputs")
        shape = getattr(inputs, "shape", None)
        known = self._known_shape
        if known is not None and not kwargs and shape == known:
            return
        spec = self.input_spec
        # A subclass that takes other inputs says so in its specification.
        if shape is None or getattr(spec, "ndim", None) != self.rank + 2:
            return
        shape = self._checked_shape(shape)
        axis = geometry.channel_axis(self.data_format)
        channels = spec.axes.get(axis)
        if channels is not None and shape[axis] not in (channels, None):
            raise ValueError(
                f"The input of {type(self).__name__} {self.name!r} must have "
                f"{channels} channels, which its weights are built for. "
                f"Received: input_shape={shape}, "
                f"data_format={self.data_format!r}."
            )
        size = kwargs.get("output_size")
        if size is None or not backend.has_stand_in_sizes(inputs):
            size = requested_steps(size, self.rank, self.data_format)
            geometry.output_shape(shape, self._axes, 0, self.data_format, size)
        if kwargs.get("mask") is not None:
            masking.checked(kwargs["mask"], shape, self.data_format)
        if not kwargs and all(type(n) is int for n in shape):
            self._known_shape = shape

    def _checked_shape(self, input_shape: Any) -> Shape:
        """The shape of an input, which must have the right axes."""
        shape = tuple(input_shape)
        if len(shape) != self.rank + 2:
            raise ValueError(
                f"The input of {type(self).__name__} {self.name!r} must have "
                f"{self.rank + 2} axes. Received: input_shape={shape}."
            )
        return shape

    def _channels(self, input_shape: Any) -> int:
        """The channels of an input that weights are to be built for."""
        shape = self._checked_shape(input_shape)
        channels = shape[geometry.channel_axis(self.data_format)]
        if channels == 0:
            raise ValueError(
                f"The input of {type(self).__name__} must have channels. "
                f"Received: input_shape={shape}, "
                f"data_format={self.data_format!r}."
            )
        if channels is None:
            raise ValueError(
                f"The channels of the input of {type(self).__name__} "
                f"{self.name!r} must be known. Received: input_shape={shape}, "
                f"data_format={self.data_format!r}."
            )
        return channels

    def _expect_channels(self, channels: int) -> None:
        """Refuse what is not for so many channels, before weights exist.

        And from now on, refuse inputs with other channels.
        """
        self._check_implementation(self.implementation, channels)
        self._check_initializer(self.strides)
        self._built_channels = channels
        self._known_shape = None
        self.input_spec = keras.layers.InputSpec(
            ndim=self.rank + 2,
            axes={geometry.channel_axis(self.data_format): channels},
        )

    def _check_implementation(self, name: str, channels: int) -> None:
        check_implementation(
            name,
            Problem(
                kernel_size=self.kernel_size,
                strides=self.strides,
                dilation_rate=self.dilation_rate,
                groups=self._groups(channels),
                channels=channels,
                filters=self._filters(channels) or 0,
                dtype=self.compute_dtype,
            ),
        )

    def _check_initializer(self, strides: tuple[int, ...]) -> None:
        """Refuse an initializer that is for other strides, as `ICNR` is."""
        name = f"{self.kernel_argument}_initializer"
        check = getattr(getattr(self, name, None), "check_strides", None)
        if check is not None:
            check(strides, name)

    def _add_bias(self, filters: int) -> None:
        self.bias = (
            self.add_weight(
                name="bias",
                shape=(filters,),
                initializer=self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )
            if self.use_bias
            else None
        )

    def _bias(self) -> Tensor:
        """The bias as a tensor, or None."""
        # A subclass that builds its own weights may have no such attribute.
        return ops.convert_to_tensor(self.bias) if self.use_bias else None

    def _with_mask(
        self, outputs: Tensor, inputs: Tensor, mask: Tensor, output_size: Any
    ) -> Tensor:
        """The outputs, with the mask that follows from the inputs'."""
        if mask is None:
            return outputs
        # Keras asks `compute_mask` for the default length, and before 3.15
        # not at all where the mask is given in the call.
        sizes = {} if output_size is None else {"output_size": output_size}
        mask = self.compute_mask(inputs, mask, **sizes)
        return outputs if mask is None else masking.attach(outputs, mask)
