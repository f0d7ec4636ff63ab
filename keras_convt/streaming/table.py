"""A stream in words: one line for each stage."""

import math
from typing import Any


def of_plan(plan: Any) -> str:
    """A table of stages, with the rate, delay and state of each."""
    rows = [("layer", "what", "rate", "delay", "state")]
    for entry in plan.entries:
        stage = entry.stage
        state = ", ".join(
            f"{name} {'x'.join(map(str, plan.slots[name].shape)) or '1'}"
            for name in entry.names.values()
        )
        rows.append(
            (
                stage.node.name,
                type(stage).__name__,
                str(stage.signal.rate),
                str(stage.signal.delay),
                state or "-",
            )
        )
    widths = [max(len(row[n]) for row in rows) for n in range(4)]
    lines = [
        "  ".join(
            [
                *(cell.ljust(w) for cell, w in zip(row, widths, strict=False)),
                row[4],
            ]
        )
        for row in rows
    ]
    numbers = sum(
        math.prod(n or 0 for n in slot.shape) for slot in plan.slots.values()
    )
    lines.append(
        f"block_size={plan.block_size}; {numbers} numbers of state for each "
        "signal of the batch"
    )
    return "\n".join(lines)
