"""A 1D U-Net that takes signals of any length, odd ones included.

    pip install '.[jax]'
    KERAS_BACKEND=jax python examples/unet_odd_lengths.py

A U-Net halves its signal and doubles it again, and joins what has the same
length. Of an odd length, half is rounded up, and twice of it is one too many:
the usual remedy is padding or cropping by hand. Here each transposed layer is
told which length it has to come back to: `output_size=skip`.
"""

import keras
import numpy as np
from keras import layers

import keras_convt


def unet(depth=3, filters=8):
    inputs = keras.Input((None, 1))
    x, skips = inputs, []
    for level in range(depth):
        width = filters * 2**level
        x = layers.Conv1D(width, 5, padding="same", activation="relu")(x)
        skips.append(x)
        x = layers.Conv1D(2 * width, 4, 2, "same", activation="relu")(x)
    for level in reversed(range(depth)):
        skip = skips.pop()
        width = filters * 2**level
        # kernel_size=4 and strides=2: every sample has two contributions.
        up = keras_convt.Conv1DTranspose(
            width, 4, 2, padding="same", activation="relu"
        )
        x = layers.Concatenate()([up(x, output_size=skip), skip])
        x = layers.Conv1D(width, 5, padding="same", activation="relu")(x)
    return keras.Model(inputs, layers.Conv1D(1, 1)(x))


def noisy_waves(steps, count=64):
    """Sine waves, and the same under noise."""
    rng = np.random.default_rng(0)
    time = np.arange(steps)[None, :, None]
    period = rng.uniform(20, 60, size=(count, 1, 1))
    phase = rng.uniform(0, 2 * np.pi, size=(count, 1, 1))
    clean = np.sin(2 * np.pi * time / period + phase)
    noisy = clean + rng.normal(scale=0.5, size=clean.shape)
    return noisy.astype("float32"), clean.astype("float32")


def main():
    keras.utils.set_random_seed(1)
    model = unet()
    model.compile(keras.optimizers.Adam(3e-3), "mse")
    noisy, clean = noisy_waves(steps=125)
    model.fit(noisy, clean, epochs=15, batch_size=16, verbose=0)
    print("trained on signals of 125 steps; noise has a mean square of 0.25")
    for steps in (125, 126, 127, 128, 97):
        noisy, clean = noisy_waves(steps)
        denoised = model.predict(noisy, verbose=0)
        assert denoised.shape == clean.shape
        error = np.mean((denoised - clean) ** 2)
        print(f"  {steps} steps in, {denoised.shape[1]} out, error {error:.3f}")


if __name__ == "__main__":
    main()
