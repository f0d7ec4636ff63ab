"""JAX: `jax.jit`, Flax and Equinox."""

import importlib.util
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.contenders import Apply, Contender, channels_first
from benchmarks.shapes import Shape

PACKAGES = ("jax", "flax", "equinox")

tensor = jnp.asarray


def device() -> str:
    return "cpu" if jax.default_backend() == "cpu" else "gpu"


class Compiled:
    """A compiled function with its arguments, to call and to look into."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.function = jax.jit(function)
        self.arguments = arguments

    def __call__(self) -> Any:
        return jax.block_until_ready(self.function(*self.arguments))

    def memory(self) -> float:
        """MiB of results and of what is between, as XLA has planned it."""
        compiled = self.function.lower(*self.arguments).compile()
        plan = compiled.memory_analysis()
        return (plan.temp_size_in_bytes + plan.output_size_in_bytes) / 2**20


def forward(
    apply: Apply, parameters: Sequence[Any], inputs: Any
) -> Callable[[], Any]:
    return Compiled(apply, parameters, inputs)


def both(
    apply: Apply, parameters: Sequence[Any], inputs: Any, gradient: Any
) -> Callable[[], Any]:
    """The output, and the gradients of the inputs and the parameters."""

    def function(parameters: Any, inputs: Any, gradient: Any) -> Any:
        outputs, pullback = jax.vjp(apply, parameters, inputs)
        by_parameters, by_inputs = pullback(gradient)
        return outputs, by_inputs, *by_parameters

    return Compiled(function, parameters, inputs, gradient)


def peers(shape: Shape) -> list[Contender]:
    found = []
    # Flax's layer has no groups.
    if shape.groups == 1 and importlib.util.find_spec("flax"):
        found.append(_flax(shape))
    if importlib.util.find_spec("equinox"):
        found.append(_equinox(shape))
    return found


def _flax(shape: Shape) -> Contender:
    from flax import nnx

    axes = tuple(range(len(shape.steps)))

    def weights(kernel: np.ndarray, bias: np.ndarray) -> list[np.ndarray]:
        return [np.flip(kernel, axes).swapaxes(-1, -2), bias]

    def start(weights: list[np.ndarray]) -> tuple[Sequence[Any], Apply]:
        layer = nnx.ConvTranspose(
            shape.channels,
            shape.filters,
            shape.kernel_size,
            shape.strides,
            padding=[
                (k - 1 - before, k - 1 - after)
                for k, (before, after) in zip(
                    shape.kernel_size, shape.crops, strict=True
                )
            ],
            rngs=nnx.Rngs(0),
        )
        graph, state = nnx.split(layer)

        def apply(parameters: Sequence[Any], inputs: Any) -> Any:
            kernel, bias = parameters
            nnx.replace_by_pure_dict(state, {"kernel": kernel, "bias": bias})
            return nnx.merge(graph, state)(inputs)

        return [jnp.asarray(w) for w in weights], apply

    return Contender("flax", start, weights)


def _equinox(shape: Shape) -> Contender:
    import equinox

    rank = len(shape.steps)
    axes = tuple(range(rank))

    def weights(kernel: np.ndarray, bias: np.ndarray) -> list[np.ndarray]:
        # (filters, channels // groups, *kernel_size)
        flipped = np.flip(kernel, axes).reshape(
            *shape.kernel_size,
            shape.filters // shape.groups,
            shape.groups,
            shape.channels // shape.groups,
        )
        turned = flipped.transpose(rank + 1, rank, rank + 2, *axes)
        return [
            turned.reshape(shape.filters, -1, *shape.kernel_size),
            bias.reshape(-1, *(1,) * rank),
        ]

    def start(weights: list[np.ndarray]) -> tuple[Sequence[Any], Apply]:
        layer = getattr(equinox.nn, f"ConvTranspose{rank}d")(
            shape.channels,
            shape.filters,
            shape.kernel_size,
            shape.strides,
            padding=[(before, max(after, 0)) for before, after in shape.crops],
            output_padding=[max(-after, 0) for _, after in shape.crops],
            groups=shape.groups,
            key=jax.random.key(0),
        )

        def apply(parameters: Sequence[Any], inputs: Any) -> Any:
            same = equinox.tree_at(
                lambda found: (found.weight, found.bias),
                layer,
                tuple(parameters),
            )
            return jax.vmap(same)(inputs)

        return [jnp.asarray(w) for w in weights], apply

    return Contender("equinox", start, weights, channels_first)
