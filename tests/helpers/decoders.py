"""Codecs and vocoders of the transformers package, rebuilt in Keras.

Every builder takes a configuration with the attributes that it reads: one of
the transformers package, or the defaults of `configuration`. A layer has the
path of its PyTorch module as its name, with "-" in place of ".", so that
weights can be looked up.
"""

import math
from types import SimpleNamespace

import keras
from keras import layers, ops

import keras_convt

# The published configurations: what the transformers package has as defaults.
ENCODEC = dict(
    audio_channels=1,
    num_filters=32,
    hidden_size=128,
    num_residual_layers=1,
    upsampling_ratios=[8, 5, 4, 2],
    kernel_size=7,
    last_kernel_size=7,
    residual_kernel_size=3,
    dilation_growth_rate=2,
    compress=2,
    use_conv_shortcut=True,
    num_lstm_layers=2,
)
MIMI = {
    **ENCODEC,
    "num_filters": 64,
    "hidden_size": 512,
    "upsampling_ratios": [8, 6, 5, 4],
    "last_kernel_size": 3,
    "use_conv_shortcut": False,
    "num_lstm_layers": 0,
    "upsample_groups": 512,
}
DAC = dict(
    encoder_hidden_size=64,
    decoder_hidden_size=1536,
    hidden_size=1024,
    downsampling_ratios=[2, 4, 8, 8],
    upsampling_ratios=[8, 8, 4, 2],
)
# At 24 kHz its strides are odd.
DAC_24 = {
    **DAC,
    "downsampling_ratios": [2, 4, 5, 8],
    "upsampling_ratios": [8, 5, 4, 2],
}
HIFI_GAN = dict(
    model_in_dim=80,
    upsample_initial_channel=512,
    upsample_rates=[4, 4, 4, 4],
    upsample_kernel_sizes=[8, 8, 8, 8],
    resblock_kernel_sizes=[3, 7, 11],
    resblock_dilation_sizes=[[1, 3, 5], [1, 3, 5], [1, 3, 5]],
    leaky_relu_slope=0.1,
)
VITS = {
    **HIFI_GAN,
    "flow_size": 192,
    "upsample_rates": [8, 8, 2, 2],
    "upsample_kernel_sizes": [16, 16, 4, 4],
}


def configuration(defaults, **changed):
    """A configuration with other numbers where they are given."""
    return SimpleNamespace(**{**defaults, **changed})


@keras.saving.register_keras_serializable(package="keras_convt_tests")
class Snake(layers.Layer):
    """`x + sin(alpha x)**2 / alpha`: every step alone."""

    def build(self, input_shape):
        self.alpha = self.add_weight(
            name="alpha", shape=(input_shape[-1],), initializer="ones"
        )

    def call(self, inputs):
        alpha = ops.cast(self.alpha, inputs.dtype)
        return inputs + ops.square(ops.sin(alpha * inputs)) / (alpha + 1e-9)


def _name(*path):
    return "-".join(str(part) for part in path)


def _causal(
    x, filters, size, stride=1, dilation=1, bias=True, groups=1, path=""
):
    """A convolution that is padded on the left."""
    left = (size - 1) * dilation + 1 - stride
    if left:
        x = layers.ZeroPadding1D((left, 0), name=f"{path}-padding")(x)
    return layers.Conv1D(
        filters,
        size,
        stride,
        dilation_rate=dilation,
        use_bias=bias,
        groups=groups,
        name=_name(path, "conv"),
    )(x)


def _centered(x, filters, size, dilation=1, bias=True, path=""):
    """A convolution that is padded on both sides, as PyTorch's."""
    return layers.Conv1D(
        filters,
        size,
        padding="same",
        dilation_rate=dilation,
        use_bias=bias,
        name=path,
    )(x)


def _elu(x):
    return layers.Activation("elu")(x)


def _seanet_block(config, x, dilation, path):
    channels = x.shape[-1]
    y = _causal(
        _elu(x),
        channels // config.compress,
        config.residual_kernel_size,
        dilation=dilation,
        path=_name(path, "block", 1),
    )
    y = _causal(_elu(y), channels, 1, path=_name(path, "block", 3))
    if config.use_conv_shortcut:
        x = _causal(x, channels, 1, path=_name(path, "shortcut"))
    return layers.Add()([x, y])


