"""JAX: one program for an eager call, and explicitly sharded arrays."""

import functools
import math
import os
from collections.abc import Callable
from typing import Any

import numpy as np

from keras_convt.geometry import effective_kernel
from keras_convt.ops.types import Crops, Sizes, Tensor

# An eager call compiles a program for each new length. These take XLA half the
# time to compile, or less, and run as fast. With the formulations that are
# chosen in a program of the user's, the means of 1D, 2D and 3D layers are 0.78,
# 1.3 and 0.4 times the built-in's time for a new length, and 1.8, 2.8 and 0.8
# without these options (JAX 0.10.2).
QUICK_TO_COMPILE = {
    "xla_backend_optimization_level": 1,
    "xla_cpu_use_fusion_emitters": False,
}


def as_one_program(
    function: Callable[..., Tensor],
    tensors: tuple[Tensor | None, ...],
    settings: tuple[Any, ...],
) -> Tensor:
    """Call a function of tensors as one program, where no program is traced.

    Called as it is, each operation in it is a program of its own, which JAX
    compiles anew for each shape: up to 34 of them for a volume. What traces
    the function for a program of the user's, or for an exporter, is left
    alone.
    """
    import jax

    given = [tensor for tensor in tensors if tensor is not None]
    if not all(isinstance(tensor, jax.Array) for tensor in given) or (
        # A derivative or a map may be computed eagerly, too. What is part of
        # a program must not have options of its own.
        _within_program()
    ):
        return function(*tensors, *settings)
    device = None
    if not any(isinstance(tensor, jax.core.Tracer) for tensor in given):
        # JAX refuses options in a program that is part of another, as one
        # that is differentiated is (0.10.2).
        device = next(iter(given[0].devices())).platform
    program = _program(function, len(tensors), len(settings), device)
    return program(*tensors, *settings)


@functools.cache
def _program(
    function: Callable[..., Tensor],
    tensors: int,
    settings: int,
    device: str | None,
) -> Any:
    import jax

    # JAX keeps a program by the settings, and by the shapes of the tensors:
    # it does not keep the tensors.
    return jax.jit(
        function,
        static_argnums=tuple(range(tensors, tensors + settings)),
        compiler_options=compiler_options(device),
    )


def compiler_options(device: str | None) -> dict[str, Any]:
    """Of `QUICK_TO_COMPILE`, those that this JAX knows.

    What the user sets in `XLA_FLAGS` is left out. Elsewhere than on a CPU,
    XLA has other options for its programs.
    """
    if device != "cpu":
        return {}
    flags = os.environ.get("XLA_FLAGS", "")
    return {
        name: value
        for name, value in QUICK_TO_COMPILE.items()
        if name not in flags and _is_known(name, value)
    }


@functools.cache
def _is_known(name: str, value: Any) -> bool:
    import jax

    try:
        # A user may have disabled programs, and then nothing is compiled.
        with jax.disable_jit(False):
            jax.jit(jax.lax.neg, compiler_options={name: value})(_constant())
    except RuntimeError:
        # XLA has no such option.
        return False
    return True


def _within_program() -> bool:
    """Whether JAX traces a program now, and does not compute."""
    import jax

    # What is computed of a constant becomes part of a program that is traced,
    # and of nothing else.
    return isinstance(jax.lax.neg(_constant()), jax.core.Tracer)


@functools.cache
def _constant() -> Any:
    import jax

    with jax.ensure_compile_time_eval():
        # Not `jnp.zeros`, which a guard of transfers refuses.
        return jax.device_put(np.zeros((), "float32"))


def output_sharding(
    inputs: Tensor,
    kernel: Tensor,
    bias: Tensor | None,
    strides: Sizes,
    dilation_rate: Sizes,
    groups: int,
    crops: Crops,
) -> Any:
    """How outputs are to be divided, if an argument explicitly is.

    The batch and the steps as those of the inputs, where they can be divided
    by the devices, and the filters as those of the kernel.

    Returns:
        A sharding, or None if no argument is divided along an axis of a mesh
        whose type is explicit.
    """
    of_inputs, of_kernel = _explicit(inputs), _explicit(kernel)
    of_bias = None if bias is None else _explicit(bias)
    given = [found for found in (of_inputs, of_kernel, of_bias) if found]
    if not given:
        return None
    import jax

    # JAX does not say what its type is.
    partition: Any = jax.sharding.PartitionSpec
    mesh = given[0].mesh
    *kernel_size, filters, channels = kernel.shape
    steps = [
        (n - 1) * s + effective_kernel(k, d) - left - right
        for n, k, s, d, (left, right) in zip(
            inputs.shape[1:-1],
            kernel_size,
            strides,
            dilation_rate,
            crops,
            strict=True,
        )
    ]
    names = list(of_inputs.spec) if of_inputs else [None] * inputs.ndim
    *names, of_channels = names
    of_filters = [
        of_kernel.spec[-2] if of_kernel else None,
        of_bias.spec[0] if of_bias else None,
        of_channels if groups == channels else None,
    ]
    names.append(next((name for name in of_filters if name), None))
    sizes = [inputs.shape[0], *steps, filters * groups]
    spec: list[Any] = []
    used: set[str] = set()
    for name, size in zip(names, sizes, strict=True):
        axes = name if isinstance(name, tuple) else (name,) if name else ()
        devices = math.prod(mesh.shape[axis] for axis in axes)
        fits = size % devices == 0 and not used.intersection(axes)
        spec.append(name if fits else None)
        used.update(axes if fits else ())
    return jax.sharding.NamedSharding(mesh, partition(*spec))


def _explicit(tensor: Tensor) -> Any:
    """The sharding of a tensor, if it is in its type and divides something."""
    import jax

    if not hasattr(jax.sharding, "auto_axes"):
        # An older JAX, in which no sharding is part of a type.
        return None
    sharding = jax.typeof(tensor).sharding
    return sharding if any(sharding.spec) else None
