"""The opposite of a convolution layer: same connectivity, other direction."""

from typing import Any

import keras
from keras import layers, ops

from keras_convt.arguments import flag
from keras_convt.geometry import channel_axis, effective_kernel
from keras_convt.keras2 import advice
from keras_convt.layers import (
    BY_RANK,
    Conv1DTranspose,
    Conv2DTranspose,
    Conv3DTranspose,
)
from keras_convt.layers.base_conv_transpose import BaseConvTranspose
from keras_convt.ops.core import transposed_convolution
from keras_convt.ops.types import Tensor
from keras_convt.types import Config, KerasObject, Shape


def adjoint(
    conv: keras.layers.Layer,
    tie_weights: bool = False,
    *,
    activation: KerasObject = None,
    use_bias: bool = False,
    name: str | None = None,
    implementation: str = "auto",
) -> BaseConvTranspose:
    """The transposed layer that is the exact opposite of `conv`.

    If `conv` has no bias and no activation, this holds for all `x` and `y`:

    `sum(conv(x) * y) == sum(x * adjoint(conv)(y, output_size=x))`

    The result has the shape of `x`. `output_size` may be `x` itself or its
    number of steps, which may be odd.

    Args:
        conv: A built `keras.layers.Conv1D`, `Conv2D`, `Conv3D`,
            `DepthwiseConv1D` or `DepthwiseConv2D`.
        tie_weights: bool. If `False`, the layer gets a copy of the kernel.
            If `True`, it uses the same variable. Both layers train it, a
            model counts it once, and a model that is saved and loaded has
            one variable again. (`keras.models.clone_model` refuses such a
            model, because it makes each layer from its config alone.
            `copy.deepcopy` works.) Defaults to `False`.
        activation: Activation of the transposed layer. With an activation or
            a bias, the layer is not the exact adjoint any more, but
            autoencoders often have both.
        use_bias: bool, whether the transposed layer has its own bias.
            Defaults to `False`.
        name: Optional name of the layer.
        implementation: As in `keras_convt.Conv1DTranspose`.

    Returns:
        A built `keras_convt.Conv1DTranspose`, `Conv2DTranspose` or
        `Conv3DTranspose`. For a depthwise layer, it has one group for each
        channel. `padding="causal"` becomes the crop `(ke - 1, 0)`, because
        the opposite of looking back is looking ahead.

    Raises:
        TypeError: If `conv` is not such a layer.
        ValueError: If it has no kernel yet, or one that cannot be tied.

    Example:

    >>> import keras
    >>> import keras_convt
    >>> x = keras.random.uniform((4, 13, 2))  # an odd number of steps
    >>> encode = keras.layers.Conv1D(8, 3, strides=2, padding="same")
    >>> y = encode(x)
    >>> decode = keras_convt.adjoint(encode)
    >>> tuple(decode(y, output_size=x).shape)
    (4, 13, 2)
    """
    rank, depthwise = _kind(conv)
    if not conv.built:
        raise ValueError(
            "`conv` must be built: call it, or its `build`, before. "
            f"Received: conv={conv.name!r}."
        )
    kernel_shape = _transposed_kernel_shape(conv, depthwise)
    tie_weights = flag(tie_weights, "tie_weights")
    if tie_weights and not isinstance(conv.kernel, keras.Variable):
        raise ValueError(
            "`tie_weights=True` needs a `conv` whose kernel is a variable, "
            "not computed from others (LoRA, quantization). "
            f"Received: conv={conv.name!r}."
        )
    arguments = {
        **_geometry(conv, kernel_shape, depthwise),
        "activation": activation,
        "use_bias": use_bias,
        "dtype": conv.dtype_policy,
        "name": name,
        "implementation": implementation,
    }
    if tie_weights:
        layer = TIED[rank](tied_to=conv, **arguments)
    else:
        layer = BY_RANK[rank](**arguments)
    shape: list[int | None] = [None] * (rank + 2)
    shape[channel_axis(layer.data_format)] = kernel_shape[-1]
    layer.build(tuple(shape))
    if not tie_weights:
        # A copy, because JAX's arrays may be given away in training: two
        # variables must not have one.
        layer.kernel.assign(ops.copy(ops.reshape(conv.kernel, kernel_shape)))
    return layer


def _kind(conv: Any) -> tuple[int, bool]:
    """The rank of a convolution layer, and whether it is depthwise."""
    for layer_class, rank, depthwise in CONVOLUTIONS:
        if isinstance(conv, layer_class):
            return rank, depthwise
    known = ", ".join(found.__name__ for found, _, _ in CONVOLUTIONS)
    raise TypeError(
        f"`conv` must be one of the layers {known} of keras.layers. "
        f"Received: conv={conv!r} of type {type(conv).__name__}."
        f"{advice(conv)}"
    )


def _transposed_kernel_shape(
    conv: keras.layers.Layer, depthwise: bool
) -> tuple[int, ...]:
    """The kernel's shape, as that of a convolution with groups.

    A convolution's `(*kernel_size, channels // groups, filters)` is already
    what its transpose takes, tap by tap. A depthwise one has
    `(*kernel_size, channels, depth_multiplier)`, in the same order.
    """
    shape = tuple(conv.kernel.shape)
    if depthwise:
        return (*shape[:-2], 1, shape[-2] * shape[-1])
    return shape


