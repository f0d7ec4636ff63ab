"""Whole decoders of public models, rebuilt, within 1e-5 of their peak.

Small versions with random weights: the kernels, strides, crops, groups,
normalizations and the way through the graph are those of the models.
"""

import itertools

import decoders
import image_decoders
import numpy as np
import pytest
import torch
import transformers
from decoders import Snake, configuration
from gradients import compiled_if_quicker
from streams import inference, streamed
from torch import nn
from transformers.models.dac import modeling_dac
from transformers.models.encodec import modeling_encodec
from transformers.models.fastspeech2_conformer import (
    modeling_fastspeech2_conformer as fastspeech2,
)
from transformers.models.mimi import modeling_mimi
from transformers.models.sam import modeling_sam

from keras_convt import StreamingModel, load_torch_model, load_torch_weights

PEAK = 1e-5
STREAMED = 2e-5


def randomized(model, scale=1.0):
    """The model, with weights of a size that keeps that of a signal."""
    torch.manual_seed(1234)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("alpha"):
                parameter.uniform_(0.5, 2.0)
            else:
                parameter.normal_(std=scale * parameter[0].numel() ** -0.5)
        for name, value in model.named_buffers():
            if name.endswith("running_var"):
                value.uniform_(0.5, 2.0)
    return model.eval()


def assert_equal(model, expected, x):
    """Compare with the output of a module, which has channels first."""
    # Compiled: eagerly, JAX compiles every operation alone.
    y = model.predict(np.moveaxis(x.numpy(), 1, -1), verbose=0)
    y = np.moveaxis(y, -1, 1)
    expected = expected.numpy()
    assert y.shape == expected.shape
    peak = np.abs(expected).max()
    assert peak > 1e-2
    assert np.abs(y - expected).max() < PEAK * peak


# Chunks, in blocks: of one, of several, and of both. JAX compiles each size.
CHUNKS = ([1] * 9, [3] * 3, [3, 1, 3, 1, 1])


def assert_streams(model, expected, x):
    """Compare the stream's outputs with those of the module for all at once."""
    stream = StreamingModel(model, pointwise=[Snake])
    step, flush = map(compiled_if_quicker, (stream.step, stream.flush))
    inputs = np.moveaxis(x.numpy(), 1, -1)
    expected = np.moveaxis(expected.numpy(), 1, -1)
    for batch, sizes in itertools.product((1, 3), CHUNKS):
        with inference():
            y = streamed(
                stream, [inputs[:batch]], sizes, step=step, flush=flush
            )
        wanted = expected[:batch]
        assert y.shape == wanted.shape
        assert np.abs(y - wanted).max() < STREAMED * np.abs(wanted).max()


def encodec():
    model = transformers.EncodecModel(
        transformers.EncodecConfig(
            # Its reflections are of the model's own code, not of a layer.
            pad_mode="constant",
            **decoders.SMALL["encodec"][1],
        )
    )
    module = randomized(model.decoder)
    rebuilt = decoders.small("encodec decoder")
    load_torch_model(rebuilt, module)
    return rebuilt, module, 8


def mimi():
    model = transformers.MimiModel(
        transformers.MimiConfig(
            num_filters=2,
            hidden_size=8,
            upsample_groups=8,
            num_hidden_layers=1,
            num_attention_heads=2,
            num_key_value_heads=2,
            head_dim=4,
            intermediate_size=8,
            codebook_size=16,
            codebook_dim=8,
            vector_quantization_hidden_dimension=8,
        )
    )
    module = randomized(model.decoder)
    rebuilt = decoders.small("mimi decoder")
    *_, upsample, seanet = rebuilt.layers
    load_torch_model(seanet, module.decoder_seanet)
    load_torch_weights(upsample, module.upsample.conv.weight)
    # Without the transformer between the two.
    return rebuilt, lambda x: module.decoder_seanet(module.upsample(x)), 8


