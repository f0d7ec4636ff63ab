"""The one place that chooses a formulation.

Each rule rests on a measurement: ratios of the built-in layer's time to ours,
forward / forward and backward, on 2 cores; `python -m benchmarks` repeats
them. The engines "tensorflow-xla" and "torch-export" are TensorFlow within
`jit_compile=True` and PyTorch within `torch.export`.
"""

import math

from keras_convt.geometry import effective_kernel

# Taps from which a kernel is large: the kernels of backends are written for
# small ones.
LARGE_KERNEL = 256

# Multiplications under which a call costs more than its arithmetic.
SMALL_WORK = 4_000_000

# Weights whose reordering takes as long as a small call, and how many of them
# one position does not repay.
MANY_WEIGHTS = 250_000
WEIGHTS_A_POSITION = 640

# Contributions of all input steps to all taps that caches do not hold.
LARGE_CONTRIBUTIONS = 1_000_000

# Taps times filters, for each channel: from where a product with as many
# columns is wide, and from where it had better have more channels.
WIDE = 3
MANY_COLUMNS = 12

# Multiplications under which TensorFlow's own convolution costs more, in XLA.
MODERATE_WORK = 13_000_000

# Channels up to which PyTorch may have them last at stride 1: it then adds one
# product after another, with more than twice the error from 64 on.
FEW_CHANNELS = 48

# Taps that would each be a term to compile.
MANY_TAPS = 128

# Groups from which a loop over them makes graphs too large; terms likewise.
MANY_GROUPS = 32
MANY_TERMS = 64

# Passes over the outputs that cost as much as what they save.
MANY_SHIFTS = 8


def choose(
    engine: str,
    kernel_size: tuple[int, ...],
    strides: tuple[int, ...],
    dilation_rate: tuple[int, ...],
    groups: int,
    channels: int,
    filters: int,
    positions: int | None = None,
    dtype: str = "float32",
) -> str:
    """Return the name of the formulation to use.

    Args:
        engine: What runs the sum, as `engine.engine` says.
        kernel_size, strides, dilation_rate: One int an axis.
        groups, channels, filters: Of the layer.
        positions: Batch times steps, or None where unknown.
        dtype: Of the inputs and the kernel.
    """
    taps = math.prod(kernel_size)
    weights = taps * filters * channels // groups
    if positions == 0:
        # PyTorch's own refuses inputs without steps, and NumPy's is wrong.
        return "overlap_add"
    if engine in ("numpy", "openvino"):
        # For inference. OpenVINO may compute its matrix products and its
        # convolutions in bfloat16, but not its transposed convolutions.
        depthwise = groups > 1 and groups == channels == filters
        return "overlap_add" if depthwise else "native"
    # Exported with sizes left open, shift-multiply-add of images with the
    # channels first would hold for some sizes only.
    if groups > 1 and groups == channels and engine != "torch-export":
        return _depthwise(engine, kernel_size, strides, dilation_rate, dtype)
    if engine == "torch" and groups == 1 and max(strides) == 1:
        return _torch_stride_one(len(kernel_size), channels, filters)
    if engine in ("torch", "torch-export"):
        return _torch(strides, taps, groups, weights, positions)
    if groups > 1:
        # 8x256x64 -> 64 k4 s2 in 4 groups, against all groups in one product:
        # JAX 4.2 / 3.0 times as fast, TensorFlow 1.3 / 1.4.
        return "by_group" if groups < MANY_GROUPS else "overlap_add"
    if engine == "tensorflow":
        return _tensorflow(
            kernel_size,
            strides,
            dilation_rate,
            filters,
            None if positions is None else positions * weights,
        )
    if max(strides) == 1:
        return _xla_stride_one(
            engine, kernel_size, dilation_rate, channels, filters, positions
        )
    return _xla(engine, kernel_size, strides, channels, filters, positions)


