"""Transposed convolution of a tensor with a kernel, in 1D, 2D and 3D."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import keras
from keras import ops

from keras_convt import arguments, geometry
from keras_convt.geometry import Axis
from keras_convt.ops.backend import backend
from keras_convt.ops.backend.generic import positions_of
from keras_convt.ops.choice import check_implementation, choose
from keras_convt.ops.formulations import FORMULATIONS
from keras_convt.ops.problem import Choice, Context, Problem
from keras_convt.ops.types import Crops, Size, Sizes, Tensor
from keras_convt.ops.window import to_channels_first, to_channels_last


def conv_transpose(
    inputs: Tensor,
    kernel: Tensor,
    strides: Any = 1,
    padding: Any = "valid",
    output_padding: Any = None,
    data_format: str | None = None,
    dilation_rate: Any = 1,
    groups: int = 1,
    output_size: Any = None,
    implementation: str = "auto",
) -> Tensor:
    """Transposed convolution in 1D, 2D or 3D, the same on every backend.

    Along each axis, the result is a window of this sum:

    `full[i * strides + t * dilation_rate] += inputs[i] . kernel[t]`

    (Dumoulin & Visin, "A guide to convolution arithmetic for deep learning",
    chapter 4).

    Args:
        inputs: Tensor of shape `(batch, *steps, channels)`, or
            `(batch, channels, *steps)` if `data_format="channels_first"`,
            with one to three axes of steps.
        kernel: Tensor of shape `(*kernel_size, filters // groups, channels)`.
            The result has the dtype that Keras promotes both dtypes to. If
            both are integers, it has Keras's configured float dtype.
        strides: Output steps from one input step to the next: a number, or
            one for each axis.
        padding: `"valid"`, `"same"`, `"causal"` (1D), or the output steps to
            crop: a number, a pair `(left, right)` (1D), or one pair for each
            axis. A negative right crop appends zeros.
        output_padding: The number of output steps to add to the shortest
            output: a number below `strides`, or one for each axis. `None`
            gives the default length.
        data_format: `"channels_last"` or `"channels_first"`. `None` is the
            `image_data_format` of your Keras config.
        dilation_rate: Output steps from one tap of the kernel to the next: a
            number, or one for each axis. It may be combined with `strides`.
        groups: Number of groups that channels and filters are divided into.
        output_size: The number of output steps: a number, one for each axis,
            or a tensor that has as many steps. It must be a length that the
            forward convolution turns into the steps of `inputs`. `None` gives
            the default length.
        implementation: `"auto"`, or the name of a formulation in
            `keras_convt.ops.formulations`.

    Returns:
        Tensor of shape `(batch, *output_steps, filters)`, or
        `(batch, filters, *output_steps)`.

    Raises:
        ValueError, TypeError: If an argument cannot be used. The message
            names it and what was expected.

    Example:

    >>> import keras
    >>> import keras_convt
    >>> import numpy as np
    >>> x = np.array([[[1.0], [2.0]]])  # 1 signal of 2 steps, 1 channel
    >>> kernel = np.array([[[1.0]], [[10.0]], [[100.0]]])
    >>> y = keras_convt.ops.conv_transpose(x, kernel, strides=2)
    >>> keras.ops.convert_to_numpy(y)[0, :, 0].tolist()
    [1.0, 10.0, 102.0, 20.0, 200.0]
    """
    operation = ConvTranspose(
        strides=strides,
        padding=padding,
        output_padding=output_padding,
        data_format=data_format,
        dilation_rate=dilation_rate,
        groups=groups,
        implementation=implementation,
    )
    if any(map(keras.utils.is_keras_tensor, (inputs, kernel))):
        return operation(inputs, kernel, output_size=output_size)
    return operation.call(inputs, kernel, output_size=output_size)


@keras.saving.register_keras_serializable(package="keras_convt")
class ConvTranspose(keras.Operation):
    """`conv_transpose` as a node of a functional model."""

    def __init__(
        self,
        strides: Any,
        padding: Any,
        output_padding: Any,
        data_format: str | None,
        dilation_rate: Any,
        groups: int,
        implementation: str,
        name: str | None = None,
    ) -> None:
        super().__init__(name=name)
        self.strides = strides
        self.padding = padding
        self.output_padding = output_padding
        self.data_format = arguments.data_format(data_format)
        self.dilation_rate = dilation_rate
        self.groups = arguments.whole_number(groups, "groups", minimum=1)
        self.implementation = arguments.implementation(
            implementation, FORMULATIONS
        )

    def call(
        self, inputs: Tensor, kernel: Tensor, output_size: Any = None
    ) -> Tensor:
        inputs = ops.convert_to_tensor(inputs)
        kernel = ops.convert_to_tensor(kernel)
        # Two integers are summed as floats: PyTorch's convolutions refuse them.
        dtype = _common_dtype(inputs, kernel)
        return transposed_convolution(
            ops.cast(inputs, dtype),
            ops.cast(kernel, dtype),
            self._axes(inputs, kernel),
            self.data_format,
            self.groups,
            output_size,
            self.implementation,
        )

    def compute_output_spec(
        self, inputs: Tensor, kernel: Tensor, output_size: Any = None
    ) -> keras.KerasTensor:
        axes = self._axes(inputs, kernel)
        check_implementation(
            self.implementation,
            Problem(
                kernel_size=tuple(axis.kernel_size for axis in axes),
                strides=tuple(axis.stride for axis in axes),
                dilation_rate=tuple(axis.dilation_rate for axis in axes),
                groups=self.groups,
                channels=kernel.shape[-1],
                filters=kernel.shape[-2] * self.groups,
            ),
        )
        shape = geometry.output_shape(
            inputs.shape,
            axes,
            kernel.shape[-2] * self.groups,
            self.data_format,
            requested_steps(output_size, len(axes), self.data_format),
        )
        return keras.KerasTensor(shape, _common_dtype(inputs, kernel))

    def _axes(self, inputs: Tensor, kernel: Tensor) -> tuple[Axis, ...]:
        rank = len(inputs.shape) - 2
        if rank not in (1, 2, 3) or len(kernel.shape) != rank + 2:
            raise ValueError(
                "`inputs` must have 3, 4 or 5 axes (a batch, channels, and "
                "one to three axes of steps), and `kernel` as many. Received: "
                f"inputs.shape={tuple(inputs.shape)}, "
                f"kernel.shape={tuple(kernel.shape)}."
            )
        if 0 in tuple(kernel.shape):
            raise ValueError(
                "`kernel` must have taps, filters and channels. Received: "
                f"kernel.shape={tuple(kernel.shape)}."
            )
        channels = inputs.shape[geometry.channel_axis(self.data_format)]
        if channels != kernel.shape[-1]:
            raise ValueError(
                "`kernel` must have the channels of `inputs` on its last "
                f"axis: {channels}. Received: "
                f"kernel.shape={tuple(kernel.shape)}, "
                f"inputs.shape={tuple(inputs.shape)}, "
                f"data_format={self.data_format!r}."
            )
        arguments.divisible(channels, self.groups, "channels")
        strides = arguments.sizes(self.strides, rank, "strides")
        padding = arguments.padding(self.padding, rank)
        return geometry.axes(
            tuple(kernel.shape[:-2]),
            strides,
            arguments.sizes(self.dilation_rate, rank, "dilation_rate"),
            padding,
            arguments.output_padding(self.output_padding, strides, padding),
        )


def transposed_convolution(
    inputs: Tensor,
    kernel: Tensor,
    axes: tuple[Axis, ...],
    data_format: str,
    groups: int = 1,
    output_size: Any = None,
    implementation: str = "auto",
    bias: Tensor | None = None,
) -> Tensor:
    """`conv_transpose` of tensors, with arguments that are checked already.

    And the `bias` of shape `(filters,)`, if there is one, because some
    formulations add it in the same pass.
    """
    if inputs.dtype != kernel.dtype:
        dtype = _common_dtype(inputs, kernel)
        inputs, kernel = ops.cast(inputs, dtype), ops.cast(kernel, dtype)
    requested = requested_steps(output_size, len(axes), data_format)
    filters = kernel.shape[-2] * groups
    if requested is not None and backend.has_stand_in_sizes(inputs):
        # Only the shape is wanted.
        shape = (*requested, filters)
        if data_format == "channels_first":
            shape = (filters, *requested)
        return ops.broadcast_to(ops.sum(inputs), (inputs.shape[0], *shape))
    shape = ops.shape(inputs)
    context = backend.context(inputs)
    # A graph has no such calls, and may have sizes that cannot be compared.
    again = context.engine == "eager" and all(type(n) is int for n in shape)
    plan = (_kept_plan if again else _plan)(
        tuple(inputs.shape),
        shape,
        axes,
        kernel.shape[-1],
        filters,
        inputs.dtype,
        context,
        data_format,
        backend.has_channels_first(inputs, data_format),
        groups,
        requested,
        implementation,
    )
    tensors = inputs, kernel, bias
    settings: tuple[Any, ...] = (
        _formulation(plan.choice),
        data_format,
        plan.strides,
        plan.dilation_rate,
        groups,
        plan.crops,
        plan.window,
    )
    if backend.compiles_eager_calls:
        return backend.as_one_program(_computed, tensors, *settings)
    return _computed(*tensors, *settings)


class Plan(NamedTuple):
    """How one transposed convolution is computed.

    Args:
        choice: The formulation.
        strides, dilation_rate: One int for each axis.
        crops: What is cropped off the plain sum.
        window: The place and the size of what is then cut out of it, one of
            each for each axis, where only the running graph knows them.
    """

    choice: Choice
    strides: Sizes
    dilation_rate: Sizes
    crops: Crops
    window: tuple[tuple[Size, ...], tuple[Size, ...]] | None


def _plan(
    known_shape: tuple[int | None, ...],
    shape: tuple[Size, ...],
    axes: tuple[Axis, ...],
    channels: int,
    filters: int,
    dtype: Any,
    context: Context,
    data_format: str,
    channels_first: bool,
    groups: int,
    requested: tuple[Size, ...] | None,
    implementation: str,
) -> Plan:
    """Check the sizes, and choose how to compute them."""
    geometry.output_shape(
        known_shape, axes, filters, data_format, _known(requested)
    )
    steps = geometry.spatial(shape, data_format)
    crops = [axis.crop for axis in axes]
    window = None
    if requested is not None:
        crops = [
            axis.crop_to(n, size)
            for axis, n, size in zip(axes, steps, requested, strict=True)
        ]
        if not all(isinstance(side, int) for crop in crops for side in crop):
            window = tuple(left for left, _ in crops), requested
            # The zeros that are past the end of any window: less than a
            # stride, and those of a negative crop.
            crops = [(0, min(axis.crop[1], 0) - axis.stride) for axis in axes]
    problem = Problem(
        kernel_size=tuple(axis.kernel_size for axis in axes),
        strides=tuple(axis.stride for axis in axes),
        dilation_rate=tuple(axis.dilation_rate for axis in axes),
        groups=groups,
        channels=channels,
        filters=filters,
        positions=positions_of((known_shape[0], *steps)),
        steps=steps if all(isinstance(n, int) for n in steps) else None,
        dtype=keras.backend.standardize_dtype(dtype),
        channels_first=channels_first,
        whole=window is None
        and all(left <= 0 and right <= 0 for left, right in crops),
        context=context,
    )
    return Plan(
        choose(problem, implementation),
        problem.strides,
        problem.dilation_rate,
        tuple(crops),
        window,
    )


# For calls of the same sizes.
_kept_plan = functools.lru_cache(maxsize=4096)(_plan)


def _computed(
    inputs: Tensor,
    kernel: Tensor,
    bias: Tensor | None,
    formulation: Callable[..., Tensor],
    data_format: str,
    strides: Sizes,
    dilation_rate: Sizes,
    groups: int,
    crops: Crops,
    window: tuple[tuple[Size, ...], tuple[Size, ...]] | None,
) -> Tensor:
    """A sum by a formulation that was chosen, with tensors as they came.

    `window` has the place and the size of what is cut out of it, one of each
    for each axis, where only the running graph knows them.
    """
    if data_format == "channels_first":
        inputs = to_channels_last(inputs)
    outputs = backend.run(
        formulation,
        inputs,
        kernel,
        bias if window is None else None,
        strides,
        dilation_rate,
        groups,
        crops,
    )
    outputs = backend.in_memory_format_of(inputs, outputs)
    if window is not None:
        outputs = backend.window(outputs, *window)
        if bias is not None:
            outputs = backend.add_bias(outputs, bias)
    if data_format == "channels_first":
        outputs = to_channels_first(outputs)
    return outputs


def _formulation(choice: Choice) -> Callable[..., Tensor]:
    formulation = FORMULATIONS[choice.name]
    if choice.each is None:
        return formulation
    return _with_each(formulation, FORMULATIONS[choice.each])


@functools.cache
def _with_each(
    formulation: Callable[..., Tensor], each: Callable[..., Tensor]
) -> Callable[..., Tensor]:
    # The same object every time: programs are kept by it.
    return functools.partial(formulation, each=each)


def requested_steps(
    output_size: Any, rank: int, data_format: str
) -> tuple[Size, ...] | None:
    """The steps that `output_size` asks for, one an axis.

    Steps may be None, of a symbolic tensor, or what only the running graph
    knows, where it traces one.
    """
    if output_size is None:
        return None
    shape = getattr(output_size, "shape", None)
    if shape is not None and len(shape) == rank + 2:
        if not keras.utils.is_keras_tensor(output_size):
            shape = ops.shape(output_size)
        return geometry.spatial(shape, data_format)
    if ops.is_tensor(output_size):
        # A layer's call makes tensors of NumPy's numbers and arrays.
        output_size = ops.convert_to_numpy(output_size).tolist()
    if arguments.is_sequence(output_size) and len(output_size) == rank:
        return tuple(
            size
            if backend.is_open_size(size)
            else arguments.sizes((size,), 1, "output_size")[0]
            for size in output_size
        )
    if backend.is_open_size(output_size):
        return (output_size,) * rank
    return arguments.sizes(output_size, rank, "output_size")


def _known(requested: tuple[Size, ...] | None) -> tuple[Size, ...] | None:
    """The requested steps that are numbers already; None for the others."""
    if requested is None:
        return None
    return tuple(n if isinstance(n, int) else None for n in requested)


def _common_dtype(inputs: Tensor, kernel: Tensor) -> str:
    return str(keras.backend.result_type(inputs.dtype, kernel.dtype, float))
