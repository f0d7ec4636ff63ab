"""Decoders of images and volumes, rebuilt of the modules of PyTorch.

Every convolution comes of `from_torch`; the modules are given channels first
and the layers computed with channels last.
"""

import keras
from keras import layers, ops

from keras_convt import from_torch, load_torch_model


def dcgan(generator):
    """A generator: a Sequential of ConvTranspose2d, BatchNorm2d and others."""
    made = {
        "ConvTranspose2d": lambda module, name: from_torch(
            module, "channels_last", name=name
        ),
        "BatchNorm2d": lambda module, name: layers.BatchNormalization(
            epsilon=module.eps, name=name
        ),
        "ReLU": lambda module, name: layers.ReLU(),
        "Tanh": lambda module, name: layers.Activation("tanh"),
    }
    model = keras.Sequential(
        [
            keras.Input((1, 1, generator[0].in_channels)),
            *(
                made[type(module).__name__](module, name)
                for name, module in generator.named_children()
            ),
        ]
    )
    load_torch_model(model, generator)
    return model


def sam_upscaler(decoder, steps):
    """The part of SAM's mask decoder that enlarges the image's embedding."""
    first, second, norm = (
        decoder.upscale_conv1,
        decoder.upscale_conv2,
        decoder.upscale_layer_norm,
    )
    inputs = keras.Input((*steps, first.in_channels))
    x = from_torch(first, "channels_last", name="upscale_conv1")(inputs)
    x = layers.LayerNormalization(epsilon=norm.eps, name="upscale_layer_norm")(
        x
    )
    x = ops.gelu(x, approximate=False)
    x = from_torch(second, "channels_last", name="upscale_conv2")(x)
    model = keras.Model(inputs, ops.gelu(x, approximate=False))
    load_torch_model(model, decoder)
    return model


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

    def convert(name):
        return from_torch(
            unet.get_submodule(name.replace("-", ".")),
            "channels_last",
            name=name,
        )

    def block(name, x):
        x = convert(f"{name}-conv")(x)
        norm = layers.GroupNormalization(
            groups=-1,
            epsilon=unet.get_submodule(name).norm.eps,
            name=f"{name}-norm",
        )
        return ops.leaky_relu(norm(x), 0.01)

    inputs = keras.Input((*steps, channels))
    skip = block("first", inputs)
    x = block("down", skip)
    x = convert("up")(x)
    x = block("after", layers.Concatenate()([x, skip]))
    model = keras.Model(inputs, convert("last")(x))
    load_torch_model(model, unet)
    return model
