"""Transposed convolution for Keras 3, the same on every backend."""

from typing import Any

# First: Keras starts with a backend that is installed, and is Keras 3.
from keras_convt import _backend, keras2  # noqa: F401  # isort: skip
from keras_convt import initializers, ops
from keras_convt._version import __version__
from keras_convt.adjoint import adjoint
from keras_convt.convert.equinox import from_equinox
from keras_convt.convert.flax import from_flax
from keras_convt.convert.fold import fold_weight_normalization
from keras_convt.convert.torch import (
    fold_weight_norm,
    from_torch,
    load_torch_weights,
)
from keras_convt.convert.torch_model import load_torch_model
from keras_convt.convert.upgrade import downgrade_model, upgrade_model
from keras_convt.explain import explain
from keras_convt.layers import (
    Conv1DTranspose,
    Conv2DTranspose,
    Conv3DTranspose,
    DepthwiseConv1DTranspose,
    DepthwiseConv2DTranspose,
    SeparableConv1DTranspose,
    SeparableConv2DTranspose,
)
from keras_convt.plots import plot_connectivity
from keras_convt.r import names as _r_names
from keras_convt.r.compose import (
    create_layer_wrapper,
    layer_conv_1d_transpose,
    layer_conv_2d_transpose,
    layer_conv_3d_transpose,
    layer_depthwise_conv_1d_transpose,
    layer_depthwise_conv_2d_transpose,
    layer_separable_conv_1d_transpose,
    layer_separable_conv_2d_transpose,
)
from keras_convt.r.signatures import suggestion as _suggestion
from keras_convt.streaming import StreamingModel
from keras_convt.tuning import tune
from keras_convt.weight_normalization import WeightNormalization

__all__ = [
    "Conv1DTranspose",
    "Conv2DTranspose",
    "Conv3DTranspose",
    "DepthwiseConv1DTranspose",
    "DepthwiseConv2DTranspose",
    "SeparableConv1DTranspose",
    "SeparableConv2DTranspose",
    "StreamingModel",
    "WeightNormalization",
    "__version__",
    "adjoint",
    "create_layer_wrapper",
    "downgrade_model",
    "explain",
    "fold_weight_norm",
    "fold_weight_normalization",
    "from_equinox",
    "from_flax",
    "from_torch",
    "initializers",
    "layer_conv_1d_transpose",
    "layer_conv_2d_transpose",
    "layer_conv_3d_transpose",
    "layer_depthwise_conv_1d_transpose",
    "layer_depthwise_conv_2d_transpose",
    "layer_separable_conv_1d_transpose",
    "layer_separable_conv_2d_transpose",
    "load_torch_model",
    "load_torch_weights",
    "ops",
    "plot_connectivity",
    "tune",
    "upgrade_model",
]


def __getattr__(name: str) -> Any:
    """A composer of a layer of Keras: `layer_dense` and its like."""
    if not _r_names.is_r_name(name):
        raise AttributeError(
            f"module {__name__!r} has no attribute {name!r}."
            f"{_suggestion(name, __all__)}"
        )
    return _r_names.get(name)


def __dir__() -> list[str]:
    # R lists and completes the names that it finds here.
    return sorted({*__all__, *_r_names.names()})