def dac():
    changed = decoders.SMALL["dac"][1]
    model = transformers.DacModel(
        transformers.DacConfig(codebook_size=16, **changed)
    )
    # Units that add up to what tanh still tells apart.
    module = randomized(model.decoder, 0.5)
    rebuilt = decoders.small("dac decoder")
    load_torch_model(rebuilt, module)
    return rebuilt, module, model.config.hidden_size


def speecht5():
    changed = decoders.SMALL["hifi_gan"][1]
    module = randomized(
        transformers.SpeechT5HifiGan(
            transformers.SpeechT5HifiGanConfig(**changed)
        )
    )
    rebuilt = decoders.small("hifi_gan")
    load_torch_model(rebuilt, module)
    return rebuilt, lambda x: module(x.swapaxes(1, 2))[:, None], 5


def fastspeech2_conformer():
    changed = dict(
        model_in_dim=5,
        upsample_initial_channel=32,
        upsample_rates=[8, 8, 2, 2],
        upsample_kernel_sizes=[16, 16, 4, 4],
    )
    module = randomized(
        fastspeech2.FastSpeech2ConformerHifiGan(
            transformers.FastSpeech2ConformerHifiGanConfig(**changed)
        )
    )
    rebuilt = decoders.hifi_gan(configuration(decoders.HIFI_GAN, **changed))
    load_torch_model(rebuilt, module)
    return rebuilt, lambda x: module(x.swapaxes(1, 2))[:, None], 5


def vits():
    model = transformers.VitsModel(
        transformers.VitsConfig(
            hidden_size=8,
            num_hidden_layers=1,
            ffn_dim=8,
            spectrogram_bins=9,
            prior_encoder_num_flows=1,
            prior_encoder_num_wavenet_layers=1,
            posterior_encoder_num_wavenet_layers=1,
            duration_predictor_flow_bins=4,
            **{**decoders.SMALL["vits"][1], "flow_size": 6},
        )
    )
    module = randomized(model.decoder)
    rebuilt = decoders.vits_decoder(
        configuration(
            decoders.VITS,
            **{**decoders.SMALL["vits"][1], "flow_size": 6},
        )
    )
    load_torch_model(rebuilt, module)
    return rebuilt, module, 6


@pytest.mark.parametrize(
    "make", [encodec, mimi, dac, speecht5, fastspeech2_conformer, vits]
)
def test_a_decoder_of_sound(make):
    rebuilt, module, channels = make()
    x = torch.randn(3, channels, 9)
    with torch.no_grad():
        expected = module(x)
    assert_equal(rebuilt, expected, x)
    # Its graph is that of VITS.
    if make is not fastspeech2_conformer:
        assert_streams(rebuilt, expected, x)


def encodec_encoder():
    config = transformers.EncodecConfig(
        pad_mode="constant", **decoders.SMALL["encodec"][1]
    )
    module = randomized(modeling_encodec.EncodecEncoder(config))
    rebuilt = decoders.small("encodec encoder")
    load_torch_model(rebuilt, module)
    return rebuilt, module


def mimi_encoder():
    config = transformers.MimiConfig(num_filters=2, hidden_size=8)
    module = randomized(modeling_mimi.MimiEncoder(config))
    rebuilt = decoders.small("mimi encoder")
    load_torch_model(rebuilt, module)
    return rebuilt, module


def dac_encoder():
    """With the odd strides of 24 kHz."""
    config = transformers.DacConfig(
        encoder_hidden_size=2, downsampling_ratios=[2, 4, 5, 8]
    )
    module = randomized(modeling_dac.DacEncoder(config), 0.5)
    rebuilt = decoders.small("dac_24 encoder", hidden_size=config.hidden_size)
    load_torch_model(rebuilt, module)
    return rebuilt, module


