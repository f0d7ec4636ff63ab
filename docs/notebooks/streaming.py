# %% [markdown]
# # An audio decoder, streamed
#
# A neural codec sends a few numbers for each frame of sound, and a decoder of
# transposed convolutions turns them into samples. In a call or a live
# performance the decoder cannot wait for the end of the recording. It has to
# answer frame by frame, with the same samples that it would give for the whole
# recording at once.

# %%
import keras
import matplotlib.pyplot as plt
import numpy as np

import keras_convt

keras.utils.set_random_seed(0)

# %% [markdown]
# ## A causal decoder
#
# Every layer is causal: what it returns for a moment depends on that moment
# and the past, never on the future. The strides are those of EnCodec, 8, 5, 4
# and 2, so one frame becomes 320 samples. At 24,000 samples a second that is
# 13.3 ms.

# %%
RATE = 24_000
STRIDES = (8, 5, 4, 2)

decoder = keras.Sequential([keras.Input((None, 32))])
decoder.add(keras.layers.Conv1D(64, 7, padding="causal"))
for filters, strides in zip((32, 16, 8, 4), STRIDES, strict=True):
    decoder.add(keras.layers.Activation("elu"))
    decoder.add(
        keras_convt.Conv1DTranspose(
            filters, 2 * strides, strides, padding="causal"
        )
    )
decoder.add(keras.layers.Activation("elu"))
decoder.add(keras.layers.Conv1D(1, 7, padding="causal"))

# %% [markdown]
# ## The whole recording at once
#
# The code is random here. In a codec it comes from the encoder.

# %%
FRAMES = 24
code = np.random.default_rng(0).normal(size=(1, FRAMES, 32)).astype("float32")
whole = decoder.predict(code, verbose=0)
print(f"{FRAMES} frames -> {whole.shape[1]} samples")

# %% [markdown]
# ## Frame by frame
#
# `StreamingModel` runs the same layers with the same weights. What has to be
# remembered from one frame to the next is in `state`. `step` changes nothing
# else, so it can be compiled, and one decoder can serve many streams.

# %%
stream = keras_convt.StreamingModel(decoder)
state = stream.initial_state(batch_size=1)
pieces = []
for n in range(FRAMES):
    samples, state = stream.step(code[:, n : n + 1], state)
    pieces.append(keras.ops.convert_to_numpy(samples))
streamed = np.concatenate(pieces, axis=1)

difference = float(np.max(np.abs(streamed - whole)))
print(f"one frame  -> {pieces[0].shape[1]} samples, {320 / RATE * 1e3:.1f} ms")
print("equal      ->", difference < 1e-5 * float(np.max(np.abs(whole))))

# %%
figure, (above, below) = plt.subplots(2, 1, figsize=(8, 4), sharex=True)
milliseconds = np.arange(4 * 320) / RATE * 1e3
above.plot(milliseconds, whole[0, : 4 * 320, 0])
above.set_title("the whole recording at once")
for n in range(4):
    part = slice(320 * n, 320 * (n + 1))
    below.plot(milliseconds[part], streamed[0, part, 0])
below.set_title("frame by frame, one color per frame")
below.set_xlabel("milliseconds")
figure.tight_layout()
plt.show()

# %% [markdown]
# The [guide](../guides/streaming.md) says which layers can stream, what a
# layer that looks ahead costs, and how to export the step.

# %% tags=["remove"]
assert streamed.shape == whole.shape
assert difference < 1e-5 * np.max(np.abs(whole)), difference
