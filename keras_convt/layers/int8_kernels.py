"""How a layer stores its kernels: as they are, or in int8."""

from typing import Any, ClassVar

import keras
from keras import ops

from keras_convt import geometry
from keras_convt.layers import holders
from keras_convt.layers.base import BaseTranspose
from keras_convt.ops import int8
from keras_convt.ops.types import Tensor
from keras_convt.types import Config, Shape


def stored_kernel(name: str) -> property:
    """The property of a kernel: what the layer computes with.

    Args:
        name: str, of the weight, as in `Int8Kernels.kernel_names`.
    """

    def computed(layer: Any) -> Any:
        return layer._computed_kernel(name)

    def stored(layer: Any, value: Any) -> None:
        layer._set_kernel(name, value)

    return property(
        computed,
        stored,
        doc=f"""The `{name}`: a variable, or a tensor where it is computed.

        It can be set, to a variable or a tensor that the layer shall compute
        with. The weights of the layer stay what they are. With LoRA or int8
        the kernel is computed, and cannot be set.
        """,
    )


class Int8Kernels(BaseTranspose):
    """Abstract layer whose kernels int8 can store.

    A subclass names them, has a property of each (`stored_kernel`), and adds
    each as a weight (`_build_kernel`).

    Args:
        quantization_config: As in `keras_convt.Conv1DTranspose`.
        **kwargs: Arguments of `BaseTranspose`.
    """

    kernel_names: ClassVar[tuple[str, ...]]
    # Only a layer with one kernel can have it: `StoredKernel`.
    lora_enabled = False

    def __init__(self, *, quantization_config: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if isinstance(quantization_config, dict):
            quantization_config = keras.saving.deserialize_keras_object(
                quantization_config
            )
        self.quantization_config = quantization_config

    def quantize(
        self,
        mode: str | None = None,
        type_check: bool = True,
        config: Any = None,
    ) -> None:
        """Store the kernels as int8, and round inputs to int8.

        A kernel has one scale for each filter, and the inputs have one for
        each position, as in `keras.layers.Dense`. The layer then computes in
        its compute dtype, with the rounded numbers. This saves memory but no
        time. In a separable layer, the inputs of its pointwise convolution
        are rounded too.

        Args:
            mode: `"int8"`.
            type_check: Not used. A subclass is quantized too.
            config: Optional `keras.quantizers.Int8QuantizationConfig`. The
                layer sets the axes of its quantizers. If its
                `activation_quantizer` is None, the inputs are not rounded.

        Raises:
            ValueError: If the layer is not built (Keras's words).
            NotImplementedError: If `mode` is not `"int8"`. `model.quantize`
                then skips the layer, with a warning.
        """
        self._check_mode(mode)
        self.quantization_config = config
        quantizer = getattr(config, "weight_quantizer", None)
        for name in self.kernel_names:
            kernel = self._stored(name)
            layout = self._layout(name, tuple(kernel.shape))
            values, scale = int8.quantize_kernel(kernel, *layout, quantizer)
            delattr(self, f"_{name}")
            self._add_int8(name, tuple(values.shape))
            self._stored(name).assign(values)
            self._scale(name).assign(scale)
        # Set already where setting it is what quantizes the layer.
        if self.quantization_mode is None:
            self.dtype_policy = keras.dtype_policies.get(
                f"{mode}_from_{self.dtype_policy.name}"  # type: ignore[has-type]
            )
        holders.renew(self._stored(self.kernel_names[0]))

    def quantized_call(self, *args: Any, **kwargs: Any) -> Any:
        """What Keras calls in place of `call` once the layer is quantized."""
        return self.call(*args, **kwargs)

    def save_own_variables(self, store: Any) -> None:
        if self._is_stored_plainly():
            super().save_own_variables(store)
            return
        for number, value in enumerate(self._values_to_save()):
            store[str(number)] = value

    def load_own_variables(self, store: Any) -> None:
        if self._is_stored_plainly():
            super().load_own_variables(store)
            return
        variables = self._saved_variables()
        if len(store.keys()) != len(variables):
            raise ValueError(
                f"The layer {self.name!r} loads {len(variables)} variables: "
                f"{[found.name for found in variables]}. "
                f"Received: {len(store.keys())} variables."
            )
        for number, variable in enumerate(variables):
            variable.assign(store[str(number)])

    def get_config(self) -> Config:
        config = super().get_config()
        if self.quantization_config is not None:
            config["quantization_config"] = keras.saving.serialize_keras_object(
                self.quantization_config
            )
        return config

    def _of_kernel(self, name: str, kind: str) -> Any:
        """The initializer, regularizer or constraint of a kernel."""
        raise NotImplementedError(f"{type(self).__name__} has no _of_kernel().")

    def _layout(self, name: str, shape: Shape) -> tuple[int, int]:
        """The groups of a kernel of that shape, and the axis of its filters."""
        channels = shape[-1]
        assert channels is not None
        return self._groups(channels), -2

    def _stored(self, name: str) -> Any:
        """The kernel as it is stored."""
        return getattr(self, f"_{name}")

    def _scale(self, name: str) -> Any:
        """The scales of a kernel that is stored in int8."""
        return getattr(self, f"{name}_scale")

    def _is_computed(self) -> bool:
        """Whether the kernels are not what is stored."""
        return self.lora_enabled or self.quantization_mode is not None

    def _computed_kernel(self, name: str) -> Any:
        kernel = getattr(self, f"_{name}", None)
        if kernel is None:
            raise AttributeError(
                f"The layer {self.name!r} has no `{name}` yet: call it, or "
                "its `build`, once."
            )
        if self.quantization_mode == "int8":
            kernel = int8.dequantize_kernel(
                ops.convert_to_tensor(kernel),
                self._scale(name),
                *self._layout(name, tuple(kernel.shape)),
                self.compute_dtype,
            )
        return self._with_lora(kernel) if self.lora_enabled else kernel

    def _with_lora(self, kernel: Tensor) -> Tensor:
        """The kernel and what LoRA's factors add to it."""
        raise NotImplementedError(f"{type(self).__name__} has no _with_lora().")

    def _set_kernel(self, name: str, value: Any) -> None:
        # What this class itself stores is a variable.
        if not isinstance(value, keras.Variable) and self._is_computed():
            raise ValueError(
                f"`{name}` of the layer {self.name!r} cannot be set, because "
                f"it is computed (LoRA, quantization). Received: {name} of "
                f"type {type(value).__name__}."
            )
        setattr(self, f"_{name}", value)

    def _build_kernel(self, name: str, shape: Shape) -> None:
        """Add a kernel as the dtype policy says."""
        if self.quantization_mode is None:
            self._add_kernel(name, shape, self._of_kernel(name, "initializer"))
        else:
            self._check_mode(self.quantization_mode)
            self._add_int8(name, shape)

    def _add_kernel(
        self,
        name: str,
        shape: Shape,
        initializer: Any = "zeros",
        dtype: str | None = None,
        trainable: bool = True,
    ) -> None:
        regularizer, constraint = (
            self._of_kernel(name, kind) if trainable else None
            for kind in ("regularizer", "constraint")
        )
        # By this name, under which TensorFlow's checkpoints of the built-in
        # layers have it.
        setattr(
            self,
            name,
            self.add_weight(
                name=name,
                shape=shape,
                dtype=dtype,
                trainable=trainable,
                initializer=initializer,
                regularizer=regularizer,
                constraint=constraint,
            ),
        )

    def _add_int8(self, name: str, shape: Shape) -> None:
        """Add the weights of a kernel of that shape that is in int8."""
        self._add_kernel(name, shape, dtype="int8", trainable=False)
        groups, filter_axis = self._layout(name, shape)
        filters = shape[filter_axis]
        assert filters is not None
        scale = self.add_weight(
            name=f"{name}_scale",
            shape=(filters * groups,),
            initializer="ones",
            trainable=False,
        )
        setattr(self, f"{name}_scale", scale)
        # Where Keras looks whether a change of the policy is news.
        self._is_quantized = True

    def _rounded(self, inputs: Tensor, data_format: str) -> Tensor:
        """The inputs as the layer computes with them."""
        if self.quantization_mode is None:
            return inputs
        quantizer = None
        if self.quantization_config is not None:
            quantizer = self.quantization_config.activation_quantizer
            if quantizer is None:
                return inputs
        axis = geometry.channel_axis(data_format)
        return int8.round_inputs(inputs, axis, quantizer)

    def _is_stored_plainly(self) -> bool:
        """Whether Keras can save the weights of the layer as they are."""
        quantized = getattr(self, "_is_quantized", False)
        return not (self.lora_enabled or quantized)

    def _saved_variables(self) -> list[Any]:
        """The variables that a file has, in its order."""
        own: dict[str, Any] = {}
        # Keras's order, and what a subclass has added.
        super().save_own_variables(own)
        others = list(own.values())
        if not getattr(self, "_is_quantized", False):
            return others
        known = [self._stored(name) for name in self.kernel_names]
        if getattr(self, "bias", None) is not None:
            known.append(self.bias)
        known += [self._scale(name) for name in self.kernel_names]
        return [*known, *without(others, known)]

    def _values_to_save(self) -> list[Any]:
        """What a file has for `_saved_variables`."""
        return self._saved_variables()

    def _check_mode(self, mode: Any) -> None:
        if mode != "int8":
            # What `model.quantize` leaves layers out for; a ValueError would
            # stop it at the first of several layers.
            raise NotImplementedError(
                f'`mode` must be "int8" for {type(self).__name__}. '
                f"Received: mode={mode!r} for the layer {self.name!r}."
            )


def without(variables: list[Any], others: list[Any]) -> list[Any]:
    """The variables that are not among the others."""
    # Not by `in`: variables compare by their values.
    ids = {id(other) for other in others}
    return [found for found in variables if id(found) not in ids]
