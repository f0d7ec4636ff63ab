"""A script: layers whose inputs and kernels JAX divides explicitly.

`jax.make_mesh` makes such axes by default. How an array is divided is then
part of its type, and an operation that cannot tell it of its result raises a
`ShardingTypeError`.
"""

import jax
import keras
import numpy as np
import reference
from jax.sharding import NamedSharding, PartitionSpec
from tolerances import GRADIENTS, VALUES, assert_close

import keras_convt

# Rank, kernel size, and arguments.
CASES = [
    (1, 5, {"strides": 2, "padding": "same"}),
    (1, 4, {"strides": 2, "data_format": "channels_first"}),
    (1, 4, {"strides": 2, "groups": 2}),
    (1, 3, {"strides": 2, "groups": 8}),
    (1, 64, {"strides": 2}),
    (2, 3, {"padding": "same"}),
    (2, 3, {"strides": 2, "padding": "same"}),
]
# Where the inputs and the kernel are divided: the number of an axis, from
# the end for the kernel, and the axis of the mesh.
DIVISIONS = {
    "batch": ((0, "batch"), None),
    "batch and filters": ((0, "batch"), (-2, "model")),
    "batch and channels": ((0, "batch"), (-1, "model")),
}


def divided(mesh, array, division):
    spec = [None] * array.ndim
    if division is not None:
        axis, name = division
        spec[axis] = name
    return jax.device_put(array, NamedSharding(mesh, PartitionSpec(*spec)))


def check(mesh, rank, kernel_size, arguments, division, eager=False):
    rng = np.random.default_rng(1)
    of_inputs, of_kernel = DIVISIONS[division]
    x = rng.normal(size=(4, *(6,) * rank, 8)).astype("float32")
    first = "data_format" in arguments
    x = np.moveaxis(x, -1, 1) if first else x
    filters = 8 // arguments.get("groups", 1)
    if filters == 1 and of_kernel == (-2, "model"):
        # As the channels are, of a depthwise layer.
        of_kernel = (-1, "model")
    kernel = rng.normal(size=(*(kernel_size,) * rank, filters, 8))
    kernel = kernel.astype("float32")
    bias = rng.normal(size=8).astype("float32")
    layer = getattr(keras_convt, f"Conv{rank}DTranspose")(
        8, kernel_size, **arguments
    )
    layer.build(x.shape)

    def outputs(kernel, bias, x):
        return layer.stateless_call([kernel, bias], [], x)[0]

    def loss(kernel, bias, x):
        return keras.ops.sum(outputs(kernel, bias, x))

    arrays = (
        divided(mesh, kernel, of_kernel),
        divided(mesh, bias, None),
        divided(mesh, x, of_inputs),
    )
    expected = reference.conv_transpose(x, kernel, **arguments)
    shape = (-1, *(1,) * rank) if first else (-1,)
    upstream = np.ones(expected.shape)
    dx, dkernel, dbias = reference.gradients(x, kernel, upstream, **arguments)
    y = jax.jit(outputs)(*arrays)
    assert_close(y, expected + bias.reshape(shape), VALUES)
    assert y.sharding.spec[0] == "batch", y.sharding
    if eager:
        assert_close(outputs(*arrays), y, VALUES)
    slopes = jax.jit(jax.grad(loss, argnums=(0, 1, 2)))(*arrays)
    for slope, wanted in zip(slopes, (dkernel, dbias, dx), strict=True):
        assert_close(slope, wanted, GRADIENTS)
    if division == "batch":
        built_in = getattr(keras.layers, f"Conv{rank}DTranspose")
        if "groups" not in arguments:
            layer = built_in(8, kernel_size, **arguments)
            layer.build(x.shape)
            assert jax.jit(outputs)(*arrays).sharding == y.sharding
    elif division == "batch and filters" and "groups" not in arguments:
        assert y.sharding.spec[1 if first else -1] == "model", y.sharding


def main():
    mesh = jax.make_mesh((2, 2), ("batch", "model"))
    assert all(
        kind == jax.sharding.AxisType.Explicit for kind in mesh.axis_types
    )
    with jax.set_mesh(mesh):
        for case in CASES:
            check(mesh, *case, "batch")
            check(mesh, *case, "batch and filters")
        check(mesh, *CASES[0], "batch and channels")
    # Without a mesh that is set, arrays bring their own.
    check(mesh, *CASES[0], "batch", eager=True)
    print("all outputs and gradients as expected")


if __name__ == "__main__":
    main()
