"""JAX: its functions, and what is fast on it.

The figures in the comments are ratios of the built-in layer's time to ours,
forward / forward and backward, on 2 cores; `python -m benchmarks` repeats
them.
"""

import functools
import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

from keras import ops

from keras_convt.ops.backend import jax_convolution, jax_programs, xla
from keras_convt.ops.backend.generic import Backend, positions_of
from keras_convt.ops.problem import Choice, Context, Problem
from keras_convt.ops.types import Crops, Size, Sizes, Tensor

# Taps that would each be a term to compile.
MANY_TAPS = 128

# Terms, and groups, from which a loop over them makes graphs too large.
MANY_TERMS = 64
MANY_GROUPS = 32

# Contributions from which an image of more positions than columns repays the
# zeros of sub-pixel.
MANY_CONTRIBUTIONS = 2_000_000

# Positions for each column from which copying the kernel costs nothing.
MANY_ROWS = 16

# Channels of a signal for which the transposed kernel trains faster.
FEW_CHANNELS = 32

# Columns for each channel from which turning them round takes long, and weights
# for each position up to which XLA's own convolution does not.
MANY_COLUMNS = 2
MANY_WEIGHTS = 4096

# Pixels from one input pixel to the next that sub-pixel always repays.
LARGE_STRIDE = 8


