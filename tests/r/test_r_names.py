"""Every layer on R's page: there, and the same as the layer of Keras."""

import importlib.util
import inspect
import pathlib
import pickle

import keras
import numpy as np
import pytest
from tolerances import SAME_LAYER, assert_close

import keras_convt
from keras_convt.r import compose, names

NAMES = pathlib.Path(__file__).with_name("r_layer_names.txt")

SIGNAL = (2, 8, 4)
IMAGE = (2, 8, 8, 4)
VOLUME = (2, 6, 6, 6, 2)
PAIR = (SIGNAL, SIGNAL)


def case(class_name, *args, on=SIGNAL, **kwargs):
    return class_name, args, kwargs, on


# The class of each name, arguments in Python's numbers, the shape of an input.
CASES = {
    "layer_activation": case("Activation", "tanh"),
    "layer_activation_elu": case("ELU", 1.0),
    "layer_activation_leaky_relu": case("LeakyReLU", 1.0),
    "layer_activation_parametric_relu": case("PReLU", shared_axes=[1]),
    "layer_activation_relu": case("ReLU", 6, 0.5),
    "layer_activation_softmax": case("Softmax", 1),
    "layer_activity_regularization": case("ActivityRegularization", 1.0),
    "layer_add": case("Add", on=PAIR),
    "layer_additive_attention": case("AdditiveAttention", on=PAIR),
    "layer_alpha_dropout": case("AlphaDropout", 0.5, seed=1),
    "layer_attention": case("Attention", seed=1, on=PAIR),
    "layer_average": case("Average", on=PAIR),
    "layer_average_pooling_1d": case("AveragePooling1D", 2, 1),
    "layer_average_pooling_2d": case("AveragePooling2D", (2, 3), on=IMAGE),
    "layer_average_pooling_3d": case("AveragePooling3D", 2, on=VOLUME),
    "layer_batch_normalization": case("BatchNormalization", 1, 1.0),
    "layer_category_encoding": case("CategoryEncoding", 4, on=(2, 3)),
    "layer_center_crop": case("CenterCrop", 4, 5, on=IMAGE),
    "layer_concatenate": case("Concatenate", axis=1, on=PAIR),
    "layer_conv_1d": case("Conv1D", 4, 3, 2, groups=2),
    "layer_conv_1d_transpose": case("Conv1DTranspose", 4, 3, 2, "same"),
    "layer_conv_2d": case("Conv2D", 4, (3, 2), on=IMAGE),
    "layer_conv_2d_transpose": case("Conv2DTranspose", 4, 3, 2, on=IMAGE),
    "layer_conv_3d": case("Conv3D", 4, 3, on=VOLUME),
    "layer_conv_3d_transpose": case("Conv3DTranspose", 4, 3, 2, on=VOLUME),
    "layer_conv_lstm_1d": case("ConvLSTM1D", 2, 3, on=(2, 3, 5, 2)),
    "layer_conv_lstm_2d": case("ConvLSTM2D", 2, 3, on=(2, 3, 5, 5, 2)),
    "layer_conv_lstm_3d": case("ConvLSTM3D", 2, 3, on=(1, 2, 3, 3, 3, 1)),
    "layer_cropping_1d": case("Cropping1D", (1, 2)),
    "layer_cropping_2d": case("Cropping2D", ((1, 2), (0, 1)), on=IMAGE),
    "layer_cropping_3d": case("Cropping3D", 1, on=VOLUME),
    "layer_dense": case("Dense", 10),
    "layer_depthwise_conv_1d": case("DepthwiseConv1D", 3, depth_multiplier=2),
    "layer_depthwise_conv_2d": case("DepthwiseConv2D", 3, 2, on=IMAGE),
    "layer_discretization": case("Discretization", [0.25, 0.5]),
    "layer_dot": case("Dot", axes=(1, 1), on=PAIR),
    "layer_dropout": case("Dropout", 0.5, noise_shape=(2, 1, 4), seed=1),
    "layer_einsum_dense": case("EinsumDense", "abc,cd->abd", (None, 5)),
    "layer_embedding": case("Embedding", 5, 3, on=(2, 3)),
    "layer_flatten": case("Flatten"),
    "layer_gaussian_dropout": case("GaussianDropout", 0.5, 1),
    "layer_gaussian_noise": case("GaussianNoise", 1, 1),
    "layer_global_average_pooling_1d": case("GlobalAveragePooling1D"),
    "layer_global_average_pooling_2d": case("GlobalAveragePooling2D", on=IMAGE),
    "layer_global_average_pooling_3d": case(
        "GlobalAveragePooling3D", on=VOLUME
    ),
    "layer_global_max_pooling_1d": case("GlobalMaxPooling1D"),
    "layer_global_max_pooling_2d": case("GlobalMaxPooling2D", on=IMAGE),
    "layer_global_max_pooling_3d": case("GlobalMaxPooling3D", on=VOLUME),
    "layer_group_normalization": case("GroupNormalization", 2),
    "layer_gru": case("GRU", 3),
    "layer_identity": case("Identity"),
    "layer_lambda": case("Lambda", lambda x: x * 2),
    "layer_layer_normalization": case("LayerNormalization", -1),
    "layer_lstm": case("LSTM", 3, return_sequences=True),
    "layer_masking": case("Masking", 1.0),
    "layer_max_pooling_1d": case("MaxPooling1D", 2, 1),
    "layer_max_pooling_2d": case("MaxPooling2D", (2, 3), on=IMAGE),
    "layer_max_pooling_3d": case("MaxPooling3D", 2, on=VOLUME),
    "layer_maximum": case("Maximum", on=PAIR),
    "layer_mel_spectrogram": case(
        "MelSpectrogram", 64, 32, num_mel_bins=8, on=(2, 400)
    ),
    "layer_minimum": case("Minimum", on=PAIR),
    "layer_multiply": case("Multiply", on=PAIR),
    "layer_normalization": case("Normalization", mean=1, variance=2),
    "layer_permute": case("Permute", (2, 1)),
    "layer_random_brightness": case("RandomBrightness", 1, (0, 1), 3, on=IMAGE),
    "layer_random_contrast": case("RandomContrast", 0.5, seed=3, on=IMAGE),
    "layer_random_crop": case("RandomCrop", 4, 5, 3, on=IMAGE),
    "layer_random_flip": case("RandomFlip", seed=3, on=IMAGE),
    "layer_random_rotation": case("RandomRotation", 1, seed=3, on=IMAGE),
    "layer_random_translation": case(
        "RandomTranslation", 0.5, (0, 1), seed=3, on=IMAGE
    ),
    "layer_random_zoom": case("RandomZoom", (0, 0.5), seed=3, on=IMAGE),
    "layer_repeat_vector": case("RepeatVector", 3, on=(2, 4)),
    "layer_rescaling": case("Rescaling", 2, 1),
    "layer_reshape": case("Reshape", (-1, 2)),
    "layer_resizing": case("Resizing", 4, 5, on=IMAGE),
    "layer_separable_conv_1d": case("SeparableConv1D", 4, 3),
    "layer_separable_conv_2d": case("SeparableConv2D", 4, 3, on=IMAGE),
    "layer_simple_rnn": case("SimpleRNN", 3),
    "layer_spatial_dropout_1d": case("SpatialDropout1D", 0.5, 1),
    "layer_spatial_dropout_2d": case("SpatialDropout2D", 0.5, seed=1, on=IMAGE),
    "layer_spatial_dropout_3d": case(
        "SpatialDropout3D", 0.5, seed=1, on=VOLUME
    ),
    "layer_subtract": case("Subtract", on=PAIR),
    "layer_unit_normalization": case("UnitNormalization", 1),
    "layer_upsampling_1d": case("UpSampling1D", 3),
    "layer_upsampling_2d": case("UpSampling2D", (2, 3), on=IMAGE),
    "layer_upsampling_3d": case("UpSampling3D", 2, on=VOLUME),
    "layer_zero_padding_1d": case("ZeroPadding1D", (1, 2)),
    "layer_zero_padding_2d": case("ZeroPadding2D", ((1, 2), (0, 1)), on=IMAGE),
    "layer_zero_padding_3d": case("ZeroPadding3D", 1, on=VOLUME),
}

