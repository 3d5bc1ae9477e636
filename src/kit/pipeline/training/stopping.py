"""Tell whether training can go on: how long a step takes, what is left, what scoring must keep.

Plain arithmetic on seconds; it reads no clock and stops nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

RECENT = 9
"""Steps that the typical one is taken from: enough to pass over one that wrote a checkpoint."""
ENOUGH = 4
"""Measured steps from which on their median is trusted."""


def step_seconds(durations: Sequence[float]) -> float:
    """Return what the next step will take, from the seconds of the steps so far; 0 where nothing is known.

    The first step, which compiles, never counts; of few steps the shortest is taken, since the second and
    third may compile as well.
    """
    measured = durations[1:]
    if not measured:
        return 0.0
    return min(measured) if len(measured) < ENOUGH else median(measured[-RECENT:])


def seconds_left(now: float, until: float) -> float:
    """Return the seconds from `now` to `until`, never less than 0."""
    return max(0.0, until - now)


def must_stop(now: float, until: float, durations: Sequence[float]) -> bool:
    """Tell whether the next step would end after `until`."""
    left = seconds_left(now, until)
    return left == 0.0 or step_seconds(durations) > left


def reserve_seconds(rows: int, rows_per_second: float, margin: float = 1.25) -> float:
    """Return the seconds to keep for scoring `rows`, `margin` times what the measured rate asks for."""
    if rows and rows_per_second <= 0:
        raise ValueError(f"{rows} rows at {rows_per_second} rows a second are never scored")
    return margin * rows / rows_per_second if rows else 0.0
