"""NumPy, on which Keras runs models that were trained elsewhere."""

from keras_convt.ops.backend.generic import Backend
from keras_convt.ops.problem import Choice, Context, Problem
from keras_convt.ops.types import Tensor


class NumPy(Backend):
    """Inference alone. Keras's own convolutions are there JAX's."""

    measured_devices = ("cpu",)

    def context(self, inputs: Tensor) -> Context:
        return Context("eager", "cpu")

    def ranked(self, problem: Problem) -> list[Choice]:
        if problem.depthwise and problem.channels == problem.filters:
            return [Choice("overlap_add", "one product for all groups")]
        return [Choice("native", "the backend's own, for inference")]
