"""What runs the operations.

This, `adapters` and `primitives` import a backend, when they run.
"""

import keras


def engine() -> str:
    """What will run the sum: the backend, or another name for two states.

    "tensorflow-xla" is TensorFlow within `jit_compile=True`, and
    "torch-export" is PyTorch within `torch.export`.
    """
    backend = str(keras.backend.backend())
    if backend == "tensorflow" and _within_xla():
        return "tensorflow-xla"
    if backend == "torch" and _exporting():
        return "torch-export"
    return backend


def _exporting() -> bool:
    import torch

    return bool(torch.compiler.is_exporting())


def _within_xla() -> bool:
    import tensorflow as tf

    if tf.executing_eagerly():
        return False
    graph = tf.compat.v1.get_default_graph()
    while graph is not None:
        # Set by tf.function(jit_compile=True) while it traces. TensorFlow has
        # no public name for it; without it, only the speed changes.
        context = getattr(graph, "_get_control_flow_context", lambda: None)()
        while context is not None:
            if context.IsXLAContext():
                return True
            context = context.outer_context
        graph = getattr(graph, "outer_graph", None)
    return False
