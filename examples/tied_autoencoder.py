"""An autoencoder whose decoder is its encoder, turned round.

    pip install '.[demo,jax]'
    KERAS_BACKEND=jax python examples/tied_autoencoder.py

The signal is PyWavelets's electrocardiogram, cut into windows of 101 samples:
an odd length, which `output_size` brings back. The decoder's kernels are the
encoder's, the very same variables: half the weights, and one copy when the
model is saved and loaded. The best linear decoder is its encoder turned round
(principal components), so half the weights reach the same error.
"""

import tempfile
from pathlib import Path

import keras
import numpy as np
import pywt
from keras import layers

from keras_convt import adjoint

WINDOW = 101


def windows():
    signal = pywt.data.ecg().astype("float32")
    signal = (signal - signal.mean()) / signal.std()
    starts = range(0, len(signal) - WINDOW, 4)
    return np.stack([signal[n : n + WINDOW] for n in starts])[..., None]


def autoencoder(tie_weights):
    first = layers.Conv1D(16, 9, 3, padding="same")
    second = layers.Conv1D(8, 5, 2, padding="same")
    inputs = keras.Input((WINDOW, 1))
    middle = first(inputs)
    code = second(middle)
    up = adjoint(second, tie_weights, use_bias=True)
    back = adjoint(first, tie_weights, use_bias=True)
    decoded = up(code, output_size=middle)
    return keras.Model(inputs, back(decoded, output_size=inputs))


def main():
    x = windows()
    for tie_weights in (False, True):
        keras.utils.set_random_seed(0)
        model = autoencoder(tie_weights)
        model.compile(keras.optimizers.Adam(3e-3), "mse")
        model.fit(x, x, epochs=20, batch_size=64, verbose=0)
        error = model.evaluate(x, x, verbose=0)
        print(
            f"{'tied' if tie_weights else 'free':>6}: "
            f"{model.count_params():5d} weights, error {error:.4f} "
            "of a variance of 1"
        )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tied.keras"
        model.save(path)
        loaded = keras.models.load_model(path)
    _, first, second, up, back = loaded.layers
    assert back.kernel is first.kernel
    assert up.kernel is second.kernel
    np.testing.assert_allclose(
        loaded.predict(x, verbose=0), model.predict(x, verbose=0), atol=1e-5
    )
    print("saved and loaded: the same output, and still tied")


if __name__ == "__main__":
    main()
