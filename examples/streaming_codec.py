"""A codec that encodes and decodes a sound in real time, chunk by chunk.

    python examples/streaming_codec.py [--wav FILE] [--picture FILE]

An encoder and a decoder with the layers of EnCodec (strides, branches, LSTM),
both causal, with random weights: what counts here is that the stream gives the
numbers of the models for the whole sound at once, and how long a frame takes.
"""

import argparse
import contextlib
import time
import wave

import numpy as np

import keras_convt  # first: it chooses an installed backend

import keras  # isort: skip
from keras import layers  # isort: skip

SAMPLE_RATE, STRIDES, CHANNELS = 24_000, (2, 4, 5, 8), 16


def causal(x, filters, size, stride=1, dilation=1):
    return layers.Conv1D(
        filters, size, stride, "causal", dilation_rate=dilation
    )(x)


def residual(x):
    y = causal(layers.Activation("elu")(x), x.shape[-1] // 2, 3)
    y = causal(layers.Activation("elu")(y), x.shape[-1], 1)
    return layers.Add()([x, y])


def recurrent(x):
    y = layers.LSTM(x.shape[-1], return_sequences=True)(x)
    return layers.Add()([x, y])


def encoder():
    sound = keras.Input((None, 1), name="sound")
    x = causal(sound, CHANNELS, 7)
    for stride in STRIDES:
        x = layers.Activation("elu")(residual(x))
        x = causal(x, 2 * x.shape[-1], 2 * stride, stride)
    return keras.Model(sound, causal(recurrent(x), 64, 7), name="encoder")


def decoder():
    codes = keras.Input((None, 64), name="codes")
    x = recurrent(causal(codes, CHANNELS << len(STRIDES), 7))
    for stride in reversed(STRIDES):
        x = layers.Activation("elu")(x)
        x = keras_convt.Conv1DTranspose(
            x.shape[-1] // 2, 2 * stride, stride, "causal"
        )(x)
        x = residual(x)
    return keras.Model(codes, causal(x, 1, 7), name="decoder")


def synthesized(seconds):
    """Notes of a falling scale, with overtones."""
    time_ = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    note = np.minimum((time_ * 4).astype(int), 12)
    since = time_ - note / 4
    pitch = 880 * 2 ** (-note / 12)
    sound = sum(
        np.sin(2 * np.pi * k * pitch * since) / k**2 for k in range(1, 5)
    )
    return (0.3 * sound * np.exp(-6 * since)).astype("float32")


def read(path):
    """A WAV file of 16 bits, its first channel."""
    with wave.open(path) as file:
        if file.getsampwidth() != 2:
            raise SystemExit(f"{path} must have 16 bits a sample")
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        return samples[:: file.getnchannels()].astype("float32") / 2**15


def compiled(step):
    """As users of this backend decode: compiled, but on PyTorch."""
    if keras.backend.backend() == "jax":
        import jax

        return jax.jit(step)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.function(step)
    return step


def without_gradients():
    if keras.backend.backend() == "torch":
        import torch

        return torch.inference_mode()
    return contextlib.nullcontext()


def round_trip(models, frames):
    """The sound after both streams, and the seconds of each step."""
    from tqdm import tqdm

    streams = [keras_convt.StreamingModel(model) for model in models]
    steps = [compiled(stream.step) for stream in streams]
    states = [stream.initial_state(batch_size=1) for stream in streams]
    pieces, seconds = [], []
    for frame in tqdm(frames, desc="frames"):
        start = time.perf_counter()
        x = frame
        for number, step in enumerate(steps):
            x, states[number] = step(x, states[number])
        pieces.append(keras.ops.convert_to_numpy(x))
        seconds.append(time.perf_counter() - start)
    latency = sum(stream.input_latency for stream in streams)
    return np.concatenate(pieces, axis=1)[0, :, 0], seconds, latency


def draw(path, sound, streamed, difference, seconds, frame):
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    times = np.arange(len(sound)) / SAMPLE_RATE
    figure, axes = plt.subplots(3, 1, figsize=(9, 7), constrained_layout=True)
    axes[0].plot(times, sound, lw=0.5, label="sound")
    axes[0].plot(
        times, streamed, lw=0.5, label="after the codec (random weights)"
    )
    axes[0].set(ylabel="amplitude", title="The sound")
    axes[0].legend(loc="upper right")
    axes[1].plot(
        np.arange(len(seconds)) * frame / SAMPLE_RATE,
        1e3 * np.array(seconds),
        ".",
        ms=3,
    )
    axes[1].axhline(1e3 * frame / SAMPLE_RATE, color="k", ls="--")
    axes[1].set(
        yscale="log",
        ylabel="ms",
        title="Time of each step; dashed: the time of its sound",
    )
    axes[2].semilogy(times, np.maximum(difference, 1e-12), lw=0.5)
    axes[2].set(
        xlabel="seconds",
        ylabel="difference",
        title="Difference from the models for the whole sound: at most "
        f"{difference.max():.1e}",
    )
    figure.savefig(path, dpi=120)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--wav", help="a WAV file of 16 bits")
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--picture", default="streaming_codec.png")
    chosen = parser.parse_args()
    keras.utils.set_random_seed(0)
    models = encoder(), decoder()
    frame = int(np.prod(STRIDES))
    sound = read(chosen.wav) if chosen.wav else synthesized(chosen.seconds)
    sound = sound[: len(sound) // frame * frame]
    frames = sound.reshape(-1, 1, frame, 1)
    with without_gradients():
        streamed, seconds, latency = round_trip(models, frames)
        whole = sound.reshape(1, -1, 1)
        for model in models:
            whole = model.predict(whole, verbose=0)
    difference = np.abs(streamed - whole[0, :, 0])
    frame_seconds = frame / SAMPLE_RATE
    factor = np.median(seconds[2:]) / frame_seconds
    print(
        f"{keras.backend.backend()}: {1e3 * np.median(seconds[2:]):.1f} ms a "
        f"frame of {1e3 * frame_seconds:.1f} ms, a real-time factor of "
        f"{factor:.2f}\nlatency {1e3 * latency / SAMPLE_RATE:.1f} ms of the "
        f"models and {1e3 * frame_seconds:.1f} ms of a frame\nlargest "
        f"difference from the whole sound at once: {difference.max():.1e}"
    )
    draw(chosen.picture, sound, streamed, difference, seconds, frame)
    # The same sums in another order.
    assert difference.max() < 1e-4 * max(np.abs(whole).max(), 1e-3)


if __name__ == "__main__":
    main()
