"""What is fast on JAX.

The figures in the comments are ratios of the built-in layer's time to ours,
forward / forward and backward, on 2 cores; `python -m benchmarks` repeats
them.
"""

import math

from keras_convt.ops.backend import jax_convolution, xla_rules
from keras_convt.ops.problem import Choice, Problem

# Taps that would each be a term to compile.
MANY_TAPS = 128

# Terms, and groups, from which a loop over them makes graphs too large.
MANY_TERMS = 64
MANY_GROUPS = 32

# Contributions of an image that caches do not hold, and columns for each
# channel from which a convolution of its phases is then fast.
MANY_CONTRIBUTIONS = 2_000_000
MANY_COLUMNS_OF_IMAGES = 8

# Channels of a large image from which overlap-add of a kernel of less than two
# strides is slower than XLA's own.
ENOUGH_CHANNELS_OF_IMAGES = 128

# Channels of a large image from which Winograd's sums are faster than a
# convolution of its phases.
MANY_CHANNELS = 256

# Chunks of an image's kernel from which overlap-add predicts more slowly than
# XLA's own kernel, and the most that were measured; and the most contributions
# that the gradients of overlap-add may hold there.
MANY_CHUNKS = 4
TOO_MANY_CHUNKS = 8
TOO_MANY_CONTRIBUTIONS = 2**23

# Positions for each column from which copying the kernel costs nothing.
MANY_ROWS = 16

# Channels of a signal for which the transposed kernel trains faster.
FEW_CHANNELS = 32

# Columns for each channel from which turning them round takes long, and weights
# for each position up to which XLA's own convolution does not.
MANY_COLUMNS = 2
MANY_WEIGHTS = 4096

# Channels, those for each filter, and filters of an image, between which
# onnxruntime takes longer for a convolution than for one product.
ENOUGH_CHANNELS = 32
MANY_CHANNELS_A_FILTER = 8
FEW_FILTERS = 8

# Pixels from one input pixel to the next that repay a convolution of phases,
# even of few positions.
LARGE_STRIDE = 8


