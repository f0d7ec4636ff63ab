"""What callers send, checked before any tensor exists.

Every function takes a value and the name of the argument it came in, and
returns it in the one form that the rest of the package uses. What cannot be
used is refused with the argument's name, the value, and what was expected.
"""

import math
import numbers
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import keras

# The largest size that every backend takes.
LARGEST = 2**31 - 1


def whole_number(value: Any, name: str, minimum: int | None = None) -> int:
    """Return `value` as an int. A whole float, as R and JSON send, is one."""
    expected = "a whole number"
    if minimum is not None:
        expected += f" of at least {minimum}"
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(
            f"`{name}` must be {expected}. Received: {name}={value!r} of "
            f"type {type(value).__name__}."
        )
    if not math.isfinite(value) or value % 1:
        raise ValueError(
            f"`{name}` must be {expected}. Received: {name}={value!r}."
        )
    whole = int(float(value))
    if abs(whole) > LARGEST:
        raise ValueError(
            f"`{name}` must be {expected}, and of at most {LARGEST}. "
            f"Received: {name}={value!r}."
        )
    if minimum is not None and whole < minimum:
        raise ValueError(
            f"`{name}` must be {expected}. Received: {name}={value!r}."
        )
    return whole


def number(value: Any, name: str) -> float:
    """Return `value` as a float, which must be finite."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(
            f"`{name}` must be a finite number. Received: {name}={value!r} of "
            f"type {type(value).__name__}."
        )
    if not math.isfinite(value):
        raise ValueError(
            f"`{name}` must be a finite number. Received: {name}={value!r}."
        )
    return float(value)


def sizes(
    value: Any, rank: int, name: str, minimum: int = 1
) -> tuple[int, ...]:
    """Return one int an axis from a number, or from a sequence of `rank`."""
    if not is_sequence(value):
        return (whole_number(value, name, minimum),) * rank
    if len(value) != rank:
        raise ValueError(
            f"`{name}` must be a whole number or a sequence of {rank}, one "
            f"an axis. Received: {name}={value!r}."
        )
    return tuple(_element(item, value, name, minimum) for item in value)


def crops(value: Any, rank: int, name: str) -> tuple[tuple[int, int], ...]:
    """Return one (left, right) pair of crops an axis.

    Taken are a number (for both sides of every axis), one pair if there is
    one axis, and one pair an axis.
    """
    if not is_sequence(value):
        both = whole_number(value, name, minimum=0)
        return ((both, both),) * rank
    pairs = value
    if rank == 1 and not any(is_sequence(item) for item in value):
        pairs = (value,)
    if len(pairs) != rank or not all(
        is_sequence(pair) and len(pair) == 2 for pair in pairs
    ):
        one_pair = "a pair (left, right)" if rank == 1 else "such pairs"
        raise ValueError(
            f"`{name}` given as numbers must be a whole number, or {one_pair}"
            f"{'' if rank == 1 else f', one for each of the {rank} axes'}. "
            f"Received: {name}={value!r}."
        )
    return tuple(
        (
            _element(left, value, name, minimum=0),
            _element(right, value, name, minimum=None),
        )
        for left, right in pairs
    )


def padding(
    value: Any, rank: int, name: str = "padding"
) -> str | tuple[tuple[int, int], ...]:
    """Return a padding's name in lower case, or its crops."""
    if not isinstance(value, str):
        if value is None or isinstance(value, bool):
            raise TypeError(_padding_message(value, rank, name))
        return crops(value, rank, name)
    lowered = value.lower()
    if lowered not in _named_paddings(rank):
        message = _padding_message(value, rank, name)
        if lowered == "causal":
            message += (
                ' "causal" is for signals, which have one axis of steps, time; '
                f"this layer has {rank}."
            )
        raise ValueError(message)
    return lowered


def _named_paddings(rank: int) -> tuple[str, ...]:
    # A causal order exists where there is one axis, time.
    return ("valid", "same", "causal") if rank == 1 else ("valid", "same")


