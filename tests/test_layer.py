"""The layers in Keras: in place of the built-in, and in models."""

import inspect

import keras
import numpy as np
import pytest
import reference
from gradients import (
    arrays,
    compiled,
    compiled_for_any_signal,
    tensors,
)
from keras import ops
from tolerances import BUILT_IN, SAME_LAYER, VALUES, assert_close

import keras_convt

OURS = [
    keras_convt.Conv1DTranspose,
    keras_convt.Conv2DTranspose,
    keras_convt.Conv3DTranspose,
]
BUILT_INS = [
    keras.layers.Conv1DTranspose,
    keras.layers.Conv2DTranspose,
    keras.layers.Conv3DTranspose,
]
PAIRS = list(zip((1, 2, 3), OURS, BUILT_INS, strict=True))
Layer = keras_convt.Conv1DTranspose

SIGNATURE = {
    "filters": inspect.Parameter.empty,
    "kernel_size": inspect.Parameter.empty,
    "strides": 1,
    "padding": "valid",
    "output_padding": None,
    "data_format": None,
    "dilation_rate": 1,
    "activation": None,
    "use_bias": True,
    "kernel_initializer": "glorot_uniform",
    "bias_initializer": "zeros",
    "kernel_regularizer": None,
    "bias_regularizer": None,
    "activity_regularizer": None,
    "kernel_constraint": None,
    "bias_constraint": None,
}


def positional(cls):
    """Names and defaults; Keras writes some as (1, 1), which means 1."""
    return {
        p.name: 1 if p.default in ((1, 1), (1, 1, 1)) else p.default
        for p in inspect.signature(cls).parameters.values()
        if p.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
    }


def inputs(rng, rank=1, batch=2, steps=4, channels=3):
    return rng.normal(size=(batch, *[steps] * rank, channels)).astype("float32")


def numpy(tensor):
    return ops.convert_to_numpy(tensor)


# --- in place of the built-in -----------------------------------------------


def signature(rank):
    """SIGNATURE, in the order that Keras has it in."""
    names = list(SIGNATURE)
    if rank == 3:  # here `data_format` comes before `output_padding`
        i = names.index("output_padding")
        names[i : i + 2] = reversed(names[i : i + 2])
    return [(name, SIGNATURE[name]) for name in names]


@pytest.mark.parametrize(("rank", "ours", "built_in"), PAIRS)
def test_signature(rank, ours, built_in):
    expected = signature(rank)
    assert list(positional(ours).items()) == expected
    # The oldest supported Keras has no `output_padding`; the rest is the same.
    theirs = positional(built_in)
    assert list(theirs.items()) == [
        (name, default)
        for name, default in expected
        if name in theirs or name != "output_padding"
    ]


@pytest.mark.parametrize(("rank", "ours", "built_in"), PAIRS)
def test_weights(rank, ours, built_in):
    shape = (None, *[None] * rank, 3)
    layers = [cls(5, range(2, 2 + rank)) for cls in (ours, built_in)]
    for layer in layers:
        layer.build(shape)
    mine, theirs = (
        [(w.name, tuple(w.shape), w.dtype, w.trainable) for w in layer.weights]
        for layer in layers
    )
    assert mine == theirs
    assert mine[0][:2] == ("kernel", (*range(2, 2 + rank), 5, 3))
    assert mine[1][:2] == ("bias", (5,))


@pytest.mark.parametrize(("rank", "ours", "built_in"), PAIRS)
@pytest.mark.parametrize(
    "initializer",
    [
        "glorot_uniform",
        "he_normal",
        lambda: keras.initializers.Orthogonal(seed=3),
    ],
)
def test_a_seed_gives_the_kernel_of_the_built_in(
    rank, ours, built_in, initializer
):
    kernels = []
    for cls in (ours, built_in):
        keras.utils.set_random_seed(11)
        made = initializer if isinstance(initializer, str) else initializer()
        layer = cls(5, 4, 2, kernel_initializer=made)
        layer.build((None, *[None] * rank, 3))
        kernels.append(numpy(layer.kernel))
    np.testing.assert_array_equal(*kernels)
    assert np.ptp(kernels[0]) > 0