def _lstm(config, x, path):
    if not config.num_lstm_layers:
        return x
    y = x
    for number in range(config.num_lstm_layers):
        y = layers.LSTM(
            x.shape[-1],
            return_sequences=True,
            name=_name(path, "lstm", number),
        )(y)
    return layers.Add()([x, y])


def seanet_decoder(config):
    """EnCodec's decoder, and Mimi's without its transformer: causal."""
    scaling = 2 ** len(config.upsampling_ratios)
    inputs = keras.Input((None, config.hidden_size), name="codes")
    x = _causal(
        inputs,
        scaling * config.num_filters,
        config.kernel_size,
        path=_name("layers", 0),
    )
    number = 1
    if config.num_lstm_layers:
        x = _lstm(config, x, _name("layers", 1))
        number = 2
    for ratio in config.upsampling_ratios:
        channels = x.shape[-1] // 2
        x = keras_convt.Conv1DTranspose(
            channels,
            2 * ratio,
            ratio,
            "causal",
            name=_name("layers", number + 1, "conv"),
        )(_elu(x))
        number += 2
        for residual in range(config.num_residual_layers):
            x = _seanet_block(
                config,
                x,
                config.dilation_growth_rate**residual,
                _name("layers", number),
            )
            number += 1
    outputs = _causal(
        _elu(x),
        config.audio_channels,
        config.last_kernel_size,
        path=_name("layers", number + 1),
    )
    return keras.Model(inputs, outputs, name="decoder")


def seanet_encoder(config):
    """EnCodec's encoder, and Mimi's without its transformer: causal."""
    inputs = keras.Input((None, config.audio_channels), name="sound")
    x = _causal(
        inputs,
        config.num_filters,
        config.kernel_size,
        path=_name("layers", 0),
    )
    number = 1
    for ratio in reversed(config.upsampling_ratios):
        for residual in range(config.num_residual_layers):
            x = _seanet_block(
                config,
                x,
                config.dilation_growth_rate**residual,
                _name("layers", number),
            )
            number += 1
        x = _causal(
            _elu(x),
            2 * x.shape[-1],
            2 * ratio,
            ratio,
            path=_name("layers", number + 1),
        )
        number += 2
    if config.num_lstm_layers:
        x = _lstm(config, x, _name("layers", number))
        number += 1
    outputs = _causal(
        _elu(x),
        config.hidden_size,
        config.last_kernel_size,
        path=_name("layers", number + 1),
    )
    return keras.Model(inputs, outputs, name="encoder")


def mimi_decoder(config):
    """Mimi's decoder after its transformer: frames are doubled first."""
    inputs = keras.Input((None, config.hidden_size), name="codes")
    x = keras_convt.Conv1DTranspose(
        config.hidden_size,
        4,
        2,
        "causal",
        use_bias=False,
        groups=config.upsample_groups,
        name="upsample-conv",
    )(inputs)
    return keras.Model(inputs, seanet_decoder(config)(x), name="mimi")


def _dac_unit(x, dilation, path):
    channels = x.shape[-1]
    y = Snake(name=_name(path, "snake1"))(x)
    y = _centered(y, channels, 7, dilation, path=_name(path, "conv1"))
    y = Snake(name=_name(path, "snake2"))(y)
    y = _centered(y, channels, 1, path=_name(path, "conv2"))
    return layers.Add()([x, y])


def _dac_units(x, path):
    for number, dilation in enumerate((1, 3, 9), start=1):
        x = _dac_unit(x, dilation, _name(path, f"res_unit{number}"))
    return x


def dac_decoder(config):
    """DAC's decoder: padded on both sides."""
    inputs = keras.Input((None, config.hidden_size), name="codes")
    x = _centered(inputs, config.decoder_hidden_size, 7, path="conv1")
    for number, stride in enumerate(config.upsampling_ratios):
        path = _name("block", number)
        crop = math.ceil(stride / 2)
        x = Snake(name=_name(path, "snake1"))(x)
        x = keras_convt.Conv1DTranspose(
            x.shape[-1] // 2,
            2 * stride,
            stride,
            padding=(crop, crop),
            name=_name(path, "conv_t1"),
        )(x)
        x = _dac_units(x, path)
    x = Snake(name="snake1")(x)
    x = _centered(x, 1, 7, path="conv2")
    return keras.Model(inputs, ops.tanh(x), name="decoder")


