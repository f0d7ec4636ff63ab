"""Each format's own runtime, as a function from arrays to arrays.

A runtime is imported where it is used: no backend's environment has them all.
What it gets are the model's inputs by their names.
"""


def onnx(path):
    import onnxruntime

    session = onnxruntime.InferenceSession(
        path, providers=["CPUExecutionProvider"]
    )
    names = [given.name for given in session.get_inputs()]
    return lambda inputs: session.run(None, known(inputs, names))


def known(inputs, names):
    """The inputs that a graph takes, under the names that it has for them.

    What a graph does not need is not among its inputs. Some exporters number
    the inputs: then all of them are there, in their order.
    """
    if set(names) <= set(inputs):
        return {name: inputs[name] for name in names}
    return dict(zip(names, inputs.values(), strict=True))


def tf_saved_model(path):
    import tensorflow as tf

    artefact = tf.saved_model.load(path)

    def run(inputs):
        tensors = [tf.constant(x) for x in inputs.values()]
        outputs = artefact.serve(tensors if len(tensors) > 1 else tensors[0])
        return [y.numpy() for y in tf.nest.flatten(outputs)]

    return run


def litert(path):
    # Has no Flex operations: a model that wants one does not run.
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(path)
    (signature,) = interpreter.get_signature_list()

    def run(inputs):
        runner = interpreter.get_signature_runner(signature)
        names = runner.get_input_details()
        # The exporter's own names are "args_0_10" and their like.
        numbered = all(name.rpartition("_")[2].isdigit() for name in names)
        names = sorted(names, key=_number if numbered else None)
        outputs = runner(**known(inputs, names))
        return [outputs[name] for name in sorted(outputs, key=_number)]

    return run


def _number(name):
    """Of an output: "output_10" comes after "output_9"."""
    return int(name.rpartition("_")[2])


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

    def run(inputs):
        named = [port.get_any_name() for port in compiled.inputs]
        results = compiled(known(inputs, named))
        # Some sizes within a TensorFlow model are outputs too, of no axes, and
        # so is an input that nothing reads.
        return [
            results[port]
            for port in compiled.outputs
            if (port.partial_shape.rank.is_dynamic or len(port.partial_shape))
            and not port.get_names() & set(named)
        ]

    return run


def torch(path):
    import torch

    module = torch.export.load(path).module()

    def run(inputs):
        tensors = [torch.from_numpy(x) for x in inputs.values()]
        outputs = module(tensors if len(tensors) > 1 else tensors[0])
        if isinstance(outputs, torch.Tensor):
            outputs = [outputs]
        return [y.detach().numpy() for y in outputs]

    return run
