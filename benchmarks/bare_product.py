"""The plainest thing with the arithmetic of a transposed convolution.

A model with these layers says what the transposed layers cost beyond their
matrix product. It is no strict limit: a layer that computes in another way
may be faster.
"""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops


class BareProduct(keras.layers.Layer):
    """The product of a transposed convolution, and outputs of its shape.

    Each input position has as many products as in a transposed convolution.
    They are added without being moved to where they overlap, so the values are
    others. `channels_last`, and one of three cases: "same"; "valid" with a
    kernel as large as the stride; or one input step with a stride of 1, which
    becomes `kernel_size` steps.

    Args:
        filters: int.
        kernel_size: int.
        strides: int.
        padding: `"same"` or `"valid"`.
        activation: Activation, or None.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int,
        strides: int = 1,
        padding: str = "valid",
        activation: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.filters = filters
        self.kernel_size = kernel_size
        self.strides = strides
        grows = strides == 1 and padding == "valid"
        self.factor = kernel_size if grows else strides
        self.activation = keras.activations.get(activation)

    def build(self, input_shape: Sequence[int | None]) -> None:
        self.taps = self.kernel_size ** (len(input_shape) - 2)
        shape = (input_shape[-1], self.taps * self.filters)
        self.kernel = self.add_weight(name="kernel", shape=shape)
        self.bias = self.add_weight(name="bias", shape=(self.filters,))

    def call(self, inputs: Any) -> Any:
        steps, factor = inputs.shape[1:-1], self.factor
        rank = len(steps)
        if self.factor != self.strides and max(steps) > 1:
            raise ValueError(f"'valid' at stride 1 has one step, not {steps}.")
        products = ops.matmul(inputs, self.kernel)
        # What one input position gives: all the outputs that it becomes.
        width = factor**rank * self.filters
        whole, rest = divmod(self.taps * self.filters, width)
        outputs = ops.reshape(
            products[..., : whole * width], (-1, *steps, whole, width)
        )
        outputs = ops.sum(outputs, axis=-2) if whole > 1 else outputs[..., 0, :]
        if rest:
            zeros = [(0, 0)] * (rank + 1) + [(0, width - rest)]
            outputs = outputs + ops.pad(products[..., -rest:], zeros)
        outputs = ops.reshape(
            outputs, (-1, *steps, *[factor] * rank, self.filters)
        )
        # The outputs that each step became, beside it.
        order = [axis for i in range(1, rank + 1) for axis in (i, rank + i)]
        outputs = ops.transpose(outputs, (0, *order, 2 * rank + 1))
        size = [n * factor for n in steps]
        outputs = ops.reshape(outputs, (-1, *size, self.filters)) + self.bias
        return outputs if self.activation is None else self.activation(outputs)


Conv1DTranspose = Conv2DTranspose = Conv3DTranspose = BareProduct
