"""A HiFi-GAN vocoder: PyTorch's weights, Keras's layers; and one that streams.

    pip install '.[torch]' transformers
    KERAS_BACKEND=torch python examples/vocoder.py

The first part builds the generator of HiFi-GAN (Kong et al., arXiv
2010.05646), carries the weights of the one in transformers over, and compares
their sound, sample by sample. The weights are random: nothing is downloaded.

The second part feeds it one frame at a time. Its convolutions look ahead as
far as they look back (padding "same"), and so do its upsamplers, so the stream
is late by what they look ahead. The third part is therefore a generator of
causal layers only, as the audio codecs EnCodec and Mimi use: it is not late.
"""

import contextlib
import time

import keras
import numpy as np
from keras import layers, ops

import keras_convt
from keras_convt import from_torch

FRAMES = 40
SAMPLE_RATE = 16_000


def residual_block(x, module):
    for first, second in zip(module.convs1, module.convs2, strict=True):
        y = ops.leaky_relu(x, module.leaky_relu_slope)
        y = ops.leaky_relu(from_torch(first)(y), module.leaky_relu_slope)
        x = x + from_torch(second)(y)
    return x


def hifi_gan(module):
    """The generator, from mel spectrogram to waveform."""
    config = module.config
    frames = keras.Input((None, config.model_in_dim))
    x = from_torch(module.conv_pre)(frames)
    for n, upsampler in enumerate(module.upsampler):
        x = ops.leaky_relu(x, config.leaky_relu_slope)
        x = from_torch(upsampler, "channels_last")(x)
        blocks = module.resblocks[n * module.num_kernels :][
            : module.num_kernels
        ]
        x = sum(residual_block(x, block) for block in blocks) / len(blocks)
    x = from_torch(module.conv_post)(ops.leaky_relu(x, 0.01))
    return keras.Model(frames, ops.tanh(x))


def compare_with_transformers():
    import torch
    import transformers

    torch.manual_seed(0)
    theirs = transformers.SpeechT5HifiGan(
        transformers.SpeechT5HifiGanConfig(
            upsample_initial_channel=64, normalize_before=False
        )
    ).eval()
    with torch.no_grad():
        # Their initial weights are so small that all would be silence.
        for name, parameter in theirs.named_parameters():
            if name.endswith("weight"):
                parameter.normal_(std=parameter[0].numel() ** -0.5)
    ours = hifi_gan(theirs)
    mel = np.random.default_rng(0).normal(size=(1, FRAMES, 80))
    mel = mel.astype("float32")
    with torch.no_grad():
        expected = theirs(torch.from_numpy(mel)).numpy()
    sound = ours.predict(mel, verbose=0)[..., 0]
    difference = np.max(np.abs(sound - expected))
    print(f"HiFi-GAN: {FRAMES} frames to {sound.shape[1]} samples")
    print(f"  loudest sample                         {np.abs(sound).max():.3f}")
    print(f"  largest difference from transformers'  {difference:.1e}")
    assert difference < 1e-4
    return ours


def causal_generator():
    """80 mel bands to 256 samples a frame, with no look ahead."""
    model = [keras.Input((None, 80))]
    model.append(layers.Conv1D(128, 7, padding="causal"))
    for filters, stride in ((64, 8), (32, 8), (16, 4)):
        model += [
            layers.LeakyReLU(0.1),
            keras_convt.Conv1DTranspose(filters, 2 * stride, stride, "causal"),
            layers.LeakyReLU(0.1),
            layers.Conv1D(filters, 3, padding="causal", dilation_rate=3),
        ]
    model += [
        layers.LeakyReLU(0.1),
        layers.Conv1D(1, 7, padding="causal", activation="tanh"),
    ]
    return keras.Sequential(model)


def without_gradients():
    if keras.backend.backend() == "torch":
        import torch

        return torch.inference_mode()
    return contextlib.nullcontext()


def stream(name, model):
    mel = np.random.default_rng(1).normal(size=(1, FRAMES, 80))
    mel = mel.astype("float32")
    at_once = model.predict(mel, verbose=0)
    live = keras_convt.StreamingModel(model)
    pieces = []
    start = time.perf_counter()
    with without_gradients():
        state = live.initial_state(batch_size=1)
        for frame in range(FRAMES):
            piece, state = live.step(mel[:, frame : frame + 1], state)
            pieces.append(ops.convert_to_numpy(piece))
        seconds = time.perf_counter() - start
        # What is still to come when the frames have ended.
        pieces.append(ops.convert_to_numpy(live.flush(state)))
    streamed = np.concatenate(pieces, axis=1)[:, live.output_latency :]
    difference = np.max(np.abs(streamed - at_once))
    kept = sum(int(np.prod(part.shape)) for part in keras.tree.flatten(state))
    late = live.output_latency
    print(f"{name}: {FRAMES} frames, one at a time")
    print(
        f"  samples by which it is late            {late}, "
        f"{1e3 * late / SAMPLE_RATE:.0f} ms"
    )
    print(f"  largest difference from all at once    {difference:.1e}")
    print(f"  numbers remembered between frames      {kept}")
    print(
        f"  milliseconds a frame, not compiled     {1e3 * seconds / FRAMES:.1f}"
    )
    assert streamed.shape == at_once.shape
    assert difference < 1e-5


if __name__ == "__main__":
    keras.utils.set_random_seed(0)
    stream("HiFi-GAN", compare_with_transformers())
    stream("Causal generator", causal_generator())