# Those with a test of their own below.
OTHERS = {
    "layer_bidirectional",
    "layer_feature_space",
    "layer_flax_module_wrapper",
    "layer_group_query_attention",
    "layer_hashed_crossing",
    "layer_hashing",
    "layer_integer_lookup",
    "layer_jax_model_wrapper",
    "layer_multi_head_attention",
    "layer_rnn",
    "layer_spectral_normalization",
    "layer_string_lookup",
    "layer_text_vectorization",
    "layer_tfsm",
    "layer_time_distributed",
    "layer_torch_module_wrapper",
    "rnn_cell_gru",
    "rnn_cell_lstm",
    "rnn_cell_simple",
    "rnn_cells_stack",
}


def as_r(value):
    """The value as reticulate sends it: doubles, and lists of them."""
    if isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, (list, tuple)):
        return [as_r(item) for item in value]
    return value


def arrays(shapes, rng):
    if isinstance(shapes[0], int):
        # Whole numbers below 4, which are categories as well.
        array = np.asfortranarray(np.floor(rng.uniform(size=shapes) * 4))
        array.flags.writeable = False
        return array
    return [arrays(shape, rng) for shape in shapes]


def seeded_call(make):
    keras.utils.set_random_seed(7)
    return make()


def needs_torchvision():
    """Whether this Keras resizes images by a package that is not here."""
    return (
        keras.backend.backend() == "torch"
        and keras.__version__.startswith("3.8.")
        and importlib.util.find_spec("torchvision") is None
    )


