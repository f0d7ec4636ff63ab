"""What the first version saved is loaded, and computes the same."""

import first_version
import keras
import numpy as np
import pytest
from tolerances import SAME_LAYER, assert_close

SAVED = dict(np.load(first_version.FOLDER / "outputs.npz"))

# Keras says of an input that it has no int8.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Layer InputLayer does not have a `quantize` method:UserWarning"
)


@pytest.mark.parametrize("make", first_version.MODELS)
def test_a_saved_model(make):
    name = make.__name__
    model = keras.saving.load_model(first_version.FOLDER / f"{name}.keras")
    found = first_version.outputs(model)
    if name == "lora_and_int8":
        # Merged into eight bits when it was saved: half a step for each tap.
        assert_close(found, SAVED[name], {"rtol": 0.05, "atol": 0.05})
    else:
        assert_close(found, SAVED[name], SAME_LAYER)


@pytest.mark.parametrize("make", first_version.MODELS)
def test_saved_weights(make):
    name = make.__name__
    model = make()
    assert np.abs(first_version.outputs(model) - SAVED[name]).max() > 0.05
    model.load_weights(first_version.FOLDER / f"{name}.weights.h5")
    loaded = keras.saving.load_model(first_version.FOLDER / f"{name}.keras")
    assert_close(
        first_version.outputs(model), first_version.outputs(loaded), SAME_LAYER
    )
