"""Composing layers in R's style: `object` first, then the layer's arguments."""

import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np

from keras_convt import layers
from keras_convt.keras2 import advice
from keras_convt.r import signatures
from keras_convt.r.functions import is_r_function
from keras_convt.r.values import constructor_arguments


def create_layer_wrapper(
    layer_class: type[keras.layers.Layer],
) -> Callable[..., Any]:
    """Turn a layer class into a function that composes layers of it.

    Args:
        layer_class: A subclass of `keras.layers.Layer`. In R also what
            `Layer()` of the package keras3 returns.

    Returns:
        A function `wrapper(object, ...)`, with the arguments of
        `layer_class` after `object`. What it does depends on `object`:

        - missing or `None`: it returns the layer.
        - a `keras.Sequential`: it adds the layer and returns the same model.
        - a tensor, a NumPy array, or a list or dict of them: it calls the
          layer on it and returns the result.

        Numbers may come as R sends them. If the layer's default is not a
        float, a whole float is taken as an int.

    Raises:
        TypeError: If `layer_class` is not a layer class. The function raises
            it if `object` is none of these, and makes no layer then.

    Example:

    >>> import keras
    >>> import keras_convt
    >>> layer_dense = keras_convt.create_layer_wrapper(keras.layers.Dense)
    >>> model = layer_dense(keras.Sequential([keras.Input((3,))]), 2)
    >>> model.output_shape
    (None, 2)
    """
    if is_r_function(layer_class):
        return _composer_of_r_function(layer_class)
    if not (
        inspect.isclass(layer_class)
        and issubclass(layer_class, keras.layers.Layer)
    ):
        raise TypeError(
            "`layer_class` must be a subclass of keras.layers.Layer. "
            f"Received: layer_class={layer_class!r}.{advice(layer_class)}"
        )
    return composer(layer_class, f"layer_{snake_case(layer_class.__name__)}")


def composer(
    layer_class: type[keras.layers.Layer],
    name: str,
    object_name: str = "object",
    r_names: Mapping[str, str] | None = None,
    separate_inputs: bool = False,
) -> Callable[..., Any]:
    """`create_layer_wrapper` with the names of R's page.

    Args:
        layer_class: The class.
        name: The name of the function.
        object_name: What R's page calls `object`, which is taken as well.
        r_names: What R's page calls an argument of the class, by the name
            that the class has for it. Both are taken.
        separate_inputs: Whether the call of the layer takes each tensor of a
            list as an argument of its own.
    """
    constructor = signatures.constructor_signature(layer_class)
    signature = signatures.composer_signature(constructor)
    python_names = {object_name: "object"} | {
        r_name: own for own, r_name in (r_names or {}).items()
    }

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        kwargs = {python_names.get(key, key): kwargs[key] for key in kwargs}
        if not args and "object" not in kwargs:
            args = (None,)
        try:
            bound = signature.bind(*args, **kwargs).arguments
        except TypeError as error:
            raise signatures.with_suggestion(
                TypeError(f"{name}(): {error}"), kwargs, signature.parameters
            ) from None
        target = bound.pop("object")
        check_composable(target)
        call = constructor_arguments(bound, constructor, layer_class)
        try:
            layer = layer_class(*call.args, **call.kwargs)
        except (TypeError, ValueError) as error:
            raise signatures.with_suggestion(
                error, kwargs, constructor.parameters
            ) from error.__cause__
        return compose(target, layer, separate_inputs)

    wrapper.__name__ = wrapper.__qualname__ = name
    wrapper.__module__ = __name__
    wrapper.__doc__ = (
        f"Compose a `{layer_class.__name__}` with `{object_name}`.\n\n"
        f"If `{object_name}` is a `keras.Sequential`, the layer is added to "
        "it. If it is a tensor or an\narray, the layer is called on it. If it "
        "is `None`, the layer is returned. The other\narguments are those of "
        "the layer:\n\n"
        f"{inspect.getdoc(layer_class)}"
    )
    wrapper.__signature__ = signatures.composer_signature(  # type: ignore[attr-defined]
        constructor, object_name, r_names
    )
    return wrapper


