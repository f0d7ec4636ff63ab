"""The weights of a whole module of PyTorch, by the names of the layers."""

import keras
import numpy as np
import pytest
import torch
from decoders import Snake
from keras import layers
from tolerances import VALUES, assert_close
from torch import nn

import keras_convt


class Slope(nn.Module):
    """DAC's activation, whose trained slope has the axes of its input."""

    def __init__(self, channels):
        super().__init__()
        self.alpha = nn.Parameter(1 + torch.rand(1, channels, 1))

    def forward(self, x):
        return x + torch.sin(self.alpha * x) ** 2 / (self.alpha + 1e-9)


class Theirs(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(7, 4)
        norm = nn.utils.parametrizations.weight_norm
        self.blocks = nn.ModuleList(
            [
                norm(nn.ConvTranspose1d(4, 6, 4, 2, 1)),
                nn.Conv1d(6, 6, 3, padding=1, groups=2),
            ]
        )
        self.batch = nn.BatchNorm1d(6, eps=1e-4)
        self.group = nn.GroupNorm(2, 6)
        self.slope = Slope(6)
        self.lstm = nn.LSTM(6, 6, num_layers=2, batch_first=True)
        self.gru = nn.GRU(6, 5, batch_first=True)
        self.layer = nn.LayerNorm(5)
        self.last = nn.Linear(5, 3)

    def forward(self, x):
        x = self.embed(x).swapaxes(1, 2)
        x = self.blocks[1](self.blocks[0](x))
        x = self.slope(self.group(self.batch(x))).swapaxes(1, 2)
        x, _ = self.gru(self.lstm(x)[0])
        return self.last(self.layer(x))


def ours(**changed):
    inputs = keras.Input((None,), dtype="int32")
    x = layers.Embedding(7, 4, name="embed")(inputs)
    x = keras_convt.Conv1DTranspose(
        6, 4, 2, padding=(1, 1), name=changed.get("up", "blocks-0")
    )(x)
    x = layers.Conv1D(6, 3, padding="same", groups=2, name="blocks-1")(x)
    x = layers.BatchNormalization(
        epsilon=changed.get("epsilon", 1e-4), name="batch"
    )(x)
    x = layers.GroupNormalization(2, epsilon=1e-5, name="group")(x)
    x = Snake(name="slope")(x)
    # A model in the model.
    within = source = keras.Input((None, 6))
    for n in range(2):
        within = layers.LSTM(6, return_sequences=True, name=f"lstm-{n}")(within)
    x = keras.Model(source, within)(x)
    x = layers.GRU(5, return_sequences=True, name="gru")(x)
    x = layers.LayerNormalization(epsilon=1e-5, name="layer")(x)
    x = layers.Dense(changed.get("units", 3), name="last")(x)
    return keras.Model(inputs, x)


def module():
    torch.manual_seed(1234)
    made = Theirs()
    with torch.no_grad():
        for value in (made.batch.running_mean, made.batch.running_var):
            value.uniform_(0.5, 2.0)
        for value in made.parameters():
            value.add_(0.1 * torch.randn(value.shape))
    return made.eval()


def test_every_layer_computes_what_its_module_does(rng):
    theirs = module()
    x = rng.integers(0, 7, size=(2, 9))
    with torch.no_grad():
        expected = theirs(torch.from_numpy(x)).numpy()
    for names in (None, {"up": "blocks.0"}):
        model = ours(**({} if names is None else {"up": "up"}))
        keras_convt.load_torch_model(model, theirs, names)
        assert_close(model.predict(x, verbose=0), expected, VALUES)


def test_what_does_not_fit_is_refused_by_the_name_of_the_layer():
    load, theirs = keras_convt.load_torch_model, module()
    model = ours(up="up")
    before = model.get_weights()
    with pytest.raises(ValueError, match=r"layer 'up', and no submodule 'up'"):
        load(model, theirs)
    # Nothing was changed.
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    # Nor by those before the last layer, which alone does not fit.
    model = ours(units=4)
    before = model.get_weights()
    with pytest.raises(ValueError, match=r"layer 'last' needs.*\(5, 4\)"):
        load(model, theirs)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    with pytest.raises(ValueError, match=r"layer 'batch' needs.*eps=0.0001, e"):
        load(ours(epsilon=1e-3), theirs)
    with pytest.raises(ValueError, match=r"`names` must have.*\['other'\]"):
        load(ours(), theirs, {"other": "blocks.0"})
    with pytest.raises(ValueError, match=r"layer 'blocks-1' needs in 'group'"):
        load(ours(), theirs, {"blocks-1": "group"})
    with pytest.raises(TypeError, match=r"`model` must be a Seq.*type Dense"):
        load(layers.Dense(3), theirs)
    other = keras.Sequential([keras.Input((3,)), layers.PReLU(name="last")])
    with pytest.raises(TypeError, match=r"must not have a PReLU.*'last' your"):
        load(other, theirs)
