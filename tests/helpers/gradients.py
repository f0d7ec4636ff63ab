"""The one place in the tests that knows the backends.

Functions here take a function of backend tensors and NumPy arrays for it, and
give NumPy arrays back.
"""

import keras
from keras import ops

BACKEND = keras.backend.backend()


def tensors(arrays):
    return [ops.convert_to_tensor(a, dtype="float32") for a in arrays]


def arrays(tensors):
    return [ops.convert_to_numpy(t) for t in tensors]


def compiled(function, one_graph=False):
    """`function` as users of this backend compile it: its graph is traced.

    On PyTorch the code generator behind the graph is left out: it needs a C++
    compiler, and cannot be differentiated twice. With `one_graph` it refuses
    to leave a part of the function out of the graph.
    """
    if BACKEND == "tensorflow":
        import tensorflow as tf

        return tf.function(function)
    if BACKEND == "jax":
        import jax

        return jax.jit(function)
    if BACKEND == "torch":
        import torch

        torch._dynamo.reset()
        return torch.compile(function, backend="eager", fullgraph=one_graph)
    raise ValueError(f"No compiler known for the {BACKEND} backend.")


def compiled_by_xla(function):
    """`function`, compiled by XLA on the backends that have it."""
    if BACKEND != "tensorflow":
        return compiled_if_quicker(function)
    import tensorflow as tf

    return tf.function(function, jit_compile=True)


def compiled_for_any_signal(function, channels):
    """The same of one `(batch, steps, channels)`, with both sizes left open.

    JAX has no such graphs: there each size has its own.
    """
    if BACKEND != "tensorflow":
        return compiled(function)
    import tensorflow as tf

    signal = tf.TensorSpec((None, None, channels))
    return tf.function(function, input_signature=[signal])


def compiled_if_quicker(function):
    """`function`, the quickest way to run it once on many small shapes.

    JAX compiles each operation for each shape it meets: one graph of them all,
    not optimized, is several times quicker. The others are quickest operation
    by operation.
    """
    if BACKEND != "jax":
        return function
    import jax

    unoptimized = {"xla_backend_optimization_level": 0}
    return jax.jit(function, compiler_options=unoptimized)


def double_precision(request):
    """Allow float64 until the end of a test, where that has to be asked for."""
    if BACKEND == "jax":
        import jax

        jax.config.update("jax_enable_x64", True)
        request.addfinalizer(lambda: jax.config.update("jax_enable_x64", False))


def _as_it_is(function):
    return function


def value_and_derivative(function, variables):
    """(value, gradients) of the scalar `function(*variables)`, as tensors."""
    if BACKEND == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            tape.watch(variables)
            value = function(*variables)
        return value, tape.gradient(value, variables)
    if BACKEND == "jax":
        import jax

        return jax.value_and_grad(function, tuple(range(len(variables))))(
            *variables
        )
    if BACKEND == "torch":
        import torch

        variables = [
            v if v.requires_grad else v.requires_grad_() for v in variables
        ]
        value = function(*variables)
        return value, torch.autograd.grad(value, variables, create_graph=True)
    raise ValueError(f"No gradients known for the {BACKEND} backend.")


def value_and_gradients(function, inputs, compile=False):
    """The scalar `function(*inputs)` and its gradient for every input.

    `compile` is True, False, "if quicker" or "xla".
    """

    wrap = {
        False: _as_it_is,
        True: compiled,
        "if quicker": compiled_if_quicker,
        "xla": compiled_by_xla,
    }
    if BACKEND == "torch":  # Its graphs are differentiated from outside.
        function = wrap[compile](function)
        compile = False

    def both(*variables):
        value, slopes = value_and_derivative(function, list(variables))
        return (value, *slopes)

    run = wrap[compile](both)
    value, *slopes = arrays([_detached(t) for t in run(*tensors(inputs))])
    return value, slopes


def penalty_and_gradients(function, inputs, compile=False):
    """P = |d/dx function(x, ...)|**2 and its gradient for every input.

    The gradient of a gradient: what a gradient penalty trains with.
    """

    if BACKEND == "torch" and compile is True:
        function = compiled(function)
        compile = False

    def penalty(x, *others):
        _, (slope,) = value_and_derivative(lambda v: function(v, *others), [x])
        return ops.sum(ops.square(slope))

    return value_and_gradients(penalty, inputs, compile)


def _detached(tensor):
    return tensor.detach() if BACKEND == "torch" else tensor
