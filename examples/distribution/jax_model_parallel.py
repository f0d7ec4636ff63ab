"""`keras.distribution.ModelParallel` on JAX: filters divided over devices.

    pip install "keras_convt[jax]"
    python examples/distribution/jax_model_parallel.py

The processor plays four devices. With real ones, leave out the last two
variables of the environment.
"""

import os

os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("XLA_FLAGS", "--xla_force_host_platform_device_count=4")

from decoder import build, compare, step
from jax.sharding import PartitionSpec
from keras.distribution import (
    DeviceMesh,
    LayoutMap,
    ModelParallel,
    list_devices,
    set_distribution,
)

# Two devices share the filters, and two such pairs the examples.
MESH = DeviceMesh((2, 2), ("batch", "model"), list_devices())
# A kernel is (kernel_size, filters // groups, channels).
KERNEL, BIAS = (None, "model", None), ("model",)


def distributed(kernels, biases):
    """A decoder that divides the variables whose whole paths match these."""
    layouts = LayoutMap(MESH)
    layouts[kernels] = KERNEL
    layouts[biases] = BIAS
    set_distribution(ModelParallel(layout_map=layouts, batch_dim_name="batch"))
    model = build()
    model.optimizer.build(model.trainable_variables)
    return model


def check(model):
    """Stop unless every kernel and bias, and its momentum, is divided.

    To be asserted: Keras says nothing where a pattern matches no path.
    """
    slots = [v for v in model.optimizer.variables if "momentum" in v.path]
    assert len(slots) == len(model.variables)
    for variable in [*model.variables, *slots]:
        layout = KERNEL if len(variable.shape) == 3 else BIAS
        sharding = variable.value.sharding
        if sharding.spec != PartitionSpec(*layout):
            raise ValueError(
                f"{variable.path} is divided as {tuple(sharding.spec)}"
            )
        halves = [
            size // 2 if axis else size
            for size, axis in zip(variable.shape, layout, strict=True)
        ]
        assert sharding.shard_shape(variable.shape) == tuple(halves)


alone = step(build())

model = distributed(kernels=".*/kernel", biases=".*/bias")
check(model)
weights = step(model)
check(model)  # The step has left them where they were.
compare("ModelParallel: half of the filters each", weights, alone)
for variable in model.variables:
    spec = tuple(variable.value.sharding.spec)
    print(f"  {variable.path} {variable.shape} is divided as {spec}")

try:
    check(distributed(kernels="kernel", biases="bias"))
except ValueError as error:
    print(f"Patterns that match nothing are noticed: {error}")
else:
    raise SystemExit("Patterns that match nothing were not noticed.")