def _xla(
    engine: str,
    kernel_size: tuple[int, ...],
    strides: tuple[int, ...],
    channels: int,
    filters: int,
    positions: int | None,
) -> str:
    image = len(strides) > 1
    columns = math.prod(kernel_size) * filters
    contributions = (positions or 0) * columns
    # Sub-pixel adds up all chunks in one product: with two on both axes of an
    # image its error is just below twice the built-in layer's, with more above.
    two_chunks = len(strides) < 3 and all(
        k == 2 * s for k, s in zip(kernel_size, strides, strict=True)
    )
    if engine == "jax":
        if image and two_chunks and contributions >= 4_000_000:
            # 4x32x32x64 -> 64 k4 s2: 1.5 / 15, against overlap-add's 1.5 / 7.
            return "sub_pixel"
        # XLA differentiates its input-dilated convolution into one that is 10
        # to 40 times slower than the two matrix products this becomes, and
        # fuses the sums: 1.8 / 14.
        return "overlap_add"
    # Within TensorFlow, whose own gradients are products too.
    many_columns = image or columns >= MANY_COLUMNS * channels
    if two_chunks and many_columns and contributions >= LARGE_CONTRIBUTIONS:
        # 4x32x32x64 -> 64 k4 s2: 1.6 / 1.3, against overlap-add's 1.0 / 0.6;
        # 4x512x32 -> 128 k16 s8 2.6 / 2.4, against 2.3 / 0.8, or 1.4 turned.
        return "sub_pixel"
    if image and kernel_size != strides:
        # 8x16x16x128 -> 64 k3 s2: 1 / 1, against 0.9 / 0.85. With few
        # positions, 1x8x8x256 -> 128 k3 s2, overlap-add's 1.4 / 1.7.
        few = positions is not None and columns * channels >= 2000 * positions
        return "overlap_add" if few else "native"
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
        return "overlap_add_turned"
    return "overlap_add"


def _xla_stride_one(
    engine: str,
    kernel_size: tuple[int, ...],
    dilation_rate: tuple[int, ...],
    channels: int,
    filters: int,
    positions: int | None,
) -> str:
    rank, taps = len(kernel_size), math.prod(kernel_size)
    columns = taps * filters
    if max(dilation_rate) > 1:
        # The others multiply by the zeros of a dilated kernel.
        return "convolution"
    if taps <= MANY_TAPS:
        if rank == 3:
            # 2x8x8x8x64 -> 64 k3: JAX 4.0 / 14, TensorFlow 2.5 / 2.2, against
            # a convolution's 1.6 / 5 and 1.1 / 0.8.
            return "overlap_add"
        if engine == "jax":
            if columns <= 6 * channels:
                # 4x32x32x64 -> 3 k3: 2.5 / 4.5, against a convolution's 2.1 /
                # 1.4; 8x128x128 -> 128 k5 1.1 / 20, against 1.0 / 19.
                return "overlap_add"
        elif columns <= (1 if rank == 1 else WIDE) * channels:
            # 4x32x32x64 -> 3 k3: 1.9 / 2.3, against a convolution's 1.0 / 0.6.
            return "overlap_add"
        elif (
            rank == 1
            and positions is not None
            and positions * columns * channels <= MODERATE_WORK
        ):
            # 16x256x32 -> 32 k3: 1.3 / 1.3; 2x207x24 -> 64 k5: 1.2 / 1.3, and
            # not turned 1.2 / 1.0.
            wide = columns > WIDE * channels
            return "overlap_add_turned" if wide else "overlap_add"
    if (
        engine == "tensorflow-xla"
        and positions is not None
        and (rank > 1 or filters < channels)
    ):
        # 16x356x128 -> 64 k5: 1.0 / 1.0, against a convolution's 0.9 / 0.9,
        # whose gradient of the kernel costs as much as channels are many.
        return "native"
    # 1x67x48 -> 256 k9: TensorFlow 1.1 / 1.2, against its own 1.0 / 1.0.
    return "convolution"


