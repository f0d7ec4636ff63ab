"""Transposed convolution of signals."""

from typing import Any

import keras
from keras import ops

from keras_convt import arguments
from keras_convt.geometry import channel_axis
from keras_convt.layers.base_conv_transpose import BaseConvTranspose
from keras_convt.ops import streaming
from keras_convt.ops.window import to_channels_first, to_channels_last


@keras.saving.register_keras_serializable(package="keras_convt")
class Conv1DTranspose(BaseConvTranspose):
    """1D transposed convolution layer.

    It goes in the opposite direction of a convolution: from something that
    has the shape of a convolution's output to something that has the shape
    of its input, with the same connectivity. A drop-in replacement for
    `keras.layers.Conv1DTranspose`: the same arguments, weights and results.
    What it adds is keyword-only or a new value.

    With `ke = (kernel_size - 1) * dilation_rate + 1`, the output has these
    steps for an input of `steps` (Dumoulin & Visin, "A guide to convolution
    arithmetic for deep learning", chapter 4):

    | `padding` | `output_padding=None` | `output_padding=p` |
    |---|---|---|
    | `"valid"` | `(steps - 1) * strides + max(ke, strides)` | `(steps - 1) * strides + ke + p` |
    | `"same"` | `steps * strides` | `(steps - 1) * strides + ke % 2 + p` |
    | `"causal"` | `steps * strides` | refused |
    | `(a, b)` | `(steps - 1) * strides + ke - a - b` | `(steps - 1) * strides + ke - a - b + p` |

    Steps that no input reaches are zero before bias and activation: with
    `"valid"` and strides above `ke`, those at the end.

    Args:
        filters: int, the number of channels of the output.
        kernel_size: int or sequence of 1 int, the taps of the kernel.
        strides: int or sequence of 1 int, output steps from one input step
            to the next. `strides > 1` is incompatible with
            `dilation_rate > 1`. Defaults to `1`.
        padding: string in any case, or whole numbers. `"valid"` crops
            nothing. `"same"` crops evenly at both ends, so that the output
            has `strides` times the steps of the input. `"causal"` crops the
            end only, so that output step `n` depends on no input step after
            `n // strides`. A pair `(left, right)`, or an int for both, crops
            so many output steps; a negative `right` appends zeros.
            Defaults to `"valid"`.
        output_padding: int or sequence of 1 int, output steps added to the
            shortest output, less than `strides`. `None` gives the length
            above. Defaults to `None`.
        data_format: `"channels_last"` or `"channels_first"`. `None` is the
            `image_data_format` of your Keras config. Defaults to `None`.
        dilation_rate: int or sequence of 1 int, output steps from one tap of
            the kernel to the next. Defaults to `1`.
        activation: Activation function. If `None`, none is applied.
        use_bias: bool, whether a bias is added to the output.
        kernel_initializer: Initializer of the kernel. `None` is
            `"glorot_uniform"`.
        bias_initializer: Initializer of the bias. `None` is `"zeros"`.
        kernel_regularizer: Optional regularizer of the kernel.
        bias_regularizer: Optional regularizer of the bias.
        activity_regularizer: Optional regularizer of the output.
        kernel_constraint: Optional projection of the kernel after an update.
        bias_constraint: Optional projection of the bias after an update.
        groups: int that divides `filters` and the input's channels. Each
            group of filters sees its own group of channels. Keyword-only.
            Defaults to `1`.
        lora_rank: Optional int, the rank of two factors that are trained in
            place of the kernel: see `enable_lora`. Keyword-only.
        lora_alpha: Optional float, scales what the factors add by
            `lora_alpha / lora_rank`. `None` is `lora_rank`. Keyword-only.
        quantization_config: Optional `keras.quantizers.Int8QuantizationConfig`
            for a `dtype` such as `"int8_from_float32"`: see `quantize`.
            Keyword-only.
        **kwargs: `name`, `dtype`, `trainable` of `keras.layers.Layer`.

    Call arguments:
        inputs: Tensor, see below.
        output_size: The output's steps: an int, a sequence of 1 int, or a
            tensor with the steps that are meant. Legal are the lengths whose
            forward convolution with these settings has the steps of
            `inputs`; the layer is then its exact transpose. Defaults to
            `None`: the length above.
        mask: Optional bool tensor of shape `(batch, steps)`. Steps where it
            is False contribute nothing. Keras passes the mask that a layer
            before made.

    Input shape:
        3D tensor of shape `(batch, steps, channels)`, or
        `(batch, channels, steps)` if `data_format="channels_first"`.

    Output shape:
        3D tensor of shape `(batch, new_steps, filters)`, or
        `(batch, filters, new_steps)` if `data_format="channels_first"`.

    Returns:
        `activation(conv_transpose(inputs, kernel) + bias)`, in the compute
        dtype.

    Raises:
        ValueError, TypeError: If an argument cannot be used, before any
            weight exists. The message names it, its value, and what was
            expected.

    Example:

    >>> import keras
    >>> import keras_convt
    >>> x = keras.random.uniform((4, 10, 128))
    >>> y = keras_convt.Conv1DTranspose(32, 3, 2, activation="relu")(x)
    >>> tuple(y.shape)
    (4, 21, 32)
    """

    rank = 1

    def initial_state(self, batch_size: Any) -> Any:
        """The state before the first chunk of a stream.

        Args:
            batch_size: int, the number of signals that are streamed together.

        Returns:
            Zeros of shape `(batch_size, max(ke - strides, 0), filters)`, in
            the compute dtype. `data_format` does not matter to the state.

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

    def step(self, chunk: Any, state: Any) -> tuple[Any, Any]:
        """The output of the next piece of a stream.

        A pure function, for compiling and exporting: all that it remembers is
        in `state`. The outputs of all chunks, one after another, are the
        output of the layer for all chunks at once.

        Args:
            chunk: The next steps, of any number, in the input's shape.
            state: What the step before returned, or `initial_state`.

        Returns:
            The output, of `strides` steps for each of the chunk's, and the
            state for the next step.

        Raises:
            ValueError: If the layer cannot stream, or is not built yet, or if
                `chunk` and `state` do not fit it and each other.
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
            self._rounded(chunk, channel_axis=-1),
            state,
            ops.cast(self.kernel, self.compute_dtype),
            self._axes[0],
            self.groups,
        )
        return self._finished(outputs), state

    def _check_step(
        self, chunk: tuple[Any, ...], state: tuple[Any, ...]
    ) -> None:
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

    def flush(self, state: Any) -> Any:
        """What is left in the state when a stream has ended.

        `padding="causal"` crops it; with `"valid"` it is the end of the
        output.

        Args:
            state: What the last step returned.

        Returns:
            The last `max(ke - strides, 0)` steps, with bias and activation.
        """
        self._check_streams()
        return self._finished(state)

    def _finished(self, outputs: Any) -> Any:
        """A part of the output, channels_last, with bias and activation."""
        if self.data_format == "channels_first":
            outputs = to_channels_first(outputs)
        if self.bias is not None:
            bias = ops.cast(self.bias, self.compute_dtype)
            if self.data_format == "channels_first":
                bias = ops.reshape(bias, (1, -1, 1))
            outputs = ops.add(outputs, bias)
        if self.activation is not None:
            outputs = self.activation(outputs)
        return outputs

    def _check_streams(self) -> None:
        if not streaming.is_causal(self._axes[0]):
            raise ValueError(
                f"The layer {self.name!r} cannot stream: `padding` must be "
                '"causal", so that no output waits for later inputs. '
                f"Received: padding={self.padding!r}."
            )
