"""The tensor functions of streams, where a backend needs one of its own."""

import math
from typing import Any

import keras
from keras import ops

from keras_convt.geometry import Axis
from keras_convt.ops.backend import backend
from keras_convt.ops.core import transposed_convolution

# PyTorch copies a kernel of Keras's layout at each convolution. Up to so many
# steps for each of the output's channels, one product without a copy costs
# less than that.
FEW_STEPS = 256


def concatenate(tensors: list[Any], axis: int) -> Any:
    """Tensors one after another."""
    if keras.backend.backend() == "jax":
        # jax2onnx 0.17.1 writes `jnp.concatenate` without the sizes that are
        # open; this it writes right.
        from jax import lax

        return lax.concatenate(tensors, axis % len(tensors[0].shape))
    return ops.concatenate(tensors, axis)


def steps_of(value: Any, axis: int) -> Any:
    """The number of steps: an int, or what stands for it in a graph."""
    if keras.backend.backend() == "jax":
        # `keras.ops.shape` has None for a size that is open when exporting.
        return value.shape[axis]
    return ops.shape(value)[axis]


def numbers(steps: Any) -> Any:
    """0, 1, 2, ... for each of `steps`, of shape `(1, steps)`."""
    if keras.backend.backend() == "jax":
        # `keras.ops.arange` takes no size that is open when exporting.
        from jax import lax

        return lax.broadcasted_iota("int32", (1, steps), 1)
    return ops.expand_dims(ops.arange(steps, dtype="int32"), 0)


def part(value: Any, axis: int, start: Any = None, stop: Any = None) -> Any:
    """The steps from `start` to `stop` on an axis."""
    return value[(slice(None),) * axis + (slice(start, stop),)]


def convolution(
    inputs: Any, kernel: Any, stride: int, dilation_rate: int, groups: int
) -> Any:
    """A convolution of signals, `channels_last`, without padding.

    Args:
        inputs: Tensor of shape `(batch, steps, channels)`.
        kernel: Tensor of shape `(kernel_size, channels // groups, filters)`.
    """
    active = keras.backend.backend()
    # TensorFlow compiles a function for every shape of a grouped convolution.
    if _few_steps(inputs) or (groups > 1 and active == "tensorflow"):
        return _product(inputs, kernel, stride, dilation_rate, groups)
    return ops.conv(
        inputs,
        kernel,
        strides=stride,
        padding="valid",
        data_format="channels_last",
        dilation_rate=dilation_rate,
    )


def full_transposed_convolution(
    inputs: Any, kernel: Any, axis: Axis, groups: int
) -> Any:
    """The whole sum of a transposed convolution, `channels_last`.

    It has `max(effective_kernel, stride) - stride` steps more than `stride`
    for each of the inputs.
    """
    whole = Axis(
        axis.kernel_size,
        axis.stride,
        axis.dilation_rate,
        (0, min(axis.effective_kernel - axis.stride, 0)),
    )
    if (
        _few_steps(inputs)
        and groups == axis.dilation_rate == 1
        and axis.kernel_size % axis.stride == 0
    ):
        return _transposed_product(inputs, kernel, axis.stride)
    return transposed_convolution(
        inputs,
        kernel,
        (whole,),
        "channels_last",
        groups,
    )


def traced_size(steps: Any) -> bool:
    """Whether a size of a chunk is one that JAX or PyTorch traces as open."""
    active = keras.backend.backend()
    if active == "torch":
        import torch

        # PyTorch does not say what its type is.
        jit: Any = torch.jit
        return bool(jit.is_tracing())
    return active == "jax" and type(steps) is not int


def _few_steps(inputs: Any) -> bool:
    if keras.backend.backend() != "torch":
        return False
    sizes = inputs.shape[:2]
    # A size that is open when exporting is no int.
    return not all(type(n) is int for n in sizes) or (
        math.prod(sizes) <= FEW_STEPS
    )


def _product(
    inputs: Any, kernel: Any, stride: int, dilation_rate: int, groups: int
) -> Any:
    """The same convolution as one matrix product: no copy of the kernel."""
    size, group_channels, filters = kernel.shape
    last = (size - 1) * dilation_rate
    taps = [
        inputs[:, t : t - last or None : stride]
        for t in range(0, last + 1, dilation_rate)
    ]
    if groups == 1:
        windows = concatenate(taps, -1) if size > 1 else taps[0]
        return ops.matmul(
            windows, ops.reshape(kernel, (size * group_channels, filters))
        )
    # (batch, steps, groups, taps * channels of a group)
    batch_size = ops.shape(inputs)[0]
    shape = (batch_size, -1, groups, group_channels)
    windows = concatenate([ops.reshape(tap, shape) for tap in taps], -1)
    by_group = ops.reshape(
        kernel, (size * group_channels, groups, filters // groups)
    )
    outputs = ops.einsum("bngc,cgf->bngf", windows, by_group)
    return ops.reshape(outputs, (batch_size, -1, filters))


def _transposed_product(inputs: Any, kernel: Any, stride: int) -> Any:
    """The same transposed convolution as one product, then sums of parts."""
    size, filters, channels = kernel.shape
    parts = size // stride
    products = ops.matmul(
        inputs,
        ops.transpose(ops.reshape(kernel, (size * filters, channels))),
    )
    width = stride * filters
    total = None
    for number in range(parts):
        piece = backend.pad(
            products[:, :, number * width : (number + 1) * width],
            ((0, 0), (number, parts - 1 - number), (0, 0)),
        )
        total = piece if total is None else ops.add(total, piece)
    return ops.reshape(total, (ops.shape(inputs)[0], -1, filters))
