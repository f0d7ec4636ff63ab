"""The faults of exporters and runtimes that we work around are still there.

A test that fails here is good news: the fault is gone, and its workaround may
go too. "Here" in docs/upstream.md says where that is.
"""

import keras
import numpy as np
import pytest

BACKEND = keras.backend.backend()

# Converters warn of their own parts.
pytestmark = [
    pytest.mark.filterwarnings(f"ignore::{name}")
    for name in (
        "DeprecationWarning",
        "FutureWarning",
        "RuntimeWarning",
        "UserWarning",
    )
]


def only(backend):
    return pytest.mark.skipif(
        backend != BACKEND, reason=f"an exporter of {backend}"
    )


def traced(function, *tensors, path, **arguments):
    """An ONNX file by PyTorch's exporter that traces, and its session."""
    import onnxruntime
    import torch

    class Module(torch.nn.Module):
        def forward(self, *given):
            return function(*given)

    path = str(path / "model.onnx")
    torch.onnx.export(
        Module(), tensors, path, dynamo=False, input_names=["x"], **arguments
    )
    return onnxruntime.InferenceSession(
        path, providers=["CPUExecutionProvider"]
    )


@only("torch")
def test_onnxruntime_wants_an_output_padding_below_the_stride(tmp_path):
    import torch

    session = traced(
        lambda x: torch.nn.functional.conv_transpose1d(
            x, torch.ones(2, 3, 3), stride=2, dilation=3, output_padding=2
        ),
        torch.ones(1, 2, 5),
        path=tmp_path,
    )
    with pytest.raises(Exception, match=r"output_padding \(2\)"):
        session.run(None, {"x": np.ones((1, 2, 5), "float32")})


@only("torch")
def test_movedim_keeps_negative_axes(tmp_path):
    import torch

    with pytest.raises(Exception, match=r"\{0, -1, 1\}"):
        traced(
            lambda x: torch.movedim(x, -1, 1),
            torch.ones(2, 5, 3),
            path=tmp_path,
            dynamic_axes={"x": {0: "b", 1: "s"}},
        )


@only("torch")
def test_openvino_refuses_a_traced_narrow():
    import openvino
    import torch

    class Module(torch.nn.Module):
        def forward(self, x):
            return x.narrow(1, 1, x.shape[1] - 2)

    graph = torch.jit.trace(Module(), torch.ones(1, 5, 2))
    model = openvino.convert_model(graph)
    with pytest.raises(Exception, match="must be"):
        openvino.Core().compile_model(model, "CPU")


@only("torch")
def test_litert_mixes_grouped_images_with_unequal_strides():
    import litert_torch
    import torch

    # https://github.com/google-ai-edge/litert-torch/issues/604
    module = torch.nn.ConvTranspose2d(4, 4, (3, 2), (1, 2), groups=2).eval()
    x = torch.randn(2, 4, 5, 4, generator=torch.Generator().manual_seed(0))
    expected = module(x).detach().numpy()
    actual = litert_torch.convert(module, (x,))(x)
    assert actual.shape != expected.shape or (
        abs(actual - expected).max() > 0.01
    )


@only("torch")
def test_litert_refuses_a_padding():
    import litert_torch
    import torch

    # https://github.com/google-ai-edge/litert-torch/issues/316
    module = torch.nn.ConvTranspose2d(4, 4, 3, (1, 2), padding=(1, 0)).eval()
    with pytest.raises(ValueError, match="converter passes"):
        litert_torch.convert(module, (torch.ones(2, 4, 5, 4),))


def jax2onnx_refuses(function, shape, match):
    import jax2onnx

    with pytest.raises(
        (AttributeError, NotImplementedError, TypeError), match=match
    ):
        jax2onnx.to_onnx(function, [shape])


