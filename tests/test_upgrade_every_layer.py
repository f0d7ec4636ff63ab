"""A model with any layer of Keras is the same when it is upgraded."""

import inspect

import keras
import pytest
from keras import layers
from keras.ops import convert_to_numpy as numpy
from tolerances import SAME_LAYER, assert_close

import keras_convt

BACKEND = keras.backend.backend()
# Both, except where each takes seconds to compile.
TRAINING = (True,) if BACKEND == "jax" else (False, True)
VECTOR, SIGNAL, IMAGE, VOLUME = (8,), (6, 4), (6, 6, 3), (4, 4, 4, 2)


class Case:
    """How a layer is made, and the shapes and dtype of its inputs."""

    def __init__(self, *args, on=SIGNAL, inputs=1, dtype="float32", **kwargs):
        self.args, self.kwargs = args, kwargs
        self.on, self.inputs, self.dtype = on, inputs, dtype

    def source(self):
        sources = [
            keras.Input(self.on, dtype=self.dtype) for _ in range(self.inputs)
        ]
        return sources if self.inputs > 1 else sources[0]

    def data(self, rng):
        arrays = [
            # Positive, as images and counts are.
            (rng.uniform(0, 5, size=(2, *self.on))).astype(self.dtype)
            for _ in range(self.inputs)
        ]
        return arrays if self.inputs > 1 else arrays[0]


CASES = {
    "Activation": Case("tanh"),
    "ActivityRegularization": Case(0.1),
    "Add": Case(inputs=2),
    "AdditiveAttention": Case(inputs=2),
    "AlphaDropout": Case(0.5),
    "Attention": Case(use_scale=True, inputs=2),
    "AugMix": Case(num_chains=1, chain_depth=1, on=IMAGE),
    "AutoContrast": Case(on=IMAGE),
    "Average": Case(inputs=2),
    "BatchNormalization": Case(),
    "Bidirectional": Case(layers.GRU, 3),
    "CategoryEncoding": Case(6, on=VECTOR, dtype="int32"),
    "CenterCrop": Case(4, 4, on=IMAGE),
    "Concatenate": Case(inputs=2),
    "ContrastLimitedAdaptiveHistogramEqualization": Case(
        tile_grid_size=(2, 2), value_range=(0, 255), on=IMAGE
    ),
    "CutMix": Case(on=IMAGE),
    "Dense": Case(3),
    "Discretization": Case([1.0, 2.0]),
    "Dot": Case(-1, inputs=2),
    "Dropout": Case(0.5),
    "EinsumDense": Case("abc,cd->abd", (None, 3)),
    "ELU": Case(),
    "Embedding": Case(6, 3, on=VECTOR, dtype="int32"),
    "Flatten": Case(),
    "GaussianDropout": Case(0.5),
    "GaussianNoise": Case(0.5),
    "GroupNormalization": Case(2),
    "GroupedQueryAttention": Case(2, 4, 2, inputs=2),
    "GRU": Case(3),
    "HashedCrossing": Case(5, on=(1,), dtype="int32", inputs=2),
    "Hashing": Case(5, on=VECTOR, dtype="int32"),
    "Identity": Case(),
    "IntegerLookup": Case(vocabulary=[1, 2], on=VECTOR, dtype="int32"),
    "Lambda": Case(lambda x: keras.ops.abs(x) * SIGNAL[0]),
    "LayerNormalization": Case(),
    "LeakyReLU": Case(),
    "LSTM": Case(3),
    "Masking": Case(),
    "Maximum": Case(inputs=2),
    "MelSpectrogram": Case(8, 4, 8, num_mel_bins=4, on=(20,)),
    "Minimum": Case(inputs=2),
    "MixUp": Case(on=IMAGE),
    "MultiHeadAttention": Case(2, 4, dropout=0.5, inputs=2),
    "Multiply": Case(inputs=2),
    "Normalization": Case(mean=1.0, variance=2.0),
    "Permute": Case((2, 1)),
    "Pipeline": Case([layers.Rescaling(2.0), layers.RandomFlip()], on=IMAGE),
    "PReLU": Case("ones"),
    "RandAugment": Case(num_ops=1, on=IMAGE),
    "RandomBrightness": Case(0.5, on=IMAGE),
    "RandomColorDegeneration": Case(0.5, on=IMAGE),
    "RandomColorJitter": Case(brightness_factor=0.5, on=IMAGE),
    "RandomContrast": Case(0.5, on=IMAGE),
    "RandomCrop": Case(4, 4, on=IMAGE),
    "RandomElasticTransform": Case(0.5, on=IMAGE),
    "RandomErasing": Case(0.5, on=IMAGE),
    "RandomFlip": Case(on=IMAGE),
    "RandomGaussianBlur": Case(0.5, on=IMAGE),
    "RandomGrayscale": Case(0.5, on=IMAGE),
    "RandomHue": Case(0.5, on=IMAGE),
    "RandomInvert": Case(0.5, on=IMAGE),
    "RandomPerspective": Case(0.5, on=IMAGE),
    "RandomPosterization": Case(4, on=IMAGE),
    "RandomRotation": Case(0.5, on=IMAGE),
    "RandomSaturation": Case(0.5, on=IMAGE),
    "RandomSharpness": Case(0.5, on=IMAGE),
    "RandomShear": Case((0.1, 0.4), on=IMAGE),
    "RandomTranslation": Case(0.5, 0.5, on=IMAGE),
    "RandomZoom": Case(0.5, on=IMAGE),
    "ReLU": Case(max_value=2.0),
    "RepeatVector": Case(3, on=VECTOR),
    "Rescaling": Case(3.0),
    "Reshape": Case((3, 8)),
    "Resizing": Case(4, 4, on=IMAGE),
    "ReversibleEmbedding": Case(6, 3, on=VECTOR, dtype="int32"),
    "RMSNormalization": Case(),
    "RNN": Case([layers.GRUCell(3), layers.LSTMCell(2)]),
    "SimpleRNN": Case(3, recurrent_dropout=0.5),
    "Softmax": Case(),
    "Solarization": Case(on=IMAGE),
    "SpectralNormalization": Case(layers.Dense, 3),
    "STFTSpectrogram": Case("log", 8, 4, 8, on=(20, 1)),
    "Subtract": Case(inputs=2),
    "TimeDistributed": Case(layers.Dense, 3),
    "UnitNormalization": Case(),
}
for rank, shape in ((1, SIGNAL), (2, IMAGE), (3, VOLUME)):
    for name, given in {
        f"AdaptiveAveragePooling{rank}D": [2],
        f"AdaptiveMaxPooling{rank}D": [2],
        f"AveragePooling{rank}D": [2],
        f"Conv{rank}D": [2, 2],
        f"Conv{rank}DTranspose": [2, 2],
        f"Cropping{rank}D": [1],
        f"DepthwiseConv{rank}D": [2],
        f"GlobalAveragePooling{rank}D": [],
        f"GlobalMaxPooling{rank}D": [],
        f"MaxPooling{rank}D": [2],
        f"SeparableConv{rank}D": [2, 2],
        f"SpatialDropout{rank}D": [0.5],
        f"UpSampling{rank}D": [2],
        f"ZeroPadding{rank}D": [1],
    }.items():
        if hasattr(layers, name):
            CASES[name] = Case(*given, on=shape)
    CASES[f"ConvLSTM{rank}D"] = Case(2, 2, on=(3, *shape))

