"""The methods of a layer that is fed a signal chunk by chunk."""

from collections.abc import Iterable

from keras import ops

from keras_convt import arguments
from keras_convt.geometry import channel_axis
from keras_convt.layers.base_conv_transpose import BaseConvTranspose
from keras_convt.ops import streaming
from keras_convt.ops.types import Tensor
from keras_convt.ops.window import to_channels_first, to_channels_last
from keras_convt.types import Shape


def overridden_since(kind: type, methods: Iterable[str]) -> str | None:
    """The name by which a subclass calls a layer otherwise than `methods` do.

    Args:
        kind: The class of a layer.
        methods: Names of methods that compute what `call` does, in a stream.

    Returns:
        `"call"` or `"__call__"`, if a class that is nearer to `kind` than
        each that has the methods has one of its own. Otherwise None.
    """

    def distance(name: str) -> int:
        owners = (n for n, c in enumerate(kind.__mro__) if name in vars(c))
        return next(owners)

    farthest = max(map(distance, methods))
    for name in ("call", "__call__"):
        if distance(name) < farthest:
            return name
    return None


class StreamingConvTranspose(BaseConvTranspose):
    """Abstract transposed convolution that can stream, where it is causal."""

    def initial_state(self, batch_size: int) -> Tensor:
        """The state before the first chunk of a stream.

        Args:
            batch_size: int, the number of signals that are streamed together.

        Returns:
            Zeros of shape `(batch_size, max(ke - strides, 0), filters)`, in
            the compute dtype. The shape does not depend on `data_format`.

        Raises:
            ValueError: If the layer cannot stream. It can if its output step
                `n` depends on no input step after `n // strides`, as with
                `padding="causal"`.

        Example:

        >>> import keras
        >>> import keras_convt
        >>> layer = keras_convt.Conv1DTranspose(2, 4, 2, "causal")
        >>> whole = layer(keras.random.uniform((1, 10, 3)))
        >>> state = layer.initial_state(batch_size=1)
        >>> chunk = keras.random.uniform((1, 1, 3))
        >>> y, state = layer.step(chunk, state)
        >>> tuple(y.shape), tuple(state.shape)
        ((1, 2, 2), (1, 2, 2))
        """
        self._check_streams()
        if not ops.is_tensor(batch_size):
            batch_size = arguments.whole_number(batch_size, "batch_size", 1)
        return streaming.initial_state(
            batch_size, self._axes[0], self.filters, self.compute_dtype
        )

    def step(self, chunk: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """The output of the next piece of a stream.

        It is a pure function that you can compile and export, because
        everything that it remembers is in `state`. The outputs of all chunks,
        concatenated, are the output of the layer for the whole signal.

        Args:
            chunk: The next steps, of any number, in the input's shape.
            state: The state that the last `step` or `initial_state` returned.

        Returns:
            The output, with `strides` steps for each step of the chunk, and
            the next state.

        Raises:
            ValueError: If the layer cannot stream, or is not built yet, or if
                `chunk` and `state` do not fit the layer or each other.
        """
        self._check_streams()
        if not self.built:
            raise ValueError(
                f"The layer {self.name!r} must be built before it streams: "
                "call it, or its `build`, once."
            )
        chunk = ops.cast(chunk, self.compute_dtype)
        self._check_step(tuple(chunk.shape), tuple(state.shape))
        if self.data_format == "channels_first":
            chunk = to_channels_last(chunk)
        outputs, state = streaming.step(
            self._rounded(chunk, "channels_last"),
            state,
            ops.cast(self.kernel, self.compute_dtype),
            self._axes[0],
            self.groups,
            self.implementation,
        )
        return self._finished(outputs), state

    def _check_step(self, chunk: Shape, state: Shape) -> None:
        """Refuse shapes that do not fit, where sizes are known already."""
        channels = self._kernel.shape[-1]
        channel = channel_axis(self.data_format)
        if len(chunk) != 3 or chunk[channel] not in (channels, None):
            raise ValueError(
                f"`chunk` must have 3 axes, and {channels} channels on axis "
                f"{channel % 3}. Received: chunk.shape={chunk}."
            )
        batch = chunk[0] if isinstance(chunk[0], int) else None
        expected = (batch, streaming.overlap(self._axes[0]), self.filters)
        if len(state) != 3 or any(
            isinstance(found, int) and wanted not in (found, None)
            for found, wanted in zip(state, expected, strict=True)
        ):
            raise ValueError(
                "`state` must be what the step before returned, or "
                f"`initial_state`, of the shape {expected}. "
                f"Received: state.shape={state}, chunk.shape={chunk}."
            )

    def flush(self, state: Tensor) -> Tensor:
        """What is left in the state when a stream has ended.

        With `padding="valid"`, it is the end of the output. With `"causal"`,
        the layer crops it, so you do not need it.

        Args:
            state: The state that the last `step` returned.

        Returns:
            The last `max(ke - strides, 0)` steps, with bias and activation.
        """
        self._check_streams()
        return self._finished(state)

    def _finished(self, outputs: Tensor) -> Tensor:
        """A part of the output, channels_last, with bias and activation."""
        if self.data_format == "channels_first":
            outputs = to_channels_first(outputs)
        if self.use_bias:
            bias = ops.cast(self.bias, self.compute_dtype)
            if self.data_format == "channels_first":
                bias = ops.reshape(bias, (1, -1, 1))
            outputs = ops.add(outputs, bias)
        if self.activation is not None:
            outputs = self.activation(outputs)
        return outputs

    def _check_streams(self) -> None:
        own = overridden_since(type(self), ["step"])
        if own is not None:
            raise ValueError(
                f"The layer {self.name!r} cannot stream: "
                f"{type(self).__name__} has a `{own}` of its own, which the "
                "inherited `step` does not compute. Give the class "
                "`initial_state` and `step`, too."
            )
        if not streaming.is_causal(self._axes[0]):
            raise ValueError(
                f"The layer {self.name!r} cannot stream: `padding` must be "
                '"causal", so that no output waits for later inputs. '
                f"Received: padding={self.padding!r}."
            )