def ranked(problem: Problem) -> list[Choice]:
    """The formulations to use, the fastest first."""
    if problem.context.exports:
        return _exported(problem)
    if problem.depthwise:
        return _depthwise(problem)
    if problem.groups > 1:
        # 8x256x64 -> 64 k4 s2 in 4 groups, against all groups in one
        # product: 4.2 / 3.0 times as fast.
        if problem.groups < MANY_GROUPS:
            return [Choice("by_group", "few groups")]
        return [Choice("overlap_add", "many groups")]
    if problem.one_step:
        # 64x1x1x64 -> 32 k7: 15 / 15, against a convolution's 1 / 10.
        return [Choice("overlap_add", "one step: a matrix product")]
    # Of more contributions the memory counts.
    if (
        problem.few_steps
        and not problem.dilated
        and ((problem.positions or 0) * problem.columns <= 2**22)
    ):
        # 4x4x4x64 -> 1 k25: 2 / 1, against a convolution's 1 / 1.
        return [Choice("overlap_add", "few steps, a large kernel")]
    if problem.context.engine == "eager" and problem.rank == 2:
        image = _eager_image(problem)
        if image:
            return image
    if problem.unit_strides:
        if not _turns_slowly(problem):
            return _stride_one(problem)
        if problem.whole:
            # 8x128x128 -> 128 k5 "valid" 1.0 / 20, against overlap-add's
            # 0.8 / 22 and a convolution's 1.0 / 14.
            return [Choice("native_with_products", "channels first")]
        # 16x256x32 -> 32 k3 "same" 1.0 / 1.0, against 0.7 / 0.8.
        return [Choice("convolution", "stride 1, channels first")]
    uneven = problem.rank == 2 and not problem.two_whole_chunks
    chunks = max(problem.chunks)
    if (chunks > 2 or (chunks == 2 and uneven)) and _turns_slowly(problem):
        # 8x8x8x128 -> 128 k5 s2 1.0 / 12, against overlap-add's 0.6 / 13;
        # 8x256x64 -> 64 k5 s2 1.0 / 10, against 0.9 / 13; 8x16x16x128 -> 64
        # k3 s2 1.0 / 12, against 0.85 / 12.
        return [Choice("native_with_products", "channels first")]
    eager = problem.context.engine == "eager"
    large_kernel = [] if eager else _image_of_large_kernel(problem)
    if large_kernel:
        return large_kernel
    if problem.too_many_terms:
        # 2x4096x32 -> 16 k64 s2: 4 / 10, against overlap-add's 1.2 / 6
        # and 15 times its memory; 128x128x16 -> 8 k9 s2 8 / 3.
        return [Choice("sub_pixel_convolution", "many terms")]
    if problem.kernel_size == problem.strides and not problem.dilated:
        if _is_tall(problem):
            # Against overlap-add, 32x128x32 -> 64 k2 1.0 / 1.7,
            # 4x32x32x64 -> 32 k2 1.0 / 1.3, 16x16x16x32 -> 16 k2 1.0 / 1.2.
            return [Choice("overlap_add_transposed", "no overlap, long")]
        if problem.rank == 3:
            # 16x16x16x32 -> 16 k2 s2 244 / 73, against overlap-add's
            # 211 / 63.
            return [Choice("overlap_add_by_chunk", "taps do not overlap")]
    two_strides = xla_rules.two_strides(problem)
    # In an eager call each new length is compiled, and Winograd's sums
    # take 2 to 3 times as long to compile as the built-in layer.
    if two_strides and not (eager and "winograd" in two_strides[0].name):
        return two_strides
    if _has_few_channels(problem):
        # 32x64x32 -> 32 k3 s2: 1.3 / 22, against overlap-add's 1.4 / 19.
        return [Choice("overlap_add_transposed", "few channels, long")]
    if problem.rank == 2 and not problem.dilated:
        if _is_large(problem):
            return [_large_image(problem)]
        contributions = (problem.positions or 0) * problem.columns
        if (
            chunks == 2
            and not problem.two_whole_chunks
            and problem.channels >= ENOUGH_CHANNELS_OF_IMAGES
            and contributions >= 2 * MANY_CONTRIBUTIONS
        ):
            # Milliseconds of 4x32x32x256 -> 128 k3 s2: 34 / 141, against
            # overlap-add's 39 / 149; of 4x64x64x64 -> 32, 13 / 65 and 12 / 68.
            return [Choice("native_with_products", "a large image, k < 2 s")]
    # XLA differentiates its input-dilated convolution into one that is 10 to
    # 40 times slower than the two matrix products this becomes
    # (https://github.com/jax-ml/jax/issues/31662, JAX 0.10.2), and fuses the
    # sums: 1.8 / 14.
    return [Choice("overlap_add", "its gradients are matrix products")]


def _exported(problem: Problem) -> list[Choice]:
    """What other runtimes are good at, and exporters can convert."""
    few_groups = 1 < problem.groups < MANY_GROUPS
    if problem.rank == 3:
        # jax2onnx has no convolution of volumes, and no reshape of several
        # open sizes into one and back (0.17.1).
        if few_groups:
            return [Choice("by_group", "exported, a volume, few groups")]
        return [Choice("overlap_add", "exported, a volume")]
    if problem.unit_strides:
        if (
            problem.groups == 1
            and not problem.dilated
            and problem.taps <= MANY_TAPS
            and problem.channels >= ENOUGH_CHANNELS
            and problem.channels >= MANY_CHANNELS_A_FILTER * problem.filters
            and (problem.rank == 1 or problem.filters <= FEW_FILTERS)
        ):
            # In onnxruntime: 4x2048x192 -> 1 k7 5.7, 4x32x32x64 -> 3 k3 2.1,
            # 1x64x64x64 -> 3 k9 3.4, 4x32x32x64 -> 16 k3 0.8.
            return [Choice("overlap_add", "exported, stride 1, few filters")]
        return [Choice("convolution", "exported, stride 1")]
    if problem.depthwise:
        return _depthwise(problem)
    if few_groups:
        return [Choice("by_group", "exported, few groups")]
    if problem.groups > 1:
        return [Choice("overlap_add", "exported, many groups")]
    if problem.kernel_size == problem.strides:
        return [Choice("overlap_add", "exported, taps that do not overlap")]
    return [Choice("native", "exported")]


