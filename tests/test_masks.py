"""Masks: masked steps contribute nothing, and what comes out says which."""

import re

import keras
import numpy as np
import pytest
import tolerances
from keras import ops

import keras_convt

STEPS = 6
REAL = (3, 6)  # real steps of each sequence of the batch
MASK = np.arange(STEPS)[None] < np.array(REAL)[:, None]


def mask_of(outputs):
    """The mask that a following layer would be given."""

    class Catch(keras.layers.Layer):
        def __init__(self):
            super().__init__()
            self.supports_masking = True
            self.caught = None

        def call(self, inputs, mask=None):
            self.caught = mask
            return inputs

    catch = Catch()
    catch(outputs)
    return ops.convert_to_numpy(catch.caught)


def contributed(layer, real, length, left):
    """Which outputs a real step reaches, by going through all of them."""
    found = np.zeros(length, bool)
    for step in range(real):
        for tap in range(layer.kernel_size[0]):
            place = step * layer.strides[0] + tap * layer.dilation_rate[0]
            if 0 <= place - left < length:
                found[place - left] = True
    return found


def padded_batch(rng):
    x = rng.standard_normal((2, STEPS, 3)).astype("float32")
    x[~MASK] = np.nan  # whatever stands there must not matter
    return x


@pytest.mark.parametrize(
    ("kernel_size", "strides", "data_format"),
    [
        (1, 3, "channels_last"),
        (2, 1, "channels_last"),
        (3, 2, "channels_last"),
        (5, 3, "channels_first"),
    ],
)
@pytest.mark.parametrize("padding", ["valid", "same", "causal", 0, (1, -2)])
def test_a_padded_batch_is_each_sequence_alone(
    rng, kernel_size, strides, padding, data_format
):
    layer = keras_convt.Conv1DTranspose(
        2, kernel_size, strides, padding, data_format=data_format
    )
    x = padded_batch(rng)
    turn = (0, 2, 1) if data_format == "channels_first" else (0, 1, 2)
    y = layer(np.transpose(x, turn), mask=ops.convert_to_tensor(MASK))
    mask = mask_of(y)
    y = np.transpose(ops.convert_to_numpy(y), turn)
    assert mask.shape == y.shape[:2]
    assert not np.isnan(y).any()
    for number, real in enumerate(REAL):
        alone = layer(np.transpose(x[number : number + 1, :real], turn))
        alone = np.transpose(ops.convert_to_numpy(alone), turn)[0]
        if padding in ("same", "causal"):
            expected = np.arange(y.shape[1]) < real * strides
        else:
            left = 0 if padding in ("valid", 0) else padding[0]
            expected = contributed(layer, real, y.shape[1], left)
        np.testing.assert_array_equal(mask[number], expected)
        valid = np.flatnonzero(expected)
        # Past a crop at the end, a sequence alone has no such step.
        valid = valid[valid < len(alone)]
        assert valid.size
        tolerances.assert_close(
            y[number][valid], alone[valid], tolerances.VALUES
        )


@pytest.mark.parametrize("padding", ["valid", "same", "causal", (1, 0)])
@pytest.mark.parametrize("longer", [0, 1])
def test_a_mask_has_the_output_size_asked_for(rng, padding, longer):
    layer = keras_convt.Conv1DTranspose(2, 4, 2, padding)
    lengths = {"same": 11, "causal": 11, "valid": 14, (1, 0): 13}
    size = lengths[padding] + longer
    y = layer(
        padded_batch(rng), mask=ops.convert_to_tensor(MASK), output_size=size
    )
    assert tuple(y.shape) == (2, size, 2)
    mask = mask_of(y)
    assert mask.shape == (2, size)
    if padding in ("same", "causal"):
        expected = np.arange(size) < np.array(REAL)[:, None] * 2
    else:
        left = 0 if padding == "valid" else 1
        expected = [contributed(layer, real, size, left) for real in REAL]
    np.testing.assert_array_equal(mask, expected)


