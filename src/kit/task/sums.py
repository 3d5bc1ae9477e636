"""Turn rows into columns whose sums are all that any figure needs, so that resamples cost one matrix product.

They say how sure a figure is: what it would have been on other rows of the same kind. It knows no names of
metrics; `kit.task.metrics` has them.
"""

from collections.abc import Sequence

import numpy
from numpy.typing import ArrayLike

PROBABILITY_FLOOR = 1e-15  # a certain and wrong answer costs -log of this instead of infinity
BINS = 10
"""Equal-width bins of confidence for the calibration error, as in Naeini et al. 2015 (AAAI)."""
PLACES = 9  # places of a ranking that count at most
ROUNDING = 1e-6  # how far beyond 0 and 1 a probability may lie: float32 softmax, or six decimals in a file

RESAMPLES = 1_000
MOST_UNITS = 10_000
"""Rows are drawn singly up to this many, and in random blocks beyond, so that time does not grow on."""
TAIL = 0.025  # share of the resamples beyond each end of a 95 % interval


class Sums:
    """Sums of the columns of `tally` over some rows; leading axes, such as resamples, are kept."""

    def __init__(self, sums: numpy.ndarray, labels: int) -> None:
        ends = numpy.cumsum([*[labels] * 3, *[1] * 4, BINS])
        parts = numpy.split(sums, ends, axis=-1)
        self.hits, self.true, self.guessed, *single, self.gaps, self.places = parts
        told = (part[..., 0] if part.size else None for part in single)
        self.distance, self.loss, self.squares, self.auc = told
        self.rows = self.true.sum(axis=-1)

    @property
    def f1(self) -> numpy.ndarray:
        """F1 by label; 0 for a label that does not occur."""
        return ratio(2 * self.hits, self.true + self.guessed)


def tally(
    truth: Sequence[str],
    predicted: Sequence[str],
    labels: Sequence[str],
    *,
    probability: ArrayLike | None = None,
) -> numpy.ndarray:
    """Return one line a row, whose sums over any rows are all that `metrics.figures` needs to score them.

    The columns: hit, true and predicted by label, squared distance of the two; with `probability` also log
    loss, Brier score, AUC, by bin the confidence beyond being right, and by place of the true label in the
    ranking the reciprocal of that place. Raises ValueError where they misfit.
    """
    true, guessed = (numpy.array(positions(side, labels), dtype=int) for side in (truth, predicted))
    if len(true) != len(guessed):
        raise ValueError(f"{len(true)} true and {len(guessed)} predicted labels")
    if not len(true):
        raise ValueError("no rows to evaluate")
    unit = numpy.eye(len(labels))
    columns = [unit[true] * unit[guessed], unit[true], unit[guessed], ((true - guessed) ** 2)[:, None]]
    if probability is not None:
        shares = checked(probability, len(true), labels)
        at_truth = shares[numpy.arange(len(true)), true]
        confidence = shares[numpy.arange(len(true)), guessed]
        # scikit-learn's log loss would take the columns in alphabetical order, whatever that of the labels.
        columns.append(-numpy.log(numpy.clip(at_truth, PROBABILITY_FLOOR, 1.0))[:, None])
        columns.append(((shares - unit[true]) ** 2).sum(axis=1)[:, None])
        columns.append(_auc_parts(shares, true)[:, None])
        columns.append(numpy.eye(BINS)[bins(confidence)] * (confidence - (true == guessed))[:, None])
        place = (numpy.argsort(-shares, axis=1, kind="stable") == true[:, None]).argmax(axis=1)
        columns.append(numpy.eye(max(PLACES, len(labels)), PLACES)[place] / numpy.arange(1, PLACES + 1))
    return numpy.hstack(columns)


def ratio(above: ArrayLike, below: ArrayLike) -> numpy.ndarray:
    """Return the quotient, and 0 where nothing is below."""
    above, below = numpy.asarray(above, dtype=float), numpy.asarray(below, dtype=float)
    result: numpy.ndarray = numpy.divide(above, below, out=numpy.zeros_like(above), where=below > 0)
    return result


def chance_distance(sums: Sums) -> numpy.ndarray:
    """Return what the squared distances would add up to, times the rows, were answers given at random."""
    places = numpy.arange(sums.true.shape[-1])
    squares = (places[:, None] - places) ** 2
    found: numpy.ndarray = numpy.einsum("...i,...j,ij->...", sums.true, sums.guessed, squares)
    return found


