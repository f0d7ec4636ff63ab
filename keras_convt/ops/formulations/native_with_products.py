"""The backend's own transposed convolution, with gradients made of products."""

from keras_convt.ops.backend import backend
from keras_convt.ops.formulations.native import native
from keras_convt.ops.formulations.overlap_add import overlap_add
from keras_convt.ops.types import Crops, Sizes, Tensor


def native_with_products(
    inputs: Tensor,
    kernel: Tensor,
    bias: Tensor | None,
    strides: Sizes,
    dilation_rate: Sizes,
    groups: int,
    crops: Crops,
) -> Tensor:
    """The values of `native`, and the gradients of `overlap_add`.

    Where a backend is fast at the sum, and slow at its gradients.
    """
    outputs = backend.with_gradients_of(
        native,
        overlap_add,
        (inputs, kernel),
        (None, strides, dilation_rate, groups, crops),
    )
    return outputs if bias is None else backend.add_bias(outputs, bias)
