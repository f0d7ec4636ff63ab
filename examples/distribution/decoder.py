"""What the scripts beside this file share: a model, a batch, a comparison."""

import keras
import numpy as np

import keras_convt

EXAMPLES = 8
TOLERANCE = 1e-6


def build(loss="mse"):
    """A small decoder, with the same weights each time."""
    keras.utils.set_random_seed(0)
    layer = keras_convt.Conv1DTranspose
    model = keras.Sequential(
        [
            keras.Input((6, 8)),
            layer(16, 4, 2, "same", activation="tanh", name="up"),
            layer(
                16, 3, 2, "same", activation="tanh", groups=4, name="grouped"
            ),
            layer(4, 3, padding="same", name="last"),
        ]
    )
    # Adam divides by the size of a gradient, and would hide one that is too
    # large by a factor: a sum over devices where a mean is meant.
    model.compile(keras.optimizers.SGD(0.5, momentum=0.9), loss)
    return model


def batch():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(EXAMPLES, 6, 8))
    y = rng.normal(size=(EXAMPLES, 24, 4))
    return x.astype("float32"), y.astype("float32")


def step(model):
    """The weights after one training step on the whole batch."""
    model.fit(*batch(), batch_size=EXAMPLES, shuffle=False, verbose=0)
    return model.get_weights()


def compare(what, weights, alone):
    """Print how far `weights` are from `alone`, and stop if that is too far.

    Args:
        what: How they were trained.
        weights, alone: The weights of `build()` after one step, distributed
            and on one device.
    """
    moved = np.min(distances(alone, build().get_weights()))
    difference = np.max(distances(weights, alone))
    print(what)
    print(f"  the step moved every weight array by at least {moved:.1e}")
    print(f"  largest difference from the step of one device: {difference:.1e}")
    # Written so that a NaN stops it too.
    if not (difference <= TOLERANCE and moved > 1e-3):
        raise SystemExit("  This is not the same step.")


def distances(ones, others):
    """The largest difference of each array of weights."""
    pairs = zip(ones, others, strict=True)
    return [np.max(np.abs(one - other)) for one, other in pairs]
