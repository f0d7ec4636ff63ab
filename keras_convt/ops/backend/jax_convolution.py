"""JAX's convolution, with gradients made of products.

XLA's gradient of the kernel is a convolution whose window is as large as the
inputs, which takes up to ten times as long as the products that it consists
of (JAX 0.10.2, on a CPU). With few filters, one product of all taps has both
gradients faster still, while forward XLA's convolution is the fastest.
"""

import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_convt.ops.types import Sizes, Tensor

# Channels for each filter from which one product has the gradients of an image.
MANY_CHANNELS_A_FILTER = 8

# Taps of an image from which few filters are slow in XLA, and above which one
# product would be too large.
MANY_TAPS = 25
TOO_MANY_TAPS = 128

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
    if inside and plain and has_few_filters(*kernel.shape):
        # jax2onnx does not reshape an open size into a product (0.17.1).
        known = all(isinstance(size, int) for size in inputs.shape)
        if known and _product_is_faster(kernel.shape, padding):
            products = _of_all_taps(inputs, kernel)
            outputs = _moved(products, kernel.shape, padding)
            return outputs.astype(inputs.dtype)
        return _with_one_product()(inputs, kernel, padding)
    if inside and plain and _products_are_faster(kernel.shape, padding):
        return _with_products()(inputs, kernel, padding)
    return _convolution(inputs, kernel, dilation_rate, groups, padding)


def has_few_filters(*kernel_shape: int) -> bool:
    """Whether an image has so few filters that one product is narrow.

    Milliseconds of a training step of 2x64x64x32 -> 3 k7, by XLA, by one
    product for each tap and by one of all taps: 48, 19, 5.
    """
    *kernel_size, channels, filters = kernel_shape
    return (
        len(kernel_size) == 2
        and MANY_CHANNELS_A_FILTER * filters <= channels
        and math.prod(kernel_size) <= TOO_MANY_TAPS
    )


def _product_is_faster(kernel_shape: tuple[int, ...], padding: Sizes) -> bool:
    """Whether one product is faster than XLA forward, too.

    Milliseconds forward, by XLA and by one product: 2x64x64x32 -> 3 k7, "same"
    1.5, 1.8, and "valid" 6.6, 2.8; 2x64x64x32 -> 1 k7, "same" 1.6, 0.9.
    """
    return kernel_shape[-1] == 1 or _has_more_outputs(kernel_shape, padding)


def _has_more_outputs(kernel_shape: tuple[int, ...], padding: Sizes) -> bool:
    """Whether there are more outputs than inputs along some axis."""
    return any(
        2 * n > k - 1 for n, k in zip(padding, kernel_shape, strict=False)
    )


