"""Layers of models that are changed after they were called, and messages."""

import gc
import inspect
import json

import keras
import numpy as np
import pytest
from gradients import BACKEND
from keras import layers, ops
from tolerances import SAME_LAYER, assert_close

import keras_convt
from keras_convt.ops.formulations import FORMULATIONS

PUBLIC = [
    getattr(keras_convt, name)
    for name in keras_convt.__all__
    if name.endswith("Transpose")
]
Layer = keras_convt.Conv1DTranspose


def numpy(tensor):
    return ops.convert_to_numpy(tensor)


def shared():
    """A layer in a model, which is in another one that uses the layer too."""
    layer = Layer(3, 3, 1, "same", name="up")
    inner = keras.Sequential([keras.Input((5, 3)), layer])
    inputs = keras.Input((5, 3))
    return layer, inner, keras.Model(inputs, layer(inner(inputs)))


def linear(layer, x):
    """What two applications of the layer give."""
    return numpy(layer(layer(x)))


CHANGES = {
    "lora": lambda layer: layer.enable_lora(1, b_initializer="ones"),
    "int8": lambda layer: layer.quantize("int8"),
    "policy": lambda layer: setattr(layer, "dtype_policy", "int8_from_float32"),
    "implementation": lambda layer: setattr(
        layer, "implementation", "overlap_add"
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_models_notice_that_a_layer_has_changed(change, rng):
    layer, inner, outer = shared()
    x = rng.normal(size=(2, 5, 3)).astype("float32")
    inner.predict(x, verbose=0), outer.predict(x, verbose=0)
    before = linear(layer, x)
    CHANGES[change](layer)
    expected = linear(layer, x)
    moved = np.abs(expected - before).max()
    if change == "implementation":
        assert moved < 1e-5
        assert layer.get_config()["implementation"] == "overlap_add"
        assert inner.predict_function is outer.predict_function is None
    else:
        assert moved > 1e-4
    found = outer.predict(x, verbose=0)
    assert_close(found, expected, {"rtol": 1e-4, "atol": 1e-4})
    assert_close(inner.predict(x, verbose=0), numpy(layer(x)), SAME_LAYER)


@pytest.mark.parametrize(
    ("name", "value"),
    [("strides", 3), ("padding", "valid"), ("output_padding", 0)],
)
def test_models_notice_that_a_setting_has_changed(name, value, rng):
    """Keras's own layers go on in `predict` as they were when compiled."""
    layer = Layer(4, 3, 2, "same")
    model = keras.Sequential([keras.Input((None, 3)), layer])
    x = rng.normal(size=(2, 5, 3)).astype("float32")
    before = model.predict(x, verbose=0)
    setattr(layer, name, value)
    expected = numpy(layer(x))
    assert expected.shape != before.shape
    assert_close(model.predict(x, verbose=0), expected, SAME_LAYER)


def test_a_policy_that_quantizes_a_built_layer():
    layer = Layer(4, 3)
    layer.build((None, 5, 3))
    layer.dtype_policy = "int8_from_float32"
    assert layer.quantization_mode == "int8"
    assert layer.dtype_policy.name == "int8_from_float32"
    assert keras.backend.standardize_dtype(layer._kernel.dtype) == "int8"


@pytest.mark.skipif(BACKEND != "torch", reason="of PyTorch's parameters")
def test_parameters_of_pytorch(rng):
    import torch

    layer, inner, outer = shared()
    x = rng.normal(size=(2, 5, 3)).astype("float32")
    outer(x)
    kernel = layer.kernel.value
    assert any(p is kernel for p in outer.parameters())
    layer.enable_lora(1)
    for model in (inner, outer):
        trained = [p for p in model.parameters() if p.requires_grad]
        assert {id(p) for p in trained} == {
            id(v.value) for v in model.trainable_variables
        }
        assert len(trained) == 3
    before = numpy(layer.lora_kernel_b).copy()
    optimizer = torch.optim.SGD(outer.parameters(), lr=1.0)
    outer(x).square().sum().backward()
    optimizer.step()
    assert np.abs(numpy(layer.lora_kernel_b) - before).max() > 0
    # And int8 leaves nothing of the float kernel.
    size = kernel.shape
    del kernel, trained, optimizer
    for parameter in outer.parameters():
        parameter.grad = None
    layer.quantize("int8")
    gc.collect()
    floats = [
        found
        for found in gc.get_objects()
        if type(found) is torch.nn.Parameter
        and found.shape == size
        and found.dtype == torch.float32
        and found is not layer.lora_kernel_a.value
    ]
    assert not floats
    assert {p.dtype for p in outer.parameters()} == {
        torch.float32,
        torch.int8,
    }


def test_a_frozen_kernel_stays_frozen_when_a_model_is_thawed():
    layer, _, outer = shared()
    layer.enable_lora(1)
    outer.trainable = False
    assert not outer.trainable_variables
    outer.trainable = True
    assert not layer._kernel.trainable
    assert len(outer.trainable_variables) == 3


def test_a_computed_kernel_cannot_be_set():
    layer = Layer(4, 3)
    assert not hasattr(layer, "kernel")
    layer.build((None, 5, 3))
    layer.enable_lora(2)
    with pytest.raises(ValueError, match=r"`kernel` of the layer .* cannot be"):
        layer.kernel = np.zeros((3, 4, 3))


# --- depthwise and separable ------------------------------------------------


@pytest.mark.parametrize("store", ["lora", "int8"])
def test_depthwise(store, rng, tmp_path):
    layer = keras_convt.DepthwiseConv2DTranspose(4, 2, "same", 2)
    model = keras.Sequential([keras.Input((3, 4, 3)), layer])
    x = rng.normal(size=(2, 3, 4, 3)).astype("float32")
    before, kernel = numpy(model(x)), numpy(layer.kernel).copy()
    if store == "lora":
        layer.enable_lora(2, lora_alpha=3, b_initializer="ones")
        a, b = numpy(layer.lora_kernel_a), numpy(layer.lora_kernel_b)
        assert a.shape == (4, 4, 2, 2)
        assert b.shape == (2, 3)
        assert_close(numpy(layer.kernel), kernel + 1.5 * a @ b, SAME_LAYER)
        assert [w.name for w in layer.trainable_weights] == [
            "bias",
            "lora_kernel_a",
            "lora_kernel_b",
        ]
    else:
        layer.quantize("int8")
        assert layer.kernel_scale.shape == (6,)
        step = np.abs(kernel).max(axis=(0, 1)) / 127
        off = np.abs(numpy(layer.kernel) - kernel).max(axis=(0, 1))
        assert np.all(off <= step / 2 * 1.01)
        off = np.abs(numpy(model(x)) - before).max()
        assert 0 < off < 0.03 * np.abs(before).max()
    expected = numpy(model(x))
    assert np.abs(expected - before).max() > 1e-5
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    # A file has lists for tuples.
    configs = [json.dumps(m.get_config()) for m in (loaded.layers[0], layer)]
    assert configs[0] == configs[1]
    assert_close(numpy(loaded(x)), expected, {"rtol": 1e-5, "atol": 1e-5})


def test_lora_of_a_depthwise_layer_by_its_argument():
    layer = keras_convt.DepthwiseConv1DTranspose(4, lora_rank=2)
    layer.build((None, 5, 3))
    assert layer.lora_enabled
    with pytest.raises(ValueError, match="`depthwise_constraint`, which must"):
        keras_convt.DepthwiseConv1DTranspose(
            4, lora_rank=2, depthwise_constraint="non_neg"
        )


def test_separable_layers_say_that_they_have_no_lora():
    layer = keras_convt.SeparableConv1DTranspose(4, 3, name="split")
    layer.build((None, 5, 3))
    with pytest.raises(NotImplementedError, match="'split' cannot have LoRA"):
        layer.enable_lora(2)
    assert len(layer.weights) == 3


# --- messages and signatures ------------------------------------------------


def refused(function, *args, **kwargs):
    with pytest.raises((ValueError, TypeError)) as caught:
        function(*args, **kwargs)
    message = str(caught.value)
    assert "\x1b" not in message
    assert "Exception encountered" not in message
    return message


@pytest.mark.parametrize("symbolic", [False, True])
def test_words_for_inputs_that_do_not_fit(symbolic):
    def inputs(*shape):
        return keras.KerasTensor(shape) if symbolic else np.ones(shape)

    layer = Layer(4, 3, name="up")
    words = "The input of Conv1DTranspose 'up' must have 3 axes. Received: "
    assert refused(layer, inputs(2, 3)) == words + "input_shape=(2, 3)."
    assert not layer.built
    layer(inputs(2, 5, 3))
    assert refused(layer, inputs(2, 3)) == words + "input_shape=(2, 3)."
    assert refused(layer, inputs(2, 5, 4)) == (
        "The input of Conv1DTranspose 'up' must have 3 channels, which its "
        "weights are built for. Received: input_shape=(2, 5, 4), "
        "data_format='channels_last'."
    )
    assert "`output_size` must be" in refused(
        layer, inputs(2, 5, 3), output_size=99
    )


def test_words_for_crops():
    layer = Layer(4, 3, padding=(4, 6))
    assert refused(layer, np.ones((1, 3, 2))) == (
        "`padding` must leave a sample: it crops 10 of the 5 samples that 3 "
        "input steps reach. Received: padding=(4, 6)."
    )


def test_words_for_causal_images():
    message = refused(keras_convt.Conv2DTranspose, 4, 3, padding="causal")
    assert '"causal" is for signals' in message
    assert "this layer has 2" in message


@pytest.mark.parametrize("cls", PUBLIC)
def test_a_missing_argument_names_the_class(cls):
    said = refused(cls)
    assert said.startswith(f"{cls.__name__}.__init__() missing")


@pytest.mark.parametrize("value", [1e30, 2**31, -(2**40)])
@pytest.mark.parametrize(
    "name", ["filters", "kernel_size", "strides", "padding", "dilation_rate"]
)
def test_sizes_that_no_backend_takes(name, value):
    message = refused(Layer, **{"filters": 4, "kernel_size": 3, name: value})
    assert f"`{name}` must be a whole number" in message
    assert f"={value!r}" in message


def test_crops_that_no_backend_takes():
    assert "at most 2147483647" in refused(Layer, 4, 3, padding=(0, -(2**32)))


def test_channels_that_are_not_known():
    for cls in (Layer, layers.Conv1DTranspose):
        layer = cls(4, 3, 2)
        shape = layer.compute_output_shape((None, 5, None))
        assert tuple(shape) == (None, 11, 4)
    depthwise = keras_convt.DepthwiseConv1DTranspose(3, 2)
    assert depthwise.compute_output_shape((None, 5, None)) == (None, 11, None)


@pytest.mark.parametrize("cls", PUBLIC)
def test_a_class_has_a_constructor_of_its_own(cls):
    """Up to Python 3.11.3, `inspect.signature` shows no other."""
    assert "__init__" in vars(cls)
    names = list(inspect.signature(cls).parameters)
    assert {"kernel_size", "strides", "implementation"} <= set(names)

    class Subclass(cls):
        pass

    assert list(inspect.signature(Subclass).parameters) == names
    assert "__init__" in vars(Subclass)


def test_repr():
    layer = keras_convt.Conv2DTranspose(4, 3, 2, "same", groups=2, name="up")
    assert repr(layer) == (
        "<keras_convt.Conv2DTranspose name=up, filters=4, kernel_size=(3, 3), "
        "strides=(2, 2), padding='same', groups=2, built=False>"
    )
    depthwise = keras_convt.DepthwiseConv1DTranspose(3, name="thin")
    assert repr(depthwise) == (
        "<keras_convt.DepthwiseConv1DTranspose name=thin, kernel_size=(3,), "
        "strides=(1,), padding='valid', depth_multiplier=1, built=False>"
    )


@pytest.mark.parametrize("cls", PUBLIC)
def test_every_layer_has_an_implementation(cls, rng):
    arguments = {"kernel_size": 3, "strides": 2}
    if "Depthwise" not in cls.__name__:
        arguments["filters"] = 3
    rank = cls.rank
    x = rng.normal(size=(1, *[3] * rank, 2)).astype("float32")
    layer = cls(**arguments, implementation="native")
    expected = numpy(layer(x))
    assert layer.get_config()["implementation"] == "native"
    again = cls.from_config(layer.get_config())
    assert again.implementation == "native"
    layer.implementation = "auto"
    assert "implementation" not in layer.get_config()
    assert_close(numpy(layer(x)), expected, {"rtol": 1e-5, "atol": 1e-5})
    assert "`implementation` must be one of 'auto', " in refused(
        cls, **arguments, implementation="fast"
    )


def test_an_implementation_that_does_not_compute_the_layer():
    """Refused before weights exist, and by a built layer when it is set."""
    words = "`implementation` must be one of 'auto', 'native'"
    layer = Layer(4, 3, 2, implementation="convolution")
    for call in (layer, lambda x: layer.build(x.shape)):
        message = refused(call, np.ones((1, 5, 3), "float32"))
        assert message.startswith(words)
        assert message.endswith("Received: implementation='convolution'.")
        assert not layer.weights
    layer.implementation = "overlap_add"
    layer.build((None, 5, 3))
    for name in ("convolution", "shift_multiply_add"):
        assert refused(setattr, layer, "implementation", name).startswith(words)
    assert layer.implementation == "overlap_add"
    depthwise = keras_convt.DepthwiseConv1DTranspose(3, 2)
    depthwise.build((None, 5, 3))
    depthwise.implementation = "shift_multiply_add"


def test_a_stream_has_the_implementation_of_its_layer(monkeypatch, rng):
    layer = Layer(4, 3, 2, "causal", implementation="overlap_add")
    x = rng.normal(size=(1, 5, 3)).astype("float32")
    expected = numpy(layer(x))
    used = []
    found = FORMULATIONS["overlap_add"]

    def record(*args, **kwargs):
        used.append("overlap_add")
        return found(*args, **kwargs)

    monkeypatch.setitem(FORMULATIONS, "overlap_add", record)
    y, _ = layer.step(ops.convert_to_tensor(x), layer.initial_state(1))
    assert used == ["overlap_add"]
    assert_close(numpy(y), expected, SAME_LAYER)
