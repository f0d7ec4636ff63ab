"""What is fast within XLA, on JAX and on TensorFlow.

The figures in the comments are ratios of the built-in layer's time to ours,
forward / forward and backward, in one thread of a CPU without AVX-512.
"""

from keras_convt.ops.problem import Choice, Problem

# Steps and channels of the smallest layers that were measured.
ENOUGH_STEPS = 64
ENOUGH_CHANNELS = 32

# Positions of a batch up to which the sums of weights take too long.
FEW_POSITIONS = 128

# Multiplications from which Winograd's sums, which compile 0.1 s longer, save
# that in some hundred calls.
LARGE_WORK = 30_000_000

# Columns for each channel from which a sum over the channels is so short that
# the sums of products take longer.
MANY_COLUMNS = 32

# Weights for each position up to which transposing them takes no time, and
# those up to which it is repaid where each product has more columns than
# channels, which XLA then computes faster in training.
FEW_WEIGHTS = 20
MODERATE_WEIGHTS = 80


def two_strides(problem: Problem) -> list[Choice]:
    """The formulations of a signal whose kernel is two strides long.

    None, if it is not one, or too small.
    """
    if (
        problem.rank > 1
        or not problem.two_whole_chunks
        or problem.dilated
        or problem.dtype != "float32"
        or problem.positions is None
        or problem.steps is None
        or problem.steps[0] < ENOUGH_STEPS
        or problem.positions < FEW_POSITIONS
        or problem.channels < ENOUGH_CHANNELS
        or problem.positions * problem.weights < LARGE_WORK
    ):
        return []
    if problem.columns >= MANY_COLUMNS * problem.channels:
        # 4x512x32 -> 128 k16 s8, times of overlap-add divided by ours: JAX
        # 1.2 / 2.4, TensorFlow 1.1 / 3.4, and Winograd's 1.2 / 1.2 on both.
        return [Choice("sub_pixel", "k = 2 s, few channels, many columns")]
    weights = problem.weights / problem.positions
    many_columns = problem.columns >= 4 * problem.channels
    if weights <= FEW_WEIGHTS or (many_columns and weights <= MODERATE_WEIGHTS):
        # 16x256x64 -> 64 k4 s2: JAX 1.3 / 38, against overlap-add's 1.1 / 27,
        # and 1.3 / 34 without transposing the kernel.
        return [Choice("winograd_transposed", "k = 2 s, many positions")]
    # 500x256 -> 128 k16 s8: JAX 2.4 / 50, TensorFlow 1.5 / 1.7, against
    # overlap-add's 1.9 / 40 and 1.2 / 1.4; 2x200x256 -> 128 k10 s5 1.4 / 18
    # and 1.2 / 1.6, against 1.2 / 15 and 1.2 / 1.3. With 50 positions,
    # 512 -> 256 k16 s8, 2.5 / 24 and 2.2 / 1.4, against 3.0 / 24 and
    # 2.9 / 1.7.
    return [Choice("winograd", "k = 2 s")]