def test_the_default_names_count_like_the_built_in():
    names = []
    for cls in (Layer, keras.layers.Conv1DTranspose):
        keras.utils.clear_session()
        names.append([cls(1, 1).name for _ in range(2)])
    assert names[0] == names[1] == ["conv1d_transpose", "conv1d_transpose_1"]


SHARED = [
    {"kernel_size": 3, "strides": 2},
    {"kernel_size": 2, "strides": 4},
    {"kernel_size": 4, "strides": 2, "padding": "same"},
    {"kernel_size": 5, "padding": "same", "activation": "tanh"},
    {"kernel_size": 3, "dilation_rate": 2, "use_bias": False},
]


@pytest.mark.parametrize("arguments", SHARED)
@pytest.mark.parametrize(("rank", "ours", "built_in"), PAIRS)
def test_config_weights_and_outputs_of_the_built_in(
    rank, ours, built_in, arguments, rng
):
    theirs = built_in(6, bias_initializer="ones", **arguments)
    x = inputs(rng, rank)
    expected = numpy(theirs(x))
    mine = ours.from_config(theirs.get_config())
    mine.build(x.shape)
    mine.set_weights(theirs.get_weights())
    assert mine.name == theirs.name
    assert_close(numpy(mine(x)), expected, BUILT_IN)
    # And what the built-in saves about itself, ours says the same way.
    config = mine.get_config()
    for key, value in theirs.get_config().items():
        assert config[key] == value, key


def test_a_weights_file_of_the_built_in(rng, tmp_path):
    x = inputs(rng)
    models = [
        keras.Sequential(
            [keras.Input((None, 3)), cls(4, 3, 2), cls(2, 4, 2, "same")]
        )
        for cls in (keras.layers.Conv1DTranspose, Layer)
    ]
    path = tmp_path / "model.weights.h5"
    models[0].save_weights(path)
    models[1].load_weights(path)
    assert_close(numpy(models[1](x)), numpy(models[0](x)), BUILT_IN)


@pytest.mark.parametrize("cls", OURS)
def test_none_means_the_documented_initializer(cls):
    layer = cls(4, 2, kernel_initializer=None, bias_initializer=None)
    assert isinstance(
        layer.kernel_initializer, keras.initializers.GlorotUniform
    )
    assert isinstance(layer.bias_initializer, keras.initializers.Zeros)


def test_regularizers_and_constraints_are_used(rng):
    layer = Layer(
        4,
        3,
        bias_initializer="ones",
        kernel_initializer="ones",
        kernel_regularizer=keras.regularizers.L2(0.5),
        bias_regularizer=keras.regularizers.L1(0.25),
        activity_regularizer=keras.regularizers.L1(0.125),
        kernel_constraint="non_neg",
        bias_constraint="unit_norm",
    )
    x = inputs(rng, batch=1)
    y = numpy(layer(x))
    losses = sorted(float(numpy(loss)) for loss in layer.losses)
    expected = sorted([0.5 * 36, 0.25 * 4, 0.125 * np.abs(y).sum()])
    assert_close(losses, expected, VALUES)
    assert isinstance(layer.kernel.constraint, keras.constraints.NonNeg)
    assert isinstance(layer.bias.constraint, keras.constraints.UnitNorm)


def test_registered_under_the_package_name():
    for cls in OURS:
        name = keras.saving.get_registered_name(cls)
        assert name == f"keras_convt>{cls.__name__}"
        assert issubclass(cls, keras.layers.Layer)


# --- shapes -----------------------------------------------------------------


