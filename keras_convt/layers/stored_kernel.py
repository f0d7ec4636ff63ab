"""How a layer stores its kernel: as it is, with LoRA's factors, in int8."""

from typing import Any

import keras
from keras import ops

from keras_convt import arguments
from keras_convt.layers.base import BaseTranspose
from keras_convt.ops import int8

QUANTIZATION_MODES = ("int8",)


class StoredKernel(BaseTranspose):
    """Abstract layer with one kernel, which LoRA and int8 can store.

    `kernel` is what the layer computes with, however it is stored. A subclass
    has `groups`.

    Args:
        lora_rank, lora_alpha, quantization_config: As in
            `keras_convt.Conv1DTranspose`.
        **kwargs: Arguments of `BaseTranspose`.
    """

    groups: int

    def __init__(
        self,
        *args: Any,
        lora_rank: Any = None,
        lora_alpha: Any = None,
        quantization_config: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.lora_rank = (
            None
            if lora_rank is None
            else arguments.whole_number(lora_rank, "lora_rank", minimum=1)
        )
        if lora_alpha is not None:
            lora_alpha = arguments.number(lora_alpha, "lora_alpha")
        self.lora_alpha = lora_alpha or self.lora_rank
        self.lora_enabled = False
        if self.lora_rank:
            self._check_lora()
        if isinstance(quantization_config, dict):
            quantization_config = keras.saving.deserialize_keras_object(
                quantization_config
            )
        self.quantization_config = quantization_config

    @property
    def kernel(self) -> Any:
        """The kernel: a variable, or a tensor where it is computed."""
        if not self.built:
            raise AttributeError(
                f"The layer {self.name!r} has no `kernel` yet: call it, or "
                "its `build`, once."
            )
        kernel = self._kernel
        if self.quantization_mode == "int8":
            kernel = int8.dequantize_kernel(
                ops.convert_to_tensor(kernel),
                self.kernel_scale,
                self.groups,
                self.compute_dtype,
            )
        if self.lora_enabled:
            update = ops.matmul(self.lora_kernel_a, self.lora_kernel_b)
            scale = self.lora_alpha / self.lora_rank  # type: ignore[operator]
            kernel = ops.add(kernel, ops.multiply(update, scale))
            kernel = ops.cast(kernel, self.compute_dtype)
        return kernel

    def enable_lora(
        self,
        rank: Any,
        lora_alpha: Any = None,
        a_initializer: Any = "he_uniform",
        b_initializer: Any = "zeros",
    ) -> None:
        """Freeze the kernel and train two small factors beside it (LoRA).

        `kernel + lora_alpha / rank * a @ b` takes the kernel's place, with
        `a` of shape `(*kernel_size, filters // groups, rank)` and `b` of
        shape `(rank, channels)`. The output is the same until they are
        trained. Saving merges them into the kernel. Compile the model
        afterwards. Source: Hu et al., "LoRA: Low-Rank Adaptation of Large
        Language Models".

        Args:
            rank: int, the rank of the update.
            lora_alpha: float, scales the update by `lora_alpha / rank`.
                `None` is `rank`. Defaults to `None`.
            a_initializer: Initializer of `a`. Defaults to `"he_uniform"`.
            b_initializer: Initializer of `b`. Defaults to `"zeros"`.

        Raises:
            ValueError: If the layer is not built, has LoRA already, or has a
                `kernel_constraint`.
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
        self.lora_rank = rank
        # A built layer takes no new weights, and Keras has no public way to
        # add some but `quantize`.
        self._tracker.unlock()
        if self.quantization_mode is None:
            # Anew, because `trainable = True` on a model thaws what was added
            # as trainable.
            kernel = ops.copy(ops.convert_to_tensor(self._kernel))
            del self._kernel
            self._add_stored_kernel(tuple(kernel.shape), trainable=False)
            self._kernel.assign(kernel)
        self._add_lora(*initializers)
        self._tracker.lock()

    def quantize(
        self, mode: Any = None, type_check: bool = True, config: Any = None
    ) -> None:
        """Store the kernel as int8, and round inputs to int8.

        The kernel has a scale for each filter, inputs one for each position,
        as in `keras.layers.Dense`. What is rounded is then computed with in
        the compute dtype: it saves bytes, not time.

        Args:
            mode: `"int8"`.
            type_check: Not used; a subclass is quantised too.
            config: Optional `keras.quantizers.Int8QuantizationConfig`. Its
                quantizers are given the axes. An `activation_quantizer` of
                None leaves the inputs as they are.

        Raises:
            NotImplementedError: If `mode` is another one; `model.quantize`
                then leaves out the layer, with a warning.
        """
        self._check_mode(mode)
        self.quantization_config = config
        values, scale = int8.quantize_kernel(
            self._kernel, self.groups, getattr(config, "weight_quantizer", None)
        )
        del self._kernel
        self.quantized_build(tuple(values.shape), mode)
        self._kernel.assign(values)
        self.kernel_scale.assign(scale)
        self.dtype_policy = keras.dtype_policies.get(
            f"{mode}_from_{self.dtype_policy.name}"  # type: ignore[has-type]
        )

    def quantized_build(self, input_shape: tuple[int, ...], mode: str) -> None:
        """Add the weights of a quantised kernel of the shape `input_shape`."""
        self._check_mode(mode)
        self._add_stored_kernel(input_shape, dtype="int8", trainable=False)
        *_, filters, _ = input_shape
        self.kernel_scale = self.add_weight(
            name="kernel_scale",
            shape=(filters * self.groups,),
            initializer="ones",
            trainable=False,
        )
        # Where Keras looks whether a change of the policy is news.
        self._is_quantized = True

    def quantized_call(self, *args: Any, **kwargs: Any) -> Any:
        """What Keras calls in place of `call` once the layer is quantised."""
        return self.call(*args, **kwargs)

    def save_own_variables(self, store: Any) -> None:
        for number, value in enumerate(self._saved_values()):
            store[str(number)] = value

    def load_own_variables(self, store: Any) -> None:
        variables = [self._kernel, self.bias] if self.built else []
        if self.built and self.quantization_mode == "int8":
            variables.append(self.kernel_scale)
        variables = [found for found in variables if found is not None]
        if len(store.keys()) != len(variables):
            raise ValueError(
                f"The layer {self.name!r} loads {len(variables)} variables: "
                f"{[found.name for found in variables]}. "
                f"Received: {len(store.keys())} variables."
            )
        for number, variable in enumerate(variables):
            variable.assign(store[str(number)])
        if self.lora_enabled:
            # What was learnt is in the kernel. Only one factor is zero, or
            # training could not go on.
            self.lora_kernel_b.assign(ops.zeros(self.lora_kernel_b.shape))

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        if self.lora_rank:
            config["lora_rank"] = self.lora_rank
            config["lora_alpha"] = self.lora_alpha
        if self.quantization_config is not None:
            config["quantization_config"] = keras.saving.serialize_keras_object(
                self.quantization_config
            )
        return config

    def _build_kernel(self, shape: tuple[int, ...]) -> None:
        """Add the kernel as the dtype policy and `lora_rank` say."""
        if self.quantization_mode is None:
            self._add_stored_kernel(
                shape, self.kernel_initializer, trainable=not self.lora_rank
            )
        else:
            self.quantized_build(shape, self.quantization_mode)

    def _add_stored_kernel(
        self,
        shape: tuple[int, ...],
        initializer: Any = "zeros",
        dtype: str | None = None,
        trainable: bool = True,
    ) -> None:
        self._kernel = self.add_weight(
            name="kernel",
            shape=shape,
            dtype=dtype,
            trainable=trainable,
            initializer=initializer,
            regularizer=self.kernel_regularizer if trainable else None,
            constraint=self.kernel_constraint if trainable else None,
        )

    def _add_lora(
        self, a_initializer: Any = "he_uniform", b_initializer: Any = "zeros"
    ) -> None:
        """Add the two factors, beside a frozen kernel.

        The last weights of a layer, so that they have one order, however it
        came to have them.
        """
        *front, channels = self._kernel.shape
        self.lora_kernel_a, self.lora_kernel_b = (
            self.add_weight(
                name=name,
                shape=shape,
                initializer=initializer,
                regularizer=self.kernel_regularizer,
                # Small updates would be lost in half precision.
                dtype="float32",
            )
            for name, shape, initializer in (
                ("lora_kernel_a", (*front, self.lora_rank), a_initializer),
                ("lora_kernel_b", (self.lora_rank, channels), b_initializer),
            )
        )
        self.lora_enabled = True

    def _rounded(self, inputs: Any, channel_axis: int) -> Any:
        """The inputs as the layer computes with them."""
        if self.quantization_mode is None:
            return inputs
        quantizer = None
        if self.quantization_config is not None:
            quantizer = self.quantization_config.activation_quantizer
            if quantizer is None:
                return inputs
        return int8.round_inputs(inputs, channel_axis, quantizer)

    def _saved_values(self) -> list[Any]:
        if not self.built:
            return []
        bias = [] if self.bias is None else [self.bias]
        if self.quantization_mode is None:
            return [self.kernel, *bias]
        if not self.lora_enabled:
            return [self._kernel, *bias, self.kernel_scale]
        values, scale = int8.quantize_kernel(
            ops.cast(self.kernel, self.variable_dtype), self.groups
        )
        return [values, *bias, scale]

    def _check_lora(self) -> None:
        if self.kernel_constraint is not None:
            raise ValueError(
                "LoRA cannot hold a `kernel_constraint`, which must be None. "
                f"Received: kernel_constraint={self.kernel_constraint!r}."
            )

    def _check_mode(self, mode: Any) -> None:
        if mode not in QUANTIZATION_MODES:
            # What `model.quantize` leaves layers out for; a ValueError would
            # stop it at the first of several layers.
            raise NotImplementedError(
                f"`mode` must be one of {QUANTIZATION_MODES} for "
                f"{type(self).__name__}. Received: mode={mode!r} for the "
                f"layer {self.name!r}."
            )
