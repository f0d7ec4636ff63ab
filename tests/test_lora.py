"""LoRA: small factors are trained beside a frozen kernel."""

import keras
import numpy as np
import pytest
import reference
from gradients import value_and_gradients
from keras.ops import convert_to_numpy as numpy
from tolerances import GRADIENTS, SAME_LAYER, VALUES, assert_close

import keras_convt

LAYERS = [
    (1, keras_convt.Conv1DTranspose),
    (2, keras_convt.Conv2DTranspose),
    (3, keras_convt.Conv3DTranspose),
]
FACTORS = ["lora_kernel_a", "lora_kernel_b"]


def built(cls, rank, rng, **arguments):
    layer = cls(4, 3, 2, "same", groups=2, **arguments)
    x = rng.normal(size=(2, *[4] * rank, 6)).astype("float32")
    layer.build(x.shape)
    return layer, x


def train(model, rng, steps=5):
    model.compile(keras.optimizers.SGD(0.1), loss="mse")
    x = rng.normal(size=(8, 4, 6)).astype("float32")
    y = rng.normal(size=(8, 8, 4)).astype("float32")
    return model.fit(x, y, epochs=steps, verbose=0).history["loss"]


@pytest.mark.parametrize(("rank", "cls"), LAYERS)
def test_the_output_is_unchanged_until_trained(rank, cls, rng):
    layer, x = built(cls, rank, rng)
    expected = numpy(layer(x))
    layer.enable_lora(2)
    assert_close(numpy(layer(x)), expected, SAME_LAYER)
    assert layer.lora_kernel_a.shape == (*(3,) * rank, 2, 2)
    assert layer.lora_kernel_b.shape == (2, 6)


def test_values_against_the_reference(rng):
    layer, x = built(keras_convt.Conv1DTranspose, 1, rng)
    layer.enable_lora(2, lora_alpha=3, b_initializer="he_normal")
    kernel, a, b = (
        numpy(w).astype("float64")
        for w in (layer._kernel, layer.lora_kernel_a, layer.lora_kernel_b)
    )
    expected = reference.conv_transpose(
        x, kernel + 1.5 * a @ b, strides=2, padding="same", groups=2
    )
    assert_close(numpy(layer(x)), expected, VALUES)
    # A stream has the same kernel.
    assert_close(numpy(layer.kernel), kernel + 1.5 * a @ b, VALUES)


@pytest.mark.parametrize("again", [False, True])
def test_only_the_factors_and_the_bias_train(again, rng):
    layer, _ = built(keras_convt.Conv1DTranspose, 1, rng)
    model = keras.Sequential([keras.Input((4, 6)), layer])
    layer.enable_lora(2)
    if again:
        # As people freeze and thaw a model that they fine-tune.
        model.trainable = False
        assert model.trainable_weights == []
        model.trainable = True
    names = sorted(w.name for w in model.trainable_weights)
    assert names == ["bias", *FACTORS]
    before = {w.name: numpy(w).copy() for w in model.weights}
    losses = train(model, rng)
    assert losses[-1] < losses[0]
    after = {w.name: numpy(w) for w in model.weights}
    moved = [n for n in before if np.abs(after[n] - before[n]).max() > 1e-6]
    assert sorted(moved) == ["bias", *FACTORS]


def test_gradients_of_the_factors(rng):
    """By the chain rule, from the reference's gradient of the kernel."""
    layer, x = built(keras_convt.Conv1DTranspose, 1, rng)
    layer.enable_lora(2, lora_alpha=1, b_initializer="he_normal")
    weights = rng.normal(size=(2, 8, 4)).astype("float32")

    def loss(bias, a, b):
        outputs, _ = layer.stateless_call(
            [bias, a, b], layer.non_trainable_variables, x
        )
        return keras.ops.sum(keras.ops.multiply(outputs, weights))

    variables = [numpy(w) for w in layer.trainable_variables]
    _, a, b = variables
    _, (_, by_a, by_b) = value_and_gradients(loss, variables)
    _, of_kernel, _ = reference.gradients(
        x, numpy(layer.kernel), weights, strides=2, padding="same", groups=2
    )
    assert_close(by_a, 0.5 * of_kernel @ b.T, GRADIENTS)
    assert_close(
        by_b,
        0.5 * np.einsum("kfr,kfc->rc", a, of_kernel),
        GRADIENTS,
    )


