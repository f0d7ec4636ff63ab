"""What is fast in PyTorch.

The figures in the comments are ratios of the built-in layer's time to ours,
forward / forward and backward, on 2 cores; `python -m benchmarks` repeats
them.
"""

from keras_convt.ops.problem import Choice, Problem

# Taps from which a kernel is large: oneDNN's kernels are written for small
# ones.
LARGE_KERNEL = 256

# Weights whose reordering takes as long as a small call, and how many of them
# one position does not repay.
MANY_WEIGHTS = 250_000
WEIGHTS_A_POSITION = 640
WEIGHTS_A_POSITION_FORWARD = 1000
WEIGHTS_A_PIXEL = 16_384
WEIGHTS_A_STEP = 4_096

# Chunks of one stride from which native adds more slowly than a convolution of
# phases, if channels and filters are one or two and taps are so many, or in
# training, if the kernel is large.
MANY_CHUNKS = 16
FEWEST_CHANNELS = 2
MANY_TAPS = 64

# The most chunks of a kernel of several channels that a convolution of phases
# trains faster than native.
MOST_CHUNKS = 20

# Positions times taps times filters times the stride of a long signal, and of
# one that is long if its stride is not 2.
LONG = 4_000_000
LONG_WITH_LARGE_STRIDE = 1_000_000

# Steps from which the gradient of the kernel is slow without wide vectors, and
# channels from which products repay what they need around them there.
MANY_STEPS = 3000
ENOUGH_FACTORS = 64

# Channels from which a convolution of phases trains faster with wide vectors.
SOME_CHANNELS = 32

# Contributions of all input steps to all taps, of 16 MiB, that they may hold.
MANY_CONTRIBUTIONS = 2**22

# Channels from which products repay what they need around them, where taps do
# not overlap and where oneDNN has no wide vectors.
MANY_FACTORS = 128

# Channels, positions, steps, and multiplications, from which Winograd's sums
# repay what they need around them.
ENOUGH_CHANNELS = 256
ENOUGH_POSITIONS = 400
ENOUGH_STEPS = 64
LARGE_WORK = 200_000_000

# Pixels from one input pixel to the next.
LARGE_STRIDE = 8

# Channels that `conv_transpose` copies at stride 1, and the positions from
# which a product repays what it needs around it.
MANY_CHANNELS = 48
MANY_POSITIONS = 1000

# Taps of a volume up to which its own kernel is faster than a convolution.
FEW_TAPS = 64

# Filters of an image or a volume up to which onnxruntime is slow at a
# convolution; of a signal they are four times as many.
FEW_FILTERS = 8

# Passes over the outputs that cost as much as what they save.
MANY_SHIFTS = 8


def ranked(problem: Problem) -> list[Choice]:
    """The formulations to use, the fastest first."""
    exporting = problem.context.exports
    if problem.depthwise and not exporting:
        return _depthwise(problem)
    if problem.groups == 1 and problem.one_step and not exporting:
        # 64x1x1x64 -> 32 k7, which oneDNN computes with the zeros around
        # the one step.
        return [Choice("overlap_add", "one step: a matrix product")]
    if problem.groups == 1 and problem.channels_first and not exporting:
        return _channels_first(problem)
    if problem.groups == 1 and problem.unit_strides:
        return _stride_one(problem)
    if (
        exporting
        and problem.groups == 1
        and problem.kernel_size == problem.strides
        and problem.rank != 2
    ):
        # In onnxruntime, whose ConvTranspose is then slower: 512x256 ->
        # 128 k2 s2 1.5. Alone, images gain as much, but between convolutions
        # the product has to turn them round: a U-Net ran at 0.94. Where taps
        # overlap, images take up to 1.6 times as long as with ConvTranspose.
        return [Choice("overlap_add", "exported, taps do not overlap")]
    if (
        problem.groups == 1
        and (
            problem.rank == 3
            or (
                problem.channels >= MANY_FACTORS
                and problem.dtype == "float32"
                and not (problem.rank == 1 and problem.context.wide_vectors)
            )
        )
        and problem.kernel_size == problem.strides
        and not problem.dilated
        and problem.context.gradients
        and not exporting
    ):
        # In training 16x16x16x32 -> 16 k2 s2 1.7 with wide vectors and 1.3
        # without, against native's 1.1 and 1.0; 8x512x256 -> 128 k2 s2 1.5
        # without, against 1.0, and with them 1.8 and 1.1 on two processors,
        # against 1.7 and 1.3; 64x64x256 -> 64 k2 s2 2.3 and 1.4,
        # against 2.3 and 1.0. Forward native is faster.
        return [Choice("overlap_add", "training, taps that do not overlap")]
    if problem.groups == 1 and not exporting:
        choices = _signal(problem) if problem.rank == 1 else _image(problem)
        if choices:
            return choices
    if (
        problem.groups > 1
        and problem.rank == 1
        and problem.two_whole_chunks
        and min(problem.strides) >= 4
        and _work(problem) >= LONG_WITH_LARGE_STRIDE
        and problem.dtype == "float32"
        and problem.context.gradients
        and not problem.context.wide_vectors
        and not exporting
    ):
        # As with one group. 2x128x256 -> 256 k8 s4 in 4 groups, against a loop
        # over them: in training 1.65, against native's 1.2.
        return [Choice("sub_pixel", "training, groups, k = 2 s")]
    # With the window in the same pass, and the bias in place: 1.6 / 1.4.
    choices = [Choice("native", "the backend's own, with window and bias")]
    if exporting:
        choices.append(Choice("by_group", "exported, group by group"))
    return choices


