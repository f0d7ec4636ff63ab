"""The weights of a module of PyTorch for a whole model, by layers' names."""

from collections.abc import Iterator, Mapping
from typing import Any

import keras
import numpy as np
from keras import layers

from keras_convt.convert import layouts
from keras_convt.convert.nested import is_graph
from keras_convt.convert.torch import load_torch_weights, torch_weight
from keras_convt.convert.weights import as_array
from keras_convt.weight_normalization import WeightNormalization

NORMS = (
    layers.BatchNormalization,
    layers.GroupNormalization,
    layers.LayerNormalization,
)


def load_torch_model(
    model: Any, module: Any, names: Mapping[str, str] | None = None
) -> None:
    """Load the weights of a PyTorch module into a model of the same layers.

    Each layer with weights takes those of the submodule that has its name,
    with "-" in the place of each ".": a layer named `"decoder-up"` those of
    `module.decoder.up`. Layers that take them:

    - transposed convolutions of `keras_convt` and Keras and plain ones, of
      modules with weight normalization too, which is folded;
    - `Dense` and `Embedding`;
    - `BatchNormalization`, `GroupNormalization` and `LayerNormalization`,
      whose `epsilon` must be that of the module;
    - `LSTM`, and `GRU` with `reset_after=True`: `"lstm-1"` is the layer of
      number 1 of the module `lstm`;
    - layers of your own, where the module has an attribute with the name of
      each weight, of the same numbers apart from axes of size 1.

    Args:
        model: A built Sequential or functional model. Models in it are loaded
            from the same `module`.
        module: A `torch.nn.Module`.
        names: The submodules of layers that have other names: a dict of
            names of layers, and paths with ".".

    Raises:
        TypeError: If `model` is no such model, or has a layer of Keras that
            is not in the list.
        ValueError: If `module` has no such submodule, or what it has does not
            fit. The message names the layer.

    Example:

    ```python
    keras_convt.load_torch_model(model, module, {"up": "blocks.0.up"})
    ```
    """
    if not is_graph(model):
        raise TypeError(
            "`model` must be a Sequential or functional model. Received: "
            f"model of type {type(model).__name__}."
        )
    names = dict(names or {})
    found = [(layer, _path(layer, names)) for layer in _with_weights(model)]
    unknown = set(names) - {layer.name for layer, _ in found}
    if unknown:
        raise ValueError(
            "`names` must have names of layers with weights. Received: "
            f"{sorted(unknown)}."
        )
    # All of them are looked up before the first is changed.
    parts = [_part(layer, module, path) for layer, path in found]
    # What fits by name may still have another shape.
    before = model.get_weights()
    try:
        for (layer, path), part in zip(found, parts, strict=True):
            try:
                _load(layer, *part)
            except (AttributeError, ValueError) as error:
                raise ValueError(
                    f"`module` must have what layer {layer.name!r} needs in "
                    f"{path!r}. {error}"
                ) from error
    except (TypeError, ValueError):
        model.set_weights(before)
        raise


def _with_weights(model: Any) -> Iterator[Any]:
    for layer in model.layers:
        if is_graph(layer):
            yield from _with_weights(layer)
        elif layer.weights:
            yield layer


def _path(layer: Any, names: Mapping[str, str]) -> str:
    return names.get(layer.name, layer.name.replace("-", "."))


def _part(layer: Any, module: Any, path: str) -> tuple[Any, int]:
    """The submodule of a layer, and its number in it if it is recurrent."""
    number = 0
    if isinstance(layer, layers.LSTM | layers.GRU):
        head, _, tail = path.rpartition(".")
        if tail.isdigit() and hasattr(
            _submodule(module, head), f"weight_ih_l{tail}"
        ):
            path, number = head, int(tail)
    part = _submodule(module, path)
    if part is None:
        raise ValueError(
            f"`module` must have a submodule for each layer with weights. "
            f"Received: layer {layer.name!r}, and no submodule {path!r}. Name "
            "the layer as the submodule, or give it in `names`."
        )
    return part, number


def _submodule(module: Any, path: str) -> Any:
    """The submodule, or None. Those in a list have numbers as names."""
    for name in path.split(".") if path else ():
        module = getattr(module, name, None)
    return module


def _load(layer: Any, part: Any, number: int) -> None:
    if isinstance(layer, layouts.KNOWN):
        load_torch_weights(layer, torch_weight(part), part.bias)
    elif isinstance(layer, layers.Dense):
        bias = [] if part.bias is None else [as_array(part.bias)]
        _assign(layer, [torch_weight(part).T, *bias])
    elif isinstance(layer, layers.Embedding):
        _assign(layer, [as_array(part.weight)])
    elif isinstance(layer, NORMS):
        _load_norm(layer, part)
    elif isinstance(layer, layers.LSTM | layers.GRU):
        _load_recurrent(layer, part, number)
    elif type(layer).__module__.startswith("keras.") or isinstance(
        layer, WeightNormalization
    ):
        raise TypeError(
            f"`model` must not have a {type(layer).__name__} with weights: "
            f"load those of layer {layer.name!r} yourself. `from_torch` keeps "
            "weight normalization."
        )
    else:
        values = []
        for weight in layer.weights:
            value = as_array(getattr(part, weight.name))
            if _without_ones(value.shape) != _without_ones(weight.shape):
                raise ValueError(
                    f"Its {weight.name!r} must have the shape "
                    f"{tuple(weight.shape)}. Received: {value.shape}."
                )
            values.append(value.reshape(weight.shape))
        _assign(layer, values)


def _load_norm(layer: Any, part: Any) -> None:
    if not np.isclose(layer.epsilon, part.eps, rtol=1e-6, atol=0):
        raise ValueError(
            f"Its eps must be the layer's epsilon. Received: eps={part.eps}, "
            f"epsilon={layer.epsilon}."
        )
    values = [part.weight, part.bias]
    if isinstance(layer, layers.BatchNormalization):
        values += [part.running_mean, part.running_var]
    _assign(layer, [as_array(value) for value in values if value is not None])


def _load_recurrent(layer: Any, part: Any, number: int) -> None:
    kernel, recurrent = (
        as_array(getattr(part, f"weight_{kind}_l{number}")).T
        for kind in ("ih", "hh")
    )
    biases = [
        as_array(getattr(part, f"bias_{kind}_l{number}"))
        for kind in ("ih", "hh")
        if part.bias
    ]
    bias: list[Any] = []
    if isinstance(layer, layers.GRU):
        if not layer.reset_after:
            raise ValueError("PyTorch's GRU has reset_after=True.")
        # Keras's gates are z, r and h; PyTorch's r, z and n.
        kernel, recurrent, *biases = (
            np.concatenate([np.split(a, 3, axis=-1)[n] for n in (1, 0, 2)], -1)
            for a in (kernel, recurrent, *biases)
        )
        bias = [np.stack(biases)] if biases else []
    elif biases:
        bias = [biases[0] + biases[1]]
    _assign(layer, [kernel, recurrent, *bias])


def _without_ones(shape: Any) -> tuple[int, ...]:
    return tuple(size for size in shape if size != 1)


def _assign(layer: keras.layers.Layer, values: list[Any]) -> None:
    expected = [tuple(weight.shape) for weight in layer.weights]
    received = [value.shape for value in values]
    if expected != received:
        raise ValueError(
            f"The weights must have the shapes {expected}. "
            f"Received: {received}."
        )
    for weight, value in zip(layer.weights, values, strict=True):
        weight.assign(value)
