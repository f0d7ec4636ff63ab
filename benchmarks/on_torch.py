"""PyTorch, eager, and `torch.nn`."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from benchmarks.contenders import Apply, Contender, channels_first
from benchmarks.shapes import Shape

PACKAGES = ("torch",)


def device() -> str:
    return "gpu" if torch.cuda.is_available() else "cpu"


def _place() -> str:
    return "cuda" if device() == "gpu" else "cpu"


def tensor(array: np.ndarray) -> torch.Tensor:
    return torch.tensor(array, device=_place())


def _wait(call: Callable[[], Any]) -> Callable[[], Any]:
    if device() == "cpu":
        return call

    def waited() -> Any:
        result = call()
        torch.cuda.synchronize()
        return result

    return waited


def forward(
    apply: Apply, parameters: Sequence[Any], inputs: Any
) -> Callable[[], Any]:
    def call() -> Any:
        with torch.no_grad():
            return apply(parameters, inputs)

    return _wait(call)


def both(
    apply: Apply, parameters: Sequence[Any], inputs: Any, gradient: Any
) -> Callable[[], Any]:
    """The output, and the gradients of the inputs and the parameters."""
    variables = [
        value.detach().requires_grad_() if value is inputs else value
        for value in (inputs, *parameters)
    ]
    for value in variables:
        value.requires_grad_()

    def call() -> Any:
        outputs = apply(parameters, variables[0])
        return outputs, *torch.autograd.grad(outputs, variables, gradient)

    return _wait(call)


def peers(shape: Shape) -> list[Contender]:
    rank = len(shape.steps)

    def weights(kernel: np.ndarray, bias: np.ndarray) -> list[np.ndarray]:
        return [
            np.ascontiguousarray(kernel.transpose(-1, -2, *range(rank))),
            bias,
        ]

    def start(weights: list[np.ndarray]) -> tuple[Sequence[Any], Apply]:
        layer = getattr(torch.nn, f"ConvTranspose{rank}d")(
            shape.channels,
            shape.filters,
            shape.kernel_size,
            shape.strides,
            padding=tuple(before for before, _ in shape.crops),
            output_padding=tuple(
                max(before - after, 0) for before, after in shape.crops
            ),
            groups=shape.groups,
            device=_place(),
        )
        layer.load_state_dict(
            dict(zip(("weight", "bias"), map(tensor, weights), strict=True))
        )
        # It has no crop that is larger at the end.
        window = (..., *(slice(n) for n in shape.output_shape[1:-1]))

        def apply(_: Sequence[Any], inputs: Any) -> Any:
            return layer(inputs)[window]

        return [layer.weight, layer.bias], apply

    return [Contender("torch.nn", start, weights, channels_first)]
