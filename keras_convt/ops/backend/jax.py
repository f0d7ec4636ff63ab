"""JAX: its functions."""

import functools
import operator
from collections.abc import Callable, Sequence
from typing import Any

from keras import ops

from keras_convt.ops.backend import jax_convolution, jax_programs, jax_rules
from keras_convt.ops.backend.generic import Backend, positions_of
from keras_convt.ops.problem import Choice, Context, Problem
from keras_convt.ops.types import Crops, Size, Sizes, Tensor


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
        from jax import lax

        # XLA leaves out crops that are shorter than the kernel. So does the
        # ConvTranspose of an export, which then has 4 operations fewer.
        own: Crops = tuple(
            (min(left, k - 1), min(max(right, 0), k - 1))
            for (left, right), k in zip(crops, kernel.shape, strict=False)
        )
        outputs = lax.conv_transpose(
            inputs,
            kernel,
            strides,
            # Here a transposed convolution is a convolution of inputs that
            # are padded by the reach of the kernel.
            [
                (k - 1 - left, k - 1 - right)
                for (left, right), k in zip(own, kernel.shape, strict=False)
            ],
            dimension_numbers=jax_convolution.LAYOUTS[len(strides)],
            transpose_kernel=True,
        )
        rest: Crops = tuple(
            (left - own_left, right - own_right)
            for (left, right), (own_left, own_right) in zip(
                crops, own, strict=True
            )
        )
        return self.finish(outputs, rest, bias)

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
        return jax_rules.ranked(problem)


def _is_open(tensor: Tensor) -> bool:
    """Whether sizes of a tensor are left open by an exporter."""
    return not all(isinstance(size, int) for size in tensor.shape)
