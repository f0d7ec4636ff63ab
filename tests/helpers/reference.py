"""Transposed convolution by its definition, in float64 NumPy.

Every expectation of the suite comes from here. Nothing is imported but NumPy,
and nothing is shared with the code under test, so a mistake in one of them
cannot hide in the other.

Arrays are channels_last inside: inputs `(batch, *steps, channels)`, kernels
`(*kernel_size, filters // groups, channels)`. A size argument is an int for
all axes or a sequence with one int an axis.

Notation of one axis: `steps` L, kernel size k, stride s, dilation d, and the
effective kernel size ke = (k - 1) d + 1.
"""

import itertools

import numpy as np


def per_axis(value, rank):
    """A size argument as a tuple of `rank` values."""
    if value is None or np.ndim(value) == 0:
        return (value,) * rank
    assert len(value) == rank, (value, rank)
    return tuple(value)


def per_axis_padding(padding, rank):
    """A padding argument as a tuple of `rank` names or (left, right) pairs."""
    if isinstance(padding, str):
        return (padding,) * rank
    if np.ndim(padding) == 0:
        return ((padding, padding),) * rank
    if np.ndim(padding) == 1:
        assert rank == 1, (padding, rank)
        return (tuple(padding),)
    assert len(padding) == rank, (padding, rank)
    return tuple(tuple(pair) for pair in padding)


# --- integers ---------------------------------------------------------------


def effective(k, d):
    return (k - 1) * d + 1