def test_every_name_of_the_page_has_a_case():
    assert set(NAMES.read_text().split()) == CASES.keys() | OTHERS


@pytest.mark.parametrize("name", CASES)
def test_composer_is_the_layer_of_keras(name, rng):
    class_name, args, kwargs, shapes = CASES[name]
    module = keras_convt if hasattr(keras_convt, class_name) else keras.layers
    layer_class = getattr(module, class_name)
    inputs = arrays(shapes, rng)
    tensors = keras.tree.map_structure(
        lambda array: keras.ops.array(np.array(array, order="C")), inputs
    )

    sent = {key: as_r(value) for key, value in kwargs.items()}
    wrapper = getattr(keras_convt, name)

    def compose():
        return wrapper(inputs, *map(as_r, args), **sent)

    if name == "layer_resizing" and needs_torchvision():
        with pytest.raises(ImportError, match="torchvision"):
            compose()
        return
    expected = seeded_call(lambda: layer_class(*args, **kwargs)(tensors))
    actual = seeded_call(compose)

    assert wrapper.__name__ == name
    assert_close(
        keras.ops.convert_to_numpy(actual),
        keras.ops.convert_to_numpy(expected),
        SAME_LAYER,
    )


@pytest.mark.parametrize("name", sorted(names.MERGING))
def test_tensors_to_merge_may_come_one_by_one(name):
    wrapper = getattr(keras_convt, names.r_name(name))
    a, b = np.ones((2, 3), "float32"), np.full((2, 3), 2.0, "float32")
    kwargs = {"axes": 1.0} if name == "Dot" else {}
    np.testing.assert_array_equal(
        keras.ops.convert_to_numpy(wrapper(a, b, **kwargs)),
        keras.ops.convert_to_numpy(wrapper([a, b], **kwargs)),
    )
    assert isinstance(wrapper(**kwargs), keras.layers.Layer)


@pytest.mark.parametrize("name", sorted(names.MERGING))
def test_tensors_to_merge_may_be_named_inputs(name):
    compose = getattr(keras_convt, names.r_name(name))
    a, b = np.ones((2, 3), "float32"), np.full((2, 3), 2.0, "float32")
    kwargs = {"axes": 1.0} if name == "Dot" else {}
    for keyword in ("inputs", "object"):
        np.testing.assert_array_equal(
            keras.ops.convert_to_numpy(compose(**{keyword: [a, b]}, **kwargs)),
            keras.ops.convert_to_numpy(compose([a, b], **kwargs)),
        )
    assert next(iter(inspect.signature(compose).parameters)) == "inputs"


