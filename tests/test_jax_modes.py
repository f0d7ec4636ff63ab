"""JAX, in the ways that it is used besides `jit`: eager, guarded, sharded."""

import functools
import gc
import os
import subprocess
import sys
import weakref
from pathlib import Path

import keras
import numpy as np
import pytest
import reference
from tolerances import GRADIENTS, VALUES, assert_close

import keras_convt

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "jax", reason="These are modes of JAX."
)

# Of a signal, an image and a volume, what each formulation is chosen for.
CALLS = {
    "overlap-add": (1, 4, {"strides": 2, "padding": "same"}),
    "channels first": (1, 4, {"strides": 2, "data_format": "channels_first"}),
    "groups": (1, 4, {"strides": 2, "groups": 2}),
    "image": (2, 3, {"strides": 2, "padding": "same"}),
    "stride 1": (2, 3, {"padding": "same"}),
    "many taps": (1, 64, {"strides": 2}),
    "volume": (3, 2, {"strides": 2}),
    "dilated": (1, 3, {"dilation_rate": 2}),
    "output_size": (1, 3, {"strides": 2, "output_size": 12}),
}
each_call = pytest.mark.parametrize("name", CALLS)


def call_of(name, rng, steps=5):
    """A layer, its weights and arrays, and a call's arguments and value."""
    rank, kernel_size, arguments = CALLS[name]
    call = {}
    if "output_size" in arguments:
        call["output_size"] = 2 * steps + 2
        arguments = {k: v for k, v in arguments.items() if k != "output_size"}
    layer = getattr(keras_convt, f"Conv{rank}DTranspose")(
        4, kernel_size, bias_initializer="normal", **arguments
    )
    shape = [2, *(steps,) * rank, 4]
    if "data_format" in arguments:
        shape = [2, 4, *(steps,) * rank]
    x = rng.normal(size=shape).astype("float32")
    layer.build(x.shape)
    weights = [np.array(w) for w in layer.get_weights()]
    expected = expected_of(x, weights, arguments, call)
    return layer, x, arguments, call, expected


def expected_of(x, weights, arguments, call):
    kernel, bias = weights
    return reference.conv_transpose(x, kernel, bias, **arguments, **call)


@pytest.fixture
def programs():
    """A list that grows with each program that JAX compiles."""
    from jax import monitoring

    # The first call of a process finds out where it is, too.
    layer, x, _, call, _ = call_of("overlap-add", np.random.default_rng(0))
    layer(keras.ops.convert_to_tensor(x), **call)
    compiled = []

    def listen(event, duration, **_):
        if event == "/jax/core/compile/backend_compile_duration":
            compiled.append(duration)

    monitoring.register_event_duration_secs_listener(listen)
    yield compiled
    monitoring.unregister_event_duration_listener(listen)


@each_call
def test_a_new_length_compiles_one_program(name, rng, programs):
    layer, *_ = call_of(name, rng)
    _, x, arguments, call, _ = call_of(name, rng, steps=6)
    x = keras.ops.convert_to_tensor(x)
    expected = expected_of(x, layer.get_weights(), arguments, call)
    before = len(programs)
    y = layer(x, **call)
    # The built-in layer's convolution and bias are two.
    assert len(programs) - before == 1
    assert_close(y, expected, VALUES)
    before = len(programs)
    layer(x, **call)
    assert len(programs) == before


@each_call
@pytest.mark.parametrize("flags", ["", "--xla_backend_optimization_level=0"])
def test_programs_that_compile_fast_compute_the_same(
    name, flags, rng, monkeypatch
):
    """As without `XLA_FLAGS`, or with those of a user, whatever it is here."""
    from keras_convt.ops.backend import jax_programs

    monkeypatch.setenv("XLA_FLAGS", flags)
    options = jax_programs.compiler_options("cpu")
    assert ("xla_backend_optimization_level" in options) == (not flags)
    jax_programs._program.cache_clear()
    try:
        layer, x, _, call, expected = call_of(name, rng)
        y = layer(keras.ops.convert_to_tensor(x), **call)
    finally:
        jax_programs._program.cache_clear()
    assert_close(y, expected, VALUES)


