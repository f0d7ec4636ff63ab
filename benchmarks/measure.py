"""Time and memory of calls that are measured side by side."""

import ctypes
import gc
import math
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Call = Callable[[], Any]

# What one round gives to each contender, in seconds: many times the clock's
# and the scheduler's grain.
BLOCK = 0.02

# `time.process_time` where other programs run: that of all threads.
clock: Callable[[], float] = time.perf_counter


def interleaved(
    calls: dict[str, Call], seconds: float, least_rounds: int
) -> dict[str, np.ndarray]:
    """Seconds per call, one value for each round, of calls that have run.

    Every round runs all of them, so that what slows the machine down for a
    while slows them all; the ratios within a round stay.
    """
    repeats = {}
    for name, call in calls.items():
        once = min(_clock(call), _clock(call))
        repeats[name] = max(1, math.ceil(BLOCK / once))
    times: dict[str, list[float]] = {name: [] for name in calls}
    names = list(calls)
    end = time.perf_counter() + seconds
    rounds = 0
    while rounds < least_rounds or time.perf_counter() < end:
        # Nobody is always the one after the slowest.
        turn = rounds % len(names)
        for name in names[turn:] + names[:turn]:
            times[name].append(_clock(calls[name], repeats[name]))
        rounds += 1
    return {name: np.array(values) for name, values in times.items()}


def _clock(call: Call, repeats: int = 1) -> float:
    start = clock()
    for _ in range(repeats):
        call()
    return (clock() - start) / repeats


def first_call(prepare: Callable[[], Call]) -> tuple[Call, Any, float]:
    """Prepare a call and run it once: it, its result and the seconds."""
    start = time.perf_counter()
    call = prepare()
    result = call()
    return call, result, time.perf_counter() - start


def peak_memory(call: Call) -> float | None:
    """MiB that the process grows by at most during a call, on Linux.

    The call must have run before. The largest of three: the first may find
    freed memory that the allocator did not return.
    """
    if sys.platform != "linux":
        return None
    peaks = []
    for _ in range(3):
        gc.collect()
        _return_free_memory()
        try:
            # Resets the high-water mark.
            Path("/proc/self/clear_refs").write_text("5")
        except OSError:
            return None
        before = _status("VmRSS")
        call()
        peaks.append((_status("VmHWM") - before) / 1024)
    return max(0.0, *peaks)


def _return_free_memory() -> None:
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's
    if trim is not None:
        trim(0)


def _status(key: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1])
    raise KeyError(key)