def _depthwise(
    engine: str,
    kernel_size: tuple[int, ...],
    strides: tuple[int, ...],
    dilation_rate: tuple[int, ...],
    dtype: str,
) -> str:
    """Groups of one channel, as in Mimi: 1x250x512 -> 512 k4 s2."""
    if engine == "torch" and dtype == "float32":
        # 1.6 / 1.1 times as fast as torch.nn's layer, and up to ten times as
        # fast as shift-multiply-add, 4x16x16x128 -> 128 k3 s2. In other dtypes
        # it takes up to seven times as long as that.
        return "native"
    # Chunks that have taps, and not only zeros between them.
    shifts = math.prod(
        min(k, math.ceil(effective_kernel(k, d) / s))
        for k, s, d in zip(kernel_size, strides, dilation_rate, strict=True)
    )
    # JAX has one product for each phase of each of them.
    few = (
        shifts * math.prod(strides) < MANY_TERMS
        if engine == "jax"
        else shifts <= MANY_SHIFTS
    )
    dilated = max(dilation_rate) > 1
    if engine == "tensorflow" and not dilated:
        # 60 / 50 times a loop over groups; shift-multiply-add 60 / 25.
        return "overlap_add_by_chunk"
    if few:
        # JAX 25 / 45 times a loop, against overlap-add's 34 / 0.7.
        return "shift_multiply_add"
    if engine == "torch":
        return "native"
    # The others multiply by the zeros of a dilated kernel.
    return "convolution" if max(strides) == 1 and dilated else "overlap_add"


def _torch_stride_one(rank: int, channels: int, filters: int) -> str:
    few = rank < 3 and max(channels, filters) <= FEW_CHANNELS
    if few or 4 * filters <= channels:
        # 2x64x64x32 -> 3 k7: 1.2 / 1.2, against a convolution's 1.1 / 0.6;
        # 32x32x24 -> 8 k3 2.0 / 1.5, against 1.3 / 1.1.
        return "native"
    # 4x68x16 -> 64 k7: 2.8 / 2.3, against its own 2.3 / 2.2 with twice the
    # error.
    return "convolution"


def _torch(
    strides: tuple[int, ...],
    taps: int,
    groups: int,
    weights: int,
    positions: int | None,
) -> str:
    if groups == 1 and max(strides) == 1:
        # Exported; eagerly, `_torch_stride_one` has chosen already.
        return "convolution"
    # Of images neither is true: 16 x 16 taps are 256 as well, and native wins.
    signal = groups == 1 and len(strides) == 1
    if signal and taps >= LARGE_KERNEL:
        # WaveGlow 2.1 / 2.1 and iSTFT 1.5 / 1.5, against native's 1.7 / 1.6
        # and 1.2 / 1.1.
        return "overlap_add"
    if (
        signal
        and weights >= MANY_WEIGHTS
        and positions is not None
        and weights >= WEIGHTS_A_POSITION * positions
    ):
        # PyTorch reorders the weights for each call, which few positions do
        # not repay: 512 -> 256 k16 s8 at 50 steps 3.3 / 2.5, against 1.4 /
        # 0.8; 256 -> 128 at 500 steps 1.6 / 1.5, against 1.6 / 1.2.
        return "overlap_add"
    # With the window in the same pass, and the bias in place: 1.6 / 1.4.
    return "native"


def _tensorflow(
    kernel_size: tuple[int, ...],
    strides: tuple[int, ...],
    dilation_rate: tuple[int, ...],
    filters: int,
    work: int | None,
) -> str:
    if max(strides) == 1 and max(dilation_rate) > 1:
        # It has no dilated transposed convolution on a CPU.
        return "convolution"
    if work is not None and work < SMALL_WORK:
        # 4x10x128 -> 32 k3 s2: 1.4 / 1.6.
        return "overlap_add"
    if kernel_size == strides and len(strides) == 1:
        # No overlap: a matrix product and a reshape. k2 s2 1.08 / 1.05; of
        # images, whose pixels are then moved, 0.9 / 1.1.
        return "overlap_add"
    if math.prod(kernel_size) >= LARGE_KERNEL and filters > 1:
        # WaveGlow 2.0 / 1.5; with one filter (iSTFT) there is no gain.
        return "overlap_add"
    # TensorFlow's own kernels are good at small kernels, and the same as the
    # built-in layer's: 1.0 / 1.0.
    return "native"
