"""Models with the built-in transposed layers, and with ours: either way."""

import inspect
import warnings
from typing import Any

import keras
from keras import layers, ops

from keras_convt.convert.copying import ModelCopier
from keras_convt.convert.nested import inside
from keras_convt.layers import (
    Conv1DTranspose,
    Conv2DTranspose,
    Conv3DTranspose,
)

OURS = {
    layers.Conv1DTranspose: Conv1DTranspose,
    layers.Conv2DTranspose: Conv2DTranspose,
    layers.Conv3DTranspose: Conv3DTranspose,
}
BUILT_IN = {ours: built_in for built_in, ours in OURS.items()}


def upgrade_model(
    model: keras.Model, custom_objects: dict[str, Any] | None = None
) -> keras.Model:
    """A copy of a model, with our layers in place of the built-in ones.

    Each `Conv1DTranspose`, `Conv2DTranspose` and `Conv3DTranspose` of
    `keras.layers` becomes ours, with its weights, name, dtype policy and
    `trainable`. All other layers are copied with their whole state: weights,
    statistics, vocabularies, the states of random seeds, and which of their
    weights are trained.

    The outputs are the same, with two exceptions. On PyTorch before Keras
    3.15, some outputs of the built-in layers are wrong, and ours are right. A
    built-in layer drops a mask, and ours uses it and passes it on. A warning
    names each layer that a mask reaches.

    The model itself is not changed. The copy is not compiled.

    Args:
        model: A `keras.Sequential`, or a functional `keras.Model`. Models and
            wrappers in it are copied too, and shared layers stay shared. If
            your own model class has a constructor with other arguments than
            `keras.Model`, the copy is a plain `keras.Model`.
        custom_objects: Classes and functions by name, as in
            `keras.models.load_model`. Pass those that a layer's config
            mentions and that are not registered. Those that the layers have
            in their attributes are found without it.

    Returns:
        The copy.

    Raises:
        ValueError: If the model is subclassed, or a built-in transposed layer
            is hidden in a custom layer. Only the author of such code can
            replace the layer in it.

    Example:

    >>> import keras
    >>> import keras_convt
    >>> model = keras.Sequential(
    ...     [
    ...         keras.Input((10, 128)),
    ...         keras.layers.Conv1DTranspose(32, 3, strides=2, name="up"),
    ...     ]
    ... )
    >>> upgraded = keras_convt.upgrade_model(model)
    >>> isinstance(upgraded.get_layer("up"), keras_convt.Conv1DTranspose)
    True
    """
    copier = ModelCopier(
        "upgrade_model",
        OURS,
        lambda layer: layer.get_config(),
        lambda layer, *args, **kwargs: layer(*args, **kwargs),
        _carry_weights,
        custom_objects,
    )
    copy = copier(model)
    masked = [layer.name for layer in copier.replaced() if _is_masked(layer)]
    if masked:
        warnings.warn(
            f"A mask reaches {', '.join(map(repr, masked))}. The built-in "
            "transposed layers drop it. Those of keras_convt take masked steps "
            "for zeros and pass the mask on, so that the outputs of the copy "
            "may differ.",
            stacklevel=2,
        )
    return copy


def downgrade_model(
    model: keras.Model, custom_objects: dict[str, Any] | None = None
) -> keras.Model:
    """A copy of a model, with the built-in layers in place of ours.

    This is the reverse of `upgrade_model`, and the copy needs only Keras. What
    LoRA has learned is merged into the kernel. Initializers of this package
    become Keras's default ones. The built-in layers drop masks, so the outputs
    differ where a mask reaches one of our layers.

    Args:
        model: As in `upgrade_model`.
        custom_objects: As in `upgrade_model`.

    Returns:
        The copy.

    Raises:
        ValueError: If one of our layers does something that the built-in ones
            cannot do. The message names the layer and the argument.

    Example:

    >>> import keras
    >>> import keras_convt
    >>> model = keras.Sequential(
    ...     [keras.Input((10, 128)), keras_convt.Conv1DTranspose(32, 3, 2)]
    ... )
    >>> downgraded = keras_convt.downgrade_model(model)
    >>> type(downgraded.layers[0]) is keras.layers.Conv1DTranspose
    True
    """
    copier = ModelCopier(
        "downgrade_model",
        BUILT_IN,
        _built_in_config,
        _call_built_in,
        _carry_weights,
        custom_objects,
    )
    copy = copier(model)
    for _, new in copier.made.values():
        found = [new]
        if isinstance(new, keras.layers.Layer):
            found.extend(inside(new))
        for part in found:
            _refuse_ours(part)
            _forget_initializers(part)
    return copy