@pytest.mark.parametrize("make", [encodec_encoder, mimi_encoder, dac_encoder])
def test_an_encoder_of_sound(make):
    rebuilt, module = make()
    x = torch.randn(3, 1, 9 * StreamingModel(rebuilt, [Snake]).block_size)
    with torch.no_grad():
        expected = module(x)
    assert_equal(rebuilt, expected, x)
    assert_streams(rebuilt, expected, x)


def test_sams_upscaler():
    config = transformers.SamMaskDecoderConfig(hidden_size=16)
    decoder = randomized(modeling_sam.SamMaskDecoder(config))
    x = torch.randn(2, 16, 5, 4)
    with torch.no_grad():
        y = decoder.upscale_layer_norm(decoder.upscale_conv1(x))
        y = decoder.activation(y)
        y = decoder.activation(decoder.upscale_conv2(y))
    assert_equal(image_decoders.sam_upscaler(decoder, (5, 4)), y, x)


def test_dcgan():
    generator = randomized(
        nn.Sequential(
            nn.ConvTranspose2d(10, 32, 4, 1, 0, bias=False),
            nn.BatchNorm2d(32),
            nn.ReLU(),
            nn.ConvTranspose2d(32, 16, 4, 2, 1, bias=False),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.ConvTranspose2d(16, 3, 4, 2, 1, bias=False),
            nn.Tanh(),
        )
    )
    x = torch.randn(2, 10, 1, 1)
    with torch.no_grad():
        expected = generator(x)
    assert_equal(image_decoders.dcgan(generator), expected, x)


class UNet2D(nn.Module):
    """Three scales, each half of the one above, rounded down."""

    def __init__(self):
        super().__init__()
        self.downs = nn.ModuleList(
            [nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 8, 3, padding=1)]
        )
        self.middle = nn.Conv2d(8, 16, 3, padding=1)
        self.ups = nn.ModuleList(
            [nn.ConvTranspose2d(16, 8, 2, 2), nn.ConvTranspose2d(8, 4, 2, 2)]
        )
        self.afters = nn.ModuleList(
            [nn.Conv2d(16, 8, 3, padding=1), nn.Conv2d(8, 4, 3, padding=1)]
        )
        self.last = nn.Conv2d(4, 2, 1)

    def forward(self, x):
        skips = []
        for down in self.downs:
            x = torch.relu(down(x))
            skips.append(x)
            x = torch.max_pool2d(x, 2)
        x = torch.relu(self.middle(x))
        for up, after in zip(self.ups, self.afters, strict=True):
            skip = skips.pop()
            x = up(x, output_size=skip.shape[2:])
            x = torch.relu(after(torch.cat([skip, x], 1)))
        return self.last(x)


def test_a_unet_with_odd_skips():
    unet = randomized(UNet2D())
    x = torch.randn(2, 3, 15, 13)
    with torch.no_grad():
        expected = unet(x)
    assert_equal(image_decoders.unet_2d(unet, (15, 13), 3), expected, x)


class Block3D(nn.Module):
    def __init__(self, channels, filters, stride=1):
        super().__init__()
        self.conv = nn.Conv3d(channels, filters, 3, stride, padding=1)
        self.norm = nn.InstanceNorm3d(filters, affine=True)

    def forward(self, x):
        return nn.functional.leaky_relu(self.norm(self.conv(x)), 0.01)


class UNet3D(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = Block3D(2, 4)
        self.down = Block3D(4, 8, 2)
        self.up = nn.ConvTranspose3d(8, 4, 2, 2)
        self.after = Block3D(8, 4)
        self.last = nn.Conv3d(4, 3, 1)

    def forward(self, x):
        skip = self.first(x)
        x = self.up(self.down(skip))
        return self.last(self.after(torch.cat([x, skip], 1)))


def test_a_unet_of_volumes():
    unet = randomized(UNet3D())
    x = torch.randn(1, 2, 8, 6, 4)
    with torch.no_grad():
        expected = unet(x)
    assert_equal(image_decoders.unet_3d(unet, (8, 6, 4), 2), expected, x)