def test_the_function_of_a_lambda_is_named_f():
    """`function` is a word of R, in which no argument is called so."""

    def double(x):
        return 2 * x

    x = np.ones((2, 3), "float32")
    for y in (
        keras_convt.layer_lambda(x, double),
        keras_convt.layer_lambda(x, f=double),
        keras_convt.layer_lambda(x, **{"function": double}),
    ):
        assert keras.ops.convert_to_numpy(y).tolist() == [[2.0] * 3] * 2
    assert "f" in inspect.signature(keras_convt.layer_lambda).parameters
    with pytest.raises(TypeError, match="f"):
        keras_convt.layer_lambda(x, double, f=double)


def test_more_tensors_follow_a_list():
    a = np.ones((2, 3), "float32")
    y = keras_convt.layer_concatenate([a, a], a, axis=1.0)
    assert tuple(y.shape) == (2, 9)


@pytest.mark.parametrize("name", ["bidirectional", "time_distributed"])
def test_wrapping_layers(name):
    wrapper = getattr(keras_convt, f"layer_{name}")
    inner = {
        "bidirectional": lambda: keras_convt.layer_gru(units=3.0),
        "time_distributed": lambda: keras_convt.layer_dense(units=6.0),
    }[name]()
    y = wrapper(np.ones((2, 5, 4), "float32"), inner)
    assert y.shape[-1] == 6


def test_spectral_normalization():
    layer = keras_convt.layer_spectral_normalization(
        None, keras_convt.layer_dense(units=3.0), 2.0
    )
    assert layer.power_iterations == 2
    assert tuple(layer(np.ones((2, 4), "float32")).shape) == (2, 3)


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("multi_head_attention", (2.0, 3.0)),
        ("group_query_attention", (2.0, 4.0, 2.0)),
    ],
)
def test_attention_is_called_on_queries_and_values(name, args):
    # Composed with nothing: the call has two arguments.
    layer = getattr(keras_convt, f"layer_{name}")(None, *args)
    x = np.ones((2, 5, 4), "float32")
    assert tuple(layer(x, x).shape) == (2, 5, 4)


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("multi_head_attention", (2.0, 3.0)),
        ("group_query_attention", (2.0, 4.0, 2.0)),
    ],
)
def test_attention_takes_a_list_as_the_arguments_of_its_call(name, args, rng):
    compose = getattr(keras_convt, f"layer_{name}")
    query = rng.standard_normal((2, 5, 4)).astype("float32")
    value = rng.standard_normal((2, 6, 4)).astype("float32")
    _, *parameters = inspect.signature(compose).parameters
    named = dict(zip(parameters, args, strict=False))
    expected = seeded_call(lambda: compose(None, *args)(query, value))
    for call in (
        lambda: compose([query, value], *args),
        lambda: compose(inputs=[query, value], **named),
    ):
        assert_close(
            keras.ops.convert_to_numpy(seeded_call(call)),
            keras.ops.convert_to_numpy(expected),
            SAME_LAYER,
        )


def test_cells_are_not_composed():
    cells = [
        keras_convt.rnn_cell_gru(2.0),
        keras_convt.rnn_cell_lstm(units=3.0),
        keras_convt.rnn_cell_simple(4.0),
    ]
    stack = keras_convt.rnn_cells_stack(cells)
    y = keras_convt.layer_rnn(np.ones((2, 5, 3), "float32"), stack)
    assert tuple(y.shape) == (2, 4)
    assert next(
        iter(inspect.signature(keras_convt.rnn_cell_gru).parameters)
    ) == ("units")


def test_feature_space_takes_a_named_list():
    space = keras_convt.layer_feature_space(
        features={"a": "float", "b": "float"}
    )
    data = {"a": np.ones(2, "float32"), "b": np.zeros(2, "float32")}
    assert isinstance(space, keras.utils.FeatureSpace)
    compose.check_composable(data)


TEXT = np.array([["a"], ["b"]])
NUMBERS = np.array([[10], [20]])


