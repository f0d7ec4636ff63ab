"""The one place that chooses a formulation."""


def choose(
    kernel_size: tuple[int, ...],
    strides: tuple[int, ...],
    dilation_rate: tuple[int, ...],
    groups: int,
    channels: int,
    filters: int,
) -> str:
    """Return the name of the formulation to use."""
    if max(strides) == 1:
        return "convolution"
    return "overlap_add"