def _channels_first(problem: Problem) -> list[Choice]:
    """One group.

    A product has its channels last. What goes into it is turned round, and
    what comes out of it turned back, which costs more than it saves unless
    native is very slow.
    """
    native = Choice("native", "channels first")
    if problem.unit_strides:
        # 8x512x64 -> 64 k9 1.7 / 1.0, against a convolution's 1.3 / 1.0, and
        # 4x2048x192 -> 1 k7 1.0 / 1.0, against a product's 0.6 / 0.7. With wide
        # vectors a convolution is the same, and a product as slow.
        return [native]
    choices = _image(problem)
    if choices:
        # 4x8x8x2048 -> 512 k4 s2 2.9 / 1.4, against native's 1.2 / 1.1;
        # 16x16x21 -> 21 k16 s8 1.7 / 1.5, against 1.0 / 1.0.
        return choices
    measured = problem.dtype == "float32" and not problem.dilated
    if problem.rank == 1 and measured and _has_many_chunks(problem):
        # 8000x1 -> 1 k512 s2 8 / 12, against native's 1.0 / 1.1.
        return [Choice("sub_pixel_convolution", "channels first, many chunks")]
    if problem.rank == 1 and not problem.too_many_terms:
        if problem.taps >= LARGE_KERNEL:
            if problem.filters == 1 and problem.context.wide_vectors:
                return [native]
            # WaveGlow 2.1 / 1.9 and iSTFT 1.8 / 1.2, against native's 0.9 /
            # 0.9 and 1.0 / 1.0. With wide vectors iSTFT 1.2 / 0.97, against
            # 1.1 / 1.1.
            return [Choice("overlap_add", "channels first, a large kernel")]
        if _few_positions(problem, WEIGHTS_A_STEP):
            # 512 -> 256 k16 s8 at 50 steps 3.6 / 2.7, against native's 1.7 /
            # 1.2. With 500 steps, 256 -> 128, 0.8 / 0.8, against 1.0 / 1.0.
            return [Choice("overlap_add", "channels first, few positions")]
    # 4x32x32x64 -> 64 k4 s2 1.4 / 1.2, most others 1.0 / 1.0: the built-in
    # layer has the same kernel.
    return [native]


