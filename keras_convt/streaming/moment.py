"""Where in its stream a chunk stands, and which of its steps exist."""

from typing import Any

from keras import ops

from keras_convt.ops.backend import backend
from keras_convt.streaming.signal import Signal

# What is fed: a chunk of the stream, what comes before the first one (so that
# what a padding makes is known), or what comes after the last one.
BEFORE, DURING, AFTER = "before", "during", "after"


class Moment:
    """The time of one chunk.

    Args:
        phase: `BEFORE`, `DURING` or `AFTER`.
        count: Input steps before the chunk: an integer tensor of shape
            `(batch,)`, or None if nothing that is late has to be known.
    """

    def __init__(self, phase: str, count: Any) -> None:
        self.phase = phase
        self.count = count
        self._known: dict[Any, Any] = {}

    def exists(
        self, signal: Signal, steps: Any, start: bool = True, end: bool = True
    ) -> Any:
        """Which steps of a chunk the offline tensor has.

        Args:
            signal: The tensor's.
            steps: The steps of the chunk.
            start: Whether steps before its first one matter.
            end: Whether steps after its last one matter.

        Returns:
            Bool tensor of shape `(batch or 1, steps)`, or None for all.
        """
        start = start and (signal.delay > 0 or self.phase == BEFORE)
        end = end and self.phase == AFTER
        if not (start or end):
            return None
        key = (signal.rate, signal.delay, signal.tail, start, end, str(steps))
        if key not in self._known:
            self._known[key] = self._existing(signal, steps, start, end)
        return self._known[key]

    def _existing(
        self, signal: Signal, steps: Any, start: bool, end: bool
    ) -> Any:
        number = backend.count(steps)
        found = None
        if start:
            # Both sides times the denominator: no division to be exported.
            times, parts = signal.rate.numerator, signal.rate.denominator
            before = ops.expand_dims(self.count * times, 1)
            found = before + number * parts >= signal.delay * parts
        if end:
            not_over = number < signal.delay + signal.tail
            found = (
                not_over if found is None else ops.logical_and(found, not_over)
            )
        return found


def only_existing(value: Any, exists: Any, axis: int, fill: float = 0) -> Any:
    """`value`, with `fill` in the place of steps that do not exist.

    Not a product, so that NaN goes too.
    """
    if exists is None:
        return value
    for n in range(1, len(value.shape)):
        if n != axis:
            exists = ops.expand_dims(exists, n)
    return ops.where(exists, value, ops.cast(fill, value.dtype))
