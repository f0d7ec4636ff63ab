"""The one place that chooses a formulation.

What is right and what is exact enough is decided here and does not depend on
speed. What is fast depends on the backend, and its module says so, with the
measurements: `Backend.ranked`.
"""

import dataclasses
import math

from keras_convt.ops.backend import backend as active
from keras_convt.ops.backend.generic import Backend
from keras_convt.ops.formulations import FORMULATIONS
from keras_convt.ops.problem import Choice, Problem

# Chunks that sub-pixel may add up in one sum: with two on both axes of an
# image its error is just below twice the built-in layer's, with more above.
MANY_CHUNKS = 4

# Of Winograd's on JAX, every other step is a gather where sizes are open, which
# jax2onnx cannot always convert (0.17), and a graph of PyTorch would hold for
# even or for odd numbers of steps. The third is about gradients.
NOT_FOR_EXPORTS = ("winograd", "winograd_transposed", "native_with_products")

# Groups from which a loop over them makes graphs too large.
MANY_GROUPS = 32


def choose(
    problem: Problem, implementation: str = "auto", backend: Backend = active
) -> Choice:
    """The formulation to use for a problem, and why.

    Args:
        problem: What is to be computed, and where.
        implementation: `"auto"`, or the name of a formulation, which is then
            used if it is right.
        backend: What computes it; by default the backend that is active.

    Raises:
        ValueError: If `implementation` names a formulation that is not
            supported there.
    """
    check_implementation(implementation, problem, backend)
    if problem.context.exports and implementation in NOT_FOR_EXPORTS:
        # What `tune` sets for this machine must not hinder an export.
        implementation = "auto"
    if problem.positions == 0:
        # Without input steps PyTorch refuses its own convolutions (2.13), and
        # JAX's transposed one has a step too many (0.10.2).
        choice = Choice("overlap_add", "no positions")
    elif implementation != "auto":
        choice = Choice(implementation, "set by the caller")
    elif problem.context.device in backend.measured_devices:
        choice = _fastest(problem, backend)
    else:
        choice = _own_kernel(problem, backend)
    if choice.name == "by_group":
        one_group = dataclasses.replace(
            problem,
            groups=1,
            # Put together, the groups have their channels last.
            channels_first=False,
            channels=problem.channels // problem.groups,
            filters=problem.filters // problem.groups,
        )
        each = choose(one_group, backend=backend)
        choice = dataclasses.replace(choice, each=each.name)
    return choice


def supported(problem: Problem, backend: Backend = active) -> tuple[str, ...]:
    """The formulations that compute a problem, right within the tests' bounds.

    `choose` is stricter: of those, it takes only what `is_exact`. What is the
    same as another one on this backend is left out.
    """
    return tuple(
        name
        for name in FORMULATIONS
        if not refusal(name, problem, backend)
        and (name != "native_with_products" or backend.replaces_gradients)
    )


def refusal(
    name: str, problem: Problem, backend: Backend = active
) -> str | None:
    """Why a formulation does not compute a problem, or None if it does."""
    if name == "convolution" and not problem.unit_strides:
        return "is for strides of 1"
    if name.startswith("winograd") and max(problem.chunks) != 2:
        return "is for kernels of up to two strides, and of more than one"
    if name == "shift_multiply_add" and problem.groups != problem.channels:
        return "is for groups of one channel"
    return backend.refusal(name, problem)


def is_exact(name: str, problem: Problem, backend: Backend = active) -> bool:
    """Whether the error of a formulation is at most twice the built-in's."""
    if name == "sub_pixel":
        # Zeros between the taps of a dilated kernel add no error.
        chunks = math.prod(
            [
                math.ceil(k / s)
                for k, s in zip(
                    problem.kernel_size, problem.strides, strict=True
                )
            ]
        )
        if chunks > MANY_CHUNKS:
            return False
    return backend.is_exact(name, problem)


def check_implementation(
    name: str, problem: Problem, backend: Backend = active
) -> None:
    """Refuse the name of a formulation that is unknown or not supported.

    Raises:
        ValueError: If it is. The message names what is supported.
    """
    if name == "auto":
        return
    known = name in FORMULATIONS
    reason = refusal(name, problem, backend) if known else "is not known"
    if reason is None:
        return
    names = ("auto", *supported(problem, backend))
    raise ValueError(
        f"`implementation` must be one of {', '.join(map(repr, names))} for "
        f"kernel_size={problem.kernel_size}, strides={problem.strides}, "
        f"dilation_rate={problem.dilation_rate}, groups={problem.groups} and "
        f"{problem.channels} channels: {name!r} {reason}. "
        f"Received: implementation={name!r}."
    )


def _fastest(problem: Problem, backend: Backend) -> Choice:
    choices = backend.ranked(problem)
    for choice in choices[:-1]:
        if refusal(choice.name, problem, backend) is None and is_exact(
            choice.name, problem, backend
        ):
            return choice
    return choices[-1]


def _own_kernel(problem: Problem, backend: Backend) -> Choice:
    """The backend's own, on a device where nobody has measured anything."""
    where = f"not measured on a {problem.context.device}"
    if problem.context.device == "unknown":
        where = f"not measured with {backend.name}"
    if problem.groups == 1 or backend.transposes_groups:
        return Choice("native", where)
    if problem.unit_strides:
        # Its convolution has groups.
        return Choice("convolution", where)
    if problem.groups < MANY_GROUPS:
        return Choice("native", where)
    return Choice("overlap_add", f"{where}, many groups")
