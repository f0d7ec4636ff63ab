"""Uses that a type checker must accept. scripts/check_types.py asks them."""

from typing import Any

import keras
import numpy as np

import keras_convt
from keras_convt import (
    Conv1DTranspose,
    Conv2DTranspose,
    Conv3DTranspose,
    create_layer_wrapper,
    layer_conv_1d_transpose,
    layer_dense,
    rnn_cell_gru,
)

x = np.zeros((2, 10, 3), "float32")

# The layers, with every kind of value that an argument takes.
layer: Conv1DTranspose = Conv1DTranspose(4, 3, 2, "same")
Conv1DTranspose(4, [3], (2,), "causal", None, "channels_last", 1, "relu")
Conv1DTranspose(4, 3, 2, padding=(1, 2), groups=2, name="up", dtype="float16")
Conv1DTranspose(4, 3, 2, padding=1, output_padding=1)
Conv1DTranspose(4, 3, activation=keras.activations.relu, trainable=False)
Conv1DTranspose(
    4,
    3,
    kernel_initializer=keras_convt.initializers.ICNR("glorot_uniform", 2),
    kernel_regularizer=keras.regularizers.L2(0.1),
    bias_constraint=None,
)
Conv2DTranspose(4, (3, 5), 2, padding=((1, 2), (0, 1)))
Conv3DTranspose(4, 3, (1, 2, 2), "valid", "channels_first")
keras_convt.DepthwiseConv1DTranspose(3, 2, depth_multiplier=2)
keras_convt.DepthwiseConv2DTranspose(3, name=None, autocast=False)


class Louder(Conv1DTranspose):
    """A subclass that takes what the layer takes, and more."""

    def __init__(self, *args: Any, gain: float = 2.0, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.gain = gain


Louder(4, 3, gain=1.0)
keras_convt.SeparableConv2DTranspose(8, 3, 2, "same", data_format=None)

# Calls, and what streams.
y: Any = layer(x, output_size=20)
state = layer.initial_state(batch_size=1)
chunk, state = layer.step(x, state)

# Composers: what they return depends on `object`.
made: Conv1DTranspose = layer_conv_1d_transpose(None, 4, 3, 2)
named: Conv1DTranspose = layer_conv_1d_transpose(filters=4, kernel_size=3)
model: keras.Sequential = layer_conv_1d_transpose(
    keras.Sequential(), 4, 3, 2, "same", "channels_last", 1, "relu"
)
composed: Any = layer_conv_1d_transpose(x, 4, 3, output_padding=0, name="up")
volume: Conv3DTranspose = keras_convt.layer_conv_3d_transpose(None, 4, 3)

# R's names of the layers of Keras.
layer_dense(x, 2, activation="relu")
layer_dense(units=2)
keras_convt.layer_add(x, x)
keras_convt.layer_add(inputs=[x, x])
keras_convt.layer_lambda(x, f=np.abs)
keras_convt.layer_rnn(x, rnn_cell_gru(2))
create_layer_wrapper(keras.layers.Dense)(None, 3)

# The rest of the public names.
print(keras_convt.explain(layer, steps=6), keras_convt.__version__)
back = keras_convt.adjoint(keras.layers.Conv1D(4, 3))
keras_convt.plot_connectivity(layer)
keras_convt.upgrade_model(model)