def shapes_of(layer, shape, **call):
    """compute_output_shape, the symbolic shape, and the eager one."""
    computed = tuple(layer.compute_output_shape(shape))
    symbolic = tuple(layer(keras.KerasTensor(shape), **call).shape)
    return computed, symbolic


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("s", [1, 2, 3, 5])
@pytest.mark.parametrize("padding", ["valid", "same", "causal", 1, (2, -3)])
def test_symbolic_and_eager_shapes_agree(padding, s, data_format):
    for k in (2, 3, 6):
        for p in [None] if padding == "causal" else [None, *range(s)]:
            for d in (1, 2) if s == 1 else (1,):
                sizes = {
                    "strides": s,
                    "padding": padding,
                    "output_padding": p,
                    "dilation_rate": d,
                }
                layer = Layer(
                    5,
                    k,
                    data_format=data_format,
                    kernel_initializer="zeros",
                    **sizes,
                )
                (n,) = reference.output_lengths((4,), k, **sizes)
                for batch in (3, None):
                    shape, expected = (batch, 4, 2), (batch, n, 5)
                    unknown, of_unknown = (batch, None, 2), (batch, None, 5)
                    if data_format == "channels_first":
                        shape, expected = (batch, 2, 4), (batch, 5, n)
                        unknown, of_unknown = (batch, 2, None), (batch, 5, None)
                    for given, wanted in (
                        (shape, expected),
                        (unknown, of_unknown),
                    ):
                        found = shapes_of(layer, given)
                        assert found == (wanted,) * 2, (k, sizes, given)


@pytest.mark.parametrize(
    ("cls", "rank"), list(zip(OURS[1:], (2, 3), strict=True))
)
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_partly_unknown_shapes(cls, rank, data_format):
    layer = cls(5, 3, 2, "same", data_format=data_format)
    last = data_format == "channels_last"
    steps, wanted = (None, 4, None)[:rank], (None, 8, None)[:rank]
    shape = (None, *steps, 2) if last else (None, 2, *steps)
    expected = (None, *wanted, 5) if last else (None, 5, *wanted)
    assert shapes_of(layer, shape) == (expected,) * 2


def test_symbolic_output_size():
    layer = Layer(5, 4, 2, "same")
    symbolic = layer(keras.KerasTensor((None, 4, 2)), output_size=7)
    assert tuple(symbolic.shape) == (None, 7, 5)
    symbolic = layer(keras.KerasTensor((None, None, 2)), output_size=7)
    assert tuple(symbolic.shape) == (None, 7, 5)
    like = keras.KerasTensor((None, 7, 1))
    symbolic = layer(keras.KerasTensor((None, 4, 2)), output_size=like)
    assert tuple(symbolic.shape) == (None, 7, 5)


@pytest.mark.parametrize(
    "arguments",
    [
        {"kernel_size": 4, "strides": 2, "padding": "same"},
        {"kernel_size": 2, "strides": 3, "groups": 2},
        {"kernel_size": 3, "padding": "causal"},
        {"kernel_size": 3, "padding": (1, -2), "data_format": "channels_first"},
    ],
)
def test_empty_batches(arguments):
    layer = Layer(4, bias_initializer="ones", **arguments)
    last = arguments.get("data_format") != "channels_first"
    shape = (0, 5, 2) if last else (0, 2, 5)
    y = numpy(layer(np.ones(shape, "float32")))
    assert y.shape == tuple(layer.compute_output_shape(shape))
    assert y.shape[0] == 0


@pytest.mark.parametrize("arguments", SHARED)
def test_steps_unknown_until_the_call(arguments, rng):
    """One functional model, several lengths: in a graph and in `predict`."""
    source = keras.Input((None, 3))
    layer = Layer(4, bias_initializer="ones", **arguments)
    model = keras.Model(source, layer(source))
    for steps in (1, 5):
        x = inputs(rng, steps=steps)
        expected = numpy(layer(x))
        assert_close(numpy(model(x)), expected, SAME_LAYER)
        assert_close(model.predict(x, verbose=0), expected, SAME_LAYER)


