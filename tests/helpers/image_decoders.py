"""Decoders of images and volumes, rebuilt of the modules of PyTorch.

Every convolution comes of `from_torch`; the modules are given channels first
and the layers computed with channels last.
"""

import keras
from keras import layers, ops

from keras_convt import from_torch


def numbers(*tensors):
    return [tensor.detach().numpy() for tensor in tensors]


def batch_norm(module):
    layer = layers.BatchNormalization(epsilon=module.eps)
    layer.build((None, None, None, module.num_features))
    layer.set_weights(
        numbers(
            module.weight,
            module.bias,
            module.running_mean,
            module.running_var,
        )
    )
    return layer


def instance_norm(module, x):
    layer = layers.GroupNormalization(groups=-1, epsilon=module.eps)
    layer.build(x.shape)
    layer.set_weights(numbers(module.weight, module.bias))
    return layer(x)


def dcgan(generator):
    """A generator: a Sequential of ConvTranspose2d, BatchNorm2d and others."""
    made = {
        "ConvTranspose2d": lambda module: from_torch(module, "channels_last"),
        "BatchNorm2d": batch_norm,
        "ReLU": lambda module: layers.ReLU(),
        "Tanh": lambda module: layers.Activation("tanh"),
    }
    return keras.Sequential(
        [made[type(module).__name__](module) for module in generator]
    )


def sam_upscaler(decoder, steps):
    """The part of SAM's mask decoder that enlarges the image's embedding."""
    channels = decoder.upscale_conv1.in_channels
    inputs = keras.Input((*steps, channels))
    x = from_torch(decoder.upscale_conv1, "channels_last")(inputs)
    norm = layers.LayerNormalization(epsilon=decoder.upscale_layer_norm.eps)
    norm.build(x.shape)
    norm.set_weights(
        numbers(
            decoder.upscale_layer_norm.weight, decoder.upscale_layer_norm.bias
        )
    )
    x = ops.gelu(norm(x), approximate=False)
    x = from_torch(decoder.upscale_conv2, "channels_last")(x)
    return keras.Model(inputs, ops.gelu(x, approximate=False))


def unet_2d(unet, steps, channels):
    """A U-Net whose skips have odd sizes: each size is asked for."""
    convert = lambda module: from_torch(module, "channels_last")  # noqa: E731
    inputs = keras.Input((*steps, channels))
    x, skips = inputs, []
    for down in unet.downs:
        x = ops.relu(convert(down)(x))
        skips.append(x)
        x = layers.MaxPooling2D(2)(x)
    x = ops.relu(convert(unet.middle)(x))
    for up, after in zip(unet.ups, unet.afters, strict=True):
        skip = skips.pop()
        x = convert(up)(x, output_size=skip.shape[1:3])
        x = ops.relu(convert(after)(layers.Concatenate()([skip, x])))
    return keras.Model(inputs, convert(unet.last)(x))


def unet_3d(unet, steps, channels):
    """A U-Net of volumes with instance normalization, as nnU-Net's are."""
    convert = lambda module: from_torch(module, "channels_last")  # noqa: E731

    def block(module, x):
        x = instance_norm(module.norm, convert(module.conv)(x))
        return ops.leaky_relu(x, 0.01)

    inputs = keras.Input((*steps, channels))
    skip = block(unet.first, inputs)
    x = block(unet.down, skip)
    x = convert(unet.up)(x)
    x = block(unet.after, layers.Concatenate()([x, skip]))
    return keras.Model(inputs, convert(unet.last)(x))