def test_an_option_that_xla_does_not_know(rng, monkeypatch):
    """It is found out where a user has disabled programs, too."""
    import jax

    from keras_convt.ops.backend import jax_programs

    monkeypatch.setattr(
        jax_programs, "QUICK_TO_COMPILE", {"xla_has_no_such_option": 1}
    )
    layer, x, _, call, expected = call_of("overlap-add", rng)
    x = keras.ops.convert_to_tensor(x)
    jax_programs._program.cache_clear()
    try:
        with jax.disable_jit():
            assert_close(layer(x, **call), expected, VALUES)
        assert_close(layer(x, **call), expected, VALUES)
    finally:
        jax_programs._program.cache_clear()


def test_an_eager_call_as_part_of_something_else(rng):
    """JAX gives options to a program of its own, and to no part of one."""
    import jax

    layer, x, _, call, expected = call_of("overlap-add", rng)
    constant = keras.ops.convert_to_tensor(x)

    def scaled(scale):
        return scale * layer(constant, **call)

    def at_compile_time(scale):
        with jax.ensure_compile_time_eval():
            y = layer(constant, **call)
        return scale * y

    ones = np.ones(2, "float32")
    for y in (
        jax.jit(scaled)(1.0),
        jax.jit(at_compile_time)(1.0),
        jax.checkpoint(scaled)(1.0),
        jax.linearize(scaled, 1.0)[0],
        jax.jacfwd(scaled)(1.0),
        jax.vmap(scaled)(ones)[0],
        jax.lax.scan(lambda carry, n: (carry, scaled(n)), 0, ones)[1][0],
    ):
        assert_close(y, expected, VALUES)
    slope = jax.grad(lambda scale: scaled(scale).sum())(1.0)
    np.testing.assert_allclose(slope, expected.sum(), rtol=1e-4)


def test_a_mask_is_two_more_programs(rng, programs):
    layer = keras_convt.Conv1DTranspose(4, 5, 2)
    layer.build((2, 7, 4))
    x, mask = map(
        keras.ops.convert_to_tensor,
        (rng.normal(size=(2, 7, 4)).astype("float32"), np.eye(2, 7) > 0),
    )
    before = len(programs)
    y = layer(x, mask=mask)
    assert len(programs) - before == 3
    kept = np.array(x) * np.eye(2, 7)[..., None]
    expected = reference.conv_transpose(kept, layer.get_weights()[0], strides=2)
    assert_close(y, expected, VALUES)
    assert np.array(y._keras_mask).sum(axis=1).tolist() == [5, 5]


def test_a_separable_layer_is_two_programs(rng, programs):
    layer = keras_convt.SeparableConv1DTranspose(3, 3, 2)
    layer.build((2, 7, 4))
    x = keras.ops.convert_to_tensor(
        rng.normal(size=(2, 7, 4)).astype("float32")
    )
    before = len(programs)
    y = layer(x)
    assert len(programs) - before == 2
    depthwise, pointwise, _ = layer.get_weights()
    between = reference.conv_transpose(x, depthwise, strides=2, groups=4)
    assert_close(y, between @ pointwise[0], VALUES)


def test_an_eager_gradient_compiles_few_programs(rng, programs):
    import jax

    layer, x, arguments, call, _ = call_of("volume", rng)
    weights = [w.value for w in layer.weights]

    def loss(weights, x):
        return layer.stateless_call(weights, [], x, **call)[0].sum()

    before = len(programs)
    slopes = jax.grad(loss)(weights, jax.numpy.asarray(x))
    # Operation by operation there are more than a hundred.
    assert len(programs) - before < 20
    upstream = np.ones(layer.compute_output_shape(x.shape))
    _, kernel, bias = reference.gradients(
        x, layer.get_weights()[0], upstream, **arguments
    )
    assert_close(slopes[0], kernel, GRADIENTS)
    assert_close(slopes[1], bias, GRADIENTS)