@pytest.mark.filterwarnings(
    # TorchDynamo looks at gradients of tensors that have none, and says so.
    "ignore:The .grad attribute of a Tensor:UserWarning"
)
@pytest.mark.parametrize(
    ("arguments", "size"),
    [
        ({"padding": (1, -2)}, 8),
        ({"padding": (1, -4)}, 10),
        ({"padding": (0, -5), "strides": 2}, 16),
        ({"padding": "valid", "strides": 3}, 17),
        ({"padding": "same", "strides": 2}, 9),
    ],
)
def test_a_size_asked_of_steps_unknown_until_the_call(arguments, size, rng):
    layer = Layer(4, 3, bias_initializer="ones", **arguments)
    x = inputs(rng, steps=5)
    expected = numpy(layer(x, output_size=size))
    assert expected.shape[1] == size
    run = compiled_for_any_signal(lambda x: layer(x, output_size=size), 3)
    (y,) = arrays([run(*tensors([x]))])
    assert_close(y, expected, SAME_LAYER)


# --- compiled ---------------------------------------------------------------


@pytest.mark.filterwarnings(
    # TorchDynamo looks at gradients of tensors that have none, and says so.
    "ignore:The .grad attribute of a Tensor:UserWarning"
)
@pytest.mark.parametrize(
    ("rank", "arguments"),
    [
        (1, {"strides": 2, "padding": "same"}),
        (1, {"strides": 5, "data_format": "channels_first"}),
        (1, {"strides": 2, "padding": (1, -2), "groups": 3}),
        (1, {"padding": "causal", "dilation_rate": 2}),
        (2, {"strides": (2, 1), "padding": "same"}),
        (3, {"strides": (1, 2, 3), "output_padding": (0, 1, 0)}),
    ],
)
def test_compiled(rank, arguments, rng):
    layer = OURS[rank - 1](
        6, 3, bias_initializer="ones", activation="tanh", **arguments
    )
    x = inputs(rng, rank)
    if arguments.get("data_format") == "channels_first":
        x = np.ascontiguousarray(np.moveaxis(x, -1, 1))
    expected = numpy(layer(x))
    # Keras 3.8 itself leaves a part of each layer's call out of the graph.
    whole = not keras.__version__.startswith("3.8.")
    run = compiled(lambda x: layer(x), one_graph=whole)
    (y,) = arrays([run(*tensors([x]))])
    assert_close(y, expected, SAME_LAYER)
    # Again with another batch: traced anew or not, it is right.
    (y,) = arrays([run(*tensors([x[:1]]))])
    assert_close(y, expected[:1], SAME_LAYER)


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_fit_and_predict(data_format, rng):
    """A model learns a known upsampling, through Keras's own compiled loop."""
    last = data_format == "channels_last"
    shape = (None, 1) if last else (1, None)
    model = keras.Sequential(
        [
            keras.Input(shape),
            Layer(1, 4, 2, "same", data_format=data_format, use_bias=False),
        ]
    )
    x = rng.normal(size=(64, 8, 1)).astype("float32")
    y = reference.conv_transpose(
        x,
        np.reshape([0.25, 0.75, 0.75, 0.25], (4, 1, 1)),
        strides=2,
        padding="same",
    ).astype("float32")
    if not last:
        x, y = (np.swapaxes(a, 1, 2) for a in (x, y))
    model.compile(keras.optimizers.SGD(0.5), loss="mse")
    history = model.fit(x, y, epochs=20, batch_size=16, verbose=0).history
    assert history["loss"][-1] < 1e-6
    assert_close(
        model.get_weights()[0].ravel(),
        [0.25, 0.75, 0.75, 0.25],
        {"rtol": 0, "atol": 1e-2},
    )


def test_a_model_of_any_length_decodes_to_its_input(rng):
    source = keras.Input((None, 3))
    coarse = keras.layers.Conv1D(4, 4, 2, "same")(source)
    model = keras.Model(
        source, Layer(3, 4, 2, "same")(coarse, output_size=source)
    )
    for steps in (8, 9):
        x = inputs(rng, steps=steps)
        assert model(x).shape == x.shape
        assert model.predict(x, verbose=0).shape == x.shape