def _eager_image(problem: Problem) -> list[Choice]:
    """Formulations of an image that compile as fast as the built-in layer.

    An eager call compiles anew for each size, and asks for no gradients: of
    what is differentiated, JAX hands on tracers.
    """
    if problem.dilated or max(problem.chunks) == 1:
        return []
    if problem.unit_strides:
        # 4x32x32x64 -> 3 k3: overlap-add compiles 2.6 times as long.
        return [Choice("convolution", "eager, an image, stride 1")]
    if problem.too_many_terms:
        return []
    if _is_large(problem):
        # 4x32x32x64 -> 64 k4 s2, forward: 1.4, against sub-pixel's 1.2, which
        # compiles 3.5 times as long as the built-in layer.
        return [Choice("sub_pixel_convolution", "eager, an image, k = 2 s")]
    if 4 * (problem.positions or 0) >= problem.columns:
        # 8x8x8x128 -> 128 k5 s2, forward: 1.0, as overlap-add, which compiles
        # 2.5 times as long.
        return [Choice("native", "eager, an image")]
    return []


def _large_image(problem: Problem) -> Choice:
    """The formulation of an image whose contributions caches do not hold.

    The figures are milliseconds, forward / in training.
    """
    if problem.channels >= MANY_CHANNELS and problem.dtype == "float32":
        # 16x16x16x256 -> 128 k4 s2 46 / 200, against sub-pixel's 79 / 323,
        # overlap-add's 83 / 236 and the built-in layer's 79 / 4600.
        return Choice("winograd", "a large image, k = 2 s, many channels")
    # 16x32x32x64 -> 32 k4 s2 19 / 64, against overlap-add's 41 / 108;
    # 4x32x32x64 -> 64 k4 s2 7 / 29, against 9 / 55.
    return Choice("sub_pixel_convolution", "a large image, k = 2 s")


def _image_of_large_kernel(problem: Problem) -> list[Choice]:
    """Formulations of an image whose kernel is over three strides on an axis.

    The figures are milliseconds, forward / in training.
    """
    positions = problem.positions
    if (
        problem.rank != 2
        or problem.dilated
        or positions is None
        or not MANY_CHUNKS <= max(problem.chunks) <= TOO_MANY_CHUNKS
    ):
        return []
    if positions >= problem.columns and _is_wide(problem):
        # 64x64x16 -> 8 k9 s2 2 / 7, against overlap-add's 4 / 13.
        return [Choice("sub_pixel_convolution", "many pixels, a large kernel")]
    if positions * problem.columns <= TOO_MANY_CONTRIBUTIONS:
        # 4x16x16x128 -> 64 k7 s2 11 / 69, against overlap-add's 35 / 77 and
        # sub-pixel's 19 / 62; k9 19 / 102, against sub-pixel's 32 / 106.
        return [Choice("native_with_products", "few pixels, a large kernel")]
    return []


def _is_large(problem: Problem) -> bool:
    """Whether an image is large, with a kernel two strides long.

    Then a convolution of its phases is faster than a product, whose result
    has to be added up.
    """
    if not problem.two_whole_chunks or not _is_wide(problem):
        return False
    positions = problem.positions or 0
    return (
        positions >= problem.columns
        and positions * problem.columns >= MANY_CONTRIBUTIONS
    ) or min(problem.strides) >= LARGE_STRIDE


