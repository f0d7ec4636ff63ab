"""Layers as functions, for what users do to functions: map, differentiate, fit.

A transposed convolution is linear in its input, its kernel and its bias, so
every derivative of whatever order is again one of the reference. Backends
differentiate and map each formulation by rules of their own, so the cases meet
every one that is chosen. (Winograd's is chosen of large layers alone, so its
case sets it.)
"""

import pytest
import reference
from gradients import BACKEND

import keras_convt

# Marks of the modules that use the cases.
WARNINGS = [
    pytest.mark.filterwarnings(f"ignore:{words}")
    for words in (
        # TorchDynamo, of gradients of tensors that have none, and of Keras's
        # rules for dtypes.
        "The .grad attribute of a Tensor:UserWarning",
        ".*Dynamo detected a call to a `functools.lru_cache`:UserWarning",
        # PyTorch of itself, when it first differentiates forward.
        "`torch.jit.script` is deprecated:DeprecationWarning",
    )
]

CONVOLUTION = keras_convt.Conv1DTranspose
DEPTHWISE = keras_convt.DepthwiseConv1DTranspose
# The layer, its arguments, and the steps and channels of its input.
CASES = {
    "k3 s2": (
        CONVOLUTION,
        {"filters": 3, "kernel_size": 3, "strides": 2},
        4,
        2,
    ),
    "k = s": (
        CONVOLUTION,
        {"filters": 3, "kernel_size": 2, "strides": 2},
        4,
        2,
    ),
    "k = 2 s": (
        CONVOLUTION,
        {
            "filters": 3,
            "kernel_size": 4,
            "strides": 2,
            "implementation": "winograd",
        },
        4,
        2,
    ),
    "stride 1": (
        CONVOLUTION,
        {"filters": 3, "kernel_size": 5, "padding": "same"},
        4,
        2,
    ),
    "stride 1, many filters": (
        CONVOLUTION,
        {"filters": 49, "kernel_size": 2},
        2,
        2,
    ),
    "stride 1, two axes": (
        keras_convt.Conv2DTranspose,
        {"filters": 4, "kernel_size": (3, 2), "padding": "same"},
        (3, 2),
        2,
    ),
    "few filters": (
        keras_convt.Conv2DTranspose,
        {"filters": 2, "kernel_size": 5, "padding": "same"},
        (3, 2),
        16,
    ),
    "one filter": (
        keras_convt.Conv2DTranspose,
        {"filters": 1, "kernel_size": (5, 6)},
        (3, 2),
        8,
    ),
    "groups": (
        CONVOLUTION,
        {
            "filters": 4,
            "kernel_size": 4,
            "strides": 2,
            "padding": "causal",
            "groups": 2,
        },
        4,
        4,
    ),
    "depthwise": (
        DEPTHWISE,
        {"kernel_size": 4, "strides": 2, "padding": "same"},
        4,
        3,
    ),
    "large kernel": (
        CONVOLUTION,
        {"filters": 8, "kernel_size": 260, "strides": 130},
        3,
        2,
    ),
    "two axes": (
        keras_convt.Conv2DTranspose,
        {
            "filters": 2,
            "kernel_size": (3, 4),
            "strides": (2, 3),
            "padding": "same",
        },
        (3, 2),
        2,
    ),
}
# Where every output is differentiated apart.
SMALL = [name for name in CASES if name != "large kernel"]
if BACKEND == "tensorflow":
    # Of a size from which it uses its own kernels.
    CASES |= {
        "much work": (
            CONVOLUTION,
            {"filters": 64, "kernel_size": 3, "strides": 2, "padding": "same"},
            360,
            64,
        ),
        "much work, dilated": (
            CONVOLUTION,
            {
                "filters": 64,
                "kernel_size": 3,
                "dilation_rate": 2,
                "padding": "same",
            },
            360,
            64,
        ),
    }

each_case = pytest.mark.parametrize("name", CASES)
each_small_case = pytest.mark.parametrize("name", SMALL)


def normal(rng, *shape):
    return rng.normal(size=shape).astype("float32")


class Case:
    """A layer as a function of its input, its kernel and its bias."""

    def __init__(self, name, rng, batch=2):
        cls, arguments, steps, channels = CASES[name]
        steps = steps if isinstance(steps, tuple) else (steps,)
        self.layer = cls(**arguments)
        self.layer.build((None, *steps, channels))
        self.inputs = [
            normal(rng, batch, *steps, channels),
            *(normal(rng, *w.shape) for w in self.layer.weights),
        ]
        self.layer.set_weights(self.inputs[1:])
        self.sizes = {
            "groups": channels if cls is DEPTHWISE else 1,
            **{
                key: value
                for key, value in arguments.items()
                if key not in ("filters", "kernel_size", "implementation")
            },
        }
        self.output_shape = self.expected(*self.inputs).shape

    def __call__(self, x, kernel, bias):
        y, _ = self.layer.stateless_call([kernel, bias], [], x)
        return y

    def expected(self, x, kernel, bias=None):
        return reference.conv_transpose(x, kernel, bias, **self.sizes)
