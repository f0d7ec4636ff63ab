"""Layers to export: a sample in which every pair of arguments meets."""

import itertools
import random
from dataclasses import dataclass, fields

import reference

import keras_convt

CHANNELS = 4

# Kinds of layers with what divides them. In "groups of 1 to 2", each group has
# one channel and two filters.
KINDS = {
    "conv": ("Conv", {"filters": 3}),
    "conv in 2 groups": ("Conv", {"filters": 6, "groups": 2}),
    "conv in groups of 1": ("Conv", {"filters": 4, "groups": 4}),
    "conv in groups of 1 to 2": ("Conv", {"filters": 8, "groups": 4}),
    "depthwise": ("DepthwiseConv", {}),
    "depthwise m2": ("DepthwiseConv", {"depth_multiplier": 2}),
    "separable": ("SeparableConv", {"filters": 3}),
    "separable m2": ("SeparableConv", {"filters": 3, "depth_multiplier": 2}),
}

# Kernel size, stride and dilation rate of the first axis, and of the others.
SIZES = {
    "k1": ((1, 1, 1), (1, 1, 1)),
    "k3": ((3, 1, 1), (3, 1, 1)),
    "k4,3": ((4, 1, 1), (3, 1, 1)),
    "k2 s2": ((2, 2, 1), (2, 2, 1)),
    "k3 s2": ((3, 2, 1), (3, 2, 1)),
    "k4,3 s2": ((4, 2, 1), (3, 2, 1)),
    "k5,4 s2,3": ((5, 2, 1), (4, 3, 1)),
    "k2 s3": ((2, 3, 1), (2, 3, 1)),
    "k3,2 s1,2": ((3, 1, 1), (2, 2, 1)),
    "k3 d2": ((3, 1, 2), (3, 1, 2)),
    "k2,3 d3,1": ((2, 1, 3), (3, 1, 1)),
}

PADDINGS = {
    "valid": "valid",
    "same": "same",
    "causal": "causal",
    "crops 1, 1": (1, 1),
    "crops 1, 0": (1, 0),
    "crops 0, 1": (0, 1),
    "crops 0, -2": (0, -2),
}

FACTORS = {
    "rank": (1, 2, 3),
    "kind": tuple(KINDS),
    "sizes": tuple(SIZES),
    "padding": tuple(PADDINGS),
    "output_padding": (None, 0, 1),
    "data_format": ("channels_last", "channels_first"),
    "use_bias": (True, False),
    # The steps of another input of the model, or a number.
    "output_size": (None, "tensor", "number"),
    "steps": ("open", "fixed"),
}


@dataclass(frozen=True)
class Case:
    """One layer, and how it is called."""

    rank: int
    kind: str
    sizes: str
    padding: str
    output_padding: int | None
    data_format: str
    use_bias: bool
    output_size: str | None
    steps: str

    @property
    def is_possible(self):
        if self.rank == 3 and not self.kind.startswith("conv"):
            return False
        if self.rank > 1 and self.padding == "causal":
            return False
        _, strides, _ = self.geometry
        if self.output_padding is not None and (
            self.padding == "causal" or self.output_padding >= min(strides)
        ):
            return False
        if self.output_size is not None and self.output_padding is not None:
            return False
        # Samples must be left of one step.
        return all(n > 0 for n in self.output_steps((1,) * self.rank))

    @property
    def geometry(self):
        """Kernel size, strides and dilation rate, one number an axis."""
        first, others = SIZES[self.sizes]
        return tuple(zip(first, *(others,) * (self.rank - 1), strict=True))

    @property
    def is_dilated(self):
        return max(self.geometry[2]) > 1

    def output_steps(self, steps):
        kernel_size, strides, dilation_rate = self.geometry
        return reference.output_lengths(
            steps,
            kernel_size,
            strides,
            self._padding,
            self.output_padding,
            dilation_rate,
        )

    def longest(self, steps):
        """The largest `output_size` of so many steps, one an axis."""
        return tuple(sizes[-1] for sizes in self._legal(steps))

    def takes(self, steps, samples):
        """Whether so many samples are an `output_size` of so many steps."""
        return all(
            n in sizes
            for n, sizes in zip(samples, self._legal(steps), strict=True)
        )

    def _legal(self, steps):
        padding = reference.per_axis_padding(self._padding, self.rank)
        return [
            reference.legal_output_sizes(n, *sizes, pad)
            for n, *sizes, pad in zip(
                steps, *self.geometry, padding, strict=True
            )
        ]

    def layer(self):
        name, arguments = KINDS[self.kind]
        kernel_size, strides, dilation_rate = self.geometry
        return getattr(keras_convt, f"{name}{self.rank}DTranspose")(
            kernel_size=kernel_size,
            strides=strides,
            dilation_rate=dilation_rate,
            padding=self._padding,
            output_padding=self.output_padding,
            data_format=self.data_format,
            use_bias=self.use_bias,
            **arguments,
        )

    def shape(self, batch, steps, channels=CHANNELS):
        if self.data_format == "channels_first":
            return (batch, channels, *steps)
        return (batch, *steps, channels)

    @property
    def _padding(self):
        padding = PADDINGS[self.padding]
        return padding if isinstance(padding, str) else (padding,) * self.rank

    def __str__(self):
        words = [f"{self.rank}D {self.kind} {self.sizes} {self.padding}"]
        if self.output_padding is not None:
            words.append(f"output_padding={self.output_padding}")
        if self.data_format == "channels_first":
            words.append("channels_first")
        if not self.use_bias:
            words.append("no bias")
        if self.output_size is not None:
            words.append(f"output_size from a {self.output_size}")
        return ", ".join([*words, f"{self.steps} sizes"])


def everything():
    """Every possible combination."""
    for values in itertools.product(*FACTORS.values()):
        case = Case(*values)
        if case.is_possible:
            yield case


def pairs_of(case):
    """The pairs of arguments that meet in a case."""
    values = [(f.name, getattr(case, f.name)) for f in fields(case)]
    return set(itertools.combinations(values, 2))


def covering(cases, seed=0, candidates=12):
    """Few of `cases` in which all of their pairs of arguments meet.

    Greedily: out of some candidates that have a pair which is still missing,
    the one that has most of them.
    """
    generator = random.Random(seed)
    with_pair = {}
    for case in cases:
        for pair in pairs_of(case):
            with_pair.setdefault(pair, []).append(case)
    missing = dict.fromkeys(sorted(with_pair, key=repr))
    while missing:
        rarest = min(missing, key=lambda pair: len(with_pair[pair]))
        possible = with_pair[rarest]
        chosen = max(
            generator.sample(possible, min(candidates, len(possible))),
            key=lambda case: sum(pair in missing for pair in pairs_of(case)),
        )
        for pair in pairs_of(chosen):
            missing.pop(pair, None)
        yield chosen
