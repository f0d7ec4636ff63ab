# %% [markdown]
# # An electrocardiogram, compressed
#
# An autoencoder squeezes a signal into a short code and rebuilds it. The
# encoder shortens the signal with strided convolutions. The decoder has to
# lengthen it again, which is what a transposed convolution is for.
#
# The signal is an electrocardiogram that comes with PyWavelets. This page runs
# in a few seconds on a laptop.

# %%
import keras
import matplotlib.pyplot as plt
import numpy as np
import pywt

import keras_convt

keras.utils.set_random_seed(0)

signal = pywt.data.ecg().astype("float32")
signal = (signal - signal.mean()) / signal.std()

# %% [markdown]
# ## Windows of an odd length
#
# Each window has 101 samples. An odd length is a good test. A convolution with
# a stride of 2 turns 101 samples into 51, and a transposed one turns 51 into
# 102, which is one too many. `output_size` says which length you want, so that
# you do not have to pad or crop by hand.

# %%
STEPS = 101
windows = np.stack(
    [signal[n : n + STEPS] for n in range(0, len(signal) - STEPS, 8)]
)[..., None]
training, validation = windows[:-20], windows[-20:]
training.shape

# %% [markdown]
# ## The model
#
# Both transposed layers have a `kernel_size` that is a multiple of their
# `strides`, so that every output step gets the same number of contributions.

# %%
inputs = keras.Input((STEPS, 1))
middle = keras.layers.Conv1D(
    16, 8, strides=2, padding="same", activation="relu"
)(inputs)
code = keras.layers.Conv1D(4, 8, strides=4, padding="same")(middle)
x = keras_convt.Conv1DTranspose(16, 8, 4, padding="same", activation="relu")(
    code, output_size=middle
)
outputs = keras_convt.Conv1DTranspose(1, 8, 2, padding="same")(
    x, output_size=inputs
)
model = keras.Model(inputs, outputs)

print("code:  ", code.shape)
print("output:", outputs.shape)

# %% [markdown]
# `explain` says where those numbers come from.

# %%
print(keras_convt.explain(model.layers[-1], steps=51))

# %% [markdown]
# ## Training

# %%
model.compile(keras.optimizers.Adam(1e-2), "mse")
history = model.fit(
    training, training, epochs=40, batch_size=64, shuffle=True, verbose=0
)
error = model.evaluate(validation, validation, verbose=0)
print(f"error {error:.3f}, where the signal has a variance of 1")

# %%
rebuilt = model.predict(validation, verbose=0)
figure, axes = plt.subplots(figsize=(8, 3))
axes.plot(validation[0, :, 0], label="electrocardiogram")
axes.plot(rebuilt[0, :, 0], label="rebuilt from 13 x 4 numbers")
axes.set(xlabel="sample", ylabel="standard deviations")
axes.legend()
figure.tight_layout()
plt.show()

# %% [markdown]
# ## Saved and loaded
#
# A saved model loads like any other one, wherever `keras_convt` has been
# imported.

# %%
import tempfile
from pathlib import Path

with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "autoencoder.keras"
    model.save(path)
    loaded = keras.models.load_model(path)

again = loaded.predict(validation, verbose=0)
print("largest difference:", float(np.max(np.abs(again - rebuilt))))

# %% tags=["remove"]
assert error < 0.2, error
assert rebuilt.shape == validation.shape
np.testing.assert_allclose(again, rebuilt, atol=1e-6)