@only("jax")
def test_jax2onnx_loses_sizes():
    import jax.numpy as jnp

    shape = ("B", "T", 4)
    jax2onnx_refuses(
        lambda x: jnp.reshape(x, (x.shape[0], x.shape[1] * 2, 2)),
        shape,
        "reshape with symbolic",
    )
    jax2onnx_refuses(lambda x: x[:, 1:-1], shape, "_normalization_rules")
    jax2onnx_refuses(
        lambda x: x + jnp.arange(x.shape[1], dtype="float32")[:, None],
        shape,
        "rmax",
    )


@only("jax")
def test_jax2onnx_declares_a_wrong_shape_of_a_concatenation(tmp_path):
    import jax.numpy as jnp
    import jax2onnx

    model = jax2onnx.to_onnx(
        lambda x: jnp.concatenate([jnp.zeros((x.shape[0], 1, 4)), x], axis=1),
        [("B", "T", 4)],
    )
    (output,) = model.graph.output
    declared = [dim.dim_value for dim in output.type.tensor_type.shape.dim]
    # Of the steps, T + 1, it says 1.
    assert declared[1] == 1


@only("jax")
def test_jax2onnx_has_no_convolution_of_volumes():
    import jax
    import jax.numpy as jnp

    jax2onnx_refuses(
        lambda x: jax.lax.conv_general_dilated(
            x,
            jnp.ones((2, 2, 2, 4, 4)),
            (1, 1, 1),
            "VALID",
            dimension_numbers=("NDHWC", "DHWIO", "NDHWC"),
        ),
        ("B", 5, 5, 5, 4),
        "Unsupported conv layouts",
    )


@only("tensorflow")
def test_tf2onnx_writes_the_call_of_a_function(tmp_path):
    import onnxruntime

    inputs = keras.Input((None, 4))
    model = keras.Model(inputs, keras.layers.Conv1D(4, 3, groups=2)(inputs))
    model(np.ones((1, 5, 4)))
    path = str(tmp_path / "model.onnx")
    model.export(path, format="onnx", verbose=False)
    with pytest.raises(Exception, match="PartitionedCall"):
        onnxruntime.InferenceSession(path)


@only("tensorflow")
def test_tf2onnx_leaves_a_sum_outside_of_a_convolution():
    import tensorflow as tf
    import tf2onnx

    function = tf.function(
        lambda x: (
            tf.ones(3)
            + tf.nn.conv_transpose(
                x, tf.ones((4, 4, 3, 2)), (1, 12, 12, 3), 2, "SAME"
            )
        ),
        input_signature=[tf.TensorSpec((1, 6, 6, 2))],
    )
    model, _ = tf2onnx.convert.from_function(
        function, input_signature=function.input_signature
    )
    assert "Add" in [node.op_type for node in model.graph.node]


@only("tensorflow")
@pytest.mark.parametrize("kind", ["transpose", "pad", "matmul"])
def test_litert_has_few_axes(kind):
    import tensorflow as tf

    function, shape = {
        "transpose": (
            lambda x: tf.transpose(x, (0, 6, 5, 4, 3, 2, 1)),
            (2, 2, 3, 2, 3, 2, 3),
        ),
        "pad": (
            lambda x: tf.pad(x, [(0, 0)] * 5 + [(0, 1)]),
            (1, 2, 3, 4, 5, 6),
        ),
        "matmul": (
            lambda x: x @ tf.ones((2, 3, 4, 5, 7, 3)),
            (2, 3, 4, 5, 6, 7),
        ),
    }[kind]
    function = tf.function(function, input_signature=[tf.TensorSpec(shape)])
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [function.get_concrete_function()]
    )
    with pytest.raises(Exception, match="neither a custom op nor a flex op"):
        converter.convert()


@only("tensorflow")
def test_openvino_reverses_one_axis(tmp_path):
    import openvino
    import tensorflow as tf

    class Module(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((3, 4, 2))])
        def reverse(self, x):
            return tf.reverse(x, [0, 1])

    path = str(tmp_path / "model")
    tf.saved_model.save(Module(), path)
    with pytest.raises(Exception, match="ReverseV2"):
        openvino.convert_model(path)
