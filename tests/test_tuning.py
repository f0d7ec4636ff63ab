"""`tune` sets what is faster in the whole model, and nothing else."""

import itertools

import keras
import numpy as np
import pytest

import keras_convt
from keras_convt import tuning

from tolerances import SAME_LAYER, assert_close  # isort: skip


def decoder():
    return keras.Sequential(
        [
            keras.Input((6, 3)),
            keras.layers.Conv1D(5, 3, padding="same"),
            keras_convt.Conv1DTranspose(4, 4, 2, "same", name="up"),
            keras_convt.Conv1DTranspose(2, 3, 1, "same", name="last"),
        ],
        name="decoder",
    )


def names(model):
    return [layer.implementation for layer in tuning.transposed_layers(model)]


def output(model, x):
    return keras.ops.convert_to_numpy(model(x))


@pytest.fixture
def seconds_of(monkeypatch):
    """Says how long a model takes, by the implementations of its layers.

    What is tested is what `tune` makes of times; a real clock would make the
    test depend on the machine. Models are compiled and run only if `runs`.
    """

    def set_seconds(seconds, runs=False):
        made = tuning._TimedModels._call

        def call(self, model):
            if runs:
                made(self, model)
            now = tuple(names(model))
            return lambda: seconds(now)

        monkeypatch.setattr(tuning._TimedModels, "_call", call)
        monkeypatch.setattr(tuning, "_seconds", lambda call: call())
        monkeypatch.setattr(tuning, "SECONDS", 0)

    return set_seconds


@pytest.mark.parametrize("training", [True, False])
def test_the_fastest_is_set(training, seconds_of, rng):
    seconds_of(
        lambda now: (
            8.0
            - 4.0 * (now[0] == "overlap_add")
            - 2.0 * (now[1] == "convolution")
        ),
        runs=True,
    )
    model = decoder()
    x = rng.normal(size=(2, 6, 3)).astype("float32")
    expected = output(model, x)
    weights = model.get_weights()
    table = keras_convt.tune(model, x, training, verbose=False)
    assert names(model) == ["overlap_add", "convolution"]
    assert [(row.name, row.before, row.after) for row in table] == [
        ("up", "auto", "overlap_add"),
        ("last", "auto", "convolution"),
    ]
    np.testing.assert_allclose([row.gain for row in table], [2.0, 2.0])
    for now, before in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(now, before)
    assert_close(output(model, x), expected, SAME_LAYER)


def test_a_second_run_changes_nothing(seconds_of, rng):
    seconds_of(lambda now: 1.0 if now[0] == "native" else 2.0)
    model = decoder()
    x = rng.normal(size=(2, 6, 3)).astype("float32")
    keras_convt.tune(model, x, verbose=False)
    config = model.get_config()
    table = keras_convt.tune(model, x, verbose=False)
    assert model.get_config() == config
    assert [row.gain for row in table] == [1.0, 1.0]


def test_gains_within_the_noise_are_left(seconds_of, rng):
    seconds_of(lambda now: 1.0 if now[0] == "native" else 1.04)
    model = decoder()
    keras_convt.tune(
        model, rng.normal(size=(2, 6, 3)).astype("float32"), verbose=False
    )
    assert names(model) == ["auto", "auto"]


def test_a_lucky_moment_changes_nothing(seconds_of, rng):
    calls = itertools.count()

    def seconds(now):
        lucky = now[0] == "native" and next(calls) < 2 * tuning.ROUNDS
        return 1.0 if lucky else 2.0

    seconds_of(seconds)
    model = decoder()
    keras_convt.tune(
        model, rng.normal(size=(2, 6, 3)).astype("float32"), verbose=False
    )
    assert next(calls) == tuning.COMPARISONS * tuning.ROUNDS
    assert names(model) == ["auto", "auto"]


def test_what_was_found_is_saved(seconds_of, rng, tmp_path):
    seconds_of(lambda now: 1.0 if now[1] == "overlap_add" else 2.0)
    model = decoder()
    x = rng.normal(size=(2, 6, 3)).astype("float32")
    keras_convt.tune(model, x, verbose=False)
    model.save(tmp_path / "tuned.keras")
    loaded = keras.models.load_model(tmp_path / "tuned.keras")
    assert names(loaded) == ["auto", "overlap_add"]
    assert_close(output(loaded, x), output(model, x), SAME_LAYER)


def test_an_interrupt_changes_nothing(seconds_of, rng):
    def interrupted(now):
        if now[1] != "auto":
            raise KeyboardInterrupt
        return 1.0 if now[0] == "native" else 2.0

    seconds_of(interrupted)
    model = decoder()
    config = model.get_config()
    with pytest.raises(KeyboardInterrupt):
        keras_convt.tune(
            model, rng.normal(size=(2, 6, 3)).astype("float32"), verbose=False
        )
    assert model.get_config() == config


def test_with_a_real_clock(rng, capsys):
    class Inner(keras.layers.Layer):
        """A transposed layer that only an attribute holds."""

        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.up = keras_convt.Conv1DTranspose(2, 2, 2, name="up")

        def build(self, shape):
            self.up.build(shape)

        def call(self, inputs):
            return self.up(inputs)

    keras.saving.register_keras_serializable("tests")(Inner)
    inputs = keras.Input((5, 3))
    model = keras.Model(inputs, Inner()(inputs))
    model.compile("adam", "mse")
    x = rng.normal(size=(2, 5, 3)).astype("float32")
    expected = output(model, x)
    table = keras_convt.tune(model, x)
    (row,) = table
    assert row.name == "up"
    assert row.after in ("auto", *tuning.FORMULATIONS)
    assert repr(table) in capsys.readouterr().out
    assert repr(table).splitlines()[0].split() == [
        "layer",
        "before",
        "after",
        "gain",
    ]
    assert_close(output(model, x), expected, SAME_LAYER)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"model": 3}, TypeError, "`model` must be a keras.Model"),
        ({"runtime": "tflite"}, ValueError, "`runtime` must be None or one"),
        ({"margin": "1"}, TypeError, "`margin` must be a finite number"),
        ({"training": 2}, TypeError, "`training` must be True or False"),
    ],
)
def test_bad_arguments(arguments, error, words):
    values = {"model": decoder(), "inputs": np.ones((1, 6, 3)), **arguments}
    with pytest.raises(error, match=words):
        keras_convt.tune(**values)


def test_models_that_cannot_be_tuned():
    x = np.ones((1, 3))
    with pytest.raises(ValueError, match="must be built before it is tuned"):
        keras_convt.tune(keras.Sequential([keras.layers.Dense(2)]), x)
    dense = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    with pytest.raises(ValueError, match="must have a transposed layer"):
        keras_convt.tune(dense, x)
