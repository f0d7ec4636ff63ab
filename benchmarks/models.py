"""Whole models with transposed convolutions: what a user's model spends.

Each is built twice, with the built-in layers and with ours, and has the
operations that surround a transposed convolution in the real one: a layer that
is fast alone may hand on what the next one has to copy.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
from keras import layers, ops

Transpose = Callable[..., keras.layers.Layer]


def channel_axis() -> int:
    """Where Keras's configured data format has the channels."""
    last = keras.config.image_data_format() == "channels_last"
    return -1 if last else 1


@dataclass(frozen=True)
class Model:
    """A whole model and the input that it is measured with.

    Attributes:
        name: str.
        input_shape: With the batch, channels last.
        build: From a transposed layer class of that rank, and the input's
            shape without the batch, to the model.
    """

    name: str
    input_shape: tuple[int, ...]
    build: Callable[[Transpose, tuple[int, ...]], keras.Model]

    @property
    def rank(self) -> int:
        return len(self.input_shape) - 2

    def keras_model(self, package: Any) -> keras.Model:
        """The model with the transposed layers of `package`."""
        _, *steps, channels = self.input_shape
        shape = (*steps, channels)
        if channel_axis() == 1:
            shape = (channels, *steps)
        transpose = getattr(package, f"Conv{self.rank}DTranspose")
        return self.build(transpose, shape)


def encodec(up: Transpose, shape: tuple[int, ...]) -> keras.Model:
    """The strides and residual units of EnCodec's decoder, half as wide."""
    x = inputs = keras.Input(shape)
    x = layers.Conv1D(256, 7, padding="same")(x)
    for filters, stride in ((128, 8), (64, 5), (32, 4), (16, 2)):
        x = layers.ELU()(x)
        x = up(filters, 2 * stride, stride, "same")(x)
        y = layers.Conv1D(filters // 2, 3, padding="same")(layers.ELU()(x))
        y = layers.Conv1D(filters, 1)(layers.ELU()(y))
        x = layers.Add()([x, y])
    return keras.Model(inputs, layers.Conv1D(1, 7, padding="same")(x))


def hifi_gan(up: Transpose, shape: tuple[int, ...]) -> keras.Model:
    """HiFi-GAN's generator with two of its three kernels, half as wide."""
    x = inputs = keras.Input(shape)
    x = layers.Conv1D(256, 7, padding="same")(x)
    for filters, kernel, stride in ((128, 16, 8), (64, 16, 8), (32, 4, 2)):
        x = up(filters, kernel, stride, "same")(layers.LeakyReLU(0.1)(x))
        branches = []
        for size in (3, 7):
            y = x
            for rate in (1, 3):
                z = layers.LeakyReLU(0.1)(y)
                z = layers.Conv1D(
                    filters, size, padding="same", dilation_rate=rate
                )(z)
                y = layers.Add()([y, z])
            branches.append(y)
        x = layers.Average()(branches)
    x = layers.Conv1D(1, 7, padding="same", activation="tanh")(x)
    return keras.Model(inputs, x)


def snake(x: Any) -> Any:
    """DAC's activation: `x + sin(x)^2`."""
    return x + ops.square(ops.sin(x))


def dac(up: Transpose, shape: tuple[int, ...]) -> keras.Model:
    """The strides and residual units of DAC's decoder, an eighth as wide."""
    x = inputs = keras.Input(shape)
    x = layers.Conv1D(192, 7, padding="same")(x)
    for filters, stride in ((96, 8), (48, 8), (24, 4), (12, 2)):
        x = up(filters, 2 * stride, stride, "same")(snake(x))
        for rate in (1, 3):
            y = layers.Conv1D(filters, 7, padding="same", dilation_rate=rate)(
                snake(x)
            )
            x = x + layers.Conv1D(filters, 1)(snake(y))
    x = layers.Conv1D(1, 7, padding="same", activation="tanh")(snake(x))
    return keras.Model(inputs, x)


def dcgan(up: Transpose, shape: tuple[int, ...]) -> keras.Model:
    """A DCGAN's generator, without its normalization."""
    x = inputs = keras.Input(shape)
    x = up(256, 4, 1, "valid", activation="relu")(x)
    for filters in (128, 64):
        x = up(filters, 4, 2, "same", activation="relu")(x)
    return keras.Model(inputs, up(3, 4, 2, "same", activation="tanh")(x))


def sam(up: Transpose, shape: tuple[int, ...]) -> keras.Model:
    """SAM's upscaler of masks."""
    x = inputs = keras.Input(shape)
    x = layers.LayerNormalization(channel_axis())(up(64, 2, 2)(x))
    x = layers.Activation("gelu")(x)
    return keras.Model(inputs, up(32, 2, 2, activation="gelu")(x))


def u_net(up: Transpose, shape: tuple[int, ...]) -> keras.Model:
    """A U-Net of two levels, of any rank."""
    rank = len(shape) - 1
    convolution = getattr(layers, f"Conv{rank}D")
    pooling = getattr(layers, f"MaxPooling{rank}D")

    def unit(x: Any, filters: int) -> Any:
        return convolution(filters, 3, padding="same", activation="relu")(x)

    x = inputs = keras.Input(shape)
    skips = []
    for filters in (16, 32):
        x = unit(x, filters)
        skips.append(x)
        x = pooling(2)(x)
    x = unit(x, 64)
    for filters, skip in zip((32, 16), reversed(skips), strict=True):
        both = [up(filters, 2, 2)(x), skip]
        x = layers.Concatenate(channel_axis())(both)
        x = unit(x, filters)
    return keras.Model(inputs, convolution(1, 1)(x))


def image_head(up: Transpose, shape: tuple[int, ...]) -> keras.Model:
    """The last layers of an image decoder: few filters at stride 1."""
    x = inputs = keras.Input(shape)
    x = layers.Conv2D(64, 3, padding="same", activation="relu")(x)
    x = up(32, 3, 2, "same", activation="relu")(x)
    return keras.Model(inputs, up(3, 7, 1, "same", activation="tanh")(x))


MODELS: Sequence[Model] = (
    Model("EnCodec's decoder", (1, 50, 128), encodec),
    Model("HiFi-GAN's generator", (1, 32, 80), hifi_gan),
    Model("DAC's decoder", (1, 32, 64), dac),
    Model("DCGAN's generator", (16, 1, 1, 100), dcgan),
    Model("SAM's upscaler", (1, 32, 32, 256), sam),
    Model("U-Net of images", (2, 64, 64, 3), u_net),
    Model("U-Net of volumes", (1, 24, 24, 24, 1), u_net),
    Model("image decoder's head", (2, 32, 32, 64), image_head),
)