def test_a_mask_of_an_image(rng):
    layer = keras_convt.Conv2DTranspose(2, 2, (2, 3), "same")
    x = rng.standard_normal((1, 2, 2, 3)).astype("float32")
    mask = np.array([[[True, False], [True, True]]])
    y = layer(x, mask=ops.convert_to_tensor(mask))
    expected = np.repeat(np.repeat(mask, 2, axis=1), 3, axis=2)
    np.testing.assert_array_equal(mask_of(y), expected)
    y = ops.convert_to_numpy(y)
    outside = np.broadcast_to(~expected[..., None], y.shape)
    assert np.all(y[outside] == 0)
    assert np.any(y[~outside] != 0)


@pytest.mark.parametrize("padding", ["valid", "same", "causal", (1, 0)])
def test_masks_flow_through_a_functional_model(tmp_path, padding):
    tokens = keras.Input((None,), dtype="int32")
    x = keras.layers.Embedding(10, 4, mask_zero=True)(tokens)
    x = keras_convt.Conv1DTranspose(3, 3, 2, padding)(x)
    x = keras_convt.Conv1DTranspose(3, 4, 3, padding)(x)
    outputs = keras.layers.GRU(2)(x)
    model = keras.Model(tokens, outputs)
    padded = model.predict(np.array([[1, 2, 0], [1, 2, 3]]), verbose=0)
    alone = model.predict(np.array([[1, 2]]), verbose=0)
    tolerances.assert_close(padded[:1], alone, tolerances.VALUES)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    again = loaded.predict(np.array([[1, 2, 0], [1, 2, 3]]), verbose=0)
    tolerances.assert_close(again, padded, tolerances.SAME_LAYER)


def test_the_gradient_of_a_masked_step_is_zero(rng):
    from gradients import value_and_gradients

    layer = keras_convt.Conv1DTranspose(2, 3, 2)
    layer.build((None, STEPS, 3))
    mask = ops.convert_to_tensor(MASK)
    x = rng.standard_normal((2, STEPS, 3)).astype("float32")
    _, (slope,) = value_and_gradients(
        lambda x: ops.sum(layer(x, mask=mask) ** 2), [x]
    )
    assert np.all(slope[~MASK] == 0)
    assert np.all(slope[MASK] != 0)


@pytest.mark.parametrize("where", ["at the end", "at the start"])
@pytest.mark.parametrize(
    ("kernel_size", "strides", "arguments"),
    [
        (3, 2, {"padding": (0, 2)}),
        (5, 2, {"padding": (1, 2)}),
        (5, 3, {"padding": (2, 2), "data_format": "channels_first"}),
        (2, 3, {"padding": (1, 0)}),
        (6, 4, {"padding": (3, 2), "output_padding": 1}),
        (4, 2, {"padding": "valid", "output_padding": 1}),
        (3, 4, {"padding": "same", "output_padding": 0}),
        (3, 4, {"padding": "same", "output_padding": 3}),
        (4, 3, {"padding": "same", "output_padding": 1}),
    ],
)
def test_no_more_is_real_than_of_a_sequence_alone(
    kernel_size, strides, arguments, where, rng
):
    layer = keras_convt.Conv1DTranspose(2, kernel_size, strides, **arguments)
    x = rng.standard_normal((2, STEPS, 3)).astype("float32")
    mask = MASK if where == "at the end" else MASK[:, ::-1]
    turn = (0, 1, 2)
    if arguments.get("data_format") == "channels_first":
        turn = (0, 2, 1)
    y = layer(np.transpose(x, turn), mask=ops.convert_to_tensor(mask))
    found, y = mask_of(y), np.transpose(ops.convert_to_numpy(y), turn)
    for number, real in enumerate(REAL):
        alone = layer(
            np.transpose(x[number : number + 1, mask[number]], turn),
            mask=ops.ones((1, real), "bool"),
        )
        expected = np.zeros(found.shape[1], bool)
        first = 0 if where == "at the end" else (STEPS - real) * strides
        (of_alone,) = mask_of(alone)
        expected[first : first + len(of_alone)] = of_alone
        np.testing.assert_array_equal(found[number], expected)
        alone = np.transpose(ops.convert_to_numpy(alone), turn)[0]
        tolerances.assert_close(
            y[number][expected], alone[of_alone], tolerances.VALUES
        )


