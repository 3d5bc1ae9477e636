"""Mend probabilities and the cut between two labels, from rows that the model did not learn from.

Each of the two stays off unless it proves to help on rows that it was not chosen on. It trains nothing and
reads no files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kit.task import intervals, metrics

if TYPE_CHECKING:
    import numpy

FOLDS = 5
"""Parts that rows without folds of their own are dealt out to."""
FEWEST_ROWS = 40
"""Below this an interval says little, and nothing is changed."""
TEMPERATURES = (0.2, 10.0)
"""Rows that are all right would ask for 0, and one wrong row would then cost everything."""
HALVINGS = 60
"""Enough for a bisection to reach the last digit."""


@dataclass(frozen=True)
class Gain:
    """A figure without and with the change, cross-fitted, and the 95 % interval of the improvement."""

    figure: str
    before: float
    after: float
    low: float
    high: float

    @property
    def is_proven(self) -> bool:
        """Whether the interval excludes no improvement."""
        return self.low > 0


@dataclass(frozen=True)
class Calibration:
    """What `apply` does: a temperature of 1 and a threshold of 0.5 change nothing.

    The threshold stands on the first label's probability at that temperature. Gains are None where a change
    was not tried.
    """

    temperature: float = 1.0
    threshold: float = 0.5
    temperature_gain: Gain | None = None
    threshold_gain: Gain | None = None


def choose(
    probabilities: Any,
    truth: Sequence[str],
    labels: Sequence[str],
    folds: Sequence[Any] | None = None,
    *,
    seed: int = 0,
) -> Calibration:
    """Return what to change, from held-out or out-of-fold probabilities, rows x labels.

    The temperature (Guo et al., arXiv 1706.04599) minimises log loss; the threshold, for two labels,
    maximises macro F1. What a row says of a gain comes from the choice made without its fold; without
    `folds`, or with one only, rows are dealt out by `seed`, evenly over labels. Raises ValueError as
    `metrics.evaluate` does.
    """
    import numpy

    metrics.tally(truth, truth, labels, probability=probabilities)  # refuses what is no probability
    shares = numpy.asarray(probabilities, dtype=float)
    true = numpy.array([list(labels).index(label) for label in truth])
    if len(true) < FEWEST_ROWS or min(numpy.bincount(true, minlength=len(labels))) < FOLDS:
        return Calibration()
    part = _parts(true, folds, seed)
    plain = apply(Calibration(), shares)

    cooled = shares.copy()
    for fold in numpy.unique(part):
        inside = part == fold
        cooled[inside] = _tempered(shares[inside], _temperature(shares[~inside], true[~inside]))
    warm = _gain("log_loss", truth, labels, plain, (cooled, plain[1]), seed)
    temperature = _temperature(shares, true) if warm.is_proven else 1.0
    if len(labels) != 2:
        return Calibration(temperature, temperature_gain=warm)

    cut = plain[1].copy()
    for fold in numpy.unique(part):
        inside = part == fold
        threshold = _threshold(shares[~inside, 0], true[~inside])
        cut[inside] = apply(Calibration(threshold=threshold), shares[inside])[1]
    moved = _gain("macro_f1", truth, labels, plain, (shares, cut), seed)
    threshold = _threshold(shares[:, 0], true) if moved.is_proven else 0.5
    at_temperature = float(_tempered(numpy.array([[threshold, 1 - threshold]]), temperature)[0, 0])
    return Calibration(temperature, at_temperature, warm, moved)


def apply(calibration: Calibration, probabilities: Any) -> tuple[numpy.ndarray, numpy.ndarray]:
    """Return the probabilities at the temperature, rows x labels, and the position of each row's label.

    A tie goes to the label that stands first.
    """
    import numpy

    shares = numpy.asarray(probabilities, dtype=float)
    if calibration.temperature != 1.0:
        shares = _tempered(shares, calibration.temperature)
    if shares.shape[1] == 2:
        return shares, numpy.where(shares[:, 0] >= calibration.threshold, 0, 1)
    return shares, shares.argmax(axis=1)


def _parts(true: numpy.ndarray, folds: Sequence[Any] | None, seed: int) -> numpy.ndarray:
    import numpy

    if folds is not None:
        if len(folds) != len(true):
            raise ValueError(f"{len(true)} rows and {len(folds)} folds")
        part: numpy.ndarray = numpy.unique(numpy.asarray(folds), return_inverse=True)[1]
        if part.max() > 0:
            return part
    generator = numpy.random.default_rng(seed)
    part = numpy.zeros_like(true)
    for label in numpy.unique(true):
        rows = generator.permutation(numpy.flatnonzero(true == label))
        part[rows] = numpy.arange(len(rows)) % FOLDS
    return part


def _logs(shares: numpy.ndarray) -> numpy.ndarray:
    import numpy

    logs: numpy.ndarray = numpy.log(numpy.clip(shares, metrics.PROBABILITY_FLOOR, 1.0))
    return logs


def _tempered(shares: numpy.ndarray, temperature: float) -> numpy.ndarray:
    import numpy

    logits = _logs(shares) / temperature
    powers = numpy.exp(logits - logits.max(axis=1, keepdims=True))
    tempered: numpy.ndarray = powers / powers.sum(axis=1, keepdims=True)
    return tempered


def _temperature(shares: numpy.ndarray, true: numpy.ndarray) -> float:
    """Return the temperature of least log loss, by bisection: the loss is convex in its inverse."""
    import numpy

    logs = _logs(shares)
    at_truth = logs[numpy.arange(len(true)), true].mean()
    coldest, hottest = (1 / temperature for temperature in TEMPERATURES)
    low, high = hottest, coldest
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        slope = (_tempered(shares, 1 / middle) * logs).sum(axis=1).mean() - at_truth
        low, high = (low, middle) if slope > 0 else (middle, high)
    return 2 / (low + high)


def _threshold(first: numpy.ndarray, true: numpy.ndarray) -> float:
    """Return where to cut the first label's probability for the best macro F1, the nearest to 0.5 of equals.

    Cuts stand half-way between neighbouring probabilities, and at 0.5.
    """
    import numpy

    values = numpy.unique(first)
    cuts = numpy.append((values[1:] + values[:-1]) / 2, 0.5)
    is_first = true == 0
    ordered, others = numpy.sort(first[is_first]), numpy.sort(first[~is_first])
    hits = len(ordered) - numpy.searchsorted(ordered, cuts)
    wrong = len(others) - numpy.searchsorted(others, cuts)
    f1 = 2 * hits / numpy.maximum(hits + wrong + len(ordered), 1)
    right = len(others) - wrong
    f1_other = 2 * right / numpy.maximum(right + (len(ordered) - hits) + len(others), 1)
    # Rounded, since equal figures may differ in their last digit.
    order = numpy.lexsort((numpy.abs(cuts - 0.5), -numpy.round(f1 + f1_other, 12)))
    return float(cuts[order[0]])


def _gain(
    figure: str,
    truth: Sequence[str],
    labels: Sequence[str],
    before: tuple[numpy.ndarray, numpy.ndarray],
    after: tuple[numpy.ndarray, numpy.ndarray],
    seed: int,
) -> Gain:
    """Compare (probabilities, label positions) on the same rows and on the same draws of them."""
    import numpy

    sides = [
        metrics.tally(truth, [labels[index] for index in chosen], labels, probability=shares)
        for shares, chosen in (before, after)
    ]
    width = sides[0].shape[1]
    both = numpy.hstack(sides)
    sums = numpy.vstack([both.sum(axis=0), intervals.resample(both, seed=seed)])
    was = metrics.figures(sums[:, :width], labels)[figure]
    becomes = metrics.figures(sums[:, width:], labels)[figure]
    better = becomes - was if metrics.HIGHER_IS_BETTER[figure] else was - becomes
    low, high = intervals.interval(better[1:])
    return Gain(figure, float(was[0]), float(becomes[0]), low, high)
