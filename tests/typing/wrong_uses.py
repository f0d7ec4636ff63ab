"""Uses that a type checker must refuse, in every line that says so.

scripts/check_types.py asks them: an error in each of these lines, and in no
other.
"""

import numpy as np

import keras_convt
from keras_convt import Conv1DTranspose, layer_conv_1d_transpose

x = np.zeros((2, 10, 3), "float32")

# Names that do not exist.
keras_convt.Conv1DTranspos(4, 3)  # wrong
keras_convt.layer_dens(x, 2)  # wrong
keras_convt.layer_conv1d_transpose(x, 4, 3)  # wrong
keras_convt.geometri  # wrong  # noqa: B018

# Arguments that are missing.
Conv1DTranspose(4)  # wrong
layer_conv_1d_transpose(None, 4)  # wrong
layer_conv_1d_transpose(filters=4)  # wrong
keras_convt.StreamingModel()  # wrong
keras_convt.explain()  # wrong

# Arguments that do not exist.
Conv1DTranspose(4, 3, stride=2)  # wrong
keras_convt.Conv2DTranspose(4, 3, kernel_init="zeros")  # wrong
keras_convt.Conv3DTranspose(4, 3, depth_multiplier=2)  # wrong
keras_convt.DepthwiseConv1DTranspose(3, filters=2)  # wrong
keras_convt.SeparableConv2DTranspose(4, 3, lora_rank=2)  # wrong
layer_conv_1d_transpose(None, 4, 3, stride=2)  # wrong
layer_conv_1d_transpose(x, 4, 3, activ="relu")  # wrong
keras_convt.initializers.ICNR(stride=2)  # wrong
keras_convt.explain(Conv1DTranspose(4, 3), step=6)  # wrong

# Values of the wrong type.
Conv1DTranspose("four", 3)  # wrong
Conv1DTranspose(4, "three")  # wrong
Conv1DTranspose(4, 3, padding="smae")  # wrong
Conv1DTranspose(4, 3, padding=None)  # wrong
Conv1DTranspose(4, 3, data_format="last")  # wrong
Conv1DTranspose(4, 3, use_bias="yes")  # wrong
Conv1DTranspose(4, 3, groups="2")  # wrong
Conv1DTranspose(4, 3, lora_rank="2")  # wrong
Conv1DTranspose(4, 3, name=5)  # wrong
Conv1DTranspose(4, 3, trainable="no")  # wrong
layer_conv_1d_transpose(None, "four", 3)  # wrong
layer_conv_1d_transpose(None, 4, 3, 2, "smae")  # wrong
layer_conv_1d_transpose(None, 4, 3, name=5)  # wrong
keras_convt.explain(Conv1DTranspose(4, 3), steps="six")  # wrong
keras_convt.create_layer_wrapper("Dense")  # wrong

# By position, `data_format` follows `padding` in a composer.
layer_conv_1d_transpose(None, 4, 3, 2, "same", 1)  # wrong
Conv1DTranspose(4, 3, 2, "same", "channels_last")  # wrong

# What comes back.
number: int = keras_convt.explain(Conv1DTranspose(4, 3))  # wrong
