"""The demo: what it measures with, and one short run of it."""

import importlib.util
import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tolerances

import keras_convt
from keras_convt import _backend
from keras_convt.demo import command, interpolation, main, signal, versions
from keras_convt.demo.model import BUILT_IN, OURS, build, restore
from keras_convt.demo.picture import agreement
from keras_convt.demo.run import print_agreement

INNER = slice(signal.MARGIN * signal.FACTOR, -signal.MARGIN * signal.FACTOR)


def test_nothing_held_out_is_trained_on(rng):
    places = np.arange(1024)
    recording = signal.cut(places)

    def original(standardised):
        return np.rint(
            standardised * np.float64(recording.scale) + recording.mean
        )

    trained = original(signal.windows(recording.training, 10_000, rng))
    judged = original(signal.alignments(recording.held_out))
    # Every place is one or the other, and all windows are whole.
    assert trained.shape == (10_000, signal.WINDOW)
    assert np.all(np.diff(trained) == 1)
    assert trained.min() == 0
    assert trained.max() == signal.TRAINING_SAMPLES - 1
    # All the rest is judged, except the sample that completes no row.
    np.testing.assert_array_equal(
        np.unique(judged), places[signal.TRAINING_SAMPLES : -1]
    )


def test_held_out_part_has_no_say_in_the_scale():
    ecg = signal.electrocardiogram()
    other = ecg.copy()
    other[signal.TRAINING_SAMPLES :] = 10_000
    ours, theirs = signal.cut(ecg), signal.cut(other)
    assert (ours.mean, ours.scale) == (theirs.mean, theirs.scale)
    np.testing.assert_array_equal(ours.training, theirs.training)


def test_the_recording_is_what_the_demo_says():
    ecg = signal.electrocardiogram()
    assert ecg.shape == (1024,)
    peaks = [
        i
        for i in range(60, len(ecg) - 60)
        if ecg[i] == ecg[i - 60 : i + 60].max() > 100
    ]
    assert len(peaks) == 3
    assert peaks[1] < signal.TRAINING_SAMPLES < peaks[2]


def test_coarse_is_the_mean():
    fine = np.arange(32, dtype="float32").reshape(2, 16)
    np.testing.assert_array_equal(
        signal.coarse(fine), [[3.5, 11.5], [19.5, 27.5]]
    )


def test_windows_vary_as_said(rng):
    fine = signal.cut(signal.electrocardiogram()).training[None, :128]
    rows = signal.varied(np.repeat(fine, 500, axis=0), rng)
    gains = rows.std(1) / fine.std()
    assert 0.59 < gains.min() < 0.65
    assert 1.25 < gains.max() < 1.31
    offsets = rows.mean(1) - gains * fine.mean()
    assert -0.51 < offsets.min() < -0.45
    assert 0.45 < offsets.max() < 0.51


def test_error_is_the_root_mean_square_inside():
    fine = np.zeros((2, 64), "float32")
    restored = np.full((2, 64), 100.0, "float32")
    restored[0, INNER] = 3.0
    restored[1, INNER] = -4.0
    assert signal.error(restored, fine) == pytest.approx(np.sqrt(12.5))


def test_interpolation_of_what_it_is_exact_for():
    at = np.arange(10 * signal.FACTOR)
    line = (0.25 * at - 3)[None].astype("float32")
    given = signal.coarse(line)
    for method in (interpolation.linear, interpolation.cubic):
        np.testing.assert_allclose(
            method(given)[:, INNER], line[:, INNER], rtol=1e-5, atol=1e-5
        )


