"""Models that answer a stream, chunk by chunk."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import layers, ops

from keras_convt.arguments import whole_number
from keras_convt.geometry import effective_kernel
from keras_convt.layers import Conv1DTranspose
from keras_convt.ops import streaming
from keras_convt.ops.window import to_channels_first, to_channels_last

# Layers that compute every step alone, whatever their arguments.
STEP_BY_STEP = tuple(
    getattr(layers, name)
    for name in (
        "Activation",
        "AlphaDropout",
        "Dropout",
        "ELU",
        "Embedding",
        "GaussianDropout",
        "GaussianNoise",
        "Identity",
        "InputLayer",
        "LeakyReLU",
        "ReLU",
        "Rescaling",
        "SpatialDropout1D",
        "UpSampling1D",
    )
)
# Layers that do so if their axis is that of the channels, the last one.
OVER_CHANNELS = tuple(
    getattr(layers, name)
    for name in (
        "BatchNormalization",
        "LayerNormalization",
        "RMSNormalization",
        "Softmax",
        "UnitNormalization",
    )
    # Not all are in every version of Keras 3.
    if hasattr(layers, name)
)


class StreamingModel:
    """A Sequential model of causal layers that is fed chunk by chunk.

    The outputs of all chunks, one after another, are the output of the model
    for all chunks at once, however they are cut. Nothing is looked at twice,
    and what is remembered does not grow.

    Args:
        model: A built `keras.Sequential` of these layers: causal `Conv1D`
            without strides, `keras_convt.Conv1DTranspose` with
            `padding="causal"`, `Dense`, activations, normalization over
            channels (with the statistics of inference), dropout (which does
            nothing), `Embedding`, `UpSampling1D`, and Sequentials of them.
            Its weights are used as they are when `step` runs.

    Raises:
        TypeError: If `model` is no `keras.Sequential`.
        ValueError: If it is not built, or has a layer that cannot stream. The
            message names the layer and says why.

    Example:

    >>> import keras
    >>> import keras_convt
    >>> model = keras.Sequential([
    ...     keras.Input((None, 3)),
    ...     keras.layers.Conv1D(8, 5, padding="causal", activation="elu"),
    ...     keras_convt.Conv1DTranspose(1, 8, 4, padding="causal"),
    ... ])
    >>> stream = keras_convt.StreamingModel(model)
    >>> state = stream.initial_state(batch_size=1)
    >>> y, state = stream.step(keras.random.uniform((1, 1, 3)), state)
    >>> tuple(y.shape)
    (1, 4, 1)
    """

    def __init__(self, model: keras.Sequential) -> None:
        if not isinstance(model, keras.Sequential):
            raise TypeError(
                "`model` must be a keras.Sequential: the order of its layers "
                "says what to remember. Received: "
                f"model={model!r} of type {type(model).__name__}."
            )
        if not model.built:
            raise ValueError(
                "`model` must be built before it streams: give it a "
                f"keras.Input, or call it. Received: model={model.name!r}."
            )
        self.model = model
        self._parts = [_streamed(layer) for layer in _flat(model)]

    def initial_state(self, batch_size: Any) -> tuple[Any, ...]:
        """The state before the first chunk: a tuple of tensors.

        Args:
            batch_size: int, the number of signals that are streamed together.
        """
        if not ops.is_tensor(batch_size):
            batch_size = whole_number(batch_size, "batch_size", 1)
        return tuple(
            streamed.initial_state(batch_size)
            for _, streamed in self._parts
            if streamed is not None
        )

    def step(
        self, chunk: Any, state: Sequence[Any]
    ) -> tuple[Any, tuple[Any, ...]]:
        """The output of the next chunk, and the state after it.

        A pure function of tensors, to be compiled and exported: `jax.jit`,
        `tf.function`, `torch.compile`, ONNX.

        Args:
            chunk: The next steps of the input, of any number.
            state: What the step before returned, or `initial_state`.
        """
        before, after = iter(state), []
        outputs = chunk
        for layer, streamed in self._parts:
            if streamed is None:
                outputs = layer(outputs, training=False)
            else:
                outputs, kept = streamed.step(outputs, next(before))
                after.append(kept)
        return outputs, tuple(after)


class CausalConvolution:
    """A causal `keras.layers.Conv1D`, with the methods of a stream."""

    def __init__(self, layer: keras.layers.Conv1D) -> None:
        self.layer = layer
        (size,), (self.rate,) = layer.kernel_size, layer.dilation_rate
        self.kept = effective_kernel(size, self.rate) - 1
        self.first = layer.data_format == "channels_first"

    def initial_state(self, batch_size: Any) -> Any:
        channels = self.layer.kernel.shape[1] * self.layer.groups
        return ops.zeros(
            (batch_size, self.kept, channels), self.layer.compute_dtype
        )

    def step(self, chunk: Any, state: Any) -> tuple[Any, Any]:
        layer = self.layer
        chunk = ops.cast(chunk, layer.compute_dtype)
        outputs, state = streaming.convolution_step(
            to_channels_last(chunk) if self.first else chunk,
            state,
            ops.cast(layer.kernel, layer.compute_dtype),
            self.rate,
        )
        if layer.use_bias:
            outputs = ops.add(outputs, ops.cast(layer.bias, outputs.dtype))
        if self.first:
            outputs = to_channels_first(outputs)
        if layer.activation is not None:
            outputs = layer.activation(outputs)
        return outputs, state


def _flat(model: keras.Sequential) -> list[keras.layers.Layer]:
    """The layers of a model, and of the models in it."""
    found = []
    for layer in model.layers:
        found += (
            _flat(layer) if isinstance(layer, keras.Sequential) else [layer]
        )
    return found


def _streamed(layer: keras.layers.Layer) -> tuple[keras.layers.Layer, Any]:
    """A layer, and what streams for it; None if it needs to know one step."""
    _check_not_overridden(layer)
    if isinstance(layer, Conv1DTranspose):
        layer.initial_state(1)  # refuses what cannot stream
        return layer, layer
    if isinstance(layer, layers.Conv1D):
        pointwise = layer.kernel_size == (1,)
        if layer.strides != (1,):
            raise _refusal(layer, f"it has strides={layer.strides}")
        if layer.padding != "causal" and not pointwise:
            raise _refusal(
                layer, f'its padding is {layer.padding!r}, not "causal"'
            )
        return layer, CausalConvolution(layer)
    if isinstance(layer, OVER_CHANNELS):
        axis = layer.axis
        axes = axis if isinstance(axis, (list, tuple)) else [axis]
        if any(one not in (-1, 2) for one in axes):
            raise _refusal(layer, f"axis={axis} is not that of the channels")
        return layer, None
    if isinstance(layer, layers.PReLU):
        if 1 not in (layer.shared_axes or ()):
            raise _refusal(layer, "its slopes differ from step to step")
        return layer, None
    if isinstance(layer, (layers.Dense, *STEP_BY_STEP)):
        return layer, None
    raise _refusal(layer, f"nothing is known of a {type(layer).__name__}")


def _check_not_overridden(layer: keras.layers.Layer) -> None:
    """A subclass that computes something else is not its base class."""
    kind = type(layer)
    own = ("keras.", "keras_convt.")
    for name in ("call", "__call__", "convolution_op"):
        owner = next((c for c in kind.__mro__ if name in vars(c)), None)
        if owner is not None and not owner.__module__.startswith(own):
            raise _refusal(
                layer, f"{owner.__name__} has a `{name}` of its own"
            )


def _refusal(layer: keras.layers.Layer, why: str) -> ValueError:
    return ValueError(
        f"The layer {layer.name!r} cannot stream: {why}. `model` may have "
        'causal Conv1D without strides, Conv1DTranspose with padding="causal", '
        "and layers that compute every step alone."
    )
