"""Composing layers in R's style: `object` first, then the layer's arguments."""

import inspect
import re
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from keras_convt import layers
from keras_convt.r import values

# R's pages do not have these between the others, so that R users, who pass
# by position, do not either: in a composer they are keyword-only.
KEYWORD_ONLY_IN_R = ("output_padding",)


def create_layer_wrapper(
    layer_class: type[keras.layers.Layer],
) -> Callable[..., Any]:
    """Turn a layer class into a function that composes layers of it.

    Args:
        layer_class: A subclass of `keras.layers.Layer`.

    Returns:
        A function `wrapper(object, ...)`, with the arguments of
        `layer_class` after `object`. What it does depends on `object`:

        - missing or `None`: it returns the layer.
        - a `keras.Sequential`: it adds the layer and returns the same model.
        - a tensor, a NumPy array, or a list or dict of them: it calls the
          layer on it and returns the result.

        Numbers may come as R sends them: where the layer's default is no
        float, a whole float is taken as an int.

    Raises:
        TypeError: If `layer_class` is no layer class, or, by the function,
            if `object` is none of these. No layer is made then.

    Example:

    >>> import keras
    >>> import keras_convt
    >>> layer_dense = keras_convt.create_layer_wrapper(keras.layers.Dense)
    >>> model = layer_dense(keras.Sequential([keras.Input((3,))]), 2)
    >>> model.output_shape
    (None, 2)
    """
    if not (
        inspect.isclass(layer_class)
        and issubclass(layer_class, keras.layers.Layer)
    ):
        raise TypeError(
            "`layer_class` must be a subclass of keras.layers.Layer. "
            f"Received: layer_class={layer_class!r}."
        )
    return composer(layer_class, f"layer_{snake_case(layer_class.__name__)}")


def composer(
    layer_class: type[keras.layers.Layer], name: str
) -> Callable[..., Any]:
    """`create_layer_wrapper` with a name of the caller's choice."""
    constructor = inspect.signature(layer_class)
    signature = _wrapper_signature(constructor)

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        if not args and "object" not in kwargs:
            args = (None,)
        try:
            bound = signature.bind(*args, **kwargs).arguments
        except TypeError as error:
            raise TypeError(f"{name}(): {error}") from None
        target = bound.pop("object")
        check_composable(target)
        call = values.understood(bound, constructor, layer_class)
        return compose(target, layer_class(*call.args, **call.kwargs))

    wrapper.__name__ = wrapper.__qualname__ = name
    wrapper.__module__ = __name__
    wrapper.__doc__ = (
        f"Compose a `{layer_class.__name__}` with `object`.\n\n"
        "`object` is a `keras.Sequential`, to which the layer is added; a "
        "tensor or array,\non which it is called; or `None`, for the layer "
        "itself. The other arguments are\nthose of the layer:\n\n"
        f"{inspect.getdoc(layer_class)}"
    )
    wrapper.__signature__ = signature  # type: ignore[attr-defined]
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
        f"object={target!r} of type {type(target).__name__}."
    )


def compose(target: Any, layer: keras.layers.Layer) -> Any:
    """Add `layer` to a model, call it on tensors, or return it."""
    if target is None:
        return layer
    if isinstance(target, keras.Sequential):
        _add(target, layer)
        return target
    return layer(keras.tree.map_structure(_owned, target))


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


def _owned(item: Any) -> Any:
    """A copy in C order of an array: R's are read-only, in Fortran order."""
    if isinstance(item, np.ndarray):
        return np.array(item, order="C")
    return item


def _wrapper_signature(constructor: inspect.Signature) -> inspect.Signature:
    """`object`, then the layer's arguments in the order of R's pages."""
    target = inspect.Parameter(
        "object", inspect.Parameter.POSITIONAL_OR_KEYWORD
    )
    parameters = list(constructor.parameters.values())
    if not any(p.kind is p.VAR_POSITIONAL for p in parameters):
        parameters = [
            parameter.replace(kind=parameter.KEYWORD_ONLY)
            if parameter.name in KEYWORD_ONLY_IN_R
            else parameter
            for parameter in parameters
        ]
    # What comes before a positional-only argument is positional-only.
    if parameters and parameters[0].kind is inspect.Parameter.POSITIONAL_ONLY:
        target = target.replace(kind=inspect.Parameter.POSITIONAL_ONLY)
    # sorted() keeps the order within each kind.
    return inspect.Signature(
        sorted([target, *parameters], key=lambda p: p.kind)
    )


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