def _padding_message(value: Any, rank: int, name: str) -> str:
    known = ", ".join(f'"{known}"' for known in _named_paddings(rank))
    return (
        f"`{name}` must be one of {known} (in any case), or the samples to "
        f"crop as whole numbers. Received: {name}={value!r}."
    )


def output_padding(
    value: Any,
    strides: tuple[int, ...],
    padding: str | tuple[tuple[int, int], ...],
) -> tuple[int, ...] | None:
    """Return `output_padding`, one an axis and below its stride, or None."""
    if value is None:
        return None
    checked = sizes(value, len(strides), "output_padding", minimum=0)
    if padding == "causal":
        raise ValueError(
            '`output_padding` must be None with padding="causal", whose '
            "output always has steps * strides steps. "
            f"Received: output_padding={value!r}."
        )
    if any(p >= s for p, s in zip(checked, strides, strict=True)):
        raise ValueError(
            "`output_padding` must be strictly less than `strides` on every "
            f"axis. Received: output_padding={value!r}, strides={strides}."
        )
    return checked


def strides_or_dilation(
    strides: tuple[int, ...], dilation_rate: tuple[int, ...]
) -> None:
    """Refuse the two together, as the layers' documentation says."""
    if max(strides) > 1 and max(dilation_rate) > 1:
        raise ValueError(
            "`strides > 1` is incompatible with `dilation_rate > 1`. "
            f"Received: strides={strides}, dilation_rate={dilation_rate}."
        )


def data_format(value: Any) -> str:
    """Return the data format; None is the one configured in Keras."""
    if value is None:
        return str(keras.config.image_data_format())
    if not isinstance(value, str):
        raise TypeError(_data_format_message(value))
    if value.lower() not in ("channels_last", "channels_first"):
        raise ValueError(_data_format_message(value))
    return value.lower()


def _data_format_message(value: Any) -> str:
    return (
        '`data_format` must be None, "channels_last" or "channels_first". '
        f"Received: data_format={value!r}."
    )


def implementation(value: Any, known: Iterable[str]) -> str:
    """Return the name of a formulation, or "auto"."""
    names = ("auto", *known)
    if value not in names:
        raise ValueError(
            f"`implementation` must be one of {', '.join(map(repr, names))}. "
            f"Received: implementation={value!r}."
        )
    return str(value)


def flag(value: Any, name: str) -> bool:
    """Return True or False; 0 and 1 are taken for them."""
    if isinstance(value, numbers.Real) and value in (0, 1):
        return bool(value)
    # NumPy's bool is no number.
    if type(value).__name__ in ("bool", "bool_"):
        return bool(value)
    raise TypeError(
        f"`{name}` must be True or False. Received: {name}={value!r} of "
        f"type {type(value).__name__}."
    )


def divisible(value: int, groups: int, name: str) -> None:
    """Refuse a number of `name` that `groups` does not divide."""
    if value % groups:
        raise ValueError(
            f"`{name}` must be divisible by `groups`. Received: "
            f"{name}={value}, groups={groups}."
        )


def keras_object(get: Callable[[Any], Any], value: Any, name: str) -> Any:
    """Return what Keras's `get` makes of `value`, or refuse it by name."""
    try:
        return get(value)
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"`{name}` must be the name of one that Keras knows, an object, "
            f"or a config of one. Received: {name}={value!r}."
        ) from error


def is_sequence(value: Any) -> bool:
    """Whether `value` is a list, a tuple, or an array with one axis."""
    if isinstance(value, (str, bytes)):
        return False
    return isinstance(value, Sequence) or getattr(value, "ndim", 0) == 1


def _element(item: Any, whole: Any, name: str, minimum: int | None) -> int:
    """Check one number of a sequence, and show the sequence if refused."""
    try:
        return whole_number(item, name, minimum)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{error} It is part of {name}={whole!r}.") from None
