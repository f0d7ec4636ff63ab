"""JAX's convolution, with a gradient of the kernel made of products.

XLA's gradient of the kernel is a convolution whose window is as large as the
inputs, which takes up to ten times as long as the products that it consists
of (JAX 0.10.2, on a CPU).
"""

import functools
import math
from typing import Any

import numpy as np

from keras_convt.ops.types import Sizes, Tensor

# Taps of an image from which few filters are slow in XLA.
MANY_TAPS = 25

LAYOUTS = {
    1: ("NWC", "WIO", "NWC"),
    2: ("NHWC", "HWIO", "NHWC"),
    3: ("NDHWC", "DHWIO", "NDHWC"),
}


def convolution(
    inputs: Tensor,
    kernel: Tensor,
    dilation_rate: Sizes,
    groups: int,
    padding: Sizes,
) -> Tensor:
    """A convolution of stride 1, with as many zeros at both ends of an axis.

    Args:
        inputs: Tensor of shape `(batch, *steps, channels)`.
        kernel: Tensor of shape `(*kernel_size, channels // groups, filters)`.
        dilation_rate: One int for each axis.
        groups: Number of groups.
        padding: Zeros at both ends of each axis.
    """
    reach = tuple(k - 1 for k in kernel.shape[:-2])
    inside = all(0 <= n <= r for n, r in zip(padding, reach, strict=True))
    plain = groups == 1 and max(dilation_rate) == 1
    if inside and plain and _products_are_faster(kernel.shape, padding):
        return _with_products()(inputs, kernel, padding)
    return _convolution(inputs, kernel, dilation_rate, groups, padding)


def _products_are_faster(kernel_shape: tuple[int, ...], padding: Sizes) -> bool:
    """Whether the gradient of the kernel is faster by products than by XLA.

    The figures are milliseconds of both gradients, by XLA and by products.
    """
    *kernel_size, channels, filters = kernel_shape
    if len(padding) == 1:
        # XLA is good at signals of which a window is wanted.
        return all(
            n == k - 1 for n, k in zip(padding, kernel_size, strict=True)
        )
    if len(padding) == 3:
        # 24x24x24x16 -> 16 k3 63, 43; 16x16x16x32 -> 32 k5 219, 117.
        return True
    # More samples than inputs: 4x32x32x64 -> 64 k3 175, 17. As many, "same":
    # 4, 17.
    more = any(2 * n > k - 1 for n, k in zip(padding, kernel_size, strict=True))
    # 2x64x64x32 -> 3 k7 32, 17, but 32 -> 32 k7 17, 50.
    narrow = math.prod(kernel_size) >= MANY_TAPS and 4 * filters <= channels
    return more or narrow


def _convolution(
    inputs: Tensor,
    kernel: Tensor,
    dilation_rate: Sizes,
    groups: int,
    padding: Sizes,
) -> Tensor:
    from jax import lax

    rank = len(padding)
    return lax.conv_general_dilated(
        inputs,
        kernel,
        window_strides=(1,) * rank,
        padding=[(n, n) for n in padding],
        rhs_dilation=dilation_rate,
        dimension_numbers=LAYOUTS[rank],
        feature_group_count=groups,
    )


@functools.cache
def _with_products() -> Any:
    """The convolution as a function of inputs and kernel, and its padding."""
    import jax

    def forward(inputs: Tensor, kernel: Tensor, padding: Sizes) -> Tensor:
        return _convolution(inputs, kernel, (1,) * len(padding), 1, padding)

    function = jax.custom_jvp(forward, nondiff_argnums=(2,))
    by_taps = jax.custom_jvp(_by_taps, nondiff_argnums=(2,))

    def rule_of(primal: Any) -> Any:
        def rule(padding: Sizes, primals: Any, tangents: Any) -> Any:
            inputs, kernel = primals
            inputs_dot, kernel_dot = tangents
            # The transpose of `by_taps`, which is the gradient of the kernel,
            # is one product for each tap.
            slope = function(inputs_dot, kernel, padding) + by_taps(
                inputs, kernel_dot, padding
            )
            return primal(inputs, kernel, padding), slope

        return rule

    function.defjvp(rule_of(function))
    by_taps.defjvp(rule_of(by_taps))
    return function


def _by_taps(inputs: Tensor, kernel: Tensor, padding: Sizes) -> Tensor:
    """The same sum, one tap after another."""
    import jax
    import jax.numpy as jnp
    from jax import lax

    *kernel_size, channels, filters = kernel.shape
    batch, *steps, _ = inputs.shape
    rank, taps = len(kernel_size), math.prod(kernel_size)
    window = lax.ScatterDimensionNumbers(
        update_window_dims=tuple(range(rank + 2)),
        inserted_window_dims=(),
        scatter_dims_to_operand_dims=tuple(range(1, rank + 1)),
    )
    # The last tap meets the first output.
    places = np.stack(
        np.unravel_index(np.arange(taps)[::-1], kernel_size), axis=-1
    )

    # Nothing is kept of a tap but the inputs that all of them have.
    @functools.partial(jax.checkpoint, prevent_cse=False)
    def add(outputs: Tensor, inputs: Tensor, place: Any, tap: Tensor) -> Tensor:
        return lax.scatter_add(
            outputs,
            place,
            jnp.matmul(inputs, tap).astype(outputs.dtype),
            window,
            indices_are_sorted=True,
            unique_indices=True,
            mode=lax.GatherScatterMode.PROMISE_IN_BOUNDS,
        )

    def body(outputs: Tensor, tap: Any) -> tuple[Tensor, None]:
        return add(outputs, inputs, *tap), None

    sizes = [n + k - 1 for n, k in zip(steps, kernel_size, strict=True)]
    outputs, _ = lax.scan(
        body,
        jnp.zeros((batch, *sizes, filters), inputs.dtype),
        (
            jnp.asarray(places, "int32"),
            kernel.reshape((taps, channels, filters)),
        ),
    )
    window_of = tuple(
        slice(k - 1 - n, size - (k - 1 - n))
        for k, n, size in zip(kernel_size, padding, sizes, strict=True)
    )
    return outputs[(slice(None), *window_of)]
