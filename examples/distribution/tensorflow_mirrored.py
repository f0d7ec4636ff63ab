"""`tf.distribute.MirroredStrategy`: every device takes some examples.

    pip install "keras_convt[tensorflow]"
    python examples/distribution/tensorflow_mirrored.py

The processor plays two devices. With real ones, leave out what configures it,
and the strategy finds them.
"""

import os

os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import keras
import tensorflow as tf
from decoder import EXAMPLES, build, compare, step

# Both before TensorFlow starts its devices.
tf.config.set_visible_devices([], "GPU")
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0],
    [tf.config.LogicalDeviceConfiguration()] * 2,
)
devices = [device.name for device in tf.config.list_logical_devices("CPU")]

alone = step(build())

# What was traced for each device, and not only what was asked for.
parts = {}
mean_squared_error = keras.losses.MeanSquaredError()


def loss(y_true, y_pred):
    for device in devices:
        if y_pred.device.endswith(device):
            parts[device] = y_pred.shape[0]
    return mean_squared_error(y_true, y_pred)


strategy = tf.distribute.MirroredStrategy(devices)
with strategy.scope():
    model = build(loss)
weights = step(model)

assert parts == dict.fromkeys(devices, EXAMPLES // 2), parts
for variable in model.variables:
    copies = [copy.device for copy in variable.value.values]
    assert len(copies) == len(devices) == 2, copies
    assert all(map(str.endswith, copies, devices)), copies
compare(
    f"MirroredStrategy: {len(devices)} devices, {EXAMPLES // 2} of {EXAMPLES} "
    "examples each",
    weights,
    alone,
)
