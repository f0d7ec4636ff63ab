"""TensorFlow: `tf.function`, with XLA or without, and `tf.nn`."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from benchmarks.contenders import Apply, Contender
from benchmarks.shapes import Shape

PACKAGES = ("tensorflow", "tensorflow-cpu")

# It warns of many functions made anew, which first calls are about.
tf.get_logger().setLevel("ERROR")

# Set by the mode "tensorflow-xla".
jit_compile: bool | None = None

tensor = tf.constant


def device() -> str:
    return "gpu" if tf.config.list_physical_devices("GPU") else "cpu"


def _wait(call: Callable[..., Any], *arguments: Any) -> Callable[[], Any]:
    if device() == "cpu":
        return lambda: call(*arguments)

    def waited() -> Any:
        result = call(*arguments)
        tf.test.experimental.sync_devices()
        return result

    return waited


def forward(
    apply: Apply, parameters: Sequence[Any], inputs: Any
) -> Callable[[], Any]:
    compiled = tf.function(
        lambda inputs: apply(parameters, inputs), jit_compile=jit_compile
    )
    return _wait(compiled, inputs)


def both(
    apply: Apply, parameters: Sequence[Any], inputs: Any, gradient: Any
) -> Callable[[], Any]:
    """The output, and the gradients of the inputs and the parameters."""

    @tf.function(jit_compile=jit_compile)
    def compiled(inputs: Any, gradient: Any) -> Any:
        with tf.GradientTape() as tape:
            # The parameters of a matrix product are no variables.
            tape.watch([inputs, *parameters])
            outputs = apply(parameters, inputs)
        return outputs, *tape.gradient(
            outputs, [inputs, *parameters], output_gradients=gradient
        )

    return _wait(compiled, inputs, gradient)


def peers(shape: Shape) -> list[Contender]:
    if shape.groups > 1:
        return []  # `tf.nn` has none
    transposed = (
        tf.nn.conv1d_transpose
        if len(shape.steps) == 1
        else tf.nn.conv2d_transpose
    )

    def start(weights: list[np.ndarray]) -> tuple[Sequence[Any], Apply]:
        variables = [tf.Variable(w) for w in weights]

        def apply(parameters: Sequence[Any], inputs: Any) -> Any:
            kernel, bias = parameters
            outputs = transposed(
                inputs,
                kernel,
                shape.output_shape,
                shape.strides,
                shape.padding.upper(),
            )
            return tf.nn.bias_add(outputs, bias)

        return variables, apply

    return [Contender("tf.nn", start)]