@pytest.mark.parametrize(
    ("name", "args", "kwargs", "data"),
    [
        ("string_lookup", (), {"vocabulary": ["b", "a"]}, TEXT),
        ("text_vectorization", (), {"vocabulary": ["b", "a"]}, TEXT),
        ("integer_lookup", (), {"vocabulary": [20.0, 10.0]}, NUMBERS),
        ("hashing", (5.0,), {}, TEXT),
        ("hashed_crossing", (5.0,), {}, [TEXT, TEXT]),
    ],
)
def test_lookups_work_or_name_tensorflow(name, args, kwargs, data):
    wrapper = getattr(keras_convt, f"layer_{name}")
    if importlib.util.find_spec("tensorflow") is None:
        with pytest.raises(ImportError, match="requires TensorFlow"):
            wrapper(data, *args, **kwargs)
        return
    y = wrapper(data, *args, **kwargs)
    first, second = keras.ops.convert_to_numpy(y).ravel().tolist()
    if kwargs:
        # The vocabulary is in the other order.
        assert second == first - 1
    else:
        assert {first, second} <= set(range(5))


@pytest.mark.parametrize("class_name", names.BACKENDS)
def test_a_layer_of_another_backend_says_which(class_name):
    name = names.r_name(class_name)
    needed = names.BACKENDS[class_name]
    if keras.backend.backend() in needed:
        wrapper = getattr(keras_convt, name)
        assert wrapper.__name__ == name
        assert name in dir(keras_convt)
        return
    with pytest.raises(
        AttributeError, match=f"{class_name} needs the backend {needed[0]}"
    ):
        getattr(keras_convt, name)
    assert name not in dir(keras_convt)


def test_jax_layer_composes_or_names_jax(rng):
    x = rng.standard_normal((2, 3)).astype("float32")

    def compose():
        return keras_convt.layer_jax_model_wrapper(x, lambda inputs: 2 * inputs)

    if importlib.util.find_spec("jax") is None:
        with pytest.raises((ImportError, AttributeError), match=r"(?i)jax"):
            compose()
        return
    assert_close(keras.ops.convert_to_numpy(compose()), 2 * x, SAME_LAYER)


def test_what_keras_does_not_have():
    with pytest.raises(
        AttributeError, match=rf"layer_nothing.*Keras {keras.__version__}"
    ):
        keras_convt.layer_nothing  # noqa: B018
    with pytest.raises(AttributeError, match="mean 'layer_dense'"):
        keras_convt.layer_dens  # noqa: B018
    with pytest.raises(AttributeError, match="mean 'Conv1DTranspose'"):
        keras_convt.Conv1DTranpose  # noqa: B018
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        keras_convt.nothing  # noqa: B018
    with pytest.raises(AttributeError, match="create_layer_wrapper"):
        keras_convt.Layer  # noqa: B018


def test_tab_completion_and_help():
    shown = dir(keras_convt)
    composers = [name for name in shown if name.startswith(("layer_", "rnn_"))]
    assert set(shown) - set(composers) <= set(keras_convt.__all__)
    assert set(keras_convt.__all__) <= set(shown)
    assert {"layer_dense", "rnn_cell_gru", "Conv1DTranspose"} <= set(shown)
    for name in shown:
        assert getattr(keras_convt, name) is not None
    assert "units: " in keras_convt.layer_dense.__doc__
    assert list(inspect.signature(keras_convt.layer_dense).parameters)[:2] == [
        "object",
        "units",
    ]


def test_one_function_a_name_that_pickles():
    dense = keras_convt.layer_dense
    assert keras_convt.layer_dense is dense
    assert pickle.loads(pickle.dumps(dense)) is dense


@pytest.mark.parametrize(
    ("class_name", "name"),
    [
        ("Conv1DTranspose", "conv_1d_transpose"),
        ("ConvLSTM2D", "conv_lstm_2d"),
        ("SeparableConv2D", "separable_conv_2d"),
        ("GlobalMaxPooling3D", "global_max_pooling_3d"),
        ("LayerNormalization", "layer_normalization"),
        ("RMSNormalization", "rms_normalization"),
        ("STFTSpectrogram", "stft_spectrogram"),
        ("GRU", "gru"),
        ("Residual2Block", "residual_2_block"),
    ],
)
def test_snake_case(class_name, name):
    assert compose.snake_case(class_name) == name
