"""What holds a layer, told that the layer is another one than before.

A model keeps what depends on its layers: the functions that it has compiled
and, on PyTorch, a list of parameters. Keras makes both anew when a model is
compiled or quantized, but not when one of its layers is.
"""

import gc
from collections.abc import Iterator
from typing import Any

import keras


def renew(variable: keras.Variable) -> None:
    """Let whatever holds `variable` look at its layers again.

    Models compile their functions anew, and list the parameters that they
    have now to optimizers of PyTorch. Without it TensorFlow goes on with the
    graph of before `enable_lora`, and PyTorch keeps a kernel in memory that
    int8 has replaced (seen in Keras 3.15.1).

    Args:
        variable: A weight of the layer, one that it has now.
    """
    for holder in _holders(variable):
        if isinstance(holder, keras.Model):
            holder.train_function = None
            holder.test_function = None
            holder.predict_function = None
        # Keras's layers have it on PyTorch.
        parameters = getattr(holder, "torch_params", None)
        if parameters is not None:
            parameters.clear()
            parameters.update(
                {known.path: known.value for known in holder.variables}
            )


def _holders(variable: keras.Variable) -> Iterator[Any]:
    """All layers and models that have `variable`, of which it knows none."""
    for found in gc.get_objects():
        # Not `isinstance`, which asks objects that stand for others.
        if not issubclass(type(found), keras.layers.Layer):
            continue
        # One whose constructor has failed has no variables.
        if getattr(found, "built", False) and any(
            known is variable for known in found.variables
        ):
            yield found
