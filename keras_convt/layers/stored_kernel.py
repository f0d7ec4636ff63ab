"""How a layer with one kernel stores it: plainly, in int8, with LoRA."""

from typing import Any

import keras
from keras import ops

from keras_convt import arguments
from keras_convt.layers import holders
from keras_convt.layers.int8_kernels import Int8Kernels, stored_kernel, without
from keras_convt.layers.setting import Setting
from keras_convt.ops import int8
from keras_convt.ops.types import Tensor
from keras_convt.types import Config


class StoredKernel(Int8Kernels):
    """Abstract layer with one kernel, which LoRA and int8 can store.

    `kernel` is what the layer computes with, however it is stored.

    Args:
        kernel_initializer, kernel_regularizer, kernel_constraint: Of the
            kernel. In a subclass, their names may begin with another
            `kernel_argument`.
        lora_rank, lora_alpha: As in `keras_convt.Conv1DTranspose`.
        **kwargs: Arguments of `Int8Kernels`.
    """

    kernel_names = ("kernel",)
    kernel = stored_kernel("kernel")

    lora_rank = Setting(
        lambda layer, value, name: (
            None
            if value is None
            else arguments.whole_number(value, name, minimum=1)
        ),
        fixed=True,
    )

    def __init__(
        self, *, lora_rank: Any, lora_alpha: Any, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.lora_rank = lora_rank
        if lora_alpha is None:
            lora_alpha = self.lora_rank
        else:
            lora_alpha = arguments.number(lora_alpha, "lora_alpha")
        self.lora_alpha = lora_alpha
        self.lora_enabled = False

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

    def load_own_variables(self, store: Any) -> None:
        super().load_own_variables(store)
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
        return config

    def _of_kernel(self, name: str, kind: str) -> Any:
        return getattr(self, f"{self.kernel_argument}_{kind}")

    def _with_lora(self, kernel: Tensor) -> Tensor:
        update = ops.matmul(self.lora_kernel_a, self.lora_kernel_b)
        kernel = ops.add(
            kernel, ops.multiply(update, self.lora_alpha / self.lora_rank)
        )
        return ops.cast(kernel, self.compute_dtype)

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
                regularizer=self._of_kernel("kernel", "regularizer"),
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

    def _saved_variables(self) -> list[Any]:
        variables = super()._saved_variables()
        if not self.lora_enabled:
            return variables
        return without(variables, [self.lora_kernel_a, self.lora_kernel_b])

    def _values_to_save(self) -> list[Any]:
        """What a file has for `_saved_variables`: LoRA is in the kernel."""
        variables = self._saved_variables()
        if not self.lora_enabled:
            return variables
        merged, scale = self.kernel, None
        if self.quantization_mode is not None:
            merged, scale = int8.quantize_kernel(
                ops.cast(merged, self.variable_dtype),
                *self._layout("kernel", tuple(merged.shape)),
            )
        instead = {id(self._kernel): merged}
        if scale is not None:
            instead[id(self.kernel_scale)] = scale
        return [instead.get(id(found), found) for found in variables]

    def _check_lora(self) -> None:
        constraint = self._of_kernel("kernel", "constraint")
        if constraint is not None:
            name = f"{self.kernel_argument}_constraint"
            raise ValueError(
                f"LoRA cannot hold a `{name}`, which must be None. "
                f"Received: {name}={constraint!r}."
            )
