"""The faults of other libraries that we work around are still there.

A test that fails here is good news: the fault is gone, and its workaround may
go too. "Here" in docs/upstream.md says where that is. Faults that depend on
what was in memory, on AMX, or on time are there without a test.
"""

import keras
import numpy as np
import pytest
from keras import layers, ops
from keras.ops import convert_to_numpy as numpy

BACKEND = keras.backend.backend()
VERSION = tuple(map(int, keras.__version__.split(".")[:2]))

pytestmark = pytest.mark.skipif(
    VERSION < (3, 15), reason="docs/upstream.md is about Keras 3.15"
)


def only(*backends):
    names = " and ".join(backends)
    return pytest.mark.skipif(
        BACKEND not in backends, reason=f"a fault on {names}"
    )


@only("torch", "numpy")
def test_matmul_rounds_float64():
    x = ops.convert_to_tensor(np.ones((3, 4)), "float64")
    product = ops.matmul(x, ops.transpose(x))
    assert keras.backend.standardize_dtype(product.dtype) == "float32"


@only("torch")
def test_asking_for_onednn_breaks_a_compiled_graph():
    import torch

    def function(x):
        return x + 1 if torch.backends.mkldnn.is_available() else x

    compiled = torch.compile(function, backend="eager", fullgraph=True)
    with pytest.raises(torch._dynamo.exc.Unsupported):
        compiled(torch.ones(2))


@only("torch")
def test_uneven_average_pooling_repeats_the_last_step():
    x = np.array([[[1.0], [2.0], [3.0], [4.0]]], "float32")
    y = numpy(layers.AveragePooling1D(3, 2, "same")(x))[0, :, 0]
    # The mean of the steps that exist is (2, 3.5).
    np.testing.assert_allclose(y, [2, 11 / 3], rtol=1e-6)


@only("torch")
def test_a_model_keeps_the_parameters_from_before_quantize():
    import torch

    model = keras.Sequential([keras.Input((3,)), layers.Dense(4)])
    list(model.parameters())
    model.layers[0].quantize("int8")
    assert {p.dtype for p in model.parameters()} == {torch.float32}


@only("jax", "numpy")
def test_a_signal_without_steps_gets_one():
    y = ops.conv_transpose(
        np.ones((1, 0, 2), "float32"), np.ones((2, 3, 2), "float32"), 2
    )
    assert y.shape[1] == 1


@only("tensorflow")
def test_gradient_checkpointing_takes_no_keyword_arguments():
    with keras.RematScope(mode="full"):
        lstm = layers.LSTM(2)
    model = keras.Sequential([keras.Input((3, 4)), layers.Masking(), lstm])
    with pytest.raises(ValueError, match="supports keywords arguments only"):
        model.predict(np.ones((2, 3, 4)), verbose=0)


@only("tensorflow")
def test_a_model_keeps_its_function_from_before_enable_lora():
    model = keras.Sequential([keras.Input((3,)), layers.Dense(4)])
    x = np.ones((1, 3), "float32")
    model.predict(x, verbose=0)
    model.layers[0].enable_lora(2)
    model.layers[0].lora_kernel_b.assign(np.ones((2, 4)))
    assert abs(model.predict(x, verbose=0) - numpy(model(x))).max() > 1e-3


@only("tensorflow")
def test_a_mapped_kernel_gradient_has_no_second_derivative():
    import tensorflow as tf

    x, kernels = tf.ones((2, 4, 2)), tf.ones((5, 3, 3, 2))

    def gradient(kernel):
        with tf.GradientTape() as tape:
            tape.watch(kernel)
            y = tf.nn.conv1d_transpose(x, kernel, (2, 6, 3), 1, "VALID")
            value = tf.reduce_sum(y**2)
        return tape.gradient(value, kernel)

    @tf.function(jit_compile=True)
    def second(kernels):
        with tf.GradientTape() as tape:
            tape.watch(kernels)
            total = tf.reduce_sum(tf.vectorized_map(gradient, kernels) ** 2)
        return tape.gradient(total, kernels)

    with pytest.raises(
        tf.errors.InvalidArgumentError, match="fixed tensor list size"
    ):
        second(kernels)


def test_random_shear_refuses_its_own_config():
    config = layers.RandomShear(0.1).get_config()
    with pytest.raises(TypeError):
        layers.RandomShear.from_config(config)


def test_softmax_refuses_a_mask_of_steps():
    x = layers.Masking()(np.ones((2, 3, 4), "float32"))
    with pytest.raises(ValueError, match="must be broadcastable"):
        layers.Softmax()(x)
