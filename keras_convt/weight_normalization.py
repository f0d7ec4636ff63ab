"""Weight normalization of a layer."""

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
from keras import layers, ops

from keras_convt import arguments
from keras_convt.convert import layouts
from keras_convt.keras2 import advice

# Below the square of any norm that float32 can be divided by.
SMALLEST_SQUARE = 1e-30


@keras.saving.register_keras_serializable(package="keras_convt")
class WeightNormalization(layers.Wrapper):
    """Learns the length and the direction of a layer's kernel separately.

    The layer computes with `g * v / |v|`. Here `v` is its own kernel, and `g`
    is a weight of the wrapper. `g` starts as `|v|`, so that the wrapper
    changes nothing before training. Most vocoders and audio codecs are
    trained this way. The wrapper computes the same as PyTorch's
    `torch.nn.utils.parametrizations.weight_norm`.

    Regularizers and constraints of the kernel apply to `v`.

    Args:
        layer: A convolution of `keras_convt` or Keras with one kernel,
            transposed or not, depthwise or not, or a `keras.layers.Dense`.
        axis: int, or sequence of ints: the axes of the Keras kernel that `g`
            has. The norm is taken over the other axes. `None` is the same as
            PyTorch's default, `dim=0`. For a plain convolution or a Dense,
            this is the axis of the filters, and for a transposed convolution
            the axis of the channels. Both are the last axis. For a plain
            depthwise convolution, it is the last two axes.
        data_init: Must be `False`. Salimans and Kingma describe a start from
            the statistics of data. It needs one `g` for each filter, and with
            PyTorch's default, transposed convolutions do not have that.
        **kwargs: Arguments of `keras.layers.Layer`.

    Input shape:
        That of the layer.

    Output shape:
        That of the layer.

    Raises:
        TypeError: If `layer` is not such a layer.
        ValueError: If `layer` has LoRA or is quantized, or an argument cannot
            be used.

    Example:

    >>> import keras
    >>> import keras_convt
    >>> up = keras_convt.WeightNormalization(
    ...     keras_convt.Conv1DTranspose(32, 4, 2, "causal")
    ... )
    >>> y = up(keras.random.uniform((1, 10, 64)))
    >>> tuple(y.shape), tuple(up.g.shape)
    ((1, 20, 32), (64,))
    >>> type(up.remove()) is keras_convt.Conv1DTranspose
    True

    Reference:

    - Salimans and Kingma, "Weight Normalization: A Simple Reparameterization
      to Accelerate Training of Deep Neural Networks", arXiv 1602.07868.
    """

    def __init__(
        self,
        layer: Any,
        axis: Any = None,
        data_init: bool = False,
        **kwargs: Any,
    ) -> None:
        if not isinstance(layer, (*layouts.KNOWN, layers.Dense)):
            raise TypeError(
                "`layer` must be a convolution of Keras or keras_convt with "
                "one kernel, or a keras.layers.Dense. Received: "
                f"layer={layer!r} of type {type(layer).__name__}."
                f"{advice(layer)}"
            )
        _refuse_stored_otherwise(layer)
        if arguments.flag(data_init, "data_init"):
            raise ValueError(
                "`data_init` must be False: `g` starts as the norm of the "
                f"kernel. Received: data_init={data_init!r}."
            )
        super().__init__(layer, **kwargs)
        if not self.trainable:
            # As `wrapper.trainable = False` does later.
            layer.trainable = False
        rank = 2
        if not isinstance(layer, layers.Dense):
            rank += len(layer.kernel_size)
        if axis is None:
            self.axis = layouts.magnitude_axes(layer)
        else:
            self.axis = _axes(axis, rank)
        self.data_init = False
        self.supports_masking = layer.supports_masking
        self._layer_arguments = set(inspect.signature(layer.call).parameters)

    def build(self, input_shape: Any = None) -> None:
        """Build the layer, if it is not, and add `g`.

        Args:
            input_shape: The shape of the input. May be None if the layer is
                built already.
        """
        super().build(input_shape)
        shape = tuple(self.v.shape)
        kept = {axis % len(shape) for axis in self.axis}
        self._normed = tuple(n for n in range(len(shape)) if n not in kept)
        self.g = self.add_weight(
            name="g",
            shape=tuple(shape[n] for n in sorted(kept)),
            # When it is made, which may be later, the kernel has values.
            initializer=lambda shape, dtype: ops.reshape(
                ops.sqrt(self._square(ops.convert_to_tensor(self.v))), shape
            ),
            dtype=self.v.dtype,
        )

    def call(
        self, inputs: Any, mask: Any = None, output_size: Any = None
    ) -> Any:
        with self._normalized():
            return self.layer(inputs, **self._given(mask, output_size))

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        return self.layer.compute_mask(inputs, previous_mask)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return self.layer.compute_output_shape(input_shape)

    def compute_output_spec(
        self, inputs: Any, mask: Any = None, output_size: Any = None
    ) -> Any:
        return self.layer.compute_output_spec(
            inputs, **self._given(mask, output_size)
        )

    @property
    def v(self) -> Any:
        """The direction: the variable that the layer has as its kernel."""
        # Not an attribute, which Keras would save a second time.
        return self.layer.kernel

    @property
    def kernel(self) -> Any:
        """The kernel that the layer computes with: a tensor."""
        _refuse_stored_otherwise(self.layer)
        v = ops.convert_to_tensor(self.v)
        length = ops.sqrt(ops.maximum(self._square(v), SMALLEST_SQUARE))
        g = ops.convert_to_tensor(self.g)
        return ops.multiply(v, ops.divide(ops.reshape(g, length.shape), length))

    def remove(self) -> Any:
        """The layer without normalization, with the kernel that it has now.

        The wrapper stays as it is. `keras_convt.fold_weight_normalization`
        does this for a whole model.

        Returns:
            A new, built layer with the class, name and config of the wrapped
            layer.

        Raises:
            ValueError: If the wrapper is not built.
        """
        if not self.built:
            raise ValueError(
                f"The layer {self.name!r} must be built before `remove`: call "
                "it, or its `build`, once."
            )
        kernel = ops.convert_to_numpy(self.kernel)
        plain = type(self.layer).from_config(self.layer.get_config())
        plain.build_from_config(self.layer.get_build_config())
        plain.kernel.assign(kernel)
        if plain.bias is not None:
            plain.bias.assign(ops.convert_to_numpy(self.layer.bias))
        plain.trainable = self.trainable and self.layer.trainable
        return plain

    def enable_lora(self, *args: Any, **kwargs: Any) -> None:
        """Refused: LoRA updates a kernel that is stored, not computed."""
        raise ValueError(
            f"The layer {self.name!r} cannot have LoRA: its kernel is "
            "computed. Use `remove()`, and enable LoRA for the plain layer."
        )

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "axis": self.axis,
            "data_init": self.data_init,
        }

    def _square(self, v: Any) -> Any:
        """The square of the norm, with its axes as axes of size 1."""
        return ops.sum(ops.square(v), axis=self._normed, keepdims=True)

    def _given(self, mask: Any, output_size: Any) -> dict[str, Any]:
        """What the layer takes of the arguments of a call, and is given."""
        given = {"mask": mask, "output_size": output_size}
        given = {
            key: value for key, value in given.items() if value is not None
        }
        if (
            "output_size" in given
            and "output_size" not in self._layer_arguments
        ):
            raise ValueError(
                "`output_size` must be None, as "
                f"{type(self.layer).__name__} does not take it. Received: "
                f"output_size={output_size!r}."
            )
        return {k: v for k, v in given.items() if k in self._layer_arguments}

    @contextmanager
    def _normalized(self) -> Iterator[None]:
        """The layer with the normalized kernel in place of its variable.

        In place of the attributes themselves, as Keras's layers neither take
        a kernel as an argument nor track an attribute without consequences.
        """
        v, kernel = self.v, self.kernel
        attributes = self.layer.__dict__
        names = [name for name, value in attributes.items() if value is v]
        try:
            for name in names:
                attributes[name] = kernel
            yield
        finally:
            for name in names:
                attributes[name] = v


def _axes(axis: Any, rank: int) -> tuple[int, ...]:
    """The axes of a kernel of `rank` axes, from the last one."""
    given = axis if arguments.is_sequence(axis) else (axis,)
    axes = [arguments.whole_number(one, "axis") for one in given]
    if not axes or any(not -rank <= one < rank for one in axes):
        raise ValueError(
            f"`axis` must be one or more axes of a kernel of {rank} axes. "
            f"Received: axis={axis!r}."
        )
    return tuple(sorted({one % rank - rank for one in axes}))


def _refuse_stored_otherwise(layer: Any) -> None:
    """Refuse a kernel that is not stored as it is."""
    if getattr(layer, "lora_enabled", False) or getattr(
        layer, "lora_rank", None
    ):
        raise ValueError(
            "`layer` must not have LoRA: weight normalization trains all of "
            f"the kernel. Received: layer={layer.name!r} with "
            f"lora_rank={layer.lora_rank}."
        )
    if layer.dtype_policy.quantization_mode is not None:
        raise ValueError(
            "`layer` must not be quantized: use `remove()` of the wrapper, "
            "and quantize the plain layer. Received: "
            f"layer={layer.name!r} with dtype={layer.dtype_policy.name!r}."
        )