class JAX(Backend):
    """JAX, whose XLA compiles every function, also those called eagerly."""

    measured_devices = ("cpu",)
    compiles_eager_calls = True
    replaces_gradients = True

    def context(self, inputs: Tensor) -> Context:
        import jax

        if _is_open(inputs):
            # Only exporters leave sizes open.
            return Context("export", jax.default_backend())
        if isinstance(inputs, jax.core.Tracer):
            # Where it will run is not written on it.
            default = getattr(jax.config, "jax_default_device", None)
            if default is None:
                return Context("xla", jax.default_backend())
            return Context("xla", getattr(default, "platform", str(default)))
        if isinstance(inputs, jax.Array):
            (platform,) = {device.platform for device in inputs.devices()}
            return Context("eager", platform)
        return Context("eager", jax.default_backend())

    def is_open_size(self, size: Any) -> bool:
        from jax import export

        return export.is_symbolic_dim(size)

    def as_one_program(
        self,
        function: Callable[..., Tensor],
        tensors: tuple[Tensor | None, ...],
        *settings: Any,
    ) -> Tensor:
        return jax_programs.as_one_program(function, tensors, settings)

    def run(
        self,
        formulation: Callable[..., Tensor],
        inputs: Tensor,
        kernel: Tensor,
        bias: Tensor | None,
        *sizes: Any,
    ) -> Tensor:
        sharding = jax_programs.output_sharding(inputs, kernel, bias, *sizes)
        if sharding is None:
            return formulation(inputs, kernel, bias, *sizes)
        import jax

        # In a reshape, JAX would ask how what comes of it is divided. XLA
        # finds that out for all that is between the inputs and the outputs.
        return jax.sharding.auto_axes(
            lambda *tensors: formulation(*tensors, *sizes),
            out_sharding=sharding,
        )(inputs, kernel, bias)

    def add_bias(self, outputs: Tensor, bias: Tensor) -> Tensor:
        import jax

        # With as many axes, because users can forbid JAX to add them.
        return outputs + jax.lax.expand_dims(bias, range(outputs.ndim - 1))

    def cut(self, outputs: Tensor, crops: Crops) -> Tensor:
        import jax

        if not _is_open(outputs):
            return super().cut(outputs, crops)
        # Indexing becomes a gather where sizes are open, which jax2onnx
        # cannot always convert (0.17).
        for axis, (left, right) in enumerate(crops, start=1):
            if left > 0 or right > 0:
                outputs = jax.lax.slice_in_dim(
                    outputs, left, outputs.shape[axis] - right, axis=axis
                )
        return outputs

    def window(
        self, outputs: Tensor, lefts: Sequence[Size], lengths: Sequence[Size]
    ) -> Tensor:
        import jax
        import jax.numpy as jnp

        # A slice is compared with what it is cut out of, and two open sizes
        # cannot be compared. Beside zeros of its own length, it fits. (A
        # gather would too, but jax2onnx 0.17 cannot always convert it.)
        for axis, (left, length) in enumerate(
            zip(lefts, lengths, strict=True), start=1
        ):
            zeros = jnp.zeros(
                (*outputs.shape[:axis], length, *outputs.shape[axis + 1 :]),
                outputs.dtype,
            )
            # Not `jnp.concatenate`, in which jax2onnx loses open sizes.
            outputs = jax.lax.concatenate([outputs, zeros], axis)
            outputs = jax.lax.dynamic_slice_in_dim(
                outputs, jnp.asarray(left, "int32"), length, axis
            )
        return outputs

    def own_padding(
        self, borders: Sequence[tuple[int, int]], reach: Sequence[int]
    ) -> Sizes:
        # Any number, if it is the same at both ends. XLA then knows which of
        # the inputs are zeros, and its gradient of the kernel does not take
        # time and memory for them: 64x1x1x50 -> 1 k28 0.4 s and not 13.
        return tuple(max(min(border), 0) for border in borders)

    def convolution(
        self,
        inputs: Tensor,
        kernel: Tensor,
        bias: Tensor | None,
        dilation_rate: Sizes,
        groups: int,
        padding: Sizes,
    ) -> Tensor:
        outputs = jax_convolution.convolution(
            inputs, kernel, dilation_rate, groups, padding
        )
        return outputs if bias is None else self.add_bias(outputs, bias)

    def with_gradients_of(
        self,
        values: Callable[..., Tensor],
        gradients: Callable[..., Tensor],
        tensors: tuple[Tensor, Tensor],
        settings: tuple[Any, ...],
    ) -> Tensor:
        import jax
        from jax.custom_derivatives import SymbolicZero

        def slope(primals: Any, tangents: Any) -> tuple[Tensor, Tensor]:
            (first, second), (by_first, by_second) = primals, tangents
            parts = []
            # A product of zeros would take as long as another one.
            if not isinstance(by_first, SymbolicZero):
                parts.append(gradients(by_first, second, *settings))
            if not isinstance(by_second, SymbolicZero):
                parts.append(gradients(first, by_second, *settings))
            outputs = function(first, second)
            zero = ops.zeros_like(outputs)
            return outputs, functools.reduce(operator.add, parts or [zero])

        function: Any = jax.custom_jvp(lambda *each: values(*each, *settings))
        function.defjvp(slope, symbolic_zeros=True)
        return function(*tensors)

    def matmul_of_rows(self, first: Tensor, second: Tensor) -> Tensor:
        *positions, channels = first.shape
        rows = positions_of(positions)
        if rows is None:
            return self.matmul(first, second)
        # The gradient of the second tensor sums over the positions. XLA takes
        # 3 times as long if these are several axes: see docs/upstream.md.
        products = self.matmul(ops.reshape(first, (rows, channels)), second)
        return ops.reshape(products, (*positions, second.shape[-1]))

    def concatenate(self, tensors: Sequence[Tensor], axis: int) -> Tensor:
        from jax import lax

        # Not `jnp.concatenate`, in which jax2onnx loses open sizes: see
        # "jax2onnx loses sizes" in docs/upstream.md.
        return lax.concatenate(list(tensors), axis % tensors[0].ndim)

    def size(self, tensor: Tensor, axis: int) -> Size:
        # `keras.ops.shape` has None for a size that is open when exporting.
        return tensor.shape[axis]

    def count(self, size: Size) -> Tensor:
        from jax import lax

        # `keras.ops.arange` takes no size that is open when exporting.
        return lax.broadcasted_iota("int32", (1, size), 1)

    def is_traced_as_open(self, size: Size) -> bool:
        return type(size) is not int

    def multiply_taps(self, inputs: Tensor, taps: Tensor) -> list[Tensor]:
        # XLA differentiates a product with the taps of all phases into sums
        # that are up to 30 times slower than those of one phase each.
        return [
            inputs * self._spread(taps[n], inputs) for n in range(taps.shape[0])
        ]

    def _spread(self, tap: Tensor, inputs: Tensor) -> Tensor:
        """A tap of shape `(filters,)` at each position of `inputs`.

        By a product with ones, whose gradient is a product too, and not the
        sum that XLA is slow at. Forward, XLA makes no product of it.
        """
        positions = positions_of(inputs.shape[:-1])
        if positions is None:
            return tap
        ones = ops.ones((positions, 1), dtype=tap.dtype)
        return ops.reshape(self.matmul(ones, tap[None]), inputs.shape)

    def reshape_size(self, size: Size, factor: int) -> Size:
        # jax2onnx takes the sizes of the input and -1, but no products, as of
        # 0.17: see "jax2onnx loses sizes" in docs/upstream.md.
        return size * factor if isinstance(size, int) else -1

    def ranked(self, problem: Problem) -> list[Choice]:
        if problem.context.exports:
            return _exported(problem)
        if problem.depthwise:
            return _depthwise(problem)
        if problem.groups > 1:
            # 8x256x64 -> 64 k4 s2 in 4 groups, against all groups in one
            # product: 4.2 / 3.0 times as fast.
            if problem.groups < MANY_GROUPS:
                return [Choice("by_group", "few groups")]
            return [Choice("overlap_add", "many groups")]
        if problem.one_step:
            # 64x1x1x64 -> 32 k7: 15 / 15, against a convolution's 1 / 10.
            return [Choice("overlap_add", "one step: a matrix product")]
        # Of more contributions the memory counts.
        if (
            problem.few_steps
            and not problem.dilated
            and ((problem.positions or 0) * problem.columns <= 2**22)
        ):
            # 4x4x4x64 -> 1 k25: 2 / 1, against a convolution's 1 / 1.
            return [Choice("overlap_add", "few steps, a large kernel")]
        if problem.context.engine == "eager" and problem.rank == 2:
            image = _eager_image(problem)
            if image:
                return image
        if problem.unit_strides:
            if not _turns_slowly(problem):
                return _stride_one(problem)
            if problem.whole:
                # 8x128x128 -> 128 k5 "valid" 1.0 / 20, against overlap-add's
                # 0.8 / 22 and a convolution's 1.0 / 14.
                return [Choice("native_with_products", "channels first")]
            # 16x256x32 -> 32 k3 "same" 1.0 / 1.0, against 0.7 / 0.8.
            return [Choice("convolution", "stride 1, channels first")]
        if max(problem.chunks) > 2 and _turns_slowly(problem):
            # 8x8x8x128 -> 128 k5 s2 1.0 / 12, against overlap-add's 0.6 / 13;
            # 8x256x64 -> 64 k5 s2 1.0 / 10, against 0.9 / 13.
            return [Choice("native_with_products", "channels first")]
        if problem.too_many_terms:
            # 2x4096x32 -> 16 k64 s2: 4 / 10, against overlap-add's 1.2 / 6
            # and 15 times its memory; 128x128x16 -> 8 k9 s2 8 / 3.
            return [Choice("sub_pixel_convolution", "many terms")]
        if problem.kernel_size == problem.strides and not problem.dilated:
            if _is_tall(problem):
                # Against overlap-add, 32x128x32 -> 64 k2 1.0 / 1.7,
                # 4x32x32x64 -> 32 k2 1.0 / 1.3, 16x16x16x32 -> 16 k2 1.0 / 1.2.
                return [Choice("overlap_add_transposed", "no overlap, long")]
            if problem.rank == 3:
                # 16x16x16x32 -> 16 k2 s2 244 / 73, against overlap-add's
                # 211 / 63.
                return [Choice("overlap_add_by_chunk", "taps do not overlap")]
        two_strides = xla.two_strides(problem)
        # In an eager call each new length is compiled, and Winograd's sums
        # take 2 to 3 times as long to compile as the built-in layer.
        eager = problem.context.engine == "eager"
        if two_strides and not (eager and "winograd" in two_strides[0].name):
            return two_strides
        if _has_few_channels(problem):
            # 32x64x32 -> 32 k3 s2: 1.3 / 22, against overlap-add's 1.4 / 19.
            return [Choice("overlap_add_transposed", "few channels, long")]
        # XLA differentiates its input-dilated convolution into one that is 10
        # to 40 times slower than the two matrix products this becomes
        # (https://github.com/jax-ml/jax/issues/31662, JAX 0.10.2), and fuses
        # the sums: 1.8 / 14.
        choices = [Choice("overlap_add", "its gradients are matrix products")]
        if problem.rank > 1 and _is_large(problem):
            # 4x32x32x64 -> 64 k4 s2: 1.2 / 15, against overlap-add's 1.1 / 8;
            # 64x64x32 -> 32 k4 s2 1.3 / 24, against 1.2 / 20.
            # FCN: 16x16x21 -> 21 k16 s8 1.5 / 8, against 1.8 / 4.
            choices.insert(0, Choice("sub_pixel", "a large image, k = 2 s"))
        return choices