def _geometry(
    conv: keras.layers.Layer, kernel_shape: tuple[int, ...], depthwise: bool
) -> dict[str, Any]:
    """The arguments of the transposed layer that follow from `conv`."""
    groups = conv.kernel.shape[-2] if depthwise else conv.groups
    padding, output_padding = conv.padding, None
    if padding == "causal":
        (size,), (rate,) = conv.kernel_size, conv.dilation_rate
        # As for "same", the longest output is the one without `output_size`.
        padding = (effective_kernel(size, rate) - 1, 0)
        output_padding = conv.strides[0] - 1
    return {
        "filters": kernel_shape[-2] * groups,
        "kernel_size": conv.kernel_size,
        "strides": conv.strides,
        "padding": padding,
        "output_padding": output_padding,
        "data_format": conv.data_format,
        "dilation_rate": conv.dilation_rate,
        "groups": groups,
    }


class TiedConvTranspose(BaseConvTranspose):
    """A transposed convolution whose kernel is that of another layer.

    Its config holds that of the other layer. Keras makes a layer once that a
    saved model mentions twice, so that the two are tied again on loading.

    Args:
        tied_to: The built convolution layer that has the kernel.
        **kwargs: The arguments of the transposed layer.
    """

    def __init__(
        self, *args: Any, tied_to: keras.layers.Layer, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self._tied_to = _Untracked(tied_to)
        # Shadows the method of this one layer.
        tied_to.get_config = _MentionedTwice(tied_to)

    def build(self, input_shape: Shape) -> None:
        channels = self._channels(input_shape)
        self._expect_channels(channels)
        self._kernel_shape = (
            *self.kernel_size,
            self.filters // self.groups,
            channels,
        )
        self.kernel = self._tied_to.layer.kernel
        self._add_bias(self.filters)

    def _transpose(self, inputs: Tensor, output_size: Any) -> Tensor:
        return transposed_convolution(
            inputs,
            # A view of it, where the other layer is depthwise.
            ops.reshape(self.kernel, self._kernel_shape),
            self._axes,
            self.data_format,
            self.groups,
            output_size,
            self.implementation,
            bias=self._bias(),
        )

    def enable_lora(self, *args: Any, **kwargs: Any) -> None:
        raise ValueError(
            f"The layer {self.name!r} has the kernel of "
            f"{self._tied_to.layer.name!r}: `enable_lora` there."
        )

    def _check_mode(self, mode: Any) -> None:
        # The error that `model.quantize` leaves layers out for.
        raise NotImplementedError(
            f"The layer {self.name!r} has the kernel of "
            f"{self._tied_to.layer.name!r} and cannot store it as "
            f"mode={mode!r}."
        )

    # By name, because Keras's own order depends on what is frozen just then.
    def save_own_variables(self, store: Any) -> None:
        store["kernel"] = self.kernel.numpy()
        if self.bias is not None:
            store["bias"] = self.bias.numpy()

    def load_own_variables(self, store: Any) -> None:
        self.kernel.assign(store["kernel"])
        if self.bias is not None:
            self.bias.assign(store["bias"])

    def get_config(self) -> Config:
        return {
            **super().get_config(),
            "tied_to": keras.saving.serialize_keras_object(self._tied_to.layer),
        }

    @classmethod
    def from_config(cls, config: Config) -> "TiedConvTranspose":
        tied_to, again = (
            keras.saving.deserialize_keras_object(config["tied_to"])
            for _ in range(2)
        )
        if tied_to is not again:
            raise ValueError(
                f"The layer {config['name']!r} is tied to "
                f"{tied_to.name!r}, and its config alone cannot say which "
                "layer of a new model that is. Copy the whole model: "
                "`copy.deepcopy(model)`, or `model.save` and "
                "`keras.models.load_model`."
            )
        return cls(**{**config, "tied_to": tied_to})


class _Untracked:
    """Holds a layer that shall not become a part of the one it is in."""

    def __init__(self, layer: keras.layers.Layer) -> None:
        self.layer = layer


class _MentionedTwice:
    """The `get_config` of a layer that others are tied to.

    Keras marks the config of an object as shared when it meets the object
    again. A model inside of another has handed out a copy of the config by
    then, without the mark. So the layer is met once more before its config
    is made.
    """

    def __init__(self, layer: keras.layers.Layer) -> None:
        self.layer = layer
        self.inside = False

    def __call__(self) -> Config:
        if not self.inside:
            self.inside = True
            try:
                keras.saving.serialize_keras_object(self.layer)
            finally:
                self.inside = False
        return type(self.layer).get_config(self.layer)


@keras.saving.register_keras_serializable(package="keras_convt")
class TiedConv1DTranspose(TiedConvTranspose, Conv1DTranspose):
    """A `Conv1DTranspose` with another layer's kernel: see `adjoint`."""


@keras.saving.register_keras_serializable(package="keras_convt")
class TiedConv2DTranspose(TiedConvTranspose, Conv2DTranspose):
    """A `Conv2DTranspose` with another layer's kernel: see `adjoint`."""


@keras.saving.register_keras_serializable(package="keras_convt")
class TiedConv3DTranspose(TiedConvTranspose, Conv3DTranspose):
    """A `Conv3DTranspose` with another layer's kernel: see `adjoint`."""


# The layers that have an adjoint, their rank, and whether they are depthwise.
CONVOLUTIONS = (
    (layers.Conv1D, 1, False),
    (layers.Conv2D, 2, False),
    (layers.Conv3D, 3, False),
    (layers.DepthwiseConv1D, 1, True),
    (layers.DepthwiseConv2D, 2, True),
)
# The transposed layer of each rank that has another layer's kernel.
TIED = {
    1: TiedConv1DTranspose,
    2: TiedConv2DTranspose,
    3: TiedConv3DTranspose,
}