def _composer_of_r_function(layer_function: Any) -> Callable[..., Any]:
    """The composer for what R's `Layer()` returns.

    That is a composer already, in R: a function that returns the layer where
    its first argument is missing or NULL.
    """

    def wrapper(object: Any = None, *args: Any, **kwargs: Any) -> Any:
        check_composable(object)
        layer = layer_function(None, *args, **kwargs)
        if not isinstance(layer, keras.layers.Layer):
            raise TypeError(
                "`layer_class` must be a subclass of keras.layers.Layer, or "
                "what R's Layer() returns. Received a function of R that "
                f"returned {layer!r} of type {type(layer).__name__}."
            )
        return compose(object, layer)

    return wrapper


def snake_case(name: str) -> str:
    """The name R gives a class: Conv1DTranspose is conv_1d_transpose."""
    starts_of_words = (
        r"(?<=[A-Za-z])(?=\d)"  # Conv|1D, LSTM|1D
        r"|(?<=[a-z])(?=[A-Z])"  # Max|Pooling
        r"|(?<=[A-Z\d])(?=[A-Z][a-z])"  # 1D|Transpose, RMS|Normalization
    )
    return re.sub(starts_of_words, "_", name).lower()


def check_composable(target: Any) -> None:
    """Refuse what no layer can be composed with."""
    if target is None or isinstance(target, keras.Sequential):
        return
    items = keras.tree.flatten(target)
    if items and all(_is_tensor(item) for item in items):
        return
    raise TypeError(
        "`object` must be a keras.Sequential, a tensor, a NumPy array, a list "
        "or dict of these, or None for the layer itself. Received: "
        f"object={target!r} of type {type(target).__name__}.{advice(target)}"
    )


def compose(
    target: Any, layer: keras.layers.Layer, separate_inputs: bool = False
) -> Any:
    """Add `layer` to a model, call it on tensors, or return it."""
    if target is None:
        return layer
    if isinstance(target, keras.Sequential):
        _add(target, layer)
        return target
    inputs = keras.tree.map_structure(_c_ordered, target)
    if separate_inputs and isinstance(inputs, (list, tuple)):
        return layer(*inputs)
    return layer(inputs)


def _add(model: keras.Sequential, layer: keras.layers.Layer) -> None:
    try:
        model.add(layer)
    except Exception:
        # Keras keeps a layer that does not fit. The caller gets the model
        # back as it was.
        if model.layers and model.layers[-1] is layer:
            model.pop()
        raise


def _is_tensor(item: Any) -> bool:
    return (
        isinstance(item, np.ndarray)
        or keras.utils.is_keras_tensor(item)
        or bool(keras.ops.is_tensor(item))
        or isinstance(item, keras.Variable)
    )


def _c_ordered(item: Any) -> Any:
    """A copy in C order of an array: R's are read-only, in Fortran order."""
    if isinstance(item, np.ndarray):
        return np.array(item, order="C")
    return item


layer_conv_1d_transpose = create_layer_wrapper(layers.Conv1DTranspose)
layer_conv_2d_transpose = create_layer_wrapper(layers.Conv2DTranspose)
layer_conv_3d_transpose = create_layer_wrapper(layers.Conv3DTranspose)
layer_depthwise_conv_1d_transpose = create_layer_wrapper(
    layers.DepthwiseConv1DTranspose
)
layer_depthwise_conv_2d_transpose = create_layer_wrapper(
    layers.DepthwiseConv2DTranspose
)
layer_separable_conv_1d_transpose = create_layer_wrapper(
    layers.SeparableConv1DTranspose
)
layer_separable_conv_2d_transpose = create_layer_wrapper(
    layers.SeparableConv2DTranspose
)
