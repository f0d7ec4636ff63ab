"""The layers within `fit`, whose losses are those of the definition."""

import functools

import keras
import numpy as np
import pytest
import reference
from gradients import BACKEND, value_and_derivative
from keras import ops
from tolerances import GRADIENTS, SECOND_DERIVATIVES, assert_close
from transform_cases import CASES, DEPTHWISE, WARNINGS, Case, normal

pytestmark = WARNINGS

RATE, STEPS = 0.1, 3
MODES = {
    "run_eagerly": {"run_eagerly": True},
    "jit_compile=False": {"jit_compile": False},
    "jit_compile=True": {"jit_compile": True},
}


@pytest.fixture(params=MODES)
def mode(request, monkeypatch):
    """Arguments of `compile`, for each way that Keras runs a step."""
    if BACKEND == "torch" and MODES[request.param].get("jit_compile"):
        import torch

        if keras.__version__.startswith("3.8"):
            pytest.skip("TorchDynamo fails in the losses of Keras 3.8")
        # Without the code generator behind the graph, as in gradients.py.
        torch._dynamo.reset()
        monkeypatch.setattr(
            torch, "compile", functools.partial(torch.compile, backend="eager")
        )
    return MODES[request.param]


def test_fit_has_the_losses_of_the_definition(mode, rng):
    """Plain descent, through two formulations on every backend.

    Large kernels are left out: TorchDynamo takes half a minute for them.
    """
    names = ["stride 1", "depthwise", "k3 s2"]
    shape, layers, sizes = (4, 2), [], []
    for name in names:
        cls, arguments, *_ = CASES[name]
        layers.append(cls(**arguments))
        sizes.append(
            {
                "strides": arguments.get("strides", 1),
                "padding": arguments.get("padding", "valid"),
                "groups": 3 if cls is DEPTHWISE else 1,
            }
        )
    model = keras.Sequential([keras.Input(shape), *layers])
    model.compile(keras.optimizers.SGD(RATE), "mse", **mode)
    x, y = normal(rng, 2, *shape), normal(rng, 2, *model.output_shape[1:])
    kernels = [layer.get_weights()[0].astype("float64") for layer in layers]
    biases = [layer.get_weights()[1].astype("float64") for layer in layers]

    expected = []
    for _ in range(STEPS):
        inputs = [x]
        for kernel, bias, size in zip(kernels, biases, sizes, strict=True):
            inputs.append(
                reference.conv_transpose(inputs[-1], kernel, bias, **size)
            )
        error = inputs.pop() - y
        expected.append(np.mean(error**2))
        upstream = 2 * error / error.size
        for n in reversed(range(len(layers))):
            upstream, dkernel, dbias = reference.gradients(
                inputs[n], kernels[n], upstream, **sizes[n]
            )
            kernels[n] -= RATE * dkernel
            biases[n] -= RATE * dbias

    history = model.fit(x, y, epochs=STEPS, shuffle=False, verbose=0).history
    assert_close(history["loss"], expected, GRADIENTS)
    # By a hundred times what they may be wrong.
    assert np.ptp(expected) > 0.01, expected
    for layer, kernel, bias in zip(layers, kernels, biases, strict=True):
        assert_close(layer.get_weights()[0], kernel, GRADIENTS, layer.name)
        assert_close(layer.get_weights()[1], bias, GRADIENTS, layer.name)


class Penalised(keras.Sequential):
    """Its loss is |d/dx sum(y * self(x)**2) / 2|**2, a gradient penalty."""

    def compute_loss(
        self, x=None, y=None, y_pred=None, sample_weight=None, training=True
    ):
        def energy(x):
            return ops.sum(y * ops.square(self(x))) / 2

        _, (slope,) = value_and_derivative(energy, [x])
        return ops.sum(ops.square(slope))


@pytest.mark.parametrize("name", ["stride 1", "groups"])
def test_fit_with_a_gradient_penalty(name, mode, rng):
    case = Case(name, rng)
    x, kernel, bias = case.inputs
    weights = normal(rng, *case.output_shape)
    _, dkernel, dbias, penalty = reference.penalty_gradients(
        x, kernel, bias, weights, **case.sizes
    )
    # A step of the size of the weights.
    rate = 1 / np.abs(dkernel).max()
    model = Penalised([keras.Input(x.shape[1:]), case.layer])
    model.compile(keras.optimizers.SGD(rate), **mode)
    history = model.fit(x, weights, shuffle=False, verbose=0).history
    assert_close(history["loss"], [penalty], SECOND_DERIVATIVES)
    after = case.layer.get_weights()
    assert_close(after[0], kernel - rate * dkernel, SECOND_DERIVATIVES)
    assert_close(after[1], bias - rate * dbias, SECOND_DERIVATIVES)