def _signal(problem: Problem) -> list[Choice]:
    """Signals of one group with strides, where native is not the fastest."""
    (stride,), (chunks,) = problem.strides, problem.chunks
    wide = problem.context.wide_vectors
    if problem.taps >= LARGE_KERNEL and not problem.too_many_terms:
        # WaveGlow 2.1 / 2.1 and iSTFT 1.5 / 1.5, against native's 1.7 /
        # 1.6 and 1.2 / 1.1.
        return [Choice("overlap_add", "a large kernel")]
    positions = problem.positions or 0
    if (
        problem.two_whole_chunks
        and problem.channels >= ENOUGH_CHANNELS
        and positions >= ENOUGH_POSITIONS
        and positions * problem.weights >= LARGE_WORK
        and min(problem.steps or (0,)) >= ENOUGH_STEPS
        and (problem.context.gradients or stride >= LARGE_STRIDE)
        and problem.dtype == "float32"
        and not problem.dilated
        and not problem.context.wide_vectors
    ):
        # 1x500x256 -> 128 k16 s8 1.5 / 1.3, against overlap-add's 1.4 / 1.3;
        # 8x256x256 -> 256 k4 s2 in training 1.4, against sub-pixel's 1.2.
        return [Choice("winograd", "many channels, k = 2 s")]
    weights_a_position = WEIGHTS_A_POSITION
    if wide and not problem.context.gradients:
        weights_a_position = WEIGHTS_A_POSITION_FORWARD
    if not problem.too_many_terms and _few_positions(
        problem, weights_a_position
    ):
        # PyTorch reorders the weights for each call, which few positions
        # do not repay: 512 -> 256 k16 s8 at 50 steps 3.3 / 2.5, against
        # native's 1.4 / 0.8. With wide vectors 256 -> 128 at 500 steps
        # 1.6 / 1.5, against 1.6 / 1.2. There, 2x200x256 -> 128 k10 s5 trains
        # as fast as native or faster, and predicts at 0.9 on one processor,
        # where native is at 1.2.
        return [Choice("overlap_add", "few positions")]
    # The rest is about oneDNN's kernels of float32.
    if (
        problem.positions is None
        or problem.dilated
        or problem.dtype != "float32"
    ):
        return []
    if _has_many_chunks(problem):
        return [Choice("sub_pixel_convolution", "many taps and many chunks")]
    if not problem.context.gradients or chunks > MOST_CHUNKS:
        # Native: 8000x16 -> 16 k64 s2 1.1 / 1.0, against 0.6 / 0.9 by a
        # convolution of phases.
        return []
    # oneDNN's gradient of the kernel is slow for long signals.
    work = _work(problem)
    if (
        not wide
        and stride < 4
        and 1 < chunks <= 3
        and min(problem.steps or (0,)) >= MANY_STEPS
        and ENOUGH_FACTORS <= problem.channels > problem.filters
        and problem.positions * problem.columns <= MANY_CONTRIBUTIONS
    ):
        # 1x6000x64 -> 32 k4 s2 in training 1.2, against native's 0.8;
        # 1x12000x64 -> 32 k4 s2 1.2, against 1.0 and sub-pixel's 0.8. In
        # 8x1500x64 -> 32 all of them are 1.0.
        return [Choice("overlap_add", "training, many steps")]
    long = LONG_WITH_LARGE_STRIDE if stride >= 4 else LONG
    if (
        problem.two_whole_chunks
        and work >= long
        and (stride >= LARGE_STRIDE or not wide)
    ):
        # 1x4000x128 -> 64 k8 s4 in training 1.9, against native's 0.8;
        # 1x500x128 -> 64 k8 s4 1.2, against 0.8. With wide vectors
        # 1x8000x64 -> 32 k16 s8 1.5, against 1.3, and of smaller strides native
        # is faster: 1x24000x64 -> 32 k4 s2 1.6, against 0.8.
        return [Choice("sub_pixel", "training, a long signal, k = 2 s")]
    whole = problem.taps % stride == 0
    large = work >= 2 * LONG
    if 2 < chunks <= 4 and whole and stride >= 4 and large and not wide:
        # 1x4000x64 -> 32 k16 s4 in training 1.7, against native's 1.3; with
        # wide vectors 1.1, against 1.2.
        return [Choice("sub_pixel", "training, a long signal")]
    if chunks > 4 and large and (problem.channels >= SOME_CHANNELS or not wide):
        # 1x24000x32 -> 32 k16 s2 in training 1.6, against native's 0.6, and
        # with wide vectors 2.1, against 1.1. 1x8000x16 -> 16 k40 s2 with them
        # 1.1, against 1.4.
        return [Choice("sub_pixel_convolution", "training, a long signal")]
    if (
        not wide
        and problem.channels >= MANY_FACTORS
        and problem.positions >= MANY_POSITIONS
    ):
        # 2x500x128 -> 64 k4 s2 in training 1.1, against native's 0.95;
        # 16x128x256 -> 128 k5 s2 1.1, against 1.0. With wide vectors native
        # is faster: 1.3 and 1.1, against 1.1 and 0.9.
        return [Choice("overlap_add_transposed", "training, many channels")]
    return []


def _has_many_chunks(problem: Problem) -> bool:
    """Whether a convolution of a signal's phases is faster than native."""
    if max(problem.chunks) < MANY_CHUNKS:
        return False
    if max(problem.channels, problem.filters) <= FEWEST_CHANNELS:
        # Such a convolution, against native's 1.0 / 1.0: 8000x1 -> 1 k64 s2
        # 2.2 / 3.5, and k512 9 / 11; 8000x4 -> 4 k64 s2 0.8 / 0.9.
        return problem.taps >= MANY_TAPS
    # 8000x16 -> 16 k256 s2 0.5 / 1.2, and 8000x4 -> 4 0.9 / 1.3.
    return problem.context.gradients and problem.taps >= LARGE_KERNEL


def _work(problem: Problem) -> int:
    """Positions times taps times filters times the stride of a signal."""
    return (problem.positions or 0) * problem.columns * min(problem.strides)


