"""Transposed convolution of signals."""

import keras

from keras_convt.layers.streaming_methods import StreamingConvTranspose


@keras.saving.register_keras_serializable(package="keras_convt")
class Conv1DTranspose(StreamingConvTranspose):
    """1D transposed convolution layer.

    A convolution with strides shortens a signal, and this layer makes it
    longer again. Each input step contributes to those output steps from which
    such a convolution would compute it. The layer is a drop-in replacement
    for `keras.layers.Conv1DTranspose`, with the same arguments, weights and
    results. The arguments that it adds are keyword-only, and `padding` takes
    more values.

    Let `ke = (kernel_size - 1) * dilation_rate + 1`, the number of steps that
    the kernel spans. For an input of `steps` steps, the output has this many
    steps (Dumoulin & Visin, "A guide to convolution arithmetic for deep
    learning", chapter 4):

    | `padding` | `output_padding=None` | `output_padding=p` |
    |---|---|---|
    | `"valid"` | `(steps - 1) * strides + max(ke, strides)` | `(steps - 1) * strides + ke + p` |
    | `"same"` | `steps * strides` | `(steps - 1) * strides + ke % 2 + p` |
    | `"causal"` | `steps * strides` | refused |
    | `(a, b)` | `(steps - 1) * strides + ke - a - b` | `(steps - 1) * strides + ke - a - b + p` |

    With `"valid"` and `strides` above `ke`, no input reaches the last steps.
    They are zero before the bias and the activation.

    Args:
        filters: int, the number of channels of the output.
        kernel_size: int or sequence of 1 int, the number of taps of the
            kernel.
        strides: int or sequence of 1 int, output steps from one input step
            to the next. `strides > 1` is incompatible with
            `dilation_rate > 1`. Defaults to `1`.
        padding: string in any case, or whole numbers. `"valid"` crops
            nothing. `"same"` crops both ends, so that the output has
            `strides` times the steps of the input. If the number of cropped
            steps is odd, it crops one more at the end. `"causal"` crops only
            the end, so that output step `n` does not depend on any input step
            after `n // strides`. A pair `(left, right)` is the number of
            output steps to crop at each end, and an int is for both ends. A
            negative `right` appends zeros. Defaults to `"valid"`.
        output_padding: int or sequence of 1 int, the number of output steps
            to add to the shortest output. It must be less than `strides`.
            `None` gives the length in the table. Defaults to `None`.
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
        groups: int, the number of groups, which must divide `filters` and
            the number of input channels. Each group of filters sees its own
            group of channels. Keyword-only.
            Defaults to `1`.
        lora_rank: Optional int, the rank of two factors that are trained in
            place of the kernel: see `enable_lora`. Keyword-only.
        lora_alpha: Optional float. What the factors add is multiplied by
            `lora_alpha / lora_rank`. `None` is `lora_rank`. Keyword-only.
        quantization_config: Optional `keras.quantizers.Int8QuantizationConfig`
            for a `dtype` such as `"int8_from_float32"`: see `quantize`.
            Keyword-only.
        implementation: `"auto"`, or the name of a formulation in
            `keras_convt.ops.formulations`. It says how the layer computes,
            which changes its speed but not its values. You can change it
            later: `layer.implementation = "native"`. Keyword-only.
            Defaults to `"auto"`.
        **kwargs: `name`, `dtype`, `trainable`, `autocast` of
            `keras.layers.Layer`.

    Call arguments:
        inputs: Tensor, see below.
        output_size: The output's steps: an int, a sequence of 1 int, or a
            tensor that has as many steps. A length is allowed if a
            convolution with these settings turns it into the steps of
            `inputs`. The layer is then the exact transpose of that
            convolution. Defaults to `None`, which gives the length in the
            table.
        mask: Optional bool tensor of shape `(batch, steps)`. Steps where it
            is False contribute nothing. A mask of shape `(batch,)` masks
            whole signals. Keras passes on the mask of the previous layer.

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
        ValueError, TypeError: If an argument cannot be used. The error comes
            before any weight exists. Its message names the argument, its
            value, and what was expected.

    Example:

    >>> import keras
    >>> import keras_convt
    >>> x = keras.random.uniform((4, 10, 128))
    >>> y = keras_convt.Conv1DTranspose(32, 3, 2, activation="relu")(x)
    >>> tuple(y.shape)
    (4, 21, 32)
    """

    rank = 1