def forward_pads(n, k, s, d, padding):
    """Zeros (left, right) that the forward convolution of n samples adds."""
    ke = effective(k, d)
    if padding == "valid":
        return 0, 0
    if padding == "same":
        steps = -(-n // s)
        total = max((steps - 1) * s + ke - n, 0)
        return total // 2, total - total // 2
    if padding == "causal":
        # The layer is causal; the convolution it transposes looks ahead.
        return 0, ke - 1
    return padding


def forward_steps(n, k, s, d, padding):
    """Steps of the forward convolution of n samples (0: there is none)."""
    if padding in ("same", "causal"):
        return -(-n // s)
    left, right = forward_pads(n, k, s, d, padding)
    room = n + left + right - effective(k, d)
    return room // s + 1 if room >= 0 else 0


def legal_output_sizes(steps, k, s, d, padding):
    """Every n >= 1 whose forward convolution has `steps` steps.

    Found by trying, not by a formula.
    """
    a, b = (0, 0) if isinstance(padding, str) else padding
    most = steps * s + effective(k, d) + abs(a) + abs(b) + s
    return [
        n
        for n in range(1, most + 1)
        if forward_steps(n, k, s, d, padding) == steps
    ]


def window(steps, k, s, d, padding, output_padding=None, output_size=None):
    """(left, length) of the output within the full sum."""
    ke = effective(k, d)
    full = (steps - 1) * s + ke
    if output_size is not None:
        assert output_size in legal_output_sizes(steps, k, s, d, padding)
        return forward_pads(output_size, k, s, d, padding)[0], output_size
    p = output_padding
    if padding == "valid":
        if p is None:
            return 0, (steps - 1) * s + max(ke, s)
        return 0, full + p
    if padding == "same":
        if p is None:
            return max(ke - s, 0) // 2, steps * s
        odd = ke % 2
        return max(ke - odd - p, 0) // 2, (steps - 1) * s + odd + p
    if padding == "causal":
        assert p is None
        return 0, steps * s
    left, right = padding
    return left, full - left - right + (p or 0)


def output_lengths(
    steps,
    kernel_size,
    strides=1,
    padding="valid",
    output_padding=None,
    dilation_rate=1,
    output_size=None,
):
    """The spatial shape of the output."""
    rank = len(steps)
    return tuple(
        window(*axis)[1]
        for axis in zip(
            steps,
            per_axis(kernel_size, rank),
            per_axis(strides, rank),
            per_axis(dilation_rate, rank),
            per_axis_padding(padding, rank),
            per_axis(output_padding, rank),
            per_axis(output_size, rank),
            strict=True,
        )
    )


# --- sums -------------------------------------------------------------------


def cut(array, lefts, lengths):
    """The window of the inner axes of `array`; zero outside of it."""
    lengths = [max(length, 0) for length in lengths]
    out = np.zeros((array.shape[0], *lengths, array.shape[-1]))
    source, target = [slice(None)], [slice(None)]
    for size, left, length in zip(
        array.shape[1:-1], lefts, lengths, strict=True
    ):
        start, stop = max(left, 0), min(left + length, size)
        stop = max(stop, start)  # a window beside the array takes nothing
        source.append(slice(start, stop))
        target.append(slice(start - left, stop - left))
    out[tuple(target)] = array[tuple(source)]
    return out


def taps(kernel_size, steps, strides, dilations):
    """Every tap of the kernel, and where in the full sum it meets the steps."""
    for tap in itertools.product(*map(range, kernel_size)):
        yield (
            tap,
            (
                slice(None),
                *tuple(
                    slice(t * d, t * d + (length - 1) * s + 1, s)
                    for t, d, s, length in zip(
                        tap, dilations, strides, steps, strict=True
                    )
                ),
            ),
        )


def group_slices(size, groups):
    assert size % groups == 0, (size, groups)
    each = size // groups
    return [slice(j * each, (j + 1) * each) for j in range(groups)]


class Geometry:
    """The windows of one call, axis by axis."""

    def __init__(
        self,
        steps,
        kernel_size,
        strides=1,
        padding="valid",
        output_padding=None,
        dilation_rate=1,
        output_size=None,
    ):
        rank = len(steps)
        self.steps = tuple(steps)
        self.kernel_size = tuple(kernel_size)
        self.strides = per_axis(strides, rank)
        self.dilations = per_axis(dilation_rate, rank)
        self.full = tuple(
            (length - 1) * s + effective(k, d)
            for length, k, s, d in zip(
                self.steps,
                self.kernel_size,
                self.strides,
                self.dilations,
                strict=True,
            )
        )
        windows = [
            window(*axis)
            for axis in zip(
                self.steps,
                self.kernel_size,
                self.strides,
                self.dilations,
                per_axis_padding(padding, rank),
                per_axis(output_padding, rank),
                per_axis(output_size, rank),
                strict=True,
            )
        ]
        self.lefts = tuple(left for left, _ in windows)
        self.lengths = tuple(length for _, length in windows)

    def taps(self):
        return taps(self.kernel_size, self.steps, self.strides, self.dilations)


def _last(array, data_format):
    array = np.asarray(array, "float64")
    return (
        np.moveaxis(array, 1, -1)
        if data_format == "channels_first"
        else (array)
    )


def _as(array, data_format):
    return (
        np.moveaxis(array, -1, 1)
        if data_format == "channels_first"
        else (array)
    )


def conv_transpose(
    x,
    kernel,
    bias=None,
    *,
    data_format="channels_last",
    groups=1,
    **sizes,
):
    """full[i s + t d] += x[i] . K[t]; then its window, then the bias."""
    x, kernel = _last(x, data_format), np.asarray(kernel, "float64")
    geometry = Geometry(x.shape[1:-1], kernel.shape[:-2], **sizes)
    of_group = kernel.shape[-2]
    full = np.zeros((x.shape[0], *geometry.full, of_group * groups))
    inputs = group_slices(x.shape[-1], groups)
    outputs = group_slices(of_group * groups, groups)
    for tap, place in geometry.taps():
        for i, o in zip(inputs, outputs, strict=True):
            full[(*place, o)] += x[..., i] @ kernel[tap][:, i].T
    y = cut(full, geometry.lefts, geometry.lengths)
    if bias is not None:
        y = y + np.asarray(bias, "float64")
    return _as(y, data_format)


def gradients(
    x, kernel, upstream, *, data_format="channels_last", groups=1, **sizes
):
    """Gradients of sum(upstream * y) for input, kernel and bias.

    The map is linear in each of them, so these are its adjoints:
    dx[i] = sum_t K[t]^T . dfull[i s + t d], and
    dK[t] = sum_i dfull[i s + t d] (x) x[i].
    """
    x, kernel = _last(x, data_format), np.asarray(kernel, "float64")
    upstream = _last(upstream, data_format)
    geometry = Geometry(x.shape[1:-1], kernel.shape[:-2], **sizes)
    # Putting the window back where it came from is a cut that starts earlier.
    dfull = cut(upstream, [-left for left in geometry.lefts], geometry.full)
    dx, dkernel = np.zeros_like(x), np.zeros_like(kernel)
    inputs = group_slices(x.shape[-1], groups)
    outputs = group_slices(kernel.shape[-2] * groups, groups)
    for tap, place in geometry.taps():
        for i, o in zip(inputs, outputs, strict=True):
            met = dfull[(*place, o)]
            dx[..., i] += met @ kernel[tap][:, i]
            dkernel[tap][:, i] += np.tensordot(
                met, x[..., i], axes=(range(x.ndim - 1),) * 2
            )
    dbias = upstream.sum(axis=tuple(range(upstream.ndim - 1)))
    return _as(dx, data_format), dkernel, dbias


def conv(
    x,
    kernel,
    *,
    strides=1,
    padding="valid",
    dilation_rate=1,
    groups=1,
    data_format="channels_last",
):
    """The forward convolution, out[o] = sum_t padded[o s + t d] . K[t].

    `kernel` is `(*kernel_size, channels // groups, filters)`: the very array
    that the transpose takes. `padding` means what it means to the transpose,
    so "causal" pads on the right (see `forward_pads`).
    """
    x, kernel = _last(x, data_format), np.asarray(kernel, "float64")
    samples, kernel_size = x.shape[1:-1], kernel.shape[:-2]
    rank = len(samples)
    axes = list(
        zip(
            samples,
            kernel_size,
            per_axis(strides, rank),
            per_axis(dilation_rate, rank),
            per_axis_padding(padding, rank),
            strict=True,
        )
    )
    steps = [forward_steps(*axis) for axis in axes]
    pads = [forward_pads(*axis) for axis in axes]
    padded = cut(
        x,
        [-left for left, _ in pads],
        [
            n + left + right
            for n, (left, right) in zip(samples, pads, strict=True)
        ],
    )
    out = np.zeros((x.shape[0], *steps, kernel.shape[-1]))
    inputs = group_slices(x.shape[-1], groups)
    outputs = group_slices(kernel.shape[-1], groups)
    strides = per_axis(strides, rank)
    dilations = per_axis(dilation_rate, rank)
    for tap, place in taps(kernel_size, steps, strides, dilations):
        for i, o in zip(inputs, outputs, strict=True):
            out[..., o] += padded[(*place, i)] @ kernel[tap][:, o]
    return _as(out, data_format)


def penalty_gradients(x, kernel, bias, weights, **arguments):
    """Gradients of P = |d/dx sum(weights * y**2) / 2|**2, and P itself.

    Write y = A x + b, u = weights * y, g = A^T u (so that P = |g|^2) and
    v = weights * (A g). Then
    dP = 2 <g, dA^T u + A^T (weights * dy)> = 2 <dA g, u> + 2 <v, dy>
    with dy = dA x + A dx + db, and each <dA p, q> is the kernel gradient of
    input p and upstream q.
    """
    u = weights * conv_transpose(x, kernel, bias, **arguments)
    g, _, _ = gradients(x, kernel, u, **arguments)
    v = weights * conv_transpose(g, kernel, **arguments)
    dx, dkernel_x, dbias = gradients(x, kernel, v, **arguments)
    _, dkernel_g, _ = gradients(g, kernel, u, **arguments)
    return 2 * dx, 2 * (dkernel_x + dkernel_g), 2 * dbias, np.sum(g**2)