def _image(problem: Problem) -> list[Choice]:
    """Images and volumes with strides, where native is not the fastest."""
    measured = problem.dtype == "float32" and not problem.dilated
    if problem.rank == 2 and measured:
        if _few_positions(problem, WEIGHTS_A_PIXEL):
            # 4x8x8x2048 -> 512 k4 s2 5.3 / 2.0, against native's 1.0 / 1.2.
            return [Choice("overlap_add_by_chunk", "few positions")]
        if problem.two_whole_chunks and min(problem.strides) >= LARGE_STRIDE:
            # FCN: 16x16x21 -> 21 k16 s8 1.4 / 1.9, against 1.4 / 1.5; k32 s16
            # 2.8 / 2.8, against 1.7 / 1.5.
            return [Choice("sub_pixel", "a large stride, k = 2 s")]
    return []


def _few_positions(problem: Problem, weights_a_position: int) -> bool:
    return (
        problem.weights >= MANY_WEIGHTS
        and problem.positions is not None
        and problem.weights >= weights_a_position * problem.positions
    )


def _depthwise(problem: Problem) -> list[Choice]:
    """Groups of one channel, as in Mimi: 1x250x512 -> 512 k4 s2."""
    if problem.dtype == "float32":
        # 1.6 / 1.1 times as fast as torch.nn's layer, and up to ten times as
        # fast as shift-multiply-add, 4x16x16x128 -> 128 k3 s2. In other
        # dtypes it takes up to seven times as long as that.
        return [Choice("native", "depthwise, float32")]
    if problem.shifts <= MANY_SHIFTS:
        return [Choice("shift_multiply_add", "depthwise, few shifts")]
    return [Choice("native", "depthwise, many shifts")]


def _stride_one(problem: Problem) -> list[Choice]:
    # 4x68x16 -> 64 k7: 2.8 / 2.3, against its own 2.3 / 2.2.
    choices = [Choice("convolution", "stride 1")]
    if problem.context.exports:
        few = FEW_FILTERS if problem.rank > 1 else 4 * FEW_FILTERS
        plain = problem.taps > 1 and not problem.dilated
        if plain and problem.rank == 1 and problem.whole:
            # In onnxruntime: 8x128x128 -> 128 k5 "valid" 1.0, against a
            # convolution's 0.9; with "same", k7 1.0, against 1.06.
            return [Choice("native", "exported, a whole signal, stride 1")]
        if plain and problem.filters <= few:
            # In onnxruntime, against a convolution: 64x64x64 -> 3 k9 5.3,
            # 4x2048x192 -> 1 k7 2.0, 16x16x16x32 -> 4 k3 2.7; 64 -> 16 filters
            # in 2D 1.0, 64 -> 64 0.75.
            return [Choice("native", "exported, stride 1, few filters")]
        return choices
    positions = problem.positions or 0
    if (
        problem.rank == 1
        and problem.channels > MANY_CHANNELS
        and 4 * problem.columns <= problem.channels
        and positions >= MANY_POSITIONS
        and not problem.dilated
    ):
        # The last layers of vocoders: 4x2048x192 -> 1 k7 3.6 / 2.0, against
        # native's 1.0 / 1.0; 1x4096x64 -> 1 k7 1.5 / 2.3, 2x1024x256 -> 8 k7
        # 1.5 / 1.4, against 1.0 / 1.1 and 0.9 / 0.9.
        return [Choice("overlap_add", "stride 1, a narrow product")]
    narrow = 4 * problem.filters <= problem.channels
    if (
        problem.rank == 2
        and problem.channels > MANY_CHANNELS
        and problem.taps > FEW_TAPS
        and 16 * problem.filters <= problem.channels
        and not (problem.context.gradients and problem.context.wide_vectors)
        and not problem.dilated
        and not problem.too_many_terms
    ):
        # An SRGAN's last layer, forward: 64x64x64 -> 3 k9 1.5, against 1.0. It
        # trains at 0.9 without wide vectors, and with native at 0.8.
        return [Choice("overlap_add_transposed", "a large kernel, few filters")]
    # Volumes of large kernels, 24x48x48x8 -> 16 k5: a convolution is 1.3 / 1.2
    # without wide vectors, against native's 1.2 / 0.5. With them, where both
    # are copied, it is 2.2 / 0.7, against native's 1.1 / 1.2. Of k3,
    # 24x24x24x16 -> 16, native is faster: 1.0 / 1.3, against 0.9 / 1.0.
    context = problem.context
    volume = problem.taps <= FEW_TAPS or (
        context.wide_vectors and context.gradients
    )
    if problem.rank < 3 or narrow or volume:
        # 2x64x64x32 -> 3 k7: 1.2 / 1.2, against a convolution's 1.1 / 0.6;
        # 32x32x24 -> 8 k3 2.0 / 1.5, against 1.3 / 1.1.
        choices.insert(0, Choice("native", "stride 1, few channels"))
    return choices
