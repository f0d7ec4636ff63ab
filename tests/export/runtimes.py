"""Each format's own runtime, as a function from arrays to an array.

A runtime is imported where it is used: no backend's environment has them all.
"""


def onnx(path):
    import onnxruntime

    session = onnxruntime.InferenceSession(
        path, providers=["CPUExecutionProvider"]
    )
    (given,) = session.get_inputs()
    return lambda x: session.run(None, {given.name: x})[0]


def tf_saved_model(path):
    import tensorflow as tf

    artefact = tf.saved_model.load(path)
    return lambda x: artefact.serve(tf.constant(x)).numpy()


def litert(path):
    # Has no Flex operations: a model that wants one does not run.
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(path)

    def run(x):
        (given,) = interpreter.get_input_details()
        (result,) = interpreter.get_output_details()
        if tuple(given["shape"]) != x.shape:
            interpreter.resize_tensor_input(given["index"], x.shape)
        interpreter.allocate_tensors()
        interpreter.set_tensor(given["index"], x)
        interpreter.invoke()
        return interpreter.get_tensor(result["index"])

    return run


def converted_litert(path):
    """LiteRT of a SavedModel."""
    import tensorflow as tf

    converted = tf.lite.TFLiteConverter.from_saved_model(path).convert()
    file = f"{path}.tflite"
    with open(file, "wb") as stream:
        stream.write(converted)
    return litert(file)


def openvino(path):
    import openvino

    # float32 throughout, also on processors where the default is bfloat16.
    compiled = openvino.Core().compile_model(
        path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
    )
    return lambda x: compiled(x)[0]


def torch(path):
    import torch

    module = torch.export.load(path).module()
    return lambda x: module(torch.from_numpy(x)).detach().numpy()
