"""Say how sure a figure is: what it would have been on other rows of the same kind.

It knows no metric; `kit.task.metrics` gives it the sums that every figure follows from.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy

RESAMPLES = 1_000
MOST_UNITS = 10_000
"""Rows are drawn singly up to this many, and in random blocks beyond, so that time does not grow on."""
TAIL = 0.025  # share of the resamples beyond each end of a 95 % interval
Z = 1.959964  # the normal quantile of the same two tails


def resample(values: numpy.ndarray, *, resamples: int = RESAMPLES, seed: int = 0) -> numpy.ndarray:
    """Return resamples x columns: the sums of `values`, rows x columns, over rows drawn with replacement.

    The bootstrap (Efron 1979), not stratified; the same seed draws the same rows. Random blocks of equal
    rows give the sums the same variance as single rows do, with a relative error of sqrt(2 / MOST_UNITS).
    """
    import numpy

    generator = numpy.random.default_rng(seed)
    units = min(len(values), MOST_UNITS)
    if units < len(values):
        starts = numpy.arange(units) * len(values) // units
        values = numpy.add.reduceat(values[generator.permutation(len(values))], starts)
    sums = numpy.empty((resamples, values.shape[1]))
    at_once = max(1, 2_000_000 // units)
    for start in range(0, resamples, at_once):
        count = min(at_once, resamples - start)
        drawn = generator.integers(0, units, (count, units)) + numpy.arange(count)[:, None] * units
        times = numpy.bincount(drawn.ravel(), minlength=count * units).reshape(count, units)
        sums[start : start + count] = times @ values
    return sums


def interval(figures: numpy.ndarray) -> list[float]:
    """Return [low, high], between which 95 % of a figure's resamples lie (the percentile interval)."""
    import numpy

    low, high = numpy.quantile(figures, [TAIL, 1 - TAIL])
    return [float(low), float(high)]


def share_interval(hits: int, rows: int) -> list[float]:
    """Return the 95 % interval of a share by Wilson's score (1927), which has a width even for none or all.

    A handful of rows that are all right would have none in a bootstrap.
    """
    share = hits / rows
    spread = Z * math.sqrt(share * (1 - share) / rows + Z * Z / (4 * rows * rows))
    scale = 1 + Z * Z / rows
    middle = share + Z * Z / (2 * rows)
    return [max(0.0, (middle - spread) / scale), min(1.0, (middle + spread) / scale)]