def dac_encoder(config):
    """DAC's encoder, with odd strides too."""
    inputs = keras.Input((None, 1), name="sound")
    x = _centered(inputs, config.encoder_hidden_size, 7, path="conv1")
    for number, stride in enumerate(config.downsampling_ratios):
        path = _name("block", number)
        x = _dac_units(x, path)
        x = Snake(name=_name(path, "snake1"))(x)
        x = layers.ZeroPadding1D(math.ceil(stride / 2))(x)
        x = layers.Conv1D(
            2 * x.shape[-1], 2 * stride, stride, name=_name(path, "conv1")
        )(x)
    x = Snake(name="snake1")(x)
    x = _centered(x, config.hidden_size, 3, path="conv2")
    return keras.Model(inputs, x, name="encoder")


def _leaky(x, slope):
    return layers.LeakyReLU(negative_slope=slope)(x)


def _hifi_gan_block(x, size, dilations, slope, path):
    for number, dilation in enumerate(dilations):
        channels = x.shape[-1]
        y = _centered(
            _leaky(x, slope),
            channels,
            size,
            dilation,
            path=_name(path, "convs1", number),
        )
        y = _centered(
            _leaky(y, slope), channels, size, path=_name(path, "convs2", number)
        )
        x = layers.Add()([x, y])
    return x


def _hifi_gan(config, x, last_bias):
    channels = config.upsample_initial_channel
    x = _centered(x, channels, 7, path="conv_pre")
    blocks = list(
        zip(
            config.resblock_kernel_sizes,
            config.resblock_dilation_sizes,
            strict=True,
        )
    )
    for number, (rate, size) in enumerate(
        zip(config.upsample_rates, config.upsample_kernel_sizes, strict=True)
    ):
        channels //= 2
        crop = (size - rate) // 2
        x = keras_convt.Conv1DTranspose(
            channels,
            size,
            rate,
            padding=(crop, crop),
            name=_name("upsampler", number),
        )(_leaky(x, config.leaky_relu_slope))
        x = layers.Average()(
            [
                _hifi_gan_block(
                    x,
                    size,
                    dilations,
                    config.leaky_relu_slope,
                    _name("resblocks", number * len(blocks) + branch),
                )
                for branch, (size, dilations) in enumerate(blocks)
            ]
        )
    x = _centered(_leaky(x, 0.01), 1, 7, bias=last_bias, path="conv_post")
    return ops.tanh(x)


def hifi_gan(config):
    """SpeechT5's HiFi-GAN, without the normalization of its input."""
    inputs = keras.Input((None, config.model_in_dim), name="spectrogram")
    outputs = _hifi_gan(config, inputs, last_bias=True)
    return keras.Model(inputs, outputs, name="vocoder")


def vits_decoder(config):
    """VITS's HiFi-GAN of one speaker."""
    inputs = keras.Input((None, config.flow_size), name="latents")
    outputs = _hifi_gan(config, inputs, last_bias=False)
    return keras.Model(inputs, outputs, name="vocoder")


# Small ones for tests: the same layers with few channels.
SMALL = {
    "encodec": (ENCODEC, dict(num_filters=2, hidden_size=8)),
    "mimi": (MIMI, dict(num_filters=2, hidden_size=8, upsample_groups=8)),
    "dac": (
        DAC,
        dict(encoder_hidden_size=2, decoder_hidden_size=32, hidden_size=6),
    ),
    "dac_24": (
        DAC_24,
        dict(encoder_hidden_size=2, decoder_hidden_size=32, hidden_size=6),
    ),
    "hifi_gan": (
        HIFI_GAN,
        dict(model_in_dim=5, upsample_initial_channel=32),
    ),
    "vits": (VITS, dict(flow_size=5, upsample_initial_channel=32)),
}

# Name to (configuration, builder).
MODELS = {
    "encodec decoder": ("encodec", seanet_decoder),
    "encodec encoder": ("encodec", seanet_encoder),
    "mimi decoder": ("mimi", mimi_decoder),
    "mimi encoder": ("mimi", seanet_encoder),
    "dac decoder": ("dac", dac_decoder),
    "dac encoder": ("dac", dac_encoder),
    "dac_24 decoder": ("dac_24", dac_decoder),
    "dac_24 encoder": ("dac_24", dac_encoder),
    "hifi_gan": ("hifi_gan", hifi_gan),
    "vits": ("vits", vits_decoder),
}


def small(name, **further):
    """A small model of `MODELS`."""
    kind, build = MODELS[name]
    defaults, changed = SMALL[kind]
    return build(configuration(defaults, **{**changed, **further}))