def test_no_program_keeps_a_kernel(rng):
    import jax

    def used():
        x, kernel = (
            jax.device_put(rng.normal(size=shape).astype("float32"))
            for shape in ((1, 5, 3), (4, 2, 3))
        )

        def outputs(kernel):
            return keras_convt.ops.conv_transpose(x, kernel, 2)

        assert outputs(kernel).shape == (1, 12, 2)
        jax.grad(lambda kernel: outputs(kernel).sum())(kernel)
        return weakref.ref(x), weakref.ref(kernel)

    kept = used()
    gc.collect()
    assert [found() for found in kept] == [None, None]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("implementation", "strides"),
    [("convolution", 1), ("sub_pixel_convolution", 2)],
)
def test_gradients_with_numbers_of_64_bits(implementation, strides, dtype, rng):
    import jax

    # Its name was another one in JAX 0.5.
    if not hasattr(jax, "enable_x64"):
        from jax.experimental import enable_x64
    else:
        enable_x64 = jax.enable_x64
    with enable_x64(True):
        layer = keras_convt.Conv2DTranspose(
            8, 4, strides, dtype=dtype, implementation=implementation
        )
        layer.build((2, 5, 6, 4))
        kernel, bias = (
            rng.normal(size=v.shape).astype(dtype)
            for v in layer.trainable_variables
        )
        x = rng.normal(size=(2, 5, 6, 4)).astype(dtype)
        upstream = rng.normal(size=layer.compute_output_shape(x.shape))

        def loss(x, kernel):
            y, _ = layer.stateless_call([kernel, bias], [], x)
            return (y * upstream.astype(dtype)).sum()

        slopes = jax.jit(jax.grad(loss, (0, 1)))(x, kernel)
    expected = reference.gradients(x, kernel, upstream, strides=strides)
    for slope, right in zip(slopes, expected[:2], strict=True):
        assert slope.dtype == dtype
        assert_close(slope, right, GRADIENTS)


@each_call
def test_without_promotion_of_ranks(name, rng):
    import jax

    layer, x, _, call, expected = call_of(name, rng)
    with jax.numpy_rank_promotion("raise"):
        assert_close(layer(x, **call), expected, VALUES)


@pytest.mark.parametrize("groups", [1, 2])
def test_int8_without_promotion_of_ranks(groups, rng):
    import jax

    layer = keras_convt.Conv1DTranspose(4, 3, 2, groups=groups)
    layer.build((2, 5, 4))
    layer.quantize("int8")
    x = rng.normal(size=(2, 5, 4)).astype("float32")
    expected = np.array(layer(x))
    with jax.numpy_rank_promotion("raise"):
        # Of other steps, so that nothing is compiled yet.
        found = np.array(layer(x[:, :3]))
    assert_close(found[:, :6], expected[:, :6], VALUES)


def test_a_separable_layer_without_promotion_of_ranks(rng):
    import jax

    layer = keras_convt.SeparableConv1DTranspose(3, 3, 2)
    x = rng.normal(size=(2, 5, 4)).astype("float32")
    with jax.numpy_rank_promotion("raise"):
        y = layer(x)
    depthwise, pointwise, _ = layer.get_weights()
    between = reference.conv_transpose(x, depthwise, strides=2, groups=4)
    assert_close(y, between @ pointwise[0], VALUES)


@each_call
def test_without_implicit_transfers(name, rng):
    """Eager values, derivatives and maps, as the built-in layer has them."""
    import jax

    layer, x, _, call, expected = call_of(name, rng)
    weights = [w.value for w in layer.weights]
    x, upstream = map(jax.device_put, (x, np.ones(expected.shape, "float32")))
    function = functools.partial(_outputs, layer, call)
    with jax.transfer_guard("disallow"):
        y = layer(x, **call)
        _, back = jax.vjp(function, weights, x)
        (_, dbias), dx = back(upstream)
        _, slope = jax.jvp(function, (weights, x), (weights, x))
        mapped = jax.vmap(functools.partial(function, weights))(x[None])
    assert_close(y, expected, VALUES)
    assert_close(mapped[0], expected, VALUES)
    # Half of it is linear in the kernel and in x at once, half in the bias.
    _, bias = layer.get_weights()
    rank = x.ndim - 2
    first = layer.data_format == "channels_first"
    bias = bias.reshape(-1, *(1,) * rank) if first else bias
    assert_close(slope, 2 * expected - bias, GRADIENTS)
    assert dx.shape == x.shape
    assert_close(dbias, np.full(4, expected.size / 4), GRADIENTS)


def _outputs(layer, call, weights, x):
    return layer.stateless_call(weights, [], x, **call)[0]


def test_explicit_sharding():
    """In a process of its own, because it wants several devices."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("COV_")}
    flags = f"{kept.get('XLA_FLAGS', '')} "
    ran = subprocess.run(
        [
            sys.executable,
            Path(__file__).parent / "helpers/explicit_sharding.py",
        ],
        env={
            **kept,
            "KERAS_BACKEND": "jax",
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            "XLA_FLAGS": f"{flags}--xla_force_host_platform_device_count=4",
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stdout.endswith("as expected\n"), ran.stdout