def _products_are_faster(kernel_shape: tuple[int, ...], padding: Sizes) -> bool:
    """Whether the gradient of the kernel is faster by products than by XLA.

    The figures are milliseconds of both gradients, by XLA and by products that
    copy the outputs.
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
    more = _has_more_outputs(kernel_shape, padding)
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
def _with_one_product() -> Any:
    """The convolution, with the gradients of one product of all taps."""
    import jax

    def forward(inputs: Tensor, kernel: Tensor, padding: Sizes) -> Tensor:
        return _convolution(inputs, kernel, (1,) * len(padding), 1, padding)

    def rule(padding: Sizes, primals: Any, tangents: Any) -> Any:
        (inputs, kernel), (inputs_dot, kernel_dot) = primals, tangents
        # Added before they are moved, so that both gradients share what the
        # moves are transposed to.
        products = _of_all_taps(inputs_dot, kernel)
        products = products + _of_all_taps(inputs, kernel_dot)
        slope = _moved(products, kernel.shape, padding).astype(inputs.dtype)
        primal: Any = function
        return primal(inputs, kernel, padding), slope

    function = jax.custom_jvp(forward, nondiff_argnums=(2,))
    function.defjvp(rule)
    return function


def _of_all_taps(inputs: Tensor, kernel: Tensor) -> Tensor:
    """What each input contributes: `(batch, *steps, taps * filters)`."""
    import jax.numpy as jnp

    *kernel_size, channels, filters = kernel.shape
    taps = math.prod(kernel_size)
    columns = kernel.reshape((taps, channels, filters)).swapaxes(0, 1)
    columns = columns.reshape((channels, taps * filters))
    # A product of two axes: the gradient of the kernel is then no sum over
    # several axes, for which XLA takes three times as long (see "a product's
    # gradient" in docs/upstream.md). It is in float32, because each sum of the
    # moves would round half precision once more.
    dtype = jnp.promote_types(inputs.dtype, "float32")
    rows = inputs.reshape((-1, channels)).astype(dtype)
    products = jnp.matmul(rows, columns.astype(dtype))
    return products.reshape((*inputs.shape[:-1], taps * filters))


def _moved(
    products: Tensor, kernel_shape: tuple[int, ...], padding: Sizes
) -> Tensor:
    """The contributions, each moved to its output and added up."""
    import jax.numpy as jnp
    from jax import lax

    *kernel_size, _, _ = kernel_shape
    zero = jnp.zeros((), products.dtype)
    outputs = products
    # One axis after another: as many terms as the kernel has rows and columns,
    # and not as it has taps.
    for axis, taps in enumerate(kernel_size, start=1):
        pieces = jnp.split(outputs, taps, axis=-1)
        total = None
        for at, piece in enumerate(pieces):
            # The last tap meets the first output.
            sizes = [(0, 0, 0)] * piece.ndim
            sizes[axis] = (taps - 1 - at, at, 0)
            piece = lax.pad(piece, zero, sizes)
            total = piece if total is None else total + piece
        outputs = total
    return _cropped(outputs, kernel_size, padding)


def _cropped(
    outputs: Tensor, kernel_size: Sequence[int], padding: Sizes
) -> Tensor:
    """The outputs of a full convolution that one with `padding` has."""
    crops = [k - 1 - n for k, n in zip(kernel_size, padding, strict=True)]
    window = (
        slice(crop, size - crop)
        for crop, size in zip(crops, outputs.shape[1:-1], strict=True)
    )
    return outputs[(slice(None), *window)]


@functools.cache
def _with_products() -> Any:
    """The convolution, with gradients that are computed tap by tap.

    That of the kernel always is, and that of the inputs with many filters.
    """
    import jax

    def forward(inputs: Tensor, kernel: Tensor, padding: Sizes) -> Tensor:
        return _convolution(inputs, kernel, (1,) * len(padding), 1, padding)

    function = jax.custom_jvp(forward, nondiff_argnums=(2,))
    by_taps = jax.custom_jvp(_by_taps, nondiff_argnums=(2,))

    def rule_of(primal: Any) -> Any:
        def rule(padding: Sizes, primals: Any, tangents: Any) -> Any:
            inputs, kernel = primals
            inputs_dot, kernel_dot = tangents
            # The transpose of `by_taps` is one product for each tap. That of
            # the inputs is faster so where filters are many: 2x64x64x32 ->
            # 512 k2 17 ms, and by XLA 64.
            by_inputs = by_taps if _has_many_filters(kernel) else function
            slope = by_inputs(inputs_dot, kernel, padding) + by_taps(
                inputs, kernel_dot, padding
            )
            return primal(inputs, kernel, padding), slope

        return rule

    function.defjvp(rule_of(function))
    by_taps.defjvp(rule_of(by_taps))
    return function


def _by_taps(inputs: Tensor, kernel: Tensor, padding: Sizes) -> Tensor:
    """The same sum, one tap after another.

    Of the inputs and the outputs, what has fewer channels is copied for each
    tap. A training step of the layer 4x32x32x64 -> 64 k4 s2, which becomes a
    convolution of 2x2 taps to 256 filters, takes 30 ms with copies of the
    inputs, and 51 with copies of the outputs.
    """
    add = _by_copied_inputs if _has_many_filters(kernel) else _by_copied_outputs
    return add(inputs, kernel, padding)


def _has_many_filters(kernel: Tensor) -> bool:
    """Whether there are as many filters as channels."""
    *_, channels, filters = kernel.shape
    return bool(channels <= filters)


def _by_copied_inputs(inputs: Tensor, kernel: Tensor, padding: Sizes) -> Tensor:
    """The sum of what the inputs around each tap contribute."""
    import jax
    import jax.numpy as jnp
    from jax import lax

    *kernel_size, channels, filters = kernel.shape
    # In float32, as XLA's convolution adds: each tap would round half precision
    # once more.
    dtype = jnp.promote_types(inputs.dtype, "float32")
    padded = jnp.pad(
        inputs.astype(dtype), [(0, 0), *((n, n) for n in padding), (0, 0)]
    )
    batch, *steps, _ = padded.shape
    sizes = [n - k + 1 for n, k in zip(steps, kernel_size, strict=True)]
    # The batch and the channels are sliced from 0 on.
    places = np.pad(_places(kernel_size), [(0, 0), (1, 1)])

    # Nothing is kept of a tap but the inputs that all of them have.
    @functools.partial(jax.checkpoint, prevent_cse=False)
    def add(outputs: Tensor, padded: Tensor, place: Any, tap: Tensor) -> Tensor:
        around = lax.dynamic_slice(padded, place, (batch, *sizes, channels))
        # Two axes, as in `_of_all_taps`.
        products = jnp.matmul(around.reshape((-1, channels)), tap)
        return outputs + products.reshape(outputs.shape)

    def body(outputs: Tensor, tap: Any) -> tuple[Tensor, None]:
        return add(outputs, padded, *tap), None

    outputs, _ = lax.scan(
        body,
        jnp.zeros((batch, *sizes, filters), dtype),
        (
            jnp.asarray(places, "int32"),
            kernel.astype(dtype).reshape((-1, channels, filters)),
        ),
    )
    return outputs.astype(inputs.dtype)


def _by_copied_outputs(
    inputs: Tensor, kernel: Tensor, padding: Sizes
) -> Tensor:
    """The contributions of each tap, added to the outputs around it."""
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
    places = _places(kernel_size)[::-1]

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
    return _cropped(outputs, kernel_size, padding)


def _places(kernel_size: Sequence[int]) -> Any:
    """The place of each tap in the kernel, one int an axis."""
    taps = np.arange(math.prod(kernel_size))
    return np.stack(np.unravel_index(taps, kernel_size), axis=-1)
