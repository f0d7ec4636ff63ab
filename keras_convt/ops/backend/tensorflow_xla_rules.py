"""What is fast in TensorFlow within `jit_compile=True`, of one group.

The figures in the comments are ratios of the built-in layer's time to ours,
forward / forward and backward, on 2 cores; `python -m benchmarks` repeats
them.
"""

from keras_convt.ops.backend import xla_rules
from keras_convt.ops.problem import Choice, Problem

# Contributions of all input steps to all taps that caches do not hold.
LARGE_CONTRIBUTIONS = 1_000_000

# Taps times filters, for each channel: from where a product with as many
# columns is wide, and from where it had better have more channels.
WIDE = 3
MANY_COLUMNS = 12

# Channels up to which an image repays the zeros of sub-pixel.
FEW_CHANNELS = 64

# Channels of a signal that has them first from which XLA's own is faster, and
# chunks of a kernel up to which it is.
MODERATE_CHANNELS = 64
FEW_CHUNKS = 3

# Pixels from one input pixel to the next that sub-pixel repays.
LARGE_STRIDE = 8

# Filters of an image: its colors, and whether it is transparent.
FEW_FILTERS = 4

# Taps that would each be a term to compile.
MANY_TAPS = 128

# Taps of an image that still compile soon enough. With 11x11 the first
# prediction takes 0.6 s, against 0.1.
MODERATE_TAPS = 100

# Taps up to which products with a transposed kernel compile soon enough, too.
SOON_COMPILED = 64

# Multiplications under which TensorFlow's own convolution costs more.
MODERATE_WORK = 13_000_000


def ranked(problem: Problem) -> list[Choice]:
    """The formulations to use, the fastest first."""
    if problem.one_step:
        return [Choice("overlap_add", "one step: a matrix product")]
    if problem.too_many_terms and not problem.dilated:
        if problem.unit_strides:
            # Each term of overlap-add is compiled.
            return [Choice("native", "stride 1, many terms")]
        if problem.rank == 2 and problem.channels > FEW_CHANNELS:
            # 8x32x32x128 -> 64 k5 s2 1.0 / 1.0, against sub-pixel's 1.25 / 0.5;
            # with 64 channels, 4x64x64x64 -> 32 k5 s2, 1.0 / 1.0 and 2.0 / 1.1.
            return [Choice("native", "an image, many terms and channels")]
        # 8000x16 -> 16 k64 s2 4 / 7, 8000x1 -> 1 k512 s2 10 / 12, and
        # 128x128x16 -> 8 k9 s2 7 / 6.
        return [Choice("sub_pixel_convolution", "many terms")]
    if problem.unit_strides:
        return _stride_one(problem)
    two_strides = xla_rules.two_strides(problem)
    if two_strides:
        return two_strides
    if (
        problem.channels_first
        and problem.rank == 1
        and not problem.dilated
        and 1 < max(problem.chunks) <= FEW_CHUNKS
        and not problem.two_whole_chunks
        and problem.channels >= MODERATE_CHANNELS
    ):
        # 8x512x128 -> 64 k3 s2 1.0 / 1.0, against overlap-add's 1.0 / 0.9;
        # 8x256x64 -> 64 k5 s2 1.0 / 1.0, against 0.9 / 0.9.
        return [Choice("native", "channels first")]
    choices = _strided(problem)
    contributions = (problem.positions or 0) * problem.columns
    many_columns = (
        problem.channels <= FEW_CHANNELS
        if problem.rank > 1
        else problem.columns >= MANY_COLUMNS * problem.channels
    )
    if (
        problem.two_whole_chunks
        and many_columns
        # 16x64x64x64 -> 3 k4 s2 0.95 / 0.6, against overlap-add's 1.2 / 1.25.
        and problem.columns >= problem.channels
        and contributions >= LARGE_CONTRIBUTIONS
    ):
        if problem.rank == 2 and max(problem.strides) < LARGE_STRIDE:
            # 4x32x32x64 -> 64 k4 s2: 1.6 / 1.4, against sub-pixel's 1.4 / 1.4
            # and overlap-add's 0.4 / 0.5; 64x64x32 -> 32 k4 s2 2.2 / 3.8,
            # against 1.7 / 3.3. With more channels sub-pixel is slow:
            # 16x16x16x128 -> 64 k4 s2 0.95 / 0.8, against native's 1.0 / 1.0.
            return [Choice("sub_pixel_convolution", "a large image, k = 2 s")]
        # 4x512x32 -> 128 k16 s8 2.6 / 2.4, against overlap-add's 2.3 / 0.8,
        # or 1.4 with the kernel transposed; 16x16x21 -> 21 k16 s8 1.7 / 4.0.
        choices.insert(0, Choice("sub_pixel", "many columns, k = 2 s"))
    return choices