def correlation(sums: Sums) -> numpy.ndarray:
    """Return Matthews' correlation of any number of labels (Gorodkin 2004)."""
    both = sums.hits.sum(axis=-1) * sums.rows - (sums.true * sums.guessed).sum(axis=-1)
    spread = [sums.rows**2 - (side**2).sum(axis=-1) for side in (sums.true, sums.guessed)]
    return ratio(both, numpy.sqrt(spread[0] * spread[1]))


def _auc_parts(shares: numpy.ndarray, true: numpy.ndarray) -> numpy.ndarray:
    """Return a value a row whose mean is the AUC, and whose resampled means scatter as the AUC does.

    AUC plus each row's influence on it (DeLong et al. 1988), the mean over labels; NaN where no label has
    both a row of its own and others.
    """
    from scipy.stats import rankdata  # type: ignore[import-untyped]

    parts = []
    for label in range(shares.shape[1]):
        own = true == label
        if own.all() or not own.any():
            continue
        score = shares[:, label]
        ranks, within = rankdata(score), numpy.empty(len(score))
        within[own], within[~own] = rankdata(score[own]), rankdata(score[~own])
        beaten = (ranks - within) / numpy.where(own, (~own).sum(), own.sum())
        beaten[~own] = 1 - beaten[~own]
        area = beaten[own].mean()
        parts.append(area + (beaten - area) * len(own) / numpy.where(own, own.sum(), (~own).sum()))
    return numpy.mean(parts, axis=0) if parts else numpy.full(len(true), numpy.nan)


def positions(side: Sequence[str], labels: Sequence[str]) -> list[int]:
    """Return the place of each label; raises ValueError for one that is not among `labels`."""
    index = {label: position for position, label in enumerate(labels)}
    unknown = set(side) - set(index)
    if unknown:
        raise ValueError(f"labels {sorted(unknown)!r} are not in {tuple(labels)!r}")
    return [index[label] for label in side]


def checked(probability: ArrayLike, rows: int, labels: Sequence[str]) -> numpy.ndarray:
    """Return probabilities as an array; raises ValueError where a row has not one for each label."""
    shares = numpy.asarray(probability, dtype=float)
    if shares.shape != (rows, len(labels)):
        raise ValueError(f"probabilities of shape {shares.shape} for {rows} rows of {tuple(labels)!r}")
    # Written so that a NaN, which compares as false, is found too.
    odd = ~((shares >= -ROUNDING) & (shares <= 1 + ROUNDING)).all(axis=1)
    if odd.any():
        first = int(odd.argmax())
        raise ValueError(f"{shares[first].tolist()!r} of row {first} is not one probability for each label")
    return shares


def bins(confidence: numpy.ndarray) -> numpy.ndarray:
    """Return the bin of each confidence; a bin holds its upper end, as in Guo et al., the first 0 as well."""
    bins: numpy.ndarray = numpy.clip(numpy.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
    return bins


def resample(values: numpy.ndarray) -> numpy.ndarray:
    """Return resamples x columns: the sums of `values`, rows x columns, over rows drawn with replacement.

    The bootstrap (Efron 1979), not stratified; it draws the same rows each time. Random blocks of equal
    rows give the sums the same variance as single rows do, with a relative error of sqrt(2 / MOST_UNITS).
    """
    generator = numpy.random.default_rng(0)
    units = min(len(values), MOST_UNITS)
    if units < len(values):
        starts = numpy.arange(units) * len(values) // units
        values = numpy.add.reduceat(values[generator.permutation(len(values))], starts)
    sums = numpy.empty((RESAMPLES, values.shape[1]))
    at_once = max(1, 2_000_000 // units)
    for start in range(0, RESAMPLES, at_once):
        count = min(at_once, RESAMPLES - start)
        drawn = generator.integers(0, units, (count, units)) + numpy.arange(count)[:, None] * units
        times = numpy.bincount(drawn.ravel(), minlength=count * units).reshape(count, units)
        sums[start : start + count] = times @ values
    return sums


def interval(figures: numpy.ndarray) -> list[float]:
    """Return [low, high], between which 95 % of a figure's resamples lie (the percentile interval)."""
    low, high = numpy.quantile(figures, [TAIL, 1 - TAIL])
    return [float(low), float(high)]


def share_interval(hits: int, rows: int) -> list[float]:
    """Return Wilson's 95 % interval of a share (1927), which has a width even for none or all."""
    from scipy.stats import binomtest

    return list(map(float, binomtest(hits, rows).proportion_ci(0.95, method="wilson")))