def test_merged_when_saved_and_training_goes_on(rng, tmp_path):
    layer, x = built(keras_convt.Conv1DTranspose, 1, rng)
    model = keras.Sequential([keras.Input((4, 6)), layer])
    layer.enable_lora(2, lora_alpha=4)
    train(model, rng)
    expected = numpy(model(x))
    path = tmp_path / "model.keras"
    model.save(path)
    loaded = keras.models.load_model(path)
    assert_close(numpy(loaded(x)), expected, SAME_LAYER)
    again = loaded.layers[0]
    assert (again.lora_rank, again.lora_alpha) == (2, 4)
    names = sorted(w.name for w in loaded.trainable_weights)
    assert names == ["bias", *FACTORS]
    losses = train(loaded, rng)
    assert losses[-1] < losses[0]
    for name in FACTORS:
        assert np.abs(numpy(getattr(again, name))).max() > 0
    # Weights alone go into a layer without factors, merged.
    weights = tmp_path / "model.weights.h5"
    model.save_weights(weights)
    plain = keras.Sequential(
        [
            keras.Input((4, 6)),
            keras_convt.Conv1DTranspose(4, 3, 2, "same", groups=2),
        ]
    )
    plain.load_weights(weights)
    assert_close(numpy(plain(x)), expected, SAME_LAYER)


def test_the_weights_have_one_order(rng):
    layer, _ = built(keras_convt.Conv1DTranspose, 1, rng)
    layer.enable_lora(2)
    other = keras_convt.Conv1DTranspose.from_config(layer.get_config())
    other.build((None, 4, 6))
    names = [w.name for w in layer.weights]
    assert names == [w.name for w in other.weights]


def test_an_update_that_is_scaled_by_zero(rng):
    for arguments in ({"lora_rank": 2, "lora_alpha": 0}, {}):
        layer, _ = built(keras_convt.Conv1DTranspose, 1, rng, **arguments)
        if not arguments:
            layer.enable_lora(2, lora_alpha=0, b_initializer="ones")
        layer.lora_kernel_b.assign(np.ones(layer.lora_kernel_b.shape))
        assert layer.get_config()["lora_alpha"] == 0
        assert_close(numpy(layer.kernel), numpy(layer._kernel), VALUES)


def test_a_rank_that_is_set_before_the_layer_is_built():
    layer = keras_convt.Conv1DTranspose(4, 3)
    layer.lora_rank = 2
    layer.build((None, 5, 3))
    assert layer.lora_enabled
    assert layer.lora_alpha == 2
    with pytest.raises(ValueError, match=r"`lora_rank` of the layer"):
        layer.lora_rank = 3


def test_errors(rng):
    layer = keras_convt.Conv1DTranspose(4, 3, kernel_constraint="non_neg")
    with pytest.raises(ValueError, match="`kernel_constraint`, which must be"):
        layer.enable_lora(2)
    with pytest.raises(ValueError, match="`kernel_constraint`, which must be"):
        keras_convt.Conv1DTranspose(
            4, 3, kernel_constraint="non_neg", lora_rank=2
        )
    layer = keras_convt.Conv1DTranspose(4, 3)
    with pytest.raises(ValueError, match="must be built before `enable_lora`"):
        layer.enable_lora(2)
    layer.build((None, None, 3))
    for rank in (0, -1, 1.5):
        with pytest.raises(ValueError, match=r"`rank` must be a whole number"):
            layer.enable_lora(rank)
    with pytest.raises(ValueError, match=r"`lora_alpha` must be .*=nan"):
        layer.enable_lora(2, lora_alpha=float("nan"))
    with pytest.raises(ValueError, match="`a_initializer`"):
        layer.enable_lora(2, a_initializer="no_such")
    # Nothing was changed by what was refused.
    assert [w.name for w in layer.trainable_weights] == ["kernel", "bias"]
    assert layer.lora_rank is None
    layer.enable_lora(2)
    with pytest.raises(ValueError, match="once for a layer"):
        layer.enable_lora(2)
    with pytest.raises(TypeError, match="`lora_rank` must be a whole number"):
        keras_convt.Conv1DTranspose(4, 3, lora_rank="2")