def _strided(problem: Problem) -> list[Choice]:
    columns, channels = problem.columns, problem.channels
    positions = problem.positions
    if problem.rank > 1 and problem.kernel_size != problem.strides:
        # 8x16x16x128 -> 64 k3 s2: 1 / 1, against overlap-add's 0.9 / 0.85.
        # With few positions overlap-add is faster: 1x8x8x256 -> 128 k3 s2
        # 1.4 / 1.7, and 16x4x4x512 -> 256 k4 s2 2.1 / 1.5. With 2048 weights
        # for each position, 16x4x4x256 -> 128 k4 s2, it depends on the
        # processor: 1.3 / 1.0 and 1.1 / 0.8, against native's 1.0 / 1.0.
        if positions is not None and columns * channels >= 4000 * positions:
            return [Choice("overlap_add", "few positions")]
        if problem.rank == 3:
            # 12x12x12x32 -> 16 k3 s2 44 / 27, and k4 s2 93 / 35. Without
            # transposing the kernel, 32 / 24 and 46 / 26.
            return [Choice("overlap_add_transposed", "a volume")]
        if columns <= channels:
            # 4x32x32x64 -> 3 k4 s2: 1.3 / 1.4.
            return [Choice("overlap_add", "an image, few filters")]
        return [Choice("native", "the backend's own, for images")]
    # Rows of such a length meet in the same lines of a cache.
    rows_meet = columns % 128 == 0 and channels <= 128 and columns > channels
    if (
        positions is not None
        and (columns >= WIDE * channels or rows_meet)
        and columns * channels <= 1000 * positions
    ):
        # 1x512x32 -> 128 k8 s4: 1.3 / 1.0, against overlap-add's 1.3 / 0.5;
        # 32x182x96 -> 64 k2 s2 1.8 / 1.1, against 1.8 / 0.8. With more
        # weights for a position their copy takes as long.
        return [Choice("overlap_add_transposed", "a wide product")]
    return [Choice("overlap_add", "its gradients are matrix products")]


def _stride_one(problem: Problem) -> list[Choice]:
    columns, channels = problem.columns, problem.channels
    positions = problem.positions
    if problem.dilated:
        # The others multiply by the zeros of a dilated kernel.
        return [Choice("convolution", "stride 1, dilated")]
    if problem.taps <= MANY_TAPS:
        if problem.rank == 3:
            # 2x8x8x8x64 -> 64 k3: 2.5 / 2.2, against a convolution's 1.1 /
            # 0.8.
            return [Choice("overlap_add", "stride 1, a volume")]
        if columns <= (1 if problem.rank == 1 else WIDE) * channels:
            # 4x32x32x64 -> 3 k3: 1.9 / 2.3, against a convolution's 1.0 / 0.6.
            return [Choice("overlap_add", "stride 1, a narrow product")]
        if (
            problem.rank == 2
            and problem.filters <= FEW_FILTERS
            and 4 * problem.filters <= channels
            and problem.taps <= MODERATE_TAPS
        ):
            # The last layers of decoders of images: 1x64x64x64 -> 3 k9
            # 3.0 / 2.6 and 2x64x64x32 -> 3 k7 2.8 / 2.2, against its own
            # 1.0 / 1.7 and 1.0 / 1.4. With the kernel transposed, k9 takes
            # 1.8 s to compile, against 1.3, and the built-in layer's 0.4. It
            # holds the products: a prediction of the image decoder's head
            # needs 13 MiB, against 5.
            name = "overlap_add"
            if problem.taps <= SOON_COMPILED:
                name = "overlap_add_transposed"
            return [Choice(name, "stride 1, few filters")]
        if (
            problem.rank == 1
            and positions is not None
            and positions * columns * channels <= MODERATE_WORK
        ):
            # 16x256x32 -> 32 k3: 1.1 / 1.0, and without transposing the
            # kernel 1.0 / 0.8; 2x207x24 -> 64 k5: 1.2 / 1.3, and 1.2 / 1.0.
            if columns >= WIDE * channels:
                return [Choice("overlap_add_transposed", "little work, wide")]
            return [Choice("overlap_add", "little work")]
    if positions is not None and (
        problem.rank > 1 or problem.filters < channels
    ):
        # 16x356x128 -> 64 k5: 1.0 / 1.0, against a convolution's 0.9 / 0.9,
        # whose gradient of the kernel costs as much as channels are many.
        return [Choice("native", "the backend's own, at stride 1")]
    # 1x67x48 -> 256 k9: 1.1 / 1.2, against its own 1.0 / 1.0.
    return [Choice("convolution", "stride 1")]
