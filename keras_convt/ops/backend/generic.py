"""What formulations need of a backend, written in `keras.ops` alone."""

import math
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import keras
from keras import ops

from keras_convt.ops.problem import Choice, Context, Problem
from keras_convt.ops.types import Crops, Size, Sizes, Tensor


class Backend:
    """The functions of a backend that nobody has written a module for.

    A subclass overrides what its backend does better, and says in `ranked`
    what is fast there. Tensors are channels_last: `(batch, *steps,
    channels)`.

    Args:
        name: What Keras calls the backend.
    """

    # Kinds of devices on which the rules of `ranked` were measured.
    measured_devices: ClassVar[tuple[str, ...]] = ()

    # Whether `conv_transpose` has groups, and dilation. What it has not, the
    # formulation "native" does for it.
    transposes_groups: ClassVar[bool] = False
    transposes_dilated: ClassVar[bool] = False

    # Whether Keras's "same" average pooling leaves out, on this backend, the
    # steps that do not exist, also where more of them are after the last step
    # than before the first.
    averages_existing_steps: ClassVar[bool] = True

    # Whether Keras's loop over the steps of a recurrent layer is a loop of
    # the graph, and not one of Python for the steps that are there.
    loops_in_graph: ClassVar[bool] = True

    # Whether `with_gradients_of` does what it says.
    replaces_gradients: ClassVar[bool] = False

    # Whether `as_one_program` compiles. A transposed convolution, which is
    # called most often, asks before it builds the call.
    compiles_eager_calls: ClassVar[bool] = False

    def __init__(self, name: str) -> None:
        self.name = name

    # Where, what, and how fast.

    def context(self, inputs: Tensor) -> Context:
        """Where a sum over `inputs` is computed."""
        return Context("eager", "unknown")

    def has_channels_first(self, inputs: Tensor, data_format: str) -> bool:
        """Whether the channels of `inputs` come before their steps."""
        return data_format == "channels_first"

    def refusal(self, name: str, problem: Problem) -> str | None:
        """Why this backend cannot compute a formulation, or None if it can.

        Only of what holds here and not elsewhere.
        """
        return None

    def is_exact(self, name: str, problem: Problem) -> bool:
        """Whether the error of a formulation is at most twice the built-in's.

        Only of what holds here and not elsewhere.
        """
        return True

    def ranked(self, problem: Problem) -> list[Choice]:
        """The formulations to use, the fastest first.

        The first one that is right and exact enough is used. The last one
        always is.
        """
        return [Choice("native", f"not measured with {self.name}")]

    # Sizes.

    def is_open_size(self, size: Any) -> bool:
        """Whether a value is a size that only the running graph knows."""
        return False

    def has_stand_in_sizes(self, inputs: Any) -> bool:
        """Whether numbers stand where the sizes of a tensor are not known.

        They are then the same for all that is unknown, and say nothing.
        """
        return False

    # Tensors.

    def as_one_program(
        self,
        function: Callable[..., Tensor],
        tensors: tuple[Tensor | None, ...],
        *settings: Any,
    ) -> Tensor:
        """Call a function of tensors, compiled where that pays when eager.

        Args:
            function: A function of a module, which takes the tensors, then
                the settings, and depends on nothing else.
            tensors: Tensors, or None.
            *settings: Its other arguments. Those of concrete tensors can be
                hashed.
        """
        return function(*tensors, *settings)

    def mask_as_one_program(
        self, function: Callable[..., Tensor], mask: Tensor, *settings: Any
    ) -> Tensor:
        """Call a function of a mask, which is many small operations.

        Args:
            function: A function of a module, which takes the mask, then the
                settings, and depends on nothing else.
            mask: Tensor of bool.
            *settings: Its other arguments, as for `as_one_program`.
        """
        return self.as_one_program(function, (mask,), *settings)

    def run(
        self,
        formulation: Callable[..., Tensor],
        inputs: Tensor,
        kernel: Tensor,
        bias: Tensor | None,
        *sizes: Any,
    ) -> Tensor:
        """Call a formulation, in what the backend needs around it.

        Args:
            formulation: One of `keras_convt.ops.formulations`.
            inputs, kernel, bias: Its tensors.
            *sizes: Its other arguments.
        """
        return formulation(inputs, kernel, bias, *sizes)

    def with_gradients_of(
        self,
        values: Callable[..., Tensor],
        gradients: Callable[..., Tensor],
        tensors: tuple[Tensor, Tensor],
        settings: tuple[Any, ...],
    ) -> Tensor:
        """The values of one function, and the gradients of an equal one.

        Args:
            values, gradients: Functions of a module, which take the tensors,
                then the settings. They compute the same, and are linear in
                each tensor.
            tensors: The tensors.
            settings: Their other arguments.

        Here the gradients are those of the first function.
        """
        return values(*tensors, *settings)

    def matmul(self, first: Tensor, second: Tensor) -> Tensor:
        """Product of `(..., channels)` and `(channels, columns)`."""
        if dtype_of(first) == "float64":
            # `keras.ops.matmul` rounds it to float32 on some backends, as of
            # Keras 3.15.1: https://github.com/keras-team/keras/issues/23223.
            return first @ second
        return ops.matmul(first, second)

    def matmul_of_rows(self, first: Tensor, second: Tensor) -> Tensor:
        """`matmul`, with a gradient that is fast where columns are many."""
        return self.matmul(first, second)

    def transpose(self, tensor: Tensor, axes: Sizes) -> Tensor:
        """A tensor with its axes in another order."""
        return ops.transpose(tensor, axes)

    def pad(self, tensor: Tensor, zeros: Sequence[tuple[int, int]]) -> Tensor:
        """Put zeros around a tensor: a pair (before, after) for each axis."""
        return ops.pad(tensor, zeros)

    def crop(self, outputs: Tensor, crops: Crops) -> Tensor:
        """Crop (left, right) samples off every spatial axis of `outputs`.

        `left` is at least 0; a negative `right` appends zeros. PyTorch's own
        also has a pair for the channels, where they come first.
        """
        if any(right < 0 for _, right in crops):
            zeros = [(0, 0), *((0, max(-right, 0)) for _, right in crops)]
            zeros += [(0, 0)] * (len(outputs.shape) - len(zeros))
            outputs = self.pad(outputs, zeros)
        if any(left > 0 or right > 0 for left, right in crops):
            outputs = self.cut(
                outputs, tuple((left, max(right, 0)) for left, right in crops)
            )
        return outputs

    def cut(self, outputs: Tensor, crops: Crops) -> Tensor:
        """`crop`, of crops that are all at least 0 and not all 0."""
        for axis, (left, right) in enumerate(crops, start=1):
            # One axis after another: jax2onnx cuts one axis of unknown steps
            # at a time.
            if left > 0 or right > 0:
                span = slice(left, -right if right > 0 else None)
                outputs = outputs[(slice(None),) * axis + (span,)]
        return outputs

    def window(
        self, outputs: Tensor, lefts: Sequence[Size], lengths: Sequence[Size]
    ) -> Tensor:
        """Cut a window out whose place is known only when the graph runs.

        Args:
            outputs: Tensor of shape `(batch, *steps, channels)`, in which the
                window is.
            lefts: Samples before the window, one for each axis.
            lengths: Samples of the window, likewise.
        """
        spatial = (
            slice(left, left + length)
            for left, length in zip(lefts, lengths, strict=True)
        )
        return outputs[(slice(None), *spatial)]

    def finish(
        self, outputs: Tensor, crops: Crops, bias: Tensor | None
    ) -> Tensor:
        """Crop `outputs`, then add the bias of shape `(filters,)`."""
        outputs = self.crop(outputs, crops)
        return outputs if bias is None else self.add_bias(outputs, bias)

    def add_bias(self, outputs: Tensor, bias: Tensor) -> Tensor:
        """Add a bias of shape `(filters,)` to channels_last outputs."""
        return ops.add(outputs, bias)

    def in_memory_format_of(self, inputs: Tensor, outputs: Tensor) -> Tensor:
        """`outputs`, in memory as what comes next in a network wants them.

        That is most often how `inputs` came. Both are channels_last; what a
        backend may do is to copy `outputs` in another order of the memory.
        """
        return outputs

    def own_padding(
        self, borders: Sequence[tuple[int, int]], reach: Sequence[int]
    ) -> Sizes:
        """The zeros at both ends of each axis that `convolution` can add.

        Without a copy of the inputs. All convolutions know "same".

        Args:
            borders: The zeros that are wanted before and after each axis.
            reach: Samples from the first to the last tap, less one.
        """
        same = all(
            a == b and a + b == r
            for (a, b), r in zip(borders, reach, strict=True)
        )
        return tuple(a if same else 0 for a, _ in borders)

    def convolution(
        self,
        inputs: Tensor,
        kernel: Tensor,
        bias: Tensor | None,
        dilation_rate: Sizes,
        groups: int,
        padding: Sizes,
    ) -> Tensor:
        """A convolution of stride 1.

        Args:
            inputs: Tensor of shape `(batch, *steps, channels)`.
            kernel: Tensor of shape
                `(*kernel_size, channels // groups, filters)`.
            bias: Tensor of shape `(filters,)`, or None.
            dilation_rate: One int for each axis.
            groups: Number of groups.
            padding: Zeros at both ends of each axis, as `own_padding` says.
        """
        outputs = ops.conv(
            inputs,
            kernel,
            strides=1,
            padding="same" if any(padding) else "valid",
            data_format="channels_last",
            dilation_rate=dilation_rate,
        )
        return outputs if bias is None else self.add_bias(outputs, bias)

    def strided_convolution(
        self,
        inputs: Tensor,
        kernel: Tensor,
        strides: int,
        dilation_rate: int,
        groups: int,
    ) -> Tensor:
        """A convolution of signals of any stride, without padding.

        Args:
            inputs: Tensor of shape `(batch, steps, channels)`.
            kernel: Tensor of shape
                `(kernel_size, channels // groups, filters)`.
            strides, dilation_rate: int.
            groups: Number of groups.
        """
        return ops.conv(
            inputs,
            kernel,
            strides=strides,
            padding="valid",
            data_format="channels_last",
            dilation_rate=dilation_rate,
        )

    def streams_by_product(self, inputs: Tensor, groups: int) -> bool:
        """Whether a chunk of a stream is better computed by one product.

        `inputs` are the chunk, of shape `(batch, steps, channels)`.
        """
        return False

    def concatenate(self, tensors: Sequence[Tensor], axis: int) -> Tensor:
        """Tensors one after another, whose sizes may be open."""
        return ops.concatenate(tensors, axis)

    def size(self, tensor: Tensor, axis: int) -> Size:
        """The size of an axis: an int, or what stands for it in a graph."""
        return ops.shape(tensor)[axis]

    def count(self, size: Size) -> Tensor:
        """0, 1, 2, ... up to a size that may be open, of shape `(1, size)`."""
        return ops.expand_dims(ops.arange(size, dtype="int32"), 0)

    def is_traced_as_open(self, size: Size) -> bool:
        """Whether a graph that is traced now shall hold for other sizes."""
        return False

    def conv_transpose(
        self,
        inputs: Tensor,
        kernel: Tensor,
        bias: Tensor | None,
        strides: Sizes,
        dilation_rate: Sizes,
        groups: int,
        crops: Crops,
    ) -> Tensor:
        """A window of the backend's own transposed convolution.

        Never its "same", whose values differ between backends and versions:
        https://github.com/keras-team/keras/issues/22876. `groups` and
        `dilation_rate` are 1 where the backend does not have them.
        """
        outputs = ops.conv_transpose(
            inputs,
            kernel,
            strides=strides,
            padding="valid",
            # The plain sum. By default zeros are appended where the stride is
            # above the kernel, which the window does itself.
            output_padding=(0,) * len(strides),
            data_format="channels_last",
        )
        return self.finish(outputs, crops, bias)

    def multiply_taps(self, inputs: Tensor, taps: Tensor) -> list[Tensor]:
        """Inputs times the taps of each phase of the output.

        Args:
            inputs: Tensor of shape `(batch, *steps, filters)`.
            taps: Tensor of shape `(phases, filters)`.

        Returns:
            One tensor of shape `(batch, *steps, phases, filters)`, or one of
            the shape `(batch, *steps, filters)` for each phase.
        """
        return [inputs[..., None, :] * taps]

    def reshape_size(self, size: Size, factor: int) -> Size:
        """`size * factor`, as a size of a reshape."""
        return size * factor


def positions_of(sizes: Sequence[Size]) -> int | None:
    """Batch size times steps, or None if one of them is not known yet."""
    if all(isinstance(size, int) for size in sizes):
        return math.prod(sizes)
    return None


def dtype_of(tensor: Tensor) -> str:
    """The name of a tensor's dtype."""
    return str(keras.backend.standardize_dtype(tensor.dtype))
