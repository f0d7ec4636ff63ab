"""How a layer stores its kernel: as it is, with LoRA's factors, in int8."""

from typing import Any

import keras
from keras import ops

from keras_convt import arguments, geometry
from keras_convt.layers import holders
from keras_convt.layers.base import BaseTranspose
from keras_convt.layers.setting import Setting
from keras_convt.ops import int8
from keras_convt.ops.types import Tensor
from keras_convt.types import Config, Shape


class StoredKernel(BaseTranspose):
    """Abstract layer with one kernel, which LoRA and int8 can store.

    `kernel` is what the layer computes with, however it is stored.

    Args:
        kernel_initializer, kernel_regularizer, kernel_constraint: Of the
            kernel. In a subclass, their names may begin with another
            `kernel_argument`.
        lora_rank, lora_alpha, quantization_config: As in
            `keras_convt.Conv1DTranspose`.
        **kwargs: Arguments of `BaseTranspose`.
    """

    lora_rank = Setting(
        lambda layer, value, name: (
            None
            if value is None
            else arguments.whole_number(value, name, minimum=1)
        ),
        fixed=True,
    )

    def __init__(
        self,
        *,
        lora_rank: Any,
        lora_alpha: Any,
        quantization_config: Any,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.lora_rank = lora_rank
        if lora_alpha is None:
            lora_alpha = self.lora_rank
        else:
            lora_alpha = arguments.number(lora_alpha, "lora_alpha")
        self.lora_alpha = lora_alpha
        self.lora_enabled = False
        if isinstance(quantization_config, dict):
            quantization_config = keras.saving.deserialize_keras_object(
                quantization_config
            )
        self.quantization_config = quantization_config

    @property
    def kernel(self) -> Any:
        """The kernel: a variable, or a tensor where it is computed.

        It can be set, to a variable or a tensor that the layer shall compute
        with. The weights of the layer stay what they are. With LoRA or int8
        the kernel is computed, and cannot be set.
        """
        kernel = getattr(self, "_kernel", None)
        if kernel is None:
            raise AttributeError(
                f"The layer {self.name!r} has no `kernel` yet: call it, or "
                "its `build`, once."
            )
        if self.quantization_mode == "int8":
            kernel = int8.dequantize_kernel(
                ops.convert_to_tensor(kernel),
                self.kernel_scale,
                self._groups(kernel.shape[-1]),
                self.compute_dtype,
            )
        if self.lora_enabled:
            update = ops.matmul(self.lora_kernel_a, self.lora_kernel_b)
            kernel = ops.add(
                kernel, ops.multiply(update, self.lora_alpha / self.lora_rank)
            )
            kernel = ops.cast(kernel, self.compute_dtype)
        return kernel

    @kernel.setter
    def kernel(self, value: Any) -> None:
        # What this class itself stores is a variable.
        stored = isinstance(value, keras.Variable)
        if not stored and (self.lora_enabled or self.quantization_mode):
            raise ValueError(
                f"`kernel` of the layer {self.name!r} cannot be set, because "
                "it is computed (LoRA, quantization). Received: kernel of "
                f"type {type(value).__name__}."
            )
        self._kernel = value

    @property
    def trainable(self) -> bool:
        """Whether the layer is trained; with LoRA, all but the kernel."""
        return super().trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        keras.layers.Layer.trainable.fset(self, value)
        # What people do to freeze and thaw a model must not thaw the kernel.
        if getattr(self, "lora_enabled", False):
            self._kernel.trainable = False

    def enable_lora(
        self,
        rank: int,
        lora_alpha: float | None = None,
        a_initializer: Any = "he_uniform",
        b_initializer: Any = "zeros",
    ) -> None:
        """Freeze the kernel and train two small factors beside it (LoRA).

        `kernel + lora_alpha / rank * a @ b` takes the kernel's place. The
        shape of `a` is that of the kernel, with `rank` in place of the last
        axis (the channels). The shape of `b` is `(rank, channels)`. The
        output is the same until the factors are trained. Saving merges them
        into the kernel. Compile the model after `enable_lora`. Source: Hu et
        al., "LoRA: Low-Rank Adaptation of Large Language Models".

        Args:
            rank: int, the rank of the update.
            lora_alpha: float. The update is multiplied by
                `lora_alpha / rank`. `None` is `rank`. Defaults to `None`.
            a_initializer: Initializer of `a`. Defaults to `"he_uniform"`.
            b_initializer: Initializer of `b`. Defaults to `"zeros"`.

        Raises:
            ValueError: If the layer is not built, already has LoRA, or has a
                constraint on the kernel.
        """
        rank = arguments.whole_number(rank, "rank", minimum=1)
        self._check_lora()
        if not self.built:
            raise ValueError(
                f"The layer {self.name!r} must be built before "
                "`enable_lora`: call it, or its `build`, once."
            )
        if self.lora_enabled:
            raise ValueError(
                "`enable_lora` can be called once for a layer. Received: "
                f"rank={rank} for {self.name!r}, which has "
                f"lora_rank={self.lora_rank}."
            )
        if not isinstance(self._kernel, keras.Variable):
            raise ValueError(
                f"`enable_lora` needs a layer whose kernel is a variable, but "
                f"that of {self.name!r} was set to something else. Received: "
                f"kernel of type {type(self._kernel).__name__}."
            )
        initializers = [
            arguments.keras_object(keras.initializers.get, value, name)
            for name, value in (
                ("a_initializer", a_initializer),
                ("b_initializer", b_initializer),
            )
        ]
        if lora_alpha is None:
            lora_alpha = rank
        self.lora_alpha = arguments.number(lora_alpha, "lora_alpha")
        type(self).lora_rank.keep(self, rank)
        # A built layer takes no new weights, and Keras has no public way to
        # add some but `quantize`.
        self._tracker.unlock()
        try:
            self._add_lora(*initializers)
        finally:
            self._tracker.lock()
        holders.renew(self.lora_kernel_a)

    def quantize(
        self,
        mode: str | None = None,
        type_check: bool = True,
        config: Any = None,
    ) -> None:
        """Store the kernel as int8, and round inputs to int8.

        The kernel has one scale for each filter, and the inputs have one for
        each position, as in `keras.layers.Dense`. The layer then computes in
        its compute dtype, with the rounded numbers. This saves memory but no
        time.

        Args:
            mode: `"int8"`.
            type_check: Not used. A subclass is quantized too.
            config: Optional `keras.quantizers.Int8QuantizationConfig`. The
                layer sets the axes of its quantizers. If its
                `activation_quantizer` is None, the inputs are not rounded.

        Raises:
            NotImplementedError: If `mode` is not `"int8"`. `model.quantize`
                then skips the layer, with a warning.
        """
        self._check_mode(mode)
        self.quantization_config = config
        values, scale = int8.quantize_kernel(
            self._kernel,
            self._groups(self._kernel.shape[-1]),
            getattr(config, "weight_quantizer", None),
        )
        del self._kernel
        self.quantized_build(tuple(values.shape), mode)
        self._kernel.assign(values)
        self.kernel_scale.assign(scale)
        # Set already where setting it is what quantizes the layer.
        if self.quantization_mode is None:
            self.dtype_policy = keras.dtype_policies.get(
                f"{mode}_from_{self.dtype_policy.name}"  # type: ignore[has-type]
            )
        holders.renew(self._kernel)

    def quantized_build(self, input_shape: Shape, mode: str | None) -> None:
        """Add the weights of a quantized kernel of the shape `input_shape`."""
        self._check_mode(mode)
        self._add_stored_kernel(input_shape, dtype="int8", trainable=False)
        *_, filters, channels = input_shape
        self.kernel_scale = self.add_weight(
            name="kernel_scale",
            shape=(filters * self._groups(channels),),  # type: ignore[operator, arg-type]
            initializer="ones",
            trainable=False,
        )
        # Where Keras looks whether a change of the policy is news.
        self._is_quantized = True

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
        if self.lora_enabled:
            # What was learned is in the kernel. Only one factor is zero, or
            # training could not go on.
            self.lora_kernel_b.assign(ops.zeros(self.lora_kernel_b.shape))

    def get_config(self) -> Config:
        config = super().get_config()
        config.update(
            self._serialized(
                f"{self.kernel_argument}_initializer",
                f"{self.kernel_argument}_regularizer",
                f"{self.kernel_argument}_constraint",
            )
        )
        if self.lora_rank:
            config["lora_rank"] = self.lora_rank
            config["lora_alpha"] = self.lora_alpha
        if self.quantization_config is not None:
            config["quantization_config"] = keras.saving.serialize_keras_object(
                self.quantization_config
            )
        return config

    def _of_kernel(self, kind: str) -> Any:
        """The initializer, regularizer or constraint of the kernel."""
        return getattr(self, f"{self.kernel_argument}_{kind}")

    def _build_kernel(self, shape: tuple[int, ...]) -> None:
        """Add the kernel as the dtype policy says."""
        if self.quantization_mode is None:
            self._add_stored_kernel(shape, self._of_kernel("initializer"))
        else:
            self.quantized_build(shape, self.quantization_mode)

    def _add_stored_kernel(
        self,
        shape: Shape,
        initializer: Any = "zeros",
        dtype: str | None = None,
        trainable: bool = True,
    ) -> None:
        # By this name, under which TensorFlow's checkpoints of the built-in
        # layers have it.
        self.kernel = self.add_weight(
            name="kernel",
            shape=shape,
            dtype=dtype,
            trainable=trainable,
            initializer=initializer,
            regularizer=self._of_kernel("regularizer") if trainable else None,
            constraint=self._of_kernel("constraint") if trainable else None,
        )

    def _add_lora(
        self, a_initializer: Any = "he_uniform", b_initializer: Any = "zeros"
    ) -> None:
        """Add the two factors, and freeze the kernel."""
        if self.lora_alpha is None:
            # Where `lora_rank` was set after the constructor.
            self.lora_alpha = self.lora_rank
        *front, channels = self._kernel.shape
        self.lora_kernel_a, self.lora_kernel_b = (
            self.add_weight(
                name=name,
                shape=shape,
                initializer=initializer,
                regularizer=self._of_kernel("regularizer"),
                # Small updates would be lost in half precision.
                dtype="float32",
            )
            for name, shape, initializer in (
                ("lora_kernel_a", (*front, self.lora_rank), a_initializer),
                ("lora_kernel_b", (self.lora_rank, channels), b_initializer),
            )
        )
        self._kernel.trainable = False
        self.lora_enabled = True

    def _rounded(self, inputs: Tensor, data_format: str) -> Tensor:
        """The inputs as the layer computes with them."""
        if self.quantization_mode is None:
            return inputs
        channel_axis = geometry.channel_axis(data_format)
        quantizer = None
        if self.quantization_config is not None:
            quantizer = self.quantization_config.activation_quantizer
            if quantizer is None:
                return inputs
        return int8.round_inputs(inputs, channel_axis, quantizer)

    def _is_stored_plainly(self) -> bool:
        """Whether Keras can save the weights of the layer as they are."""
        return not (self.lora_enabled or getattr(self, "_is_quantized", False))

    def _saved_variables(self) -> list[Any]:
        """The variables that a file has, in its order."""
        own: dict[str, Any] = {}
        # Keras's order, and what a subclass has added.
        super().save_own_variables(own)
        factors = (
            [self.lora_kernel_a, self.lora_kernel_b]
            if self.lora_enabled
            else []
        )
        if not getattr(self, "_is_quantized", False):
            return _without(own.values(), factors)
        known = [self._kernel, self.kernel_scale]
        if getattr(self, "bias", None) is not None:
            known.insert(1, self.bias)
        return [*known, *_without(own.values(), [*factors, *known])]

    def _values_to_save(self) -> list[Any]:
        """What a file has for `_saved_variables`: LoRA is in the kernel."""
        variables = self._saved_variables()
        if not self.lora_enabled:
            return variables
        merged, scale = self.kernel, None
        if self.quantization_mode is not None:
            merged, scale = int8.quantize_kernel(
                ops.cast(merged, self.variable_dtype),
                self._groups(merged.shape[-1]),
            )
        instead = {id(self._kernel): merged}
        if scale is not None:
            instead[id(self.kernel_scale)] = scale
        return [instead.get(id(found), found) for found in variables]

    def _check_lora(self) -> None:
        constraint = self._of_kernel("constraint")
        if constraint is not None:
            name = f"{self.kernel_argument}_constraint"
            raise ValueError(
                f"LoRA cannot hold a `{name}`, which must be None. "
                f"Received: {name}={constraint!r}."
            )

    def _check_mode(self, mode: Any) -> None:
        if mode != "int8":
            # What `model.quantize` leaves layers out for; a ValueError would
            # stop it at the first of several layers.
            raise NotImplementedError(
                f'`mode` must be "int8" for {type(self).__name__}. '
                f"Received: mode={mode!r} for the layer {self.name!r}."
            )


def _without(variables: Any, others: list[Any]) -> list[Any]:
    """The variables that are not among the others."""
    # Not by `in`: variables compare by their values.
    ids = {id(other) for other in others}
    return [found for found in variables if id(found) not in ids]