def test_a_sequence_between_others_and_one_without_any_step(rng):
    layer = keras_convt.Conv1DTranspose(1, 3, 2, (1, 1))
    mask = [[False, True, True, False, True, False], [False] * STEPS]
    # A list is taken as well.
    y = layer(rng.standard_normal((2, STEPS, 3)), mask=mask)
    # Of 3 + 2 * 5 - 2 = 11 steps, from where the first real step begins (2),
    # up to what would be left of the last one (4 * 2 + 3 - 1 - 1 = 9). Step 6
    # is of the masked step 3 alone.
    expected = np.zeros((2, 11), bool)
    expected[0, [2, 3, 4, 5, 7, 8]] = True
    np.testing.assert_array_equal(mask_of(y), expected)


def test_crops_of_an_image_with_a_mask():
    layer = keras_convt.Conv2DTranspose(1, 3, 2, ((0, 1), (1, 1)))
    mask = np.zeros((1, 3, 4), bool)
    mask[:, :2, :2] = True
    y = layer(
        np.ones((1, 3, 4, 1), "float32"), mask=ops.convert_to_tensor(mask)
    )
    alone = layer(
        np.ones((1, 2, 2, 1), "float32"), mask=np.ones((1, 2, 2), bool)
    )
    expected = np.zeros(y.shape[:3], bool)
    rows, columns = alone.shape[1:3]
    expected[:, :rows, :columns] = mask_of(alone)
    np.testing.assert_array_equal(mask_of(y), expected)


def test_a_mask_without_steps_is_for_whole_samples(rng):
    layer = keras_convt.Conv1DTranspose(2, 3, 2, bias_initializer="ones")
    x = rng.standard_normal((2, STEPS, 3)).astype("float32")
    y = layer(x, mask=ops.convert_to_tensor([True, False]))
    np.testing.assert_array_equal(mask_of(y), [True, False])
    y = ops.convert_to_numpy(y)
    alone = ops.convert_to_numpy(layer(x[:1]))
    tolerances.assert_close(y[:1], alone, tolerances.VALUES)
    np.testing.assert_array_equal(y[1], np.ones_like(y[1]))


@pytest.mark.parametrize("shape", [(2, 5), (3, 6), (2, 6, 3), (1, 6), ()])
def test_masks_that_do_not_fit(shape, rng):
    layer = keras_convt.Conv1DTranspose(2, 3, 2)
    x = rng.standard_normal((2, STEPS, 3)).astype("float32")
    with pytest.raises(
        ValueError, match="`mask` must have the shape"
    ) as caught:
        layer(x, mask=np.ones(shape, bool))
    assert str(caught.value) == (
        "`mask` must have the shape (batch, *steps) of the inputs, (2, 6), or "
        f"the first axes of it. Received: mask.shape={shape}."
    )
    assert not layer.weights


def test_a_mask_of_lists_of_several_lengths(rng):
    layer = keras_convt.Conv1DTranspose(2, 3, 2)
    x = rng.standard_normal((2, STEPS, 3)).astype("float32")
    received = re.escape("(2, 6), or the first axes of it. Received: mask=[[T")
    with pytest.raises(ValueError, match=f"`mask` must have .*{received}"):
        layer(x, mask=[[True] * 6, [True] * 2])


def test_masking_before_channels_first(rng):
    """Its mask is of the channels; each of them is zero already."""
    x = rng.standard_normal((2, 3, STEPS)).astype("float32")
    x[0, 1] = 0
    layer = keras_convt.Conv1DTranspose(2, 3, 2, data_format="channels_first")
    for steps in (STEPS, None):
        inputs = keras.Input((3, steps))
        outputs = layer(keras.layers.Masking()(inputs))
        assert getattr(outputs, "_keras_mask", None) is None
        y = keras.Model(inputs, outputs).predict(x, verbose=0)
        tolerances.assert_close(
            y, ops.convert_to_numpy(layer(x)), tolerances.SAME_LAYER
        )


def test_a_mask_leaves_the_dtype(rng):
    layer = keras_convt.Conv1DTranspose(2, 3, 2, dtype="mixed_bfloat16")
    x = rng.standard_normal((2, STEPS, 3)).astype("float32")
    y = layer(x, mask=ops.convert_to_tensor(MASK))
    assert keras.backend.standardize_dtype(y.dtype) == "bfloat16"
