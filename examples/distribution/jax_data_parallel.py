"""`keras.distribution.DataParallel` on JAX: every device takes some examples.

    pip install "keras_convt[jax]"
    python examples/distribution/jax_data_parallel.py

The processor plays four devices. With real ones, leave out the last two
variables of the environment.
"""

import os

os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("XLA_FLAGS", "--xla_force_host_platform_device_count=4")

import jax
import keras
from decoder import EXAMPLES, build, compare, step

alone = step(build())

devices = keras.distribution.list_devices()
keras.distribution.set_distribution(keras.distribution.DataParallel())

# What the compiler divided, and not only what it was asked to.
parts = []
mean_squared_error = keras.losses.MeanSquaredError()


def loss(y_true, y_pred):
    def record(sharding):
        parts.append(sharding.shard_shape(y_pred.shape)[0])

    jax.debug.inspect_array_sharding(y_pred, callback=record)
    return mean_squared_error(y_true, y_pred)


model = build(loss)
weights = step(model)

assert parts == [EXAMPLES // len(devices)], parts
for variable in [*model.variables, *model.optimizer.variables]:
    sharding = variable.value.sharding
    assert sharding.is_fully_replicated, variable.path
    assert len(sharding.device_set) == len(devices) > 1, variable.path
compare(
    f"DataParallel: {len(devices)} devices, {parts[0]} of {EXAMPLES} examples "
    "each",
    weights,
    alone,
)
