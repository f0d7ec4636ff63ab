"""oneDNN in PyTorch, and the orders in memory: which ones are fast and right.

The figures in the comments are milliseconds in one thread, or ratios as in
`keras_convt.ops.backend.torch`.
"""

import math
from typing import Any

from keras import ops

from keras_convt.ops.backend import torch_rules
from keras_convt.ops.types import Sizes, Tensor

# Channels up to which oneDNN may have them last at stride 1: it then adds one
# product after another, with more than twice the error from 64 on.
FEW_CHANNELS = 48

# Taps for each step of the stride, and one stride more, from which oneDNN's
# gradient of the kernel of a signal is slow with the channels last. Of 8000x16
# -> 16, k28 s1 takes 8 in training and k31 298, k44 s2 11 and k46 466; with the
# channels first, 15, 10, 17 and 22.
TAPS_A_STRIDE = 15

# Weights from which it pays to put a kernel in order by transposing matrices.
MANY_WEIGHTS = 2**16


def conv_transpose(
    inputs: Tensor,
    kernel: Tensor,
    bias: Tensor | None,
    groups: int,
    steps: Sizes,
    arguments: dict[str, Sizes],
    copies_volumes: bool,
) -> Tensor:
    """oneDNN's transposed convolution, in the memory format it is fast in.

    Args:
        inputs: Tensor of shape `(batch, *steps, channels)`.
        kernel: Tensor of shape `(*kernel_size, filters // groups, channels)`.
        bias: Tensor of shape `(filters,)`, or None.
        groups: Number of groups.
        steps: The steps of the inputs.
        arguments: Of PyTorch's function, one int for each axis.
        copies_volumes: Whether volumes must have their channels first.

    Returns:
        Tensor of shape `(batch, filters, *output_steps)`.
    """
    import torch

    rank, channels = inputs.ndim - 2, kernel.shape[-1]
    stride = arguments["stride"][0]
    # oneDNN has kernels for groups of one channel and one filter, with the
    # channels last and no dilation: 1x250x512 -> 512 k4 s2 1.6 times as fast
    # as with the channels first.
    depthwise = groups == channels > 1 and inputs.dtype == torch.float32
    if depthwise and kernel.shape[-2] > 1:
        inputs, kernel = _one_filter_each(inputs, kernel)
        groups = kernel.shape[-1]
    # With two channels or filters a group it is 3 times slower so, with four
    # 20 times faster.
    width = min(kernel.shape[-1] // groups, kernel.shape[-2])
    many = max(arguments["stride"]) == 1 and channels > FEW_CHANNELS * groups
    as_image = (
        rank == 1
        and not many
        and (
            groups == 1
            or width >= 4
            or (depthwise and max(arguments["dilation"]) == 1)
        )
        and kernel.shape[0] < torch_rules.LARGE_KERNEL
        and not (
            groups == 1
            and torch.is_grad_enabled()
            and kernel.shape[0] >= TAPS_A_STRIDE * (stride + 1) - 1
        )
        and not (groups == 1 and signal_has_channels_first(inputs))
    )
    if as_image:
        # Images have a memory format with the channels last, signals none: as
        # an image one step high, a signal that has them last is not copied.
        # One that has them first, as PyTorch's convolutions of signals leave
        # it, would be copied here, and again by the next convolution: training
        # an EnCodec-like decoder then took 1.17 times as long. With large
        # kernels images are a fifth slower.
        inputs = channels_first(inputs.contiguous().unsqueeze(1))
        kernel = kernel.unsqueeze(0)
        flat = {"stride": 1, "padding": 0, "output_padding": 0, "dilation": 1}
        arguments = {
            name: (flat[name], *value) for name, value in arguments.items()
        }
    else:
        inputs = channels_first(inputs)
        one_filter = groups == kernel.shape[-2] == 1
        one_step = 1 in steps
        volume = rank == 3 and copies_volumes
        if many or volume or (one_filter and one_step):
            # With the channels last, oneDNN's gradients of one filter at one
            # step, and those of volumes, read out of bounds. At stride 1 its
            # error is that of one long sum.
            inputs = copied(inputs)
    kernel = (
        _filters_second_in_channels_last(kernel)
        if _is_in_channels_last(inputs)
        else filters_second(kernel)
    )
    outputs = function_of(inputs.ndim)(
        inputs, kernel, groups=groups, **arguments
    )
    if bias is not None:
        # Before the next line: a sum in place of a view would be copied in the
        # backward pass, which takes a third of the time of a training step.
        outputs = _with_bias(outputs, bias)
    return outputs.squeeze(2) if as_image else outputs


def _one_filter_each(inputs: Tensor, kernel: Tensor) -> tuple[Tensor, Tensor]:
    """Groups of one channel and several filters, as more groups of one each.

    The channels are repeated, and the kernel becomes `(*sizes, 1, filters)`.
    """
    *sizes, multiplier, channels = kernel.shape
    repeated = ops.repeat(inputs, multiplier, axis=-1)
    # A filter's number is its group's, then its own in the group.
    taps = kernel.transpose(-1, -2)
    return repeated, taps.reshape(*sizes, 1, channels * multiplier)


def _with_bias(outputs: Tensor, bias: Tensor) -> Tensor:
    """Add a bias to outputs of shape (batch, filters, *steps), in place.

    In the same pass oneDNN needs up to three times as long where it has groups
    or where the outputs are no multiple of the stride, and its gradient a
    tenth longer; a sum in new memory takes twice as long where outputs are
    large.
    """
    bias = bias.reshape(-1, *[1] * (outputs.ndim - 2))
    try:
        return outputs.add_(bias)
    except RuntimeError:
        # torch.func refuses to add, in place, a tensor that it differentiates
        # or maps over to one that it does not. It does so before anything has
        # changed.
        return outputs + bias


def function_of(axes: int) -> Any:
    """PyTorch's transposed convolution of inputs with so many axes."""
    from torch.nn import functional

    return (
        functional.conv_transpose1d,
        functional.conv_transpose2d,
        functional.conv_transpose3d,
    )[axes - 3]


def copied(tensor: Tensor) -> Tensor:
    """A tensor whose elements are in the order of its axes, most often a copy.

    Of one step, or of one channel, the elements are in any order, and oneDNN
    takes another one for granted. So these are copied as well.
    """
    import torch

    ordered = (
        not exporting()
        and all(n > 1 for n in tensor.shape[1:])
        and tensor.is_contiguous()
    )
    if ordered:
        return tensor
    return tensor.clone(memory_format=torch.contiguous_format)


def signal_has_channels_first(inputs: Tensor) -> bool:
    """Whether the channels of channels_last signals are first in memory."""
    if inputs.ndim != 3 or exporting():
        return False
    _, steps, channels = inputs.shape
    return steps > 1 and channels > 1 and inputs.stride(1) == 1


def _is_in_channels_last(inputs: Tensor) -> bool:
    """Whether (batch, channels, *steps) have the channels last in memory.

    Signals have no such format. What is in both orders is not counted.
    """
    # Not `is_contiguous(memory_format=...)`, which `torch.vmap` refuses (2.13).
    return (
        inputs.ndim > 3
        and not inputs.is_contiguous()
        and channels_last(inputs).is_contiguous()
    )


# Not `movedim`: PyTorch's exporter by tracing, which Keras uses for ONNX with
# unknown sizes, mistakes negative axes, and gives a graph that cannot be
# loaded, or crashes (PyTorch 2.13): see "`movedim`" in docs/upstream.md.
def channels_first(tensor: Tensor) -> Tensor:
    """(batch, *steps, channels) to (batch, channels, *steps)."""
    last = tensor.ndim - 1
    return tensor.permute(0, last, *range(1, last))


def channels_last(tensor: Tensor) -> Tensor:
    """(batch, channels, *steps) to (batch, *steps, channels)."""
    return tensor.permute(0, *range(2, tensor.ndim), 1)


def filters_second(kernel: Tensor) -> Tensor:
    """(*sizes, filters, channels) to (channels, filters, *sizes)."""
    *sizes, filters, channels = kernel.shape
    last = kernel.ndim - 1
    order = (last, last - 1, *range(last - 1))
    if kernel.device.type != "cpu":
        return kernel.permute(*order)
    # A copy: PyTorch's own kernels on a CPU, which it has for float64 and the
    # smallest sizes, have no gradient for an order of another format than that
    # of the inputs.
    if exporting() or math.prod(kernel.shape) < MANY_WEIGHTS:
        return kernel.permute(*order).contiguous()
    # PyTorch transposes a matrix by blocks. One of the whole kernel, and then
    # one for each channel, take less time than one copy in another order:
    # 4x4x128x256 0.7 ms, against 1.8.
    by_channel = _transposed(kernel).reshape(channels, -1, filters)
    kernel = by_channel.transpose(1, 2).contiguous()
    return kernel.reshape(channels, filters, *sizes)


def _filters_second_in_channels_last(kernel: Tensor) -> Tensor:
    """`filters_second`, in the memory format of inputs with channels last.

    PyTorch copies a kernel to the format of the inputs. Here one matrix is
    transposed instead: 4x4x128x256 takes 0.4 ms, and the copy of
    `filters_second` with that of PyTorch 2.7. So 16x4x4x256 -> 128 k4 s2 takes
    4.7 ms, against 7.6.
    """
    *sizes, filters, channels = kernel.shape
    by_channel = _transposed(kernel).reshape(channels, *sizes, filters)
    return channels_first(by_channel)


def _transposed(kernel: Tensor) -> Tensor:
    """(*sizes, filters, channels) to (channels, sizes * filters), copied."""
    return kernel.reshape(-1, kernel.shape[-1]).t().contiguous()


def exporting() -> bool:
    """Whether one of PyTorch's exporters is at work."""
    import torch

    return bool(torch.compiler.is_exporting()) or tracing()


def tracing() -> bool:
    """Whether PyTorch's exporter by tracing is at work."""
    import torch

    jit: Any = torch.jit
    return bool(jit.is_tracing())
