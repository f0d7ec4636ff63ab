"""The one place that chooses a formulation.

Each rule rests on a measurement, named in a remark: times of the layers of
real decoders (EnCodec, HiFi-GAN, U-Nets, iSTFT, WaveGlow) on 2 cores, as
ratios to the built-in layer; `python -m benchmarks` repeats them.
"""

import math

# Taps from which a kernel is large: backends' own kernels are written for
# small ones.
LARGE_KERNEL = 256


def choose(
    engine: str,
    kernel_size: tuple[int, ...],
    strides: tuple[int, ...],
    dilation_rate: tuple[int, ...],
    groups: int,
    channels: int,
    filters: int,
    positions: int | None = None,
) -> str:
    """Return the name of the formulation to use.

    Args:
        engine: What runs the sum, as `adapters.engine` says.
        kernel_size, strides, dilation_rate: One int an axis.
        groups, channels, filters: Of the layer.
        positions: Batch times steps, or None where unknown.
    """
    if groups == channels and groups > 1:
        # Depthwise: a shift, a product and a sum for each tap, where
        # backends go through one convolution per channel.
        return "overlap_add"
    if engine == "torch":
        return _torch(kernel_size, groups, channels, positions)
    if engine == "tensorflow" and groups > 1:
        # Its grouped convolutions are computed group by group, or compiled
        # anew for every shape.
        return "overlap_add"
    if max(strides) == 1:
        # The transposed convolution is a convolution, which is what every
        # backend computes best.
        return "convolution"
    if engine == "tensorflow":
        return _tensorflow(kernel_size, strides, dilation_rate, groups, filters)
    return "overlap_add"


def _torch(
    kernel_size: tuple[int, ...],
    groups: int,
    channels: int,
    positions: int | None,
) -> str:
    if groups == 1 and math.prod(kernel_size) >= LARGE_KERNEL:
        return "overlap_add"
    if groups == 1 and positions is not None and 4 * positions < channels:
        # Few rows: reading the kernel is the work, and a matrix product
        # reads it once.
        return "overlap_add"
    return "native"


def _tensorflow(
    kernel_size: tuple[int, ...],
    strides: tuple[int, ...],
    dilation_rate: tuple[int, ...],
) -> str:
    if max(dilation_rate) > 1:
        return "overlap_add"
    if kernel_size == strides:
        # No overlap: one matrix product and a reshape.
        return "overlap_add"
    if math.prod(kernel_size) >= LARGE_KERNEL:
        return "overlap_add"
    return "native"