def _is_open(tensor: Tensor) -> bool:
    """Whether sizes of a tensor are left open by an exporter."""
    return not all(isinstance(size, int) for size in tensor.shape)


def _exported(problem: Problem) -> list[Choice]:
    """What other runtimes are good at, and exporters can convert."""
    few_groups = 1 < problem.groups < MANY_GROUPS
    if problem.rank == 3:
        # jax2onnx has no convolution of volumes, and no reshape of several
        # open sizes into one and back (0.17.1).
        if few_groups:
            return [Choice("by_group", "exported, a volume, few groups")]
        return [Choice("overlap_add", "exported, a volume")]
    if problem.unit_strides:
        return [Choice("convolution", "exported, stride 1")]
    if problem.depthwise:
        return _depthwise(problem)
    if few_groups:
        return [Choice("by_group", "exported, few groups")]
    if problem.groups > 1:
        return [Choice("overlap_add", "exported, many groups")]
    if problem.kernel_size == problem.strides:
        return [Choice("overlap_add", "exported, taps that do not overlap")]
    return [Choice("native", "exported")]


def _eager_image(problem: Problem) -> list[Choice]:
    """Formulations of an image that compile as fast as the built-in layer.

    An eager call compiles anew for each size, and asks for no gradients: of
    what is differentiated, JAX hands on tracers.
    """
    if problem.dilated or max(problem.chunks) == 1:
        return []
    if problem.unit_strides:
        # 4x32x32x64 -> 3 k3: overlap-add compiles 2.6 times as long.
        return [Choice("convolution", "eager, an image, stride 1")]
    if problem.too_many_terms:
        return []
    if _is_large(problem):
        # 4x32x32x64 -> 64 k4 s2, forward: 1.4, against sub-pixel's 1.2, which
        # compiles 3.5 times as long as the built-in layer.
        return [Choice("sub_pixel_convolution", "eager, an image, k = 2 s")]
    if 4 * (problem.positions or 0) >= problem.columns:
        # 8x8x8x128 -> 128 k5 s2, forward: 1.0, as overlap-add, which compiles
        # 2.5 times as long.
        return [Choice("native", "eager, an image")]
    return []


