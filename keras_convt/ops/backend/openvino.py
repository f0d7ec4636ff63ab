"""OpenVINO, on which Keras runs models that were trained elsewhere."""

from keras_convt.ops.backend.numpy import NumPy
from keras_convt.ops.problem import Context, Problem
from keras_convt.ops.types import Tensor


class OpenVINO(NumPy):
    """Inference alone, compiled as one graph."""

    def context(self, inputs: Tensor) -> Context:
        return Context("graph", "cpu")

    def is_exact(self, name: str, problem: Problem) -> bool:
        # OpenVINO may compute its matrix products and its convolutions in
        # bfloat16, but not its transposed convolutions (seen with 2026.4).
        # Groups of one channel need no matrix product.
        return name == "native" or problem.depthwise