def _carry_weights(old: Any, new: Any) -> None:
    """Give a layer of the one kind the weights of a layer of the other."""
    if not old.built:
        return
    # What it computes with: with LoRA, not what it stores.
    weights = [old.kernel] if old.bias is None else [old.kernel, old.bias]
    new.set_weights([ops.convert_to_numpy(value) for value in weights])


def _built_in_config(layer: Any) -> dict[str, Any]:
    """The config of the built-in layer that does what ours does."""
    config = layer.get_config()
    if layer.quantization_mode is not None:
        raise ValueError(
            "`dtype` must not be quantized. Received: "
            f"dtype={layer.dtype_policy.name!r}."
        )
    if layer.padding not in ("valid", "same"):
        raise ValueError(
            '`padding` must be "valid" or "same". '
            f"Received: padding={layer.padding!r}."
        )
    if layer.groups != 1:
        raise ValueError(
            f"`groups` must be 1. Received: groups={layer.groups}."
        )
    known = inspect.signature(BUILT_IN[type(layer)]).parameters
    if "output_padding" not in known and layer.output_padding is not None:
        raise ValueError(
            "`output_padding` must be None with this version of Keras. "
            f"Received: output_padding={layer.output_padding}."
        )
    own = ("name", "trainable", "dtype")
    return {
        name: value
        for name, value in config.items()
        if name in known or name in own
    }


def _refuse_ours(part: Any) -> None:
    """Refuse what is in a copy, and needs this package."""
    if _is_ours(part):
        raise ValueError(
            f"`downgrade_model` cannot replace the operation or layer "
            f"{part.name!r}: Keras has nothing that does what "
            f"{type(part).__name__} of keras_convt does."
        )


def _forget_initializers(part: Any) -> None:
    """Put Keras's default initializers in the place of ours, in any layer.

    The weights are there; what they began as does not matter.
    """
    known = inspect.signature(type(part).__init__).parameters
    for attribute, value in list(vars(part).items()):
        if not (
            _is_ours(value)
            and isinstance(value, keras.initializers.Initializer)
        ):
            continue
        parameter = known.get(attribute.lstrip("_"))
        default = None if parameter is None else parameter.default
        if not isinstance(default, str):
            default = "glorot_uniform"
        setattr(part, attribute, keras.initializers.get(default))


def _call_built_in(layer: Any, *args: Any, **kwargs: Any) -> Any:
    """Call a layer, without what only ours take where it is a built-in one."""
    if type(layer) in OURS:
        if kwargs.pop("output_size", None) is not None or len(args) > 2:
            raise ValueError(
                "`downgrade_model` cannot replace the layer "
                f"{layer.name!r}, which is called with an `output_size`."
            )
        kwargs.pop("mask", None)
        args = args[:1]
    return layer(*args, **kwargs)


def _is_ours(value: Any) -> bool:
    return type(value).__module__.partition(".")[0] == "keras_convt"


def _is_masked(layer: Any) -> bool:
    """Whether a mask reaches a layer anywhere in its graphs."""
    return any(
        getattr(tensor, "_keras_mask", None) is not None
        for node in layer._inbound_nodes
        for tensor in node.input_tensors
    )