def _is_large(problem: Problem) -> bool:
    """Whether an image is large, with a kernel two strides long."""
    positions = problem.positions or 0
    large = (
        positions >= problem.columns
        and positions * problem.columns >= MANY_CONTRIBUTIONS
    ) or min(problem.strides) >= LARGE_STRIDE
    return large and problem.two_whole_chunks


def _is_tall(problem: Problem) -> bool:
    """Whether positions are so many that copying the kernel costs nothing."""
    return (problem.positions or 0) >= MANY_ROWS * problem.columns


def _has_few_channels(problem: Problem) -> bool:
    """Whether the gradient of the kernel, transposed, is the faster one."""
    return (
        problem.rank == 1
        and not problem.dilated
        and problem.channels <= FEW_CHANNELS
        and problem.columns >= 2 * problem.channels
        and _is_tall(problem)
    )


def _turns_slowly(problem: Problem) -> bool:
    """Whether XLA turns what each tap contributes round, and not the sums.

    It does so where the outputs have their channels first. It would not if it
    were told the layout of the sums, but then jax.export and jax2onnx refuse
    the program (JAX 0.10.2, jax2onnx 0.17.1).
    """
    return (
        problem.channels_first
        and problem.rank < 3
        and problem.taps <= MANY_TAPS
        and problem.dtype == "float32"
        and not problem.dilated
        and not problem.too_many_terms
        and problem.columns >= MANY_COLUMNS * problem.channels
        and problem.positions is not None
        and problem.weights <= MANY_WEIGHTS * problem.positions
    )


def _stride_one(problem: Problem) -> list[Choice]:
    if problem.dilated:
        # The others multiply by the zeros of a dilated kernel.
        return [Choice("convolution", "stride 1, dilated")]
    if problem.taps <= MANY_TAPS and not problem.too_many_terms:
        if problem.rank == 3:
            # 2x8x8x8x64 -> 64 k3: 4.0 / 14, against a convolution's 1.6 / 5.
            return [Choice("overlap_add", "stride 1, a volume")]
        few = jax_convolution.has_few_filters(
            *problem.kernel_size, problem.channels, problem.filters
        )
        if few and problem.taps >= jax_convolution.MANY_TAPS:
            # 2x64x64x32 -> 3 k7: 1.0 / 10, against overlap-add's 0.8 / 8, and
            # with wide vectors 0.5 forward.
            return [Choice("convolution", "stride 1, an image, few filters")]
        if _has_few_channels(problem):
            # 16x256x32 -> 32 k3: 1.2 / 1.04, against overlap-add's 1.2 / 0.92.
            return [Choice("overlap_add_transposed", "few channels, long")]
        if problem.columns <= 6 * problem.channels:
            # 8x128x128 -> 128 k5 1.1 / 20, against a convolution's 1.0 / 19;
            # 4x32x32x64 -> 3 k3 1.2 / 5.4, against 1.0 / 4.5.
            return [Choice("overlap_add", "stride 1, a narrow product")]
    return [Choice("convolution", "stride 1")]


def _depthwise(problem: Problem) -> list[Choice]:
    """Groups of one channel, as in Mimi: 1x250x512 -> 512 k4 s2."""
    # One product for each phase of each shift.
    if problem.shifts * math.prod(problem.strides) < MANY_TERMS:
        # 25 / 45 times as fast as a loop, against overlap-add's 34 / 0.7.
        return [Choice("shift_multiply_add", "depthwise, few shifts")]
    if problem.unit_strides and problem.dilated:
        # Overlap-add multiplies by the zeros of a dilated kernel.
        return [Choice("convolution", "depthwise, stride 1, dilated")]
    return [Choice("overlap_add", "depthwise, many shifts")]
