"""Every layer of Keras as a composer, under the name it has in R.

`keras_convt.layer_dense` and the others are made when they are first asked
for, from the layers of the Keras that is installed.
"""

import functools
import inspect
from collections.abc import Callable
from typing import Any

import keras

from keras_convt.ops.backend import backend
from keras_convt.r.compose import composer, snake_case
from keras_convt.r.signatures import suggestion

# Where R's name is not `layer_` and the class's name in snake case.
R_NAMES = {
    "ELU": "layer_activation_elu",
    "LeakyReLU": "layer_activation_leaky_relu",
    "PReLU": "layer_activation_parametric_relu",
    "ReLU": "layer_activation_relu",
    "Softmax": "layer_activation_softmax",
    "UpSampling1D": "layer_upsampling_1d",
    "UpSampling2D": "layer_upsampling_2d",
    "UpSampling3D": "layer_upsampling_3d",
    "FlaxLayer": "layer_flax_module_wrapper",
    "JaxLayer": "layer_jax_model_wrapper",
    "TFSMLayer": "layer_tfsm",
    "GRUCell": "rnn_cell_gru",
    "LSTMCell": "rnn_cell_lstm",
    "SimpleRNNCell": "rnn_cell_simple",
    "StackedRNNCells": "rnn_cells_stack",
}

# R calls these on tensors that it passes one by one as well.
MERGING = (
    "Add",
    "Average",
    "Concatenate",
    "Dot",
    "Maximum",
    "Minimum",
    "Multiply",
    "Subtract",
)

# R calls these on the tensors of a list, each as an argument of the call.
ATTENTION = ("GroupedQueryAttention", "MultiHeadAttention")

# Where R's page has another name for an argument: `function` is a word of R.
R_ARGUMENTS = {"Lambda": {"function": "f"}}

# Classes that Keras has everywhere and that work only on some backends.
BACKENDS = {
    "FlaxLayer": ("jax", "tensorflow"),
    "JaxLayer": ("jax", "tensorflow"),
    "TFSMLayer": ("tensorflow",),
    "TorchModuleWrapper": ("torch",),
}


@functools.cache
def layer_classes() -> dict[str, type[keras.layers.Layer]]:
    """The layers of the Keras that is installed, by R's names."""
    classes = {"layer_feature_space": keras.utils.FeatureSpace}
    for attribute in dir(keras.layers):
        layer_class = getattr(keras.layers, attribute)
        if (
            inspect.isclass(layer_class)
            and issubclass(layer_class, keras.layers.Layer)
            and layer_class is not keras.layers.Layer
            and not _is_alias(attribute, layer_class)
        ):
            classes[r_name(attribute)] = layer_class
    return classes


def r_name(class_name: str) -> str:
    """The name in R of the composer of a class of Keras."""
    return R_NAMES.get(class_name, f"layer_{snake_case(class_name)}")


def names() -> list[str]:
    """The names that `get` has a composer for, on this backend."""
    return [
        name
        for name, layer_class in layer_classes().items()
        if _works_here(layer_class)
    ]


@functools.cache
def get(name: str) -> Callable[..., Any]:
    """The composer with that name.

    Raises:
        AttributeError: If this Keras or this backend has no such layer.
    """
    if name == "Layer":
        raise AttributeError(
            "keras_convt has no Layer: derive a class from "
            "keras.layers.Layer, and compose it with "
            "keras_convt.create_layer_wrapper."
        )
    layer_class = layer_classes().get(name)
    if layer_class is None:
        raise AttributeError(
            f"module 'keras_convt' has no {name!r}: Keras "
            f"{keras.__version__}, which is installed, has no layer that R "
            f"calls so.{suggestion(name, names())}"
        )
    if not _works_here(layer_class):
        raise AttributeError(
            f"module 'keras_convt' has no {name!r} here: "
            f"keras.layers.{layer_class.__name__} needs the backend "
            f"{' or '.join(BACKENDS[layer_class.__name__])}. Active is "
            f"{backend.name}."
        )
    return composer_of(name, layer_class)


def composer_of(
    name: str, layer_class: type[keras.layers.Layer]
) -> Callable[..., Any]:
    """A composer with the arguments of R's page."""
    class_name = layer_class.__name__
    compose_one = composer(
        layer_class,
        name,
        "inputs" if class_name in (*MERGING, *ATTENTION) else "object",
        R_ARGUMENTS.get(class_name),
        separate_inputs=class_name in ATTENTION,
    )
    if class_name in MERGING:
        compose_one = _taking_tensors_one_by_one(compose_one)
    elif name.startswith("rnn_cell"):
        compose_one = _without_object(compose_one)
    # Where it is found, for pickle and for help().
    compose_one.__module__ = "keras_convt"
    return compose_one


def is_r_name(name: str) -> bool:
    """Whether R could call a layer so."""
    return name == "Layer" or name.startswith(("layer_", "rnn_cell"))


def _is_alias(attribute: str, layer_class: type) -> bool:
    # MaxPool1D is MaxPooling1D. GroupQueryAttention has no other name in
    # keras.layers than this, which is not its own.
    return attribute != layer_class.__name__ and hasattr(
        keras.layers, layer_class.__name__
    )


def _works_here(layer_class: type) -> bool:
    return backend.name in BACKENDS.get(layer_class.__name__, (backend.name,))


def _taking_tensors_one_by_one(
    compose_list: Callable[..., Any],
) -> Callable[..., Any]:
    """A composer whose positional arguments are all tensors, as in R."""

    @functools.wraps(compose_list)
    def wrapper(*tensors: Any, **kwargs: Any) -> Any:
        if len(tensors) < 2:
            return compose_list(*tensors, **kwargs)
        first, *others = tensors
        listed = list(first) if isinstance(first, (list, tuple)) else [first]
        return compose_list([*listed, *others], **kwargs)

    target, *arguments = inspect.signature(compose_list).parameters.values()
    others = inspect.Parameter("tensors", inspect.Parameter.VAR_POSITIONAL)
    named = [
        argument.replace(kind=argument.KEYWORD_ONLY)
        if argument.kind is argument.POSITIONAL_OR_KEYWORD
        else argument
        for argument in arguments
    ]
    return _with_signature(wrapper, [target, others, *named])


def _without_object(compose_one: Callable[..., Any]) -> Callable[..., Any]:
    """A maker of cells, which are given to a layer and not composed."""

    @functools.wraps(compose_one)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return compose_one(None, *args, **kwargs)

    _, *arguments = inspect.signature(compose_one).parameters.values()
    return _with_signature(wrapper, arguments)


def _with_signature(
    function: Callable[..., Any], parameters: list[inspect.Parameter]
) -> Callable[..., Any]:
    function.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return function