# Those that are no layer of a graph by themselves.
ABSTRACT = {"Layer", "Wrapper", "InputLayer"}
CELLS = {"GRUCell", "LSTMCell", "SimpleRNNCell", "StackedRNNCells"}
# Those that take their inputs one by one.
SEVERAL = {"GroupedQueryAttention", "MultiHeadAttention"}
# Those that hold a program of another framework, or a file of one.
FOREIGN = {"FlaxLayer", "JaxLayer", "TFSMLayer", "TorchModuleWrapper"}
# Those that take inputs that are no single array.
STRUCTURED = {"MaxNumBoundingBoxes"}
# Its symbolic output is its input in Keras 3.15, so no model can have it.
UNUSABLE = {"Equalization"}
# Those of strings, which a graph of TensorFlow's alone can have.
STRINGS = {"StringLookup", "TextVectorization"}
# Those that compute with TensorFlow's tables and hashes on every backend.
TENSORFLOW = {"HashedCrossing", "Hashing", "IntegerLookup"}


def classes():
    """The layers of this version of Keras, each by the first of its names."""
    found = {}
    for name, value in inspect.getmembers(layers, inspect.isclass):
        if issubclass(value, layers.Layer):
            found.setdefault(value, name)
    return {value.__name__: value for value in found}


def made(case, layer_class):
    args = list(case.args)
    if inspect.isclass(args[0] if args else None):
        # The layer of a wrapper, which must be new.
        args = [args[0](*args[1:])]
        if layer_class is layers.Bidirectional:
            args[0].return_sequences = True
    return layer_class(*args, **case.kwargs)


def outputs(model, x, training):
    # A few draw from Python's and PyTorch's own generators.
    keras.utils.set_random_seed(7)
    return [numpy(y) for y in keras.tree.flatten(model(x, training=training))]


def test_there_is_a_case_for_every_layer():
    left_out = ABSTRACT | CELLS | FOREIGN | STRUCTURED | UNUSABLE | STRINGS
    assert set(classes()) - left_out <= set(CASES)


@pytest.mark.parametrize("name", sorted(set(CASES) & set(classes())))
# Keras's `RandAugment` transposes scalars, and its `MixUp` counts in int64.
@pytest.mark.filterwarnings("ignore:Tensor.T is deprecated:UserWarning")
@pytest.mark.filterwarnings("ignore:(?s).*requested dtype int64:UserWarning")
def test_a_model_with_the_layer(name, rng):
    if name in TENSORFLOW and BACKEND != "tensorflow":
        pytest.skip("computes with TensorFlow on every backend")
    case = CASES[name]
    source, signal = case.source(), keras.Input((5, 3))
    layer = made(case, classes()[name])
    y = layer(*source) if name in SEVERAL else layer(source)
    up = layers.Conv1DTranspose(2, 4, 2)(signal)
    model = keras.Model([source, signal], [y, up])
    x = [case.data(rng), rng.normal(size=(2, 5, 3)).astype("float32")]
    model.set_weights([w + 0.25 for w in model.get_weights()])
    upgraded = keras_convt.upgrade_model(model)
    for training in TRAINING:
        expected = outputs(model, x, training)
        actual = outputs(upgraded, x, training)
        for a, e in zip(actual, expected, strict=True):
            assert_close(a, e, SAME_LAYER, f"training={training}")
    kinds = [type(layer) for layer in upgraded.layers]
    assert keras_convt.Conv1DTranspose in kinds
    assert layers.Conv1DTranspose not in kinds
