# %% [markdown]
# # The checkerboard of a DCGAN, seen and removed
#
# Generators that enlarge an image with transposed convolutions often draw a
# checkerboard over it. It is there before the first training step. This page
# shows it, measures it, and removes it in two steps.

# %%
import keras
import matplotlib.pyplot as plt
import numpy as np

import keras_convt

# %% [markdown]
# ## A generator
#
# This is the upsampling half of a DCGAN, with fewer filters. Its input has a
# hill in the middle and is smooth everywhere, so whatever is not smooth in the
# output comes from the layers. The kernels are random, as they are when
# training starts.

# %%
SIZE = 16
SEEDS = range(4)

row = np.exp(-(np.linspace(-1.5, 1.5, SIZE) ** 2))
hill = (row[:, None] * row[None, :])[None, :, :, None].astype("float32")


def generator(kernel_size, initializer):
    """Two layers that double an image each, and one that makes it gray."""
    return keras.Sequential(
        [
            keras.Input((SIZE, SIZE, 16)),
            *(
                keras_convt.Conv2DTranspose(
                    16,
                    kernel_size,
                    strides=2,
                    padding="same",
                    activation="relu",
                    kernel_initializer=initializer(),
                )
                for _ in range(2)
            ),
            keras.layers.Conv2D(1, 1),
        ]
    )


def pictures(kernel_size, initializer):
    """What generators of several seeds make of the hill."""
    made = []
    for seed in SEEDS:
        keras.utils.set_random_seed(seed)
        mix = np.random.default_rng(seed).uniform(0, 1, 16)
        inputs = (hill * mix).astype("float32")
        outputs = generator(kernel_size, initializer)(inputs)
        made.append(keras.ops.convert_to_numpy(outputs)[0, :, :, 0])
    return np.stack(made)


# %% [markdown]
# ## How strong is it?
#
# A checkerboard repeats every two pixels. Its strength is the part of the
# picture that changes from each pixel to the next: half the difference of a
# pixel and the mean of its two neighbors, measured in both directions and
# divided by the range of the picture. The border is left out.


# %%
def strength(images):
    inner = images[:, 4:-4, 4:-4]
    rows = inner[:, 1:-1] - (inner[:, :-2] + inner[:, 2:]) / 2
    columns = inner[..., 1:-1] - (inner[..., :-2] + inner[..., 2:]) / 2
    size = np.ptp(inner, axis=(1, 2))
    wiggle = np.abs(rows).mean((1, 2)) + np.abs(columns).mean((1, 2))
    return float(np.mean(wiggle / size / 2))


def glorot():
    return keras.initializers.GlorotUniform()


def icnr():
    return keras_convt.initializers.ICNR("glorot_uniform", strides=2)


tries = {
    "kernel_size=5": pictures(5, glorot),
    "kernel_size=4": pictures(4, glorot),
    "kernel_size=5 and ICNR": pictures(5, icnr),
    "kernel_size=4 and ICNR": pictures(4, icnr),
}
for name, images in tries.items():
    print(f"{name:24}{strength(images):6.1%}")

# %%
figure, axes = plt.subplots(2, 2, figsize=(6.4, 6.8))
for ax, (name, images) in zip(axes.flat, tries.items(), strict=True):
    ax.imshow(images[1], cmap="gray")
    ax.set_title(name)
    ax.axis("off")
figure.tight_layout()
plt.show()

# %% [markdown]
# ## Two causes, two remedies
#
# **Uneven contributions.** With `kernel_size=5` and `strides=2`, some output
# pixels are the sum of more products than their neighbors. `explain` counts
# them for each axis.

# %%
uneven = keras_convt.Conv1DTranspose(1, 5, 2, padding="same")
print(keras_convt.explain(uneven, steps=SIZE))

# %% [markdown]
# A `kernel_size` that is a multiple of `strides` makes the number the same
# everywhere.

# %%
even = keras_convt.Conv1DTranspose(1, 4, 2, padding="same")
print(keras_convt.explain(even, steps=SIZE))

# %% [markdown]
# **Kernels that start with random values.** With `kernel_size=4`, neighboring
# pixels are sums of equally many products, but they use different entries of
# the kernel, and random entries differ. That is why `kernel_size=4` alone
# looks no better before training. `ICNR` draws one value for every `strides`
# entries and repeats it, so that the layer starts as a convolution whose
# result is enlarged.
#
# You need both remedies. Training can bring a checkerboard back if that lowers
# the loss, but the model no longer starts with one.

# %% tags=["remove"]
five, four, five_icnr, four_icnr = (strength(i) for i in tries.values())
others = (five, four, five_icnr)
assert four_icnr < 0.8 * min(others), (others, four_icnr)
