"""What only a backend itself can do, or does much faster.

`keras.ops.conv_transpose` gives the "valid" result, whose window and bias are
copies of the whole output. TensorFlow and PyTorch can leave out what is
cropped, and PyTorch adds the bias in place.
"""

from typing import Any

import keras

from keras_convt.ops.choice import FEW_CHANNELS, LARGE_KERNEL
from keras_convt.ops.engine import engine
from keras_convt.ops.primitives import positions_of
from keras_convt.ops.window import crop


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
    import torch
    from torch.nn import functional

    rank = len(strides)
    # litert-torch refuses most paddings, and misplaces others.
    exporting = torch.compiler.is_exporting()
    # Sizes may not be asked for where they are to be left open.
    open_sizes = exporting or torch.jit.is_tracing()
    steps = None if open_sizes else tuple(inputs.shape[1:-1])
    padding, output_padding, rest = _torch_window(
        crops,
        strides,
        dilation_rate,
        later=exporting or _cramped(steps, strides, crops),
    )
    arguments = {
        "stride": strides,
        "padding": padding,
        "output_padding": output_padding,
        "dilation": dilation_rate,
    }
    channels = kernel.shape[-1]
    # oneDNN has kernels for groups of one channel and one filter, with the
    # channels last and no dilation: 1x250x512 -> 512 k4 s2 1.6 times as fast
    # as with the channels first.
    depthwise = (
        groups == channels > 1
        and inputs.dtype == torch.float32
        and not exporting
    )
    if depthwise and kernel.shape[-2] > 1:
        inputs, kernel = _one_filter_each(inputs, kernel)
        groups = kernel.shape[-1]
    kernel = _filters_second(kernel)
    # With two channels or filters a group it is 3 times slower so, with four
    # 20 times faster.
    width = min(kernel.shape[0] // groups, kernel.shape[1])
    half = inputs.dtype in (torch.float16, torch.bfloat16)
    many = max(strides) == 1 and channels > FEW_CHANNELS * groups
    as_image = (
        rank == 1
        and not (half or many)
        and (
            groups == 1 or width >= 4 or (depthwise and max(dilation_rate) == 1)
        )
        and kernel.shape[-1] < LARGE_KERNEL
    )
    if as_image:
        # Images have a memory format with the channels last, signals none:
        # as an image one step high, a signal is not copied, if it is not of
        # a convolution of PyTorch's, which leaves its channels first in
        # memory. With large kernels images are a fifth slower.
        inputs = _channels_first(inputs.contiguous()).unsqueeze(2)
        kernel = kernel.unsqueeze(2)
        flat = {"stride": 1, "padding": 0, "output_padding": 0, "dilation": 1}
        arguments = {
            name: (flat[name], *value) for name, value in arguments.items()
        }
    else:
        inputs = _channels_first(inputs)
        one_filter = groups == kernel.shape[1] == 1
        one_step = steps is not None and 1 in steps
        if half or many or rank == 3 or (one_filter and one_step):
            # With the channels last, oneDNN's gradients of volumes, of half
            # precision, and of one filter at one step are of memory that is
            # not theirs. At stride 1 the error is that of one long sum.
            inputs = _copied(inputs)
    function = (
        functional.conv_transpose1d,
        functional.conv_transpose2d,
        functional.conv_transpose3d,
    )[inputs.ndim - 3]
    # Zeros that the window still wants past the end get their bias later.
    extended = any(right < 0 for _, right in rest)
    within = None if extended else bias
    outputs = function(
        inputs,
        kernel,
        within if exporting else None,
        groups=groups,
        **arguments,
    )
    if within is not None and not exporting:
        outputs = _with_bias(outputs, within)
    if as_image:
        outputs = outputs.squeeze(2)
    outputs = crop(_channels_last(outputs), rest)
    return outputs + bias if extended and bias is not None else outputs


def _with_bias(outputs: Any, bias: Any) -> Any:
    """Add a bias to outputs of shape (batch, filters, *steps), in place.

    In the same pass oneDNN needs up to three times as long where it has groups
    or where the outputs are no multiple of the stride, and its gradient a
    tenth longer; a sum in new memory twice as long where outputs are large.
    """
    bias = bias.reshape(-1, *[1] * (outputs.ndim - 2))
    try:
        return outputs.add_(bias)
    except RuntimeError:
        # What torch.func differentiates, or has many of, may not be put into
        # what it has one of. It says so before anything has changed.
        return outputs + bias


def _cramped(
    steps: tuple[int, ...] | None,
    strides: tuple[int, ...],
    crops: tuple[tuple[int, int], ...],
) -> bool:
    """Whether a volume's window is no larger than its kernel on some axis.

    oneDNN's gradients are then wrong, or end the process, if it crops.
    """
    if steps is None or len(strides) < 3:
        return False
    return any(
        (n - 1) * s <= left + right
        for n, s, (left, right) in zip(steps, strides, crops, strict=True)
    )


def _torch_window(
    crops: tuple[tuple[int, int], ...],
    strides: tuple[int, ...],
    dilation_rate: tuple[int, ...],
    later: bool,
) -> tuple[tuple[int, ...], tuple[int, ...], tuple[tuple[int, int], ...]]:
    """`crops` as PyTorch's `padding` and `output_padding`, and the rest.

    PyTorch crops `padding` on both sides and puts `output_padding`, less than
    the stride or the dilation rate, back on the right. If `later`, everything
    is cropped afterwards.
    """
    padding, output_padding, rest = [], [], []
    for s, d, (left, right) in zip(strides, dilation_rate, crops, strict=True):
        most = max(s, d) - 1
        # A window that goes past the end may have none of the samples left
        # by a crop on both sides.
        both = min(left, right + most) if right >= 0 and not later else 0
        back = min(max(both - right, 0), most)
        padding.append(both)
        output_padding.append(back)
        rest.append((left - both, right - both + back))
    return tuple(padding), tuple(output_padding), tuple(rest)


def torch_convolution(
    inputs: Any,
    kernel: Any,
    bias: Any,
    dilation_rate: tuple[int, ...],
    groups: int,
    padding: tuple[int, ...],
) -> Any:
    """PyTorch's convolution of stride 1, channels_last."""
    import torch
    from torch.nn import functional

    function = (functional.conv1d, functional.conv2d, functional.conv3d)[
        inputs.ndim - 3
    ]
    dtype = inputs.dtype
    if inputs.ndim == 5 and dtype in (torch.float16, torch.bfloat16):
        # oneDNN's gradients of volumes in half precision are of memory that
        # is not theirs.
        inputs, kernel = inputs.float(), kernel.float()
        bias = None if bias is None else bias.float()
    outputs = function(
        # With the channels last in memory, PyTorch adds all products of a sum
        # one after another, with up to five times the error.
        _copied(_channels_first(inputs)),
        _filters_second(kernel),
        bias,
        padding=padding,
        dilation=dilation_rate,
        groups=groups,
    )
    return _channels_last(outputs.to(dtype))


def _copied(tensor: Any) -> Any:
    """Its elements in the order of its axes."""
    import torch

    # Not `contiguous()`: of one step, or one channel, that is true in any
    # order, and oneDNN then takes another one for granted.
    return tensor.clone(memory_format=torch.contiguous_format)


def _one_filter_each(inputs: Any, kernel: Any) -> tuple[Any, Any]:
    """Groups of one channel and several filters, as more groups of one each.

    The channels are repeated, and the kernel becomes `(*sizes, 1, filters)`.
    """
    *sizes, multiplier, channels = kernel.shape
    repeated = keras.ops.repeat(inputs, multiplier, axis=-1)
    # A filter's number is its group's, then its own in the group.
    taps = kernel.transpose(-1, -2)
    return repeated, taps.reshape(*sizes, 1, channels * multiplier)


# Not `movedim`: PyTorch's exporter by tracing, which Keras uses for ONNX with
# unknown sizes, reads beside the axes that are negative, and gives a graph that
# cannot be loaded, or crashes.
def _channels_first(tensor: Any) -> Any:
    """(batch, *steps, channels) to (batch, channels, *steps)."""
    last = tensor.ndim - 1
    return tensor.permute(0, last, *range(1, last))


def _channels_last(tensor: Any) -> Any:
    """(batch, channels, *steps) to (batch, *steps, channels)."""
    return tensor.permute(0, *range(2, tensor.ndim), 1)


def _filters_second(kernel: Any) -> Any:
    """(*sizes, filters, channels) to (channels, filters, *sizes)."""
    last = kernel.ndim - 1
    # A copy: PyTorch's own kernels, for float64 and the smallest sizes, have
    # no gradient for another order in memory.
    return kernel.permute(last, last - 1, *range(last - 1)).contiguous()


def tensorflow_conv_transpose(
    inputs: Any,
    kernel: Any,
    bias: Any,
    strides: tuple[int, ...],
    crops: tuple[tuple[int, int], ...],
) -> Any:
    """A window of TensorFlow's transposed convolution, channels_last."""
    import tensorflow as tf

    kernel_size = tuple(kernel.shape[:-2])
    shape = keras.ops.shape(inputs)
    # What TensorFlow calls SAME is a window that its kernels compute without
    # the rest. It is asked for where that is the very window wanted.
    same = crops == _tensorflow_same(kernel_size, strides)
    steps = [
        n * s if same else (n - 1) * s + k
        for n, s, k in zip(shape[1:-1], strides, kernel_size, strict=True)
    ]
    padding = "SAME" if same else "VALID"

    def transposed(inputs: Any, kernel: Any) -> Any:
        return tf.nn.conv_transpose(
            inputs,
            kernel,
            output_shape=(shape[0], *steps, kernel.shape[-2]),
            strides=strides,
            padding=padding,
        )

    if (
        max(strides) == 1
        and engine() == "tensorflow-xla"
        and positions_of(inputs) is not None
    ):
        transposed = _with_convolved_gradients(transposed, padding, crops)
    outputs = transposed(inputs, kernel)
    if not same:
        outputs = crop(outputs, crops)
    return outputs if bias is None else outputs + bias


def _with_convolved_gradients(
    transposed: Any, padding: str, crops: tuple[tuple[int, int], ...]
) -> Any:
    """TensorFlow's transposed convolution of stride 1, its gradients plain.

    XLA computes them as it would those of TensorFlow's own. But of the own
    gradient of the kernel, which TensorFlow maps by a loop, it has no second
    derivative that is mapped.
    """
    import tensorflow as tf

    @tf.custom_gradient
    def function(inputs: Any, kernel: Any) -> Any:
        def gradient(outputs: Any) -> Any:
            to_inputs = keras.ops.conv(
                outputs, kernel, 1, padding.lower(), "channels_last"
            )
            if padding == "SAME":
                outputs = tf.pad(outputs, [(0, 0), *crops, (0, 0)])
            # The batch is summed over, as channels are: each filter's
            # outputs are a signal, and the inputs its kernel.
            to_kernel = keras.ops.conv(
                keras.ops.swapaxes(outputs, 0, -1),
                keras.ops.moveaxis(inputs, 0, -2),
                1,
                "valid",
                "channels_last",
            )
            return to_inputs, keras.ops.moveaxis(to_kernel, 0, -2)

        return transposed(inputs, kernel), gradient

    return function


def _tensorflow_same(
    kernel_size: tuple[int, ...], strides: tuple[int, ...]
) -> tuple[tuple[int, int], ...] | None:
    """The crops of SAME, for outputs of steps * strides.

    As TensorFlow documents it for the convolution this is the transpose of:
    max(k - s, 0) samples of padding, the odd one at the end.
    """
    total = [k - s for k, s in zip(kernel_size, strides, strict=True)]
    if min(total) < 0:
        # Zeros past the last tap, which are left to `crop`.
        return None
    return tuple((n // 2, n - n // 2) for n in total)
