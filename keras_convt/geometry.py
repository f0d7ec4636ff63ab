"""The arithmetic of transposed convolution: integers in, integers out.

The letters are those of Dumoulin & Visin's guide (arXiv 1603.07285) where it
has them: i input steps, k kernel size, s stride, p output padding, o output
steps. Dilation d spreads the kernel over the effective kernel
ke = (k - 1) d + 1.

One axis of a transposed convolution first makes

    full[j * s + t * d] += x[j] . kernel[t]    for 0 <= j < i, 0 <= t < k

of (i - 1) s + ke samples, then takes a window of it. The window is given here
as (left, right) crops, because those do not depend on i: it begins `left`
samples in and ends `right` samples before the end. A negative `right` appends
zeros.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

Crop: TypeAlias = tuple[int, int]


def effective_kernel(kernel_size: int, dilation_rate: int) -> int:
    """Samples from the first to the last tap of a dilated kernel."""
    return (kernel_size - 1) * dilation_rate + 1


@dataclass(frozen=True)
class Axis:
    """One spatial axis of a transposed convolution.

    Args:
        kernel_size: Taps of the kernel.
        stride: Output samples from one input step to the next.
        dilation_rate: Output samples from one tap to the next.
        padding: `"valid"`, `"same"`, `"causal"`, or a (left, right) pair of
            crops.
        output_padding: Samples after the shortest output, or None.
    """

    kernel_size: int
    stride: int = 1
    dilation_rate: int = 1
    padding: str | Crop = "valid"
    output_padding: int | None = None

    @property
    def effective_kernel(self) -> int:
        return effective_kernel(self.kernel_size, self.dilation_rate)

    def full_steps(self, steps: int) -> int:
        """Samples that `steps` input steps reach, before the window."""
        return (steps - 1) * self.stride + self.effective_kernel

    @property
    def crop(self) -> Crop:
        """The window, as crops of `full`. The same for every length."""
        ke, s, p = self.effective_kernel, self.stride, self.output_padding
        if self.padding == "valid":
            return 0, ke - max(ke, s) if p is None else -p
        if self.padding == "same":
            total = ke - s if p is None else ke - ke % 2 - p
            left = max(total, 0) // 2
            return left, total - left
        if self.padding == "causal":
            return 0, ke - s
        left, right = self._crop_pair
        return left, right - (p or 0)

    @property
    def _crop_pair(self) -> Crop:
        if isinstance(self.padding, str):
            raise ValueError(
                f"`padding` has no crops. Received: padding={self.padding!r}."
            )
        return self.padding

    def output_steps(self, steps: int) -> int:
        """Output samples of `steps` input steps."""
        left, right = self.crop
        return self.full_steps(steps) - left - right

    def output_sizes(self, steps: int) -> range:
        """The outputs whose forward convolution has `steps` steps."""
        if self.padding in ("same", "causal"):
            shortest = (steps - 1) * self.stride + 1
        elif self.padding == "valid":
            shortest = self.full_steps(steps)
        else:
            shortest = self.full_steps(steps) - sum(self._crop_pair)
        return range(shortest, shortest + self.stride)

    def crop_to(self, steps: int, output_size: int) -> Crop:
        """The window of `output_size` samples that makes the axis the exact
        transpose of the forward convolution of so many samples."""
        full = self.full_steps(steps)
        left = self.crop[0]
        if self.padding == "same":
            excess = full - output_size
            if self.effective_kernel < self.stride:
                # max(excess, 0), also of the sizes of a graph, which know
                # neither `max` nor `abs`: it is above -stride and below it.
                excess = excess * ((excess + self.stride) // self.stride)
            left = excess // 2
        return left, full - output_size - left


def axes(
    kernel_size: tuple[int, ...],
    strides: tuple[int, ...],
    dilation_rate: tuple[int, ...],
    padding: str | tuple[Crop, ...],
    output_padding: tuple[int, ...] | None,
) -> tuple[Axis, ...]:
    """One `Axis` for each spatial axis."""
    return tuple(
        Axis(
            kernel_size[n],
            strides[n],
            dilation_rate[n],
            padding if isinstance(padding, str) else padding[n],
            None if output_padding is None else output_padding[n],
        )
        for n in range(len(kernel_size))
    )


def spatial(shape: Sequence[Any], data_format: str) -> tuple[Any, ...]:
    """The steps in the shape of a batch of signals or images."""
    shape = tuple(shape)
    return shape[1:-1] if data_format == "channels_last" else shape[2:]


def channel_axis(data_format: str) -> int:
    """Where the channels are in the shape of a batch."""
    return -1 if data_format == "channels_last" else 1


def output_shape(
    input_shape: Sequence[int | None],
    axes: tuple[Axis, ...],
    filters: int | None,
    data_format: str,
    output_size: tuple[int | None, ...] | None = None,
) -> tuple[int | None, ...]:
    """The output's shape; None where it is not known yet.

    A number of steps that a graph fills in when it runs is not known either.

    Raises:
        ValueError: If `output_size` is not one of those possible, or if
            nothing is left after the crops.
    """
    steps = spatial(input_shape, data_format)
    if output_size is None:
        outputs = tuple(
            checked_output_steps(axis, n) if isinstance(n, int) else None
            for axis, n in zip(axes, steps, strict=True)
        )
    else:
        outputs = tuple(output_size)
        for number, (axis, n, size) in enumerate(
            zip(axes, steps, outputs, strict=True)
        ):
            if isinstance(n, int) and isinstance(size, int):
                check_output_size(axis, n, size, number)
    if data_format == "channels_last":
        return (input_shape[0], *outputs, filters)
    return (input_shape[0], filters, *outputs)


def checked_output_steps(axis: Axis, steps: int) -> int:
    """Output samples of `steps` input steps, which must not be negative."""
    outputs = axis.output_steps(steps)
    if outputs < min(steps, 1):
        raise ValueError(
            f"`padding` must leave a sample: it crops {sum(axis.crop)} of the "
            f"{axis.full_steps(steps)} samples that {steps} input steps "
            f"reach. Received: padding={axis.padding!r}."
        )
    return outputs


def check_output_size(axis: Axis, steps: int, size: int, number: int) -> None:
    """Refuse an output size whose forward convolution has other steps."""
    possible = axis.output_sizes(steps)
    if size not in possible or size < 1:
        raise ValueError(
            f"`output_size` must be from {max(possible.start, 1)} to "
            f"{possible.stop - 1} on spatial axis {number}, where the input "
            f"has {steps} steps: a convolution with "
            f"kernel_size={axis.kernel_size}, strides={axis.stride}, "
            f"dilation_rate={axis.dilation_rate}, padding={axis.padding!r} "
            f"turns only these sizes into {steps} steps. "
            f"Received: output_size={size}."
        )


def padding_and_output_padding(
    crops: tuple[Crop, ...],
    strides: tuple[int, ...],
    dilation_rate: tuple[int, ...],
    crop_later: bool = False,
) -> tuple[tuple[int, ...], tuple[int, ...], tuple[Crop, ...]]:
    """Crops as PyTorch's `padding` and `output_padding`, and what remains.

    PyTorch crops `padding` on both sides and puts `output_padding`, less than
    the stride or the dilation rate, back on the right. If `crop_later`,
    nothing is cropped that way, and everything remains.
    """
    padding, output_padding, remaining = [], [], []
    for s, d, (left, right) in zip(strides, dilation_rate, crops, strict=True):
        most = max(s, d) - 1
        # A window that goes past the end may have none of the samples left
        # by a crop on both sides.
        both = min(left, right + most) if right >= 0 and not crop_later else 0
        back = min(max(both - right, 0), most)
        padding.append(both)
        output_padding.append(back)
        remaining.append((left - both, right - both + back))
    return tuple(padding), tuple(output_padding), tuple(remaining)


def window_within_kernel(
    steps: Sequence[int], strides: tuple[int, ...], crops: tuple[Crop, ...]
) -> bool:
    """Whether a window is no larger than its kernel on some axis."""
    return any(
        (n - 1) * s <= left + right
        for n, s, (left, right) in zip(steps, strides, crops, strict=True)
    )
