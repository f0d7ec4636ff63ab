"""The layers that are measured."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Shape:
    """One layer and its input; the tuples have one int an axis."""

    label: str
    batch: int
    steps: tuple[int, ...]
    channels: int
    filters: int
    kernel_size: tuple[int, ...]
    strides: tuple[int, ...]
    padding: str
    groups: int = 1

    @property
    def name(self) -> str:
        """All of it in one line, `EnCodec 1x50x512 -> 256, k16 s8 valid`."""
        size = "x".join(map(str, (self.batch, *self.steps, self.channels)))
        kernel = f"k{self.kernel_size[0]} s{self.strides[0]} {self.padding}"
        groups = f" g{self.groups}" if self.groups > 1 else ""
        text = f"{self.label} {size} -> {self.filters}, {kernel}{groups}"
        return text.strip()

    @property
    def input_shape(self) -> tuple[int, ...]:
        return (self.batch, *self.steps, self.channels)

    @property
    def crops(self) -> list[tuple[int, int]]:
        """What padding cuts off both ends of each axis; negative adds zeros.

        Of the full result, `(steps - 1) * stride + kernel` long.
        """
        crops = []
        for steps, kernel, stride in zip(
            self.steps, self.kernel_size, self.strides, strict=True
        ):
            full = (steps - 1) * stride + kernel
            overlap = max(kernel - stride, 0)
            left = overlap // 2 if self.padding == "same" else 0
            out = steps * stride + (overlap if self.padding == "valid" else 0)
            crops.append((left, full - left - out))
        return crops

    @property
    def output_shape(self) -> tuple[int, ...]:
        sizes = (
            (steps - 1) * stride + kernel - before - after
            for steps, kernel, stride, (before, after) in zip(
                self.steps,
                self.kernel_size,
                self.strides,
                self.crops,
                strict=True,
            )
        )
        return (self.batch, *sizes, self.filters)

    @property
    def product(self) -> tuple[int, int, int]:
        """Rows, inner and columns of the matrix product of as many FLOPs."""
        return (
            self.batch * math.prod(self.steps),
            self.channels // self.groups,
            math.prod(self.kernel_size) * self.filters,
        )


def line(
    label: str,
    batch: int,
    steps: int,
    channels: int,
    filters: int,
    kernel: int,
    stride: int,
    padding: str = "valid",
    groups: int = 1,
    rank: int = 1,
) -> Shape:
    return Shape(
        label,
        batch,
        (steps,) * rank,
        channels,
        filters,
        (kernel,) * rank,
        (stride,) * rank,
        padding,
        groups,
    )


def plane(*values: Any) -> Shape:
    return line("", *values, rank=2)


def volume(*values: Any) -> Shape:
    return line("", *values, rank=3)


ONE_D = [
    line("seed", 4, 10, 128, 32, 3, 2),
    line("EnCodec", 1, 50, 512, 256, 16, 8),
    line("EnCodec", 2, 200, 256, 128, 10, 5),
    line("EnCodec", 1, 500, 128, 64, 8, 4),
    line("EnCodec", 4, 400, 64, 32, 4, 2),
    line("HiFi-GAN", 2, 64, 512, 256, 16, 8, "same"),
    line("HiFi-GAN", 1, 500, 256, 128, 16, 8, "same"),
    line("HiFi-GAN", 2, 500, 128, 64, 4, 2, "same"),
    line("HiFi-GAN", 1, 300, 64, 32, 4, 2, "same"),
    line("", 8, 512, 128, 64, 3, 2, "same"),
    line("", 32, 64, 32, 32, 3, 2),
    line("", 8, 256, 64, 64, 5, 2, "same"),
    line("", 16, 128, 256, 128, 5, 2),
    line("", 8, 512, 256, 128, 2, 2),
    line("", 32, 128, 32, 64, 2, 2, "same"),
    line("", 8, 256, 256, 256, 4, 2, "same"),
    line("", 16, 256, 64, 64, 4, 2),
    line("", 8, 512, 64, 64, 9, 1, "same"),
    line("", 8, 128, 128, 128, 5, 1),
    line("", 16, 256, 32, 32, 3, 1, "same"),
    line("iSTFT", 1, 224, 1026, 1, 1024, 256),
    line("WaveGlow", 1, 63, 80, 80, 1024, 256),
]

TWO_D = [
    plane(4, 32, 64, 32, 2, 2, "valid"),
    plane(1, 64, 256, 64, 2, 2, "valid"),
    plane(1, 8, 256, 128, 3, 2, "same"),
    plane(8, 16, 128, 64, 3, 2, "same"),
    plane(4, 32, 64, 64, 4, 2, "same"),
    plane(1, 64, 32, 32, 4, 2, "same"),
    plane(8, 8, 128, 128, 5, 2, "valid"),
    plane(4, 32, 64, 64, 3, 1, "same"),
]

THREE_D = [
    Shape("", 1, (16,) * 3, 32, 16, (2,) * 3, (2,) * 3, "valid"),
    Shape("", 1, (12,) * 3, 32, 16, (3,) * 3, (2,) * 3, "same"),
    Shape("", 1, (12,) * 3, 32, 16, (4,) * 3, (2,) * 3, "same"),
    Shape("", 1, (24,) * 3, 16, 16, (3,) * 3, (1,) * 3, "same"),
    Shape("", 1, (24, 48, 48), 8, 16, (5,) * 3, (1,) * 3, "same"),
]

# The last layers of decoders.
FEW_FILTERS = [
    line("", 1, 4096, 32, 1, 7, 1, "same"),
    line("", 4, 2048, 192, 1, 7, 1, "same"),
    plane(4, 32, 64, 3, 3, 1, "same"),
    plane(2, 64, 32, 3, 7, 1, "same"),
    plane(1, 64, 64, 3, 9, 1, "same"),
    plane(4, 32, 64, 3, 4, 2, "same"),
]

# Few positions, large kernels, sizes as users have them.
REPORTED = [
    plane(64, 1, 100, 512, 4, 1, "valid"),
    plane(64, 1, 64, 32, 7, 1, "valid"),
    plane(4, 8, 2048, 512, 4, 2, "same"),
    plane(16, 4, 256, 128, 4, 2, "same"),
    plane(16, 8, 128, 64, 4, 2, "same"),
    plane(1, 16, 21, 21, 16, 8, "same"),
    plane(1, 16, 21, 21, 32, 16, "same"),
    line("", 1, 8000, 16, 16, 64, 2, "same"),
    line("", 1, 8000, 1, 1, 512, 2, "same"),
    line("second", 1, 2000, 64, 32, 8, 4, "same"),
]

# A second of sound, images of up to 256x256, volumes of up to 64x64x64: what
# caches do not hold. On JAX, one training step of the built-in layer takes up
# to 10 s.
REAL_SIZES = [
    line("", 1, 24000, 32, 16, 4, 2, "same"),
    line("", 1, 2000, 256, 128, 16, 8, "same"),
    line("", 1, 12000, 64, 32, 4, 2, "same"),
    line("", 1, 24000, 64, 1, 7, 1, "same"),
    line("", 1, 44100, 16, 16, 9, 1, "same"),
    line("", 8, 4000, 128, 64, 3, 2, "same"),
    line("", 1, 100_000, 16, 16, 64, 2, "same"),
    line("", 1, 100_000, 1, 1, 512, 2, "same"),
    line("", 4, 6000, 64, 64, 5, 2, "same"),
    line("", 1, 400, 514, 1, 512, 128),
    plane(1, 128, 64, 32, 4, 2, "same"),
    plane(1, 128, 16, 8, 9, 2, "same"),
    plane(1, 256, 32, 3, 7, 1, "same"),
    plane(1, 256, 64, 64, 3, 1, "same"),
    plane(8, 32, 128, 64, 5, 2, "same"),
    plane(4, 64, 128, 64, 3, 2, "same"),
    plane(2, 128, 64, 32, 2, 2, "same"),
    plane(1, 256, 64, 3, 9, 1, "same"),
    plane(16, 16, 256, 128, 4, 2, "same"),
    plane(16, 64, 64, 3, 4, 2, "same"),
    plane(16, 32, 64, 32, 4, 2, "same"),
    plane(4, 16, 128, 64, 7, 2, "same"),
    plane(1, 64, 16, 8, 9, 2, "same"),
    volume(1, 32, 16, 16, 5, 1, "same"),
    volume(1, 32, 32, 32, 3, 1, "same"),
    volume(1, 16, 64, 32, 4, 2, "same"),
    volume(1, 32, 32, 16, 2, 2, "same"),
    volume(1, 16, 32, 16, 3, 2, "same"),
    volume(1, 64, 8, 8, 3, 1, "same"),
]

GROUPS = [
    line("Mimi", 1, 250, 512, 512, 4, 2, groups=512),
    line("", 4, 128, 64, 128, 4, 2, groups=64),
    line("", 2, 128, 256, 256, 8, 4, groups=4),
    line("", 8, 256, 64, 64, 4, 2, groups=4),
    line("", 8, 128, 64, 64, 5, 1, "same", groups=4),
    line("", 4, 128, 256, 128, 3, 2, "same", groups=2),
]

CODECS = [
    (512, 256, 16, 8),
    (256, 128, 10, 5),
    (128, 64, 8, 4),
    (64, 32, 4, 2),
    (256, 128, 16, 8),
    (128, 64, 4, 2),
    (512, 256, 11, 5),
    (768, 384, 12, 6),
]
LARGE = [
    (514, 1, 512, 128),
    (1026, 1, 1024, 256),
    (402, 1, 400, 100),
    (80, 80, 1024, 256),
    (64, 64, 800, 200),
]


def held_out(seed: int, count: int = 20) -> list[Shape]:
    """Random shapes of the same kinds, the same for the same seed."""
    generator = np.random.default_rng(seed)

    def pick(values: list[Any]) -> Any:
        return values[int(generator.integers(len(values)))]

    def codec() -> Shape:
        steps = int(generator.integers(50, 500))
        return line("codec", pick([1, 2, 4]), steps, *pick(CODECS), padding())

    def small() -> Shape:
        channels, filters = (
            pick([32, 48, 64, 96, 128, 256]),
            pick([32, 64, 128, 192]),
        )
        steps = int(generator.integers(64, 512 if channels < 256 else 256))
        kernel = pick([2, 3, 4, 5])
        return line(
            "",
            pick([8, 16, 32]),
            steps,
            channels,
            filters,
            kernel,
            2,
            padding(),
        )

    def stride_1() -> Shape:
        channels = pick([32, 64, 128, 256])
        filters = pick([channels, channels // 2])
        steps = int(generator.integers(64, 400))
        kernel = pick([3, 5, 7, 9])
        return line(
            "", pick([4, 8, 16]), steps, channels, filters, kernel, 1, padding()
        )

    def large() -> Shape:
        channels, filters, kernel, stride = pick(LARGE)
        steps = int(
            generator.integers(*((60, 400) if filters == 1 else (12, 125)))
        )
        return line(
            "large", 1, steps, channels, filters, kernel, stride, padding()
        )

    def padding() -> str:
        return str(pick(["valid", "same"]))

    kinds: list[Callable[[], Shape]] = [codec] * 3 + [small] * 4
    kinds += [stride_1] * 2 + [large]
    return [kinds[i % len(kinds)]() for i in range(count)]


def shapes_of(set_name: str, seed: int = 0) -> list[Shape]:
    if set_name == "heldout":
        return held_out(seed)
    return {
        "1d": ONE_D,
        "2d": TWO_D,
        "3d": THREE_D,
        "few filters": FEW_FILTERS,
        "reported": REPORTED,
        "real sizes": REAL_SIZES,
        "groups": GROUPS,
    }[set_name]


# "models" are those of `benchmarks.models`.
SETS = (
    "1d",
    "2d",
    "3d",
    "few filters",
    "reported",
    "real sizes",
    "groups",
    "heldout",
    "models",
)
