"""What is fast on TensorFlow, eagerly and in a graph that XLA does not compile.

The figures in the comments are ratios of the built-in layer's time to ours,
forward / forward and backward, on 2 cores; `python -m benchmarks` repeats
them.
"""

from keras_convt.ops.backend import tensorflow_xla_rules
from keras_convt.ops.problem import Choice, Problem

# Multiplications under which a call costs more than its arithmetic.
SMALL_WORK = 4_000_000

# Taps from which a kernel is large: TensorFlow's kernels are written for
# small ones.
LARGE_KERNEL = 256

# Channels up to which a large kernel repays the zeros of sub-pixel, and a small
# product does not repay sums of more columns than channels.
FEW_CHANNELS = 32

# Weights for each step of a batch of signals from which a product is faster.
WEIGHTS_A_STEP = 16_384

# Contributions of all pixels to all taps, of 16 MiB, that they may hold.
MANY_CONTRIBUTIONS = 2**22

# Filters of an image: its colors, and whether it is transparent.
FEW_FILTERS = 4

# Groups from which a loop over them makes graphs too large.
MANY_GROUPS = 32

# Passes over the outputs that cost as much as what they save.
MANY_SHIFTS = 8


def ranked(problem: Problem) -> list[Choice]:
    """The formulations to use, the fastest first."""
    xla = problem.context.engine == "xla"
    if problem.depthwise:
        return _depthwise(problem, xla)
    if problem.groups > 1:
        # 8x256x64 -> 64 k4 s2 in 4 groups, against all groups in one
        # product: 1.3 / 1.4 times as fast.
        if problem.groups < MANY_GROUPS:
            return [Choice("by_group", "few groups")]
        return [Choice("overlap_add", "many groups")]
    return tensorflow_xla_rules.ranked(problem) if xla else _graph(problem)


def _graph(problem: Problem) -> list[Choice]:
    """One group, eagerly or in a graph that XLA does not compile."""
    if problem.unit_strides and problem.dilated:
        # It has no dilated transposed convolution on a CPU, and LiteRT has no
        # dilated convolution of volumes.
        if problem.rank == 3:
            return [Choice("overlap_add", "stride 1, a dilated volume")]
        return [Choice("convolution", "stride 1, dilated")]
    if problem.context.engine == "eager":
        return [_eager(problem)]
    if problem.one_step:
        return [Choice("overlap_add", "one step: a matrix product")]
    if problem.too_many_terms:
        if (
            problem.rank == 1
            and problem.channels <= FEW_CHANNELS
            and not problem.dilated
            and not problem.unit_strides
        ):
            # 8000x16 -> 16 k64 s2 4.6 / 1.9, and with oneDNN, which is the
            # default where vectors are wide, 0.9 / 82; 8000x1 -> 1 k512 s2
            # 8 / 1.6, and 24 / 0.9. What is lost is less than what is gained.
            return [Choice("sub_pixel_convolution", "a signal, many terms")]
        # Each term is an operation: k512 s2 182 ms in a call, and not 2.5.
        return [Choice("native", "many terms")]
    if (
        problem.positions is not None
        and problem.positions * problem.weights < SMALL_WORK
        # Else the sums take longer than the product: 8x66x32 -> 32 k7 s1
        # 0.9 / 1.0, 16x256x8 -> 8 k3 s1 0.8 / 0.9.
        and (
            problem.channels > FEW_CHANNELS
            or problem.columns <= problem.channels
        )
    ):
        # 4x10x128 -> 32 k3 s2 1.4 / 1.6; 1x4096x32 -> 1 k7 1.7 / 1.4.
        return [Choice("overlap_add", "little work")]
    if problem.kernel_size == problem.strides and problem.rank == 1:
        # A matrix product and a reshape. k2 s2 1.08 / 1.05; of images, whose
        # pixels are then moved, 0.9 / 1.1.
        return [Choice("overlap_add", "taps that do not overlap")]
    if problem.taps >= LARGE_KERNEL and problem.filters > 1:
        if problem.rank == 2 and problem.two_whole_chunks:
            # FCN: 16x16x21 -> 21 k16 s8 1.2 / 1.6, k32 s16 1.1 / 3.2, and
            # with oneDNN more; 16x16x64 -> 64 k16 s8 0.9 / 1.5.
            if problem.channels <= FEW_CHANNELS:
                return [Choice("sub_pixel", "few channels, a large kernel")]
            return [Choice("native", "an image, many channels")]
        # WaveGlow 2.0 / 1.5 with wide vectors, and 1.0 / 0.8 without; with
        # one filter (iSTFT) there is no gain.
        return [Choice("overlap_add", "a large kernel")]
    # The rest was measured in float32, and without dilation.
    measured = (
        problem.dtype == "float32"
        and not problem.dilated
        and not problem.unit_strides
    )
    if (
        measured
        and problem.rank == 1
        and problem.positions is not None
        and problem.weights >= WEIGHTS_A_STEP * problem.positions
    ):
        # 2x64x512 -> 256 k16 s8 1.2 / 1.4 with oneDNN and 1.4 / 1.1 without,
        # against native's 1.0 / 1.0. With 500 steps of 256 channels 0.9 / 0.9
        # without.
        return [Choice("overlap_add", "few positions, many weights")]
    if (
        measured
        and problem.rank == 2
        and problem.kernel_size != problem.strides
        # Not where sizes are open, as in most exports: onnxruntime takes 1.5
        # times as long for it as for its own ConvTranspose.
        and problem.positions is not None
        and problem.positions * problem.columns <= MANY_CONTRIBUTIONS
        and problem.filters <= FEW_FILTERS
        and problem.columns <= problem.channels
        and not problem.channels_first
    ):
        # 4x32x32x64 -> 3 k4 s2 2.2 / 1.3 with oneDNN and 1.2 / 1.0 without,
        # against native's 1.0 / 1.0 and 1.1 / 0.9.
        return [Choice("overlap_add", "an image, few filters")]
    # TensorFlow's own kernels are good at small kernels, and the same as the
    # built-in layer's: 1.0 / 1.0.
    return [Choice("native", "the backend's own, good at small kernels")]


def _eager(problem: Problem) -> Choice:
    """One group, eagerly, where each operation costs something."""
    if (
        problem.rank == 3
        # The products of half precision are not computed in float32.
        and problem.dtype == "float32"
        and not problem.unit_strides
        # Overlap-add holds what each input contributes.
        and not problem.too_many_terms
    ):
        # TensorFlow's gradients of volumes are slow: 12x12x12x32 -> 16 k4 s2
        # 1.0 / 7, against overlap-add's 0.2 / 8.
        return Choice("native_with_products", "eager, a volume")
    # 32x128x32 -> 64 k2 s2 1.0, against overlap-add's 0.7; 63x80 -> 80 k1024
    # s256 1.0, against 0.4.
    return Choice("native", "eager: a single operation")


def _depthwise(problem: Problem, xla: bool) -> list[Choice]:
    """Groups of one channel, as in Mimi: 1x250x512 -> 512 k4 s2."""
    if not xla:
        # 60 / 50 times a loop over groups; shift-multiply-add 60 / 25. Neither
        # is a convolution with groups, which TensorFlow has on a CPU by XLA
        # alone, in a call that other runtimes do not know.
        return [Choice("overlap_add_by_chunk", "depthwise")]
    if problem.shifts <= MANY_SHIFTS:
        return [Choice("shift_multiply_add", "depthwise, few shifts")]
    if problem.unit_strides and problem.dilated:
        return [Choice("convolution", "depthwise, stride 1, dilated")]
    return [Choice("overlap_add", "depthwise, many shifts")]