def _is_wide(problem: Problem) -> bool:
    """Whether an image has many columns for each channel.

    With few, a convolution of its phases trains slowly. The milliseconds of
    64x64x128 -> 16 k4 s2, with 2 columns for each channel, are 3.4 / 19, and
    those of overlap-add 3.7 / 11; of 64x64x64 -> 32 k4 s2, with 8, they are
    3.6 / 12.8 and 3.9 / 15.8.
    """
    return problem.columns >= MANY_COLUMNS_OF_IMAGES * problem.channels


def _is_tall(problem: Problem) -> bool:
    """Whether positions are so many that copying the kernel costs nothing."""
    return (problem.positions or 0) >= MANY_ROWS * problem.columns


def _has_few_channels(problem: Problem) -> bool:
    """Whether the gradient of the kernel, transposed, is the faster one."""
    return (
        problem.rank == 1
        and not problem.dilated
        and problem.channels <= FEW_CHANNELS
        and problem.columns >= 2 * problem.channels
        and _is_tall(problem)
    )


def _turns_slowly(problem: Problem) -> bool:
    """Whether XLA turns what each tap contributes round, and not the sums.

    It does so where the outputs have their channels first. It would not if it
    were told the layout of the sums, but then jax.export and jax2onnx refuse
    the program (JAX 0.10.2, jax2onnx 0.17.1).
    """
    return (
        problem.channels_first
        and problem.rank < 3
        and problem.taps <= MANY_TAPS
        and problem.dtype == "float32"
        and not problem.dilated
        and not problem.too_many_terms
        and problem.columns >= MANY_COLUMNS * problem.channels
        and problem.positions is not None
        and problem.weights <= MANY_WEIGHTS * problem.positions
    )


def _stride_one(problem: Problem) -> list[Choice]:
    if problem.dilated:
        # The others multiply by the zeros of a dilated kernel.
        return [Choice("convolution", "stride 1, dilated")]
    if problem.taps <= MANY_TAPS and not problem.too_many_terms:
        if problem.rank == 3:
            # 2x8x8x8x64 -> 64 k3: 4.0 / 14, against a convolution's 1.6 / 5.
            return [Choice("overlap_add", "stride 1, a volume")]
        few = jax_convolution.has_few_filters(
            *problem.kernel_size, problem.channels, problem.filters
        )
        if few and problem.taps >= jax_convolution.MANY_TAPS:
            # 2x64x64x32 -> 3 k7: 1.0 / 10, against overlap-add's 0.8 / 8, and
            # with wide vectors 0.5 forward.
            return [Choice("convolution", "stride 1, an image, few filters")]
        if _has_few_channels(problem):
            # 16x256x32 -> 32 k3: 1.2 / 1.04, against overlap-add's 1.2 / 0.92.
            return [Choice("overlap_add_transposed", "few channels, long")]
        if problem.columns <= 6 * problem.channels:
            # 8x128x128 -> 128 k5 1.1 / 20, against a convolution's 1.0 / 19;
            # 4x32x32x64 -> 3 k3 1.2 / 5.4, against 1.0 / 4.5.
            return [Choice("overlap_add", "stride 1, a narrow product")]
    return [Choice("convolution", "stride 1")]


def _depthwise(problem: Problem) -> list[Choice]:
    """Groups of one channel, as in Mimi: 1x250x512 -> 512 k4 s2."""
    # One product for each phase of each shift.
    if problem.shifts * math.prod(problem.strides) < MANY_TERMS:
        # 25 / 45 times as fast as a loop, against overlap-add's 34 / 0.7.
        return [Choice("shift_multiply_add", "depthwise, few shifts")]
    if problem.unit_strides and problem.dilated:
        # Overlap-add multiplies by the zeros of a dilated kernel.
        return [Choice("convolution", "depthwise, stride 1, dilated")]
    return [Choice("overlap_add", "depthwise, many shifts")]
