"""A HiFi-GAN of PyTorch, fine-tuned in Keras with its weight normalization.

    pip install '.[torch]' matplotlib onnx onnxruntime onnxscript tqdm transformers
    KERAS_BACKEND=torch python examples/hifi_gan_fine_tuning.py

The generator of HiFi-GAN (Kong et al., arXiv 2010.05646) is trained with
weight normalization, so its fine-tuning must be, too. Its modules become
layers here that keep it. A discriminator and the generator are trained in
turns on synthetic speech, the normalization is folded away, and what is left
is saved and exported. The weights are random: nothing is downloaded.
"""  # noqa: E501

import os
import sys
import tempfile
from pathlib import Path

import keras_convt  # First: it chooses a Keras backend that is installed.

import keras  # isort: skip
import matplotlib
import numpy as np
import torch
import transformers
from keras import layers, ops
from tqdm import tqdm

matplotlib.use("Agg")
from matplotlib import pyplot as plt

STEPS = int(os.environ.get("STEPS", "40"))
FRAMES, HOP, BANDS = 32, 16, 16


def speech(rng, batch):
    """Buzzes through moving resonances, and their band energies."""
    n = FRAMES * HOP
    pitch = 0.02 + 0.02 * rng.random((batch, 1))
    phase = np.cumsum(pitch * (1 + 0.1 * np.sin(np.arange(n) / 90)), axis=1)
    formant = 2 + 6 * rng.random((batch, 1))
    harmonics = np.arange(1, 12)
    strengths = np.exp(-((harmonics - formant) ** 2) / 6)[:, None]
    sound = np.sum(
        strengths * np.sin(2 * np.pi * phase[..., None] * harmonics), axis=-1
    )
    sound = 0.4 * sound / np.abs(sound).max(axis=1, keepdims=True)
    frames = sound.reshape(batch, FRAMES, HOP)
    spectrum = np.abs(np.fft.rfft(frames, 2 * BANDS - 1, axis=-1))
    return (
        np.log(spectrum + 1e-2).astype("float32"),
        sound[..., None].astype("float32"),
    )


def generator(module):
    """The generator of a module of transformers, normalization kept."""
    config = module.config

    def layer(part):
        return keras_convt.from_torch(
            part, "channels_last", keep_weight_norm=True
        )

    def leaky(x):
        return ops.leaky_relu(x, config.leaky_relu_slope)

    mel = keras.Input((None, config.model_in_dim))
    x = layer(module.conv_pre)(mel)
    blocks = iter(module.resblocks)
    for upsampler in module.upsampler:
        x = layer(upsampler)(leaky(x))
        branches = []
        for _, block in zip(config.resblock_kernel_sizes, blocks, strict=False):
            y = x
            for first, second in zip(block.convs1, block.convs2, strict=True):
                y = y + layer(second)(leaky(layer(first)(leaky(y))))
            branches.append(y)
        x = layers.Average()(branches)
    x = layer(module.conv_post)(ops.leaky_relu(x, 0.01))
    return keras.Model(mel, ops.tanh(x), name="generator")


def discriminator():
    """A small one of HiFi-GAN's by scale, normalized as well."""
    sound = keras.Input((None, 1))
    x = sound
    for filters, size, stride in ((8, 15, 2), (16, 15, 4), (32, 5, 1)):
        x = keras_convt.WeightNormalization(
            layers.Conv1D(filters, size, stride, padding="same")
        )(x)
        x = layers.LeakyReLU(0.1)(x)
    x = keras_convt.WeightNormalization(layers.Conv1D(1, 3, padding="same"))(x)
    return keras.Model(sound, x, name="discriminator")


def distance(a, b):
    """How far two sounds are apart: of spectra, and of samples."""
    spectra = [
        ops.stft(
            x[..., 0], sequence_length=64, sequence_stride=16, fft_length=64
        )
        for x in (a, b)
    ]
    loud = [ops.sqrt(r * r + i * i + 1e-6) for r, i in spectra]
    return ops.mean(ops.abs(ops.log(loud[0]) - ops.log(loud[1])))


def train(generate, judge, rng):
    """Turns of the discriminator and the generator, least squares losses."""
    of_generator, of_judge = (
        torch.optim.AdamW(model.parameters(), 2e-3, (0.8, 0.99))
        for model in (generate, judge)
    )
    losses = []
    for _ in tqdm(range(STEPS), file=sys.stdout, desc="fine-tuning"):
        mel, real = map(ops.convert_to_tensor, speech(rng, 4))
        fake = generate(mel)
        of_judge.zero_grad()
        loss = ops.mean((judge(real) - 1) ** 2) + ops.mean(
            judge(fake.detach()) ** 2
        )
        loss.backward()
        of_judge.step()
        of_generator.zero_grad()
        spectral = distance(fake, real)
        loss = ops.mean((judge(fake) - 1) ** 2) + 5 * spectral
        loss.backward()
        of_generator.step()
        losses.append(float(spectral.detach()))
    return losses


def main():
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    module = transformers.SpeechT5HifiGan(
        transformers.SpeechT5HifiGanConfig(
            model_in_dim=BANDS,
            upsample_initial_channel=64,
            upsample_rates=[4, 4],
            upsample_kernel_sizes=[8, 8],
            resblock_kernel_sizes=[3, 5],
            resblock_dilation_sizes=[[1, 3], [1, 3]],
        )
    ).eval()
    module.apply_weight_norm()
    generate = generator(module)
    mel, real = speech(rng, 1)
    with torch.no_grad():
        theirs = module(torch.from_numpy(mel)).numpy()
    before = ops.convert_to_numpy(generate(mel))[..., 0]
    print(f"PyTorch and Keras differ by {np.abs(theirs - before).max():.1e}")
    losses = train(generate, discriminator(), rng)
    print(f"distance of spectra: {losses[0]:.2f}, then {losses[-1]:.2f}")
    after = ops.convert_to_numpy(generate(mel))[..., 0]
    plain = keras_convt.fold_weight_normalization(generate)
    difference = np.abs(ops.convert_to_numpy(plain(mel))[..., 0] - after).max()
    print(f"folded, it differs by {difference:.1e}")
    folder = Path(tempfile.mkdtemp())
    plain.save(folder / "generator.keras")
    plain.export(folder / "generator.onnx", format="onnx", verbose=False)
    for path in sorted(folder.iterdir()):
        print(f"{path.name}: {path.stat().st_size / 1024:.0f} KiB")
    figure, axes = plt.subplots(4, figsize=(8, 8), layout="constrained")
    for axis, name, values in zip(
        axes,
        ("real", "before", "after", "distance of spectra, by step"),
        (real[0, :, 0], before[0], after[0], losses),
        strict=True,
    ):
        axis.plot(values, linewidth=0.8)
        axis.set_title(name)
    figure.savefig("hifi_gan_fine_tuning.png")
    print("hifi_gan_fine_tuning.png")


if __name__ == "__main__":
    main()
