"""What is compared: a way to compute the same layer from the same weights."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

import keras_convt
from benchmarks.models import Model
from benchmarks.shapes import Shape

BUILT_IN = "built-in"
OURS = "keras_convt"

# `apply(parameters, inputs)`; only JAX's looks at the parameters, the layers
# of the others hold them.
Apply = Callable[[Sequence[Any], Any], Any]


def unchanged(array: np.ndarray) -> np.ndarray:
    return array


def configured(array: np.ndarray) -> np.ndarray:
    """From channels_last to Keras's configured data format."""
    if keras.config.image_data_format() == "channels_first":
        return channels_first(array)
    return array


def pair(kernel: np.ndarray, bias: np.ndarray) -> list[np.ndarray]:
    return [kernel, bias]


@dataclass
class Contender:
    """One library's layer.

    Attributes:
        name: str.
        start: From the weights in the library's layout to the parameters to
            differentiate by, and what applies the layer.
        weights: From Keras's kernel and bias to the library's layout.
        layout: From channels_last to the library's layout.
    """

    name: str
    start: Callable[[list[np.ndarray]], tuple[Sequence[Any], Apply]]
    weights: Callable[[np.ndarray, np.ndarray], list[np.ndarray]] = pair
    layout: Callable[[np.ndarray], np.ndarray] = unchanged


def keras_contenders(shape: Shape) -> list[Contender]:
    """The built-in layer, then ours."""
    rank = len(shape.steps)
    built_in = getattr(keras.layers, f"Conv{rank}DTranspose")

    def start_built_in(
        weights: list[np.ndarray],
    ) -> tuple[Sequence[Any], Apply]:
        # The built-in layer has no groups: one layer for each.
        each = zip(weights[::2], weights[1::2], strict=True)
        return started([_layer(built_in, shape, list(part)) for part in each])

    def split(kernel: np.ndarray, bias: np.ndarray) -> list[np.ndarray]:
        kernels = np.split(kernel, shape.groups, axis=-1)
        biases = np.split(bias, shape.groups)
        return [w for both in zip(kernels, biases, strict=True) for w in both]

    return [
        Contender(BUILT_IN, start_built_in, split, configured),
        ours(shape),
    ]


def ours(shape: Shape, implementation: str = "auto") -> Contender:
    """Our layer, with the formulation that it chooses or another one."""
    layer_class = getattr(keras_convt, f"Conv{len(shape.steps)}DTranspose")

    def start(weights: list[np.ndarray]) -> tuple[Sequence[Any], Apply]:
        arguments = {"groups": shape.groups, "implementation": implementation}
        return started([_layer(layer_class, shape, weights, **arguments)])

    name = OURS if implementation == "auto" else implementation
    return Contender(name, start, layout=configured)


def model_contenders(
    model: Model,
) -> tuple[list[Contender], list[np.ndarray], tuple[int, ...]]:
    """The two models, their weights, and the shape of their output.

    The shape is channels_last and has the batch of the input.
    """
    # The same weights in every run. With other ones, an activation may be so
    # near to a kink that sums in another order change its gradient.
    keras.utils.set_random_seed(0)
    built_in, ours = (
        model.keras_model(package) for package in (keras.layers, keras_convt)
    )
    ours.set_weights(built_in.get_weights())

    def same(*weights: np.ndarray) -> list[np.ndarray]:
        return list(weights)

    contenders = [
        Contender(name, lambda _, m=found: started([m]), same, configured)
        for name, found in ((BUILT_IN, built_in), (OURS, ours))
    ]
    _, *shape = built_in.output_shape
    if keras.config.image_data_format() == "channels_first":
        shape = [*shape[1:], shape[0]]
    batch = model.input_shape[0]
    return contenders, built_in.get_weights(), (batch, *shape)


def _layer(
    layer_class: type, shape: Shape, weights: list[np.ndarray], **more: Any
) -> keras.layers.Layer:
    kernel, bias = weights
    layer = layer_class(
        len(bias), shape.kernel_size, shape.strides, shape.padding, **more
    )
    size = (shape.batch, *shape.steps, kernel.shape[-1])
    if keras.config.image_data_format() == "channels_first":
        size = (shape.batch, kernel.shape[-1], *shape.steps)
    layer.build(size)
    layer.set_weights(weights)
    return layer


def started(
    layers: list[keras.layers.Layer],
) -> tuple[Sequence[Any], Apply]:
    parameters = [v.value for layer in layers for v in layer.weights]
    stateless = keras.backend.backend() == "jax"

    def call(layer: keras.layers.Layer, weights: Any, inputs: Any) -> Any:
        if stateless:
            return layer.stateless_call(weights, [], inputs)[0]
        return layer(inputs)

    def apply(parameters: Sequence[Any], inputs: Any) -> Any:
        if len(layers) == 1:
            return call(layers[0], parameters, inputs)
        parts = keras.ops.split(inputs, len(layers), axis=-1)
        outputs = [
            call(layer, parameters[2 * i : 2 * i + 2], part)
            for i, (layer, part) in enumerate(zip(layers, parts, strict=True))
        ]
        return keras.ops.concatenate(outputs, axis=-1)

    return parameters, apply


def channels_last(array: np.ndarray) -> np.ndarray:
    """From Keras's configured data format to channels_last."""
    if keras.config.image_data_format() == "channels_first":
        return np.moveaxis(array, 1, -1)
    return array


def channels_first(array: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(np.moveaxis(array, -1, 1))
