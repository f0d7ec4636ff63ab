"""What only a backend itself can do: the one file that imports one.

`keras.ops.conv_transpose` gives the "valid" result, whose window and bias are
copies of the whole output. TensorFlow and PyTorch can leave out what is
cropped, and PyTorch adds the bias in the same pass.
"""

from typing import Any

import keras

from keras_convt.ops.window import crop


def engine() -> str:
    """What will run the sum: "xla", "tensorflow", "torch", or another.

    "xla" is JAX, and TensorFlow within `jit_compile=True`.
    """
    backend = keras.backend.backend()
    if backend == "jax" or (backend == "tensorflow" and _within_xla()):
        return "xla"
    return str(backend)


def _within_xla() -> bool:
    import tensorflow as tf

    if tf.executing_eagerly():
        return False
    graph = tf.compat.v1.get_default_graph()
    while graph is not None:
        # Set by tf.function(jit_compile=True) while it traces. TensorFlow has
        # no public name for it; without it, only the speed changes.
        context = getattr(graph, "_get_control_flow_context", lambda: None)()
        while context is not None:
            if context.IsXLAContext():
                return True
            context = context.outer_context
        graph = getattr(graph, "outer_graph", None)
    return False


def torch_conv_transpose(
    inputs: Any,
    kernel: Any,
    bias: Any,
    strides: tuple[int, ...],
    dilation_rate: tuple[int, ...],
    groups: int,
    crops: tuple[tuple[int, int], ...],
) -> Any:
    """A window of PyTorch's transposed convolution, channels_last."""
    from torch.nn import functional

    rank = len(strides)
    # PyTorch crops `padding` on both sides and puts `output_padding`, less
    # than the stride or the dilation rate, back on the right.
    padding, output_padding, rest = [], [], []
    for s, d, (left, right) in zip(strides, dilation_rate, crops, strict=True):
        most = max(s, d) - 1
        both = min(left, max(right, 0) + most)
        back = min(max(both - right, 0), most)
        padding.append(both)
        output_padding.append(back)
        rest.append((left - both, right - both + back))
    arguments = {
        "stride": strides,
        "padding": tuple(padding),
        "output_padding": tuple(output_padding),
        "dilation": dilation_rate,
    }
    inputs = inputs.movedim(-1, 1)
    kernel = kernel.movedim((-1, -2), (0, 1))
    if rank == 1:
        # Images have a memory format with the channels last, signals none:
        # as an image one step high, a signal is not copied.
        inputs, kernel = inputs.unsqueeze(2), kernel.unsqueeze(2)
        flat = {"stride": 1, "padding": 0, "output_padding": 0, "dilation": 1}
        arguments = {
            name: (flat[name], *value) for name, value in arguments.items()
        }
    function = (
        functional.conv_transpose3d
        if rank == 3
        else functional.conv_transpose2d
    )
    # Zeros that the window still wants past the end get their bias later.
    with_bias = all(right >= 0 for _, right in rest)
    outputs = function(
        inputs,
        kernel,
        bias if with_bias else None,
        groups=groups,
        **arguments,
    )
    if rank == 1:
        outputs = outputs.squeeze(2)
    outputs = crop(outputs.movedim(1, -1), tuple(rest))
    return outputs if with_bias or bias is None else outputs + bias


def tensorflow_conv_transpose(
    inputs: Any,
    kernel: Any,
    bias: Any,
    strides: tuple[int, ...],
    crops: tuple[tuple[int, int], ...],
) -> Any:
    """A window of TensorFlow's transposed convolution in 1D or 2D."""
    import tensorflow as tf

    kernel_size = list(kernel.shape[:-2])
    # Not more than the kernel reaches, and no zeros: those are for `crop`.
    paddings = [
        (min(left, k - 1), min(max(right, 0), k - 1))
        for k, (left, right) in zip(kernel_size, crops, strict=True)
    ]
    rest = tuple(
        (left - a, right - b)
        for (left, right), (a, b) in zip(crops, paddings, strict=True)
    )
    shape = keras.ops.shape(inputs)
    steps = [
        (n - 1) * s + k - a - b
        for n, s, k, (a, b) in zip(
            shape[1:-1], strides, kernel_size, paddings, strict=True
        )
    ]
    if len(strides) == 1:
        # tf.nn.conv1d_transpose takes no explicit crops.
        inputs, kernel = tf.expand_dims(inputs, 1), tf.expand_dims(kernel, 0)
        steps, strides = [1, *steps], (1, *strides)
        paddings = [(0, 0), *paddings]
    outputs = tf.nn.conv2d_transpose(
        inputs,
        kernel,
        output_shape=(shape[0], *steps, kernel.shape[-2]),
        strides=strides,
        padding=[(0, 0), *paddings, (0, 0)],
    )
    if len(rest) == 1:
        outputs = tf.squeeze(outputs, 1)
    outputs = crop(outputs, rest)
    return outputs if bias is None else outputs + bias