def test_cubic_interpolation_is_a_natural_spline(rng):
    """Against the equations of its second derivatives."""
    steps, per = 9, signal.FACTOR
    given = rng.standard_normal((3, steps)).astype("float32")
    # m[i - 1] + 4 m[i] + m[i + 1] = 6 (y[i - 1] - 2 y[i] + y[i + 1]) at each
    # inner sample, in coarse steps, and m = 0 at the two ends.
    smooth = 4 * np.eye(steps - 2) + np.eye(steps - 2, k=1)
    smooth += np.eye(steps - 2, k=-1)
    m = np.zeros((3, steps))
    m[:, 1:-1] = np.linalg.solve(smooth, 6 * np.diff(given, 2).T).T
    at = (np.arange(steps * per) - (per - 1) / 2) / per
    left = np.clip(np.floor(at).astype(int), 0, steps - 2)
    b = at - left
    a = 1 - b
    expected = a * given[:, left] + b * given[:, left + 1]
    expected += (a**3 - a) / 6 * m[:, left] + (b**3 - b) / 6 * m[:, left + 1]
    np.testing.assert_allclose(
        interpolation.cubic(given), expected, rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize("layer", [OURS, BUILT_IN])
def test_the_model_starts_as_linear_interpolation(layer):
    kind = {
        OURS: keras_convt.Conv1DTranspose,
        BUILT_IN: keras.layers.Conv1DTranspose,
    }[layer]
    fine = signal.alignments(signal.cut(signal.electrocardiogram()).held_out)
    given = signal.coarse(fine)
    restored = restore(build(kind, channels=8), given)
    tolerances.assert_close(
        restored[:, INNER],
        interpolation.linear(given)[:, INNER],
        tolerances.VALUES,
    )


def test_a_short_run(tmp_path, capsys):
    out = tmp_path / "new" / "folder"
    main(["--epochs", "3", "--out", str(out), "--seed", "7"])
    printed = capsys.readouterr().out

    picture = (out / "ecg.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    assert len(picture) > 20_000
    numbers = json.loads((out / "ecg.json").read_text("utf-8"))
    assert numbers["backend"] == keras.backend.backend()
    assert (numbers["epochs"], numbers["seed"]) == (3, 7)
    for path in ("ecg.png", "ecg.json"):
        assert str((out / path).resolve()) in printed

    errors, losses = numbers["held_out_error"], numbers["loss"]
    methods = ["linear interpolation", "cubic interpolation", OURS, BUILT_IN]
    assert list(errors) == methods
    assert list(losses) == list(numbers["seconds_per_step"]) == [OURS, BUILT_IN]
    assert all(name in printed for name in methods)
    milliseconds = {
        name: 1e3 * v for name, v in numbers["seconds_per_step"].items()
    }
    for values, digits in ((errors, 4), (losses, 5), (milliseconds, 2)):
        assert all(np.isfinite(v) and v > 0 for v in values.values())
        assert all(f"{v:.{digits}f}" in printed for v in values.values())
    # What does not depend on training: a change here is one of the judging.
    assert errors["linear interpolation"] == pytest.approx(0.3898, abs=1e-4)
    assert errors["cubic interpolation"] == pytest.approx(0.3533, abs=1e-4)
    # Three epochs are enough to beat both.
    assert errors[OURS] < 0.9 * errors["cubic interpolation"]
    # The same weights, windows and sum: the same loss, except for rounding.
    assert losses[OURS] == pytest.approx(losses[BUILT_IN], rel=0.05)

    assert set(numbers["backends"]) == set(_backend.installed())
    for name, difference in numbers["backends"].items():
        assert name in printed
        assert isinstance(difference, float), difference
        assert difference < 1e-4
    streamed = numbers["streamed"]
    assert streamed["difference"] < 1e-5
    assert f"{streamed['difference']:.1e}" in printed
    # Two Conv1D of 5 taps and one on the fine signal look ahead.
    assert 0 < streamed["samples_late"] < 64
    alone = len(numbers["backends"]) == 1
    assert ("No other is installed" in printed) == alone


def test_agreement_is_said_or_how_to_see_it(capsys):
    here = keras.backend.backend()
    other = "jax" if here != "jax" else "torch"
    print_agreement({here: 0.0, other: 3e-7}, here)
    printed = capsys.readouterr().out
    assert "3.0e-07" in printed
    assert "pip install" not in printed
    assert f"{other} 3e-07" in agreement({here: 0.0, other: 3e-7})
    print_agreement({here: 0.0}, here)
    assert "pip install" in capsys.readouterr().out
    assert "No other backend" in agreement({here: 0.0})
    print_agreement({here: 0.0, other: "no memory"}, here)
    assert "failed: no memory" in capsys.readouterr().out


@pytest.mark.parametrize("epochs", ["0", "1", "-3", "2.5", "many"])
def test_epochs_are_two_or_more(epochs, capsys):
    with pytest.raises(SystemExit) as stop:
        main([f"--epochs={epochs}"])
    assert stop.value.code == 2
    assert "--epochs" in capsys.readouterr().err


def test_missing_packages_are_named(monkeypatch):
    monkeypatch.setitem(command.EXTRA, "PyWavelets", "no_such_module")
    with pytest.raises(SystemExit) as stop:
        main([])
    assert stop.value.code == (
        "The demo needs PyWavelets. Install with: pip install PyWavelets"
    )


def python(*arguments, **environment):
    """Run Python without KERAS_BACKEND, unless it is given."""
    kept = {k: v for k, v in os.environ.items() if k != "KERAS_BACKEND"}
    return subprocess.run(
        [sys.executable, *arguments],
        env={**kept, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_module_is_a_command():
    shown = python("-m", "keras_convt", "--help")
    assert shown.returncode == 0, shown.stderr
    for option in ("--epochs", "--out", "--seed", "--version"):
        assert option in shown.stdout


def test_versions_are_shown(monkeypatch, capsys):
    main(["--version"])
    lines = dict(
        line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()
    )
    assert lines["keras_convt"].startswith(keras_convt.__version__)
    assert lines["Keras"] == (
        f"{keras.__version__} with {keras.backend.backend()}"
    )
    assert lines["numpy"] == np.__version__
    for name in _backend.BACKENDS:
        there = name in _backend.installed()
        assert (lines[name] == "not installed") != there
    monkeypatch.setattr(versions, "OTHERS", ("no-such-package",))
    assert "no-such-package" in versions.report()
    assert versions.report().endswith("not installed")


def test_import_finds_the_installed_backend(tmp_path):
    # With no keras.json, and with the one that Keras then writes.
    for _ in range(2):
        shown = python(
            "-c",
            "import keras_convt, keras; print(keras.backend.backend())",
            KERAS_HOME=str(tmp_path),
        )
        assert shown.returncode == 0, shown.stderr
        assert shown.stdout.split()[-1] == _backend.installed()[0]


@pytest.fixture
def without_keras(monkeypatch, tmp_path):
    """As before the first import of Keras, with only `have` installed."""
    monkeypatch.delitem(sys.modules, "keras")
    # Set first, for the variable to be restored whatever it was.
    monkeypatch.setenv("KERAS_BACKEND", "")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))

    def have(*names):
        monkeypatch.setattr(
            importlib.util, "find_spec", lambda name: name in names or None
        )

    return have


def test_the_configured_backend_is_kept(without_keras, tmp_path):
    without_keras("tensorflow", "jax", "torch", "numpy")
    for name in ("torch", "numpy"):
        config = json.dumps({"backend": name})
        (tmp_path / "keras.json").write_text(config, "utf-8")
        _backend.choose()
        assert _backend.configured() == name
        assert not os.environ["KERAS_BACKEND"]


def test_the_variable_is_kept(without_keras, monkeypatch):
    without_keras("jax")
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    _backend.choose()
    assert os.environ["KERAS_BACKEND"] == "torch"


@pytest.mark.parametrize("text", [None, "{", "[]", '{"backend": "jax"}'])
def test_another_is_taken_when_it_is_missing(without_keras, tmp_path, text):
    without_keras("torch")
    if text is not None:
        (tmp_path / "keras.json").write_text(text, "utf-8")
    _backend.choose()
    assert os.environ["KERAS_BACKEND"] == "torch"


def test_nothing_changes_once_keras_is_there(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    _backend.choose()
    assert not os.environ["KERAS_BACKEND"]


def test_no_backend_at_all_is_said(without_keras):
    without_keras()
    with pytest.raises(ImportError, match="Keras needs a backend, and none"):
        _backend.choose()
