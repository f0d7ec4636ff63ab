"""The transposed layers of public models, with random weights.

The models are small versions of their published configurations: the kernels,
strides, crops, groups and weight normalization are theirs.
"""

import numpy as np
import pytest
import torch
import transformers
from keras import ops
from tolerances import Failures
from transformers.models.seamless_m4t import modeling_seamless_m4t

from keras_convt import from_torch

# What users are promised for a converted decoder.
CONVERTED = {"rtol": 1e-4, "atol": 1e-4}


def encodec():
    return transformers.EncodecModel(
        transformers.EncodecConfig(num_filters=4, hidden_size=16)
    )


def dac():
    return transformers.DacModel(
        transformers.DacConfig(
            encoder_hidden_size=4, decoder_hidden_size=64, codebook_size=16
        )
    )


def mimi():
    return transformers.MimiModel(
        transformers.MimiConfig(
            num_filters=4,
            hidden_size=32,
            num_hidden_layers=1,
            num_attention_heads=2,
            num_key_value_heads=2,
            head_dim=16,
            intermediate_size=32,
            upsample_groups=32,
            codebook_size=16,
            codebook_dim=8,
            vector_quantization_hidden_dimension=8,
        )
    )


def hifi_gan():
    return transformers.SpeechT5HifiGan(
        transformers.SpeechT5HifiGanConfig(upsample_initial_channel=64)
    )


def vits():
    return transformers.VitsModel(
        transformers.VitsConfig(
            hidden_size=32,
            num_hidden_layers=1,
            ffn_dim=32,
            flow_size=32,
            spectrogram_bins=33,
            upsample_initial_channel=64,
            prior_encoder_num_flows=1,
            prior_encoder_num_wavenet_layers=1,
            posterior_encoder_num_wavenet_layers=1,
            duration_predictor_flow_bins=4,
        )
    )


def xcodec():
    small = dict(
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
    )
    return transformers.XcodecModel(
        transformers.XcodecConfig(
            # Odd, so that its blocks have output_padding=1.
            strides=[5, 2],
            semantic_model_config=transformers.HubertConfig(**small),
        )
    )


def seamless():
    return modeling_seamless_m4t.SeamlessM4TCodeHifiGan(
        transformers.SeamlessM4TConfig(
            upsample_initial_channel=64,
            unit_hifi_gan_vocab_size=20,
            unit_embed_dim=16,
            lang_embed_dim=8,
            spkr_embed_dim=8,
            vocoder_num_langs=2,
            vocoder_num_spkrs=2,
        )
    )


def sam():
    return transformers.SamModel(
        transformers.SamConfig(
            vision_config=dict(
                hidden_size=16, num_hidden_layers=1, num_attention_heads=2
            )
        )
    )


# How many transposed layers each has.
MODELS = [
    (encodec, 4),
    (dac, 4),
    (mimi, 5),
    (hifi_gan, 4),
    (vits, 4),
    (xcodec, 6),
    (seamless, 5),
    (sam, 2),
]


def randomized(model):
    """The model, with weights of a size that keeps that of a signal."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=parameter[0].numel() ** -0.5)
    return model.eval()


@pytest.mark.parametrize(
    ("make", "count"), MODELS, ids=[make.__name__ for make, _ in MODELS]
)
def test_every_transposed_layer(make, count):
    torch.manual_seed(1234)
    modules = {
        name: module
        for name, module in randomized(make()).named_modules()
        if getattr(module, "transposed", False)
    }
    assert len(modules) == count, list(modules)
    failures = Failures()
    for name, module in modules.items():
        x = torch.randn(
            2, module.in_channels, *(9, 7)[: module.weight.ndim - 2]
        )
        with torch.no_grad():
            expected = module(x).numpy()
        for data_format in ("channels_first", "channels_last"):
            layer = from_torch(module, data_format)
            if data_format == "channels_first":
                y = layer(x.numpy())
            else:
                y = layer(np.moveaxis(x.numpy(), 1, -1))
                y = ops.moveaxis(y, -1, 1)
            failures.compare(
                ops.convert_to_numpy(y),
                expected,
                CONVERTED,
                name=name,
                data_format=data_format,
            )
    failures.report()
