"""What is asked of the choice, and what it answers, as data."""

import math
from dataclasses import dataclass

from keras_convt.geometry import effective_kernel
from keras_convt.ops.types import Sizes


@dataclass(frozen=True)
class Context:
    """Where a sum is computed.

    Args:
        engine: `"eager"`, `"graph"` (traced or compiled), `"xla"` (compiled
            by XLA), `"export"` (made a program for another runtime) or
            `"trace"` (run once and recorded for another runtime).
        device: `"cpu"`, `"gpu"`, `"tpu"`, or `"unknown"`.
        gradients: Whether gradients may be asked for. Only PyTorch knows that
            they will not.
        wide_vectors: Whether the processor computes with vectors of 512 bits.
            Only PyTorch says whether it does.
    """

    engine: str = "eager"
    device: str = "cpu"
    gradients: bool = True
    wide_vectors: bool = True

    @property
    def exports(self) -> bool:
        """Whether the sum is made for another runtime."""
        return self.engine in ("export", "trace")


@dataclass(frozen=True)
class Problem:
    """One transposed convolution, without its tensors.

    Args:
        kernel_size, strides, dilation_rate: One int for each axis.
        groups: Number of groups that channels and filters are divided into.
        channels: Channels of the inputs.
        filters: Channels of the outputs.
        positions: Batch size times input steps, or None where one of them is
            not known.
        steps: Input steps, one int for each axis, or None where one of them
            is not known.
        dtype: Of the inputs and the kernel.
        channels_first: Whether the inputs have their channels before their
            steps, and the layer that follows wants them there.
        whole: Whether nothing is cropped off the sum.
        context: Where the sum is computed.
    """

    kernel_size: Sizes
    strides: Sizes
    dilation_rate: Sizes
    groups: int
    channels: int
    filters: int
    positions: int | None = None
    steps: Sizes | None = None
    dtype: str = "float32"
    channels_first: bool = False
    whole: bool = False
    context: Context = Context()

    @property
    def rank(self) -> int:
        return len(self.kernel_size)

    @property
    def taps(self) -> int:
        """Taps of the kernel, over all axes."""
        return math.prod(self.kernel_size)

    @property
    def columns(self) -> int:
        """What one input step contributes: taps times filters."""
        return self.taps * self.filters

    @property
    def weights(self) -> int:
        """Weights of the kernel."""
        return self.columns * self.channels // self.groups

    @property
    def depthwise(self) -> bool:
        """Whether each channel has a group of its own, and there are several.

        A group may have several filters.
        """
        return self.groups == self.channels > 1

    @property
    def unit_strides(self) -> bool:
        return max(self.strides) == 1

    @property
    def dilated(self) -> bool:
        return max(self.dilation_rate) > 1

    @property
    def shifts(self) -> int:
        """Chunks of one stride that have taps, and not only the zeros
        between the taps of a dilated kernel."""
        # A list: of a generator, PyTorch's compiler makes no graph (2.13).
        return math.prod(
            [
                min(k, math.ceil(effective_kernel(k, d) / s))
                for k, s, d in zip(
                    self.kernel_size,
                    self.strides,
                    self.dilation_rate,
                    strict=True,
                )
            ]
        )

    @property
    def chunks(self) -> tuple[int, ...]:
        """How many strides the effective kernel reaches over, on each axis."""
        return tuple(
            math.ceil(effective_kernel(k, d) / s)
            for k, s, d in zip(
                self.kernel_size, self.strides, self.dilation_rate, strict=True
            )
        )

    @property
    def one_step(self) -> bool:
        """Whether there is one input step on each axis, so that no two
        contributions meet and the sum is one matrix product."""
        return self.steps is not None and max(self.steps) == 1

    @property
    def few_steps(self) -> bool:
        """Whether a convolution would multiply zeros half of the time.

        Those are around the inputs, which are few beside the kernel.
        """
        if self.steps is None:
            return False
        reached = math.prod(
            [n + m - 1 for n, m in zip(self.steps, self.chunks, strict=True)]
        )
        return reached >= 2 * math.prod(self.steps)

    @property
    def too_many_terms(self) -> bool:
        """Whether overlap-add has more to compile or to hold than it saves.

        More than 16 terms on one axis, or contributions of more than 16 MiB
        in float32 and several times the outputs.
        """
        many = math.prod(self.chunks) > 4
        contributions = (self.positions or 0) * self.columns * 4
        return max(self.chunks) > 16 or (many and contributions > 2**24)

    @property
    def two_whole_chunks(self) -> bool:
        """Whether the kernel is two strides long on every axis."""
        return all(
            k == 2 * s
            for k, s in zip(self.kernel_size, self.strides, strict=True)
        )


@dataclass(frozen=True)
class Choice:
    """A formulation, and why it was chosen.

    Args:
        name: The name of the formulation.
        reason: Why, in a few words.
        each: The formulation of each group, if groups are computed one after
            another.
    """

    name: str
    reason: str
    each: str | None = None
