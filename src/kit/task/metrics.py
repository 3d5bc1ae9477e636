"""Score predicted labels and their probabilities, overall and by language, with how sure each figure is.

It reads no files and chooses no labels.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from kit.task import intervals

if TYPE_CHECKING:
    import numpy

PROBABILITY_FLOOR = 1e-15
"""A certain and wrong answer costs -log of this instead of infinity."""
BINS = 10
"""Equal-width bins of confidence for the calibration error, as in Naeini et al. 2015 (AAAI)."""
HIGHER_IS_BETTER = {
    "accuracy": True,
    "macro_f1": True,
    "log_loss": False,
    "brier": False,
    "calibration_error": False,
}
"""Every figure that has an interval."""
LANGUAGE_FIGURES = ("accuracy", "macro_f1", "log_loss")
ROUNDING = 1e-6
"""How far beyond 0 and 1 a probability may stand: float32 softmax, or six decimals in a file."""


def evaluate(
    truth: Sequence[str],
    predicted: Sequence[str],
    labels: Sequence[str],
    *,
    probability: Any = None,
    language: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Return rows, accuracy, macro_f1, majority_accuracy, confusion and intervals, ready for JSON.

    `confusion` has a row for each true and a column for each predicted label, in the order of `labels`.
    `probability`, rows x labels in that order, adds log_loss in nats, brier, calibration_error and
    reliability; `language` adds per_language. `intervals` are 95 % bootstrap intervals of the figures; within
    a language, Wilson's of the accuracy. Raises ValueError where lengths differ, a label is unknown or a
    probability is none.
    """
    import numpy

    columns = tally(truth, predicted, labels, probability=probability)
    true, guessed = (numpy.array(_positions(side, labels)) for side in (truth, predicted))
    cells = numpy.bincount(true * len(labels) + guessed, minlength=len(labels) ** 2)
    result: dict[str, Any] = {"rows": len(truth), **_scalars(figures(columns.sum(axis=0), labels))}
    result["confusion"] = cells.reshape(len(labels), len(labels)).tolist()
    result["majority_accuracy"] = max(Counter(truth).values()) / len(truth)
    if probability is not None:
        result["reliability"] = _reliability(true, guessed, _checked(probability, len(truth), labels))
    if language is not None:
        result["per_language"] = _by_language(columns, labels, language)
    drawn = figures(intervals.resample(columns), labels)
    result["intervals"] = {name: intervals.interval(values) for name, values in drawn.items()}
    return result


def tally(
    truth: Sequence[str], predicted: Sequence[str], labels: Sequence[str], *, probability: Any = None
) -> numpy.ndarray:
    """Return one line a row, whose sums over any rows are all that `figures` needs to score them.

    The columns: hit, true and predicted by label; with `probability` also log loss, Brier score, and by bin
    the confidence that the answer was not worth. Raises ValueError as `evaluate` does.
    """
    import numpy

    true, guessed = _positions(truth, labels), _positions(predicted, labels)
    if len(true) != len(guessed):
        raise ValueError(f"{len(true)} true and {len(guessed)} predicted labels")
    if not true:
        raise ValueError("no rows to evaluate")
    unit = numpy.eye(len(labels))
    columns = [unit[true] * unit[guessed], unit[true], unit[guessed]]
    if probability is not None:
        shares = _checked(probability, len(true), labels)
        at_truth = shares[numpy.arange(len(true)), true]
        confidence = shares[numpy.arange(len(true)), guessed]
        gap = confidence - (numpy.array(true) == guessed)
        # scikit-learn's log loss would take the columns in alphabetical order, whatever that of the labels.
        columns.append(-numpy.log(numpy.clip(at_truth, PROBABILITY_FLOOR, 1.0))[:, None])
        columns.append(((shares - unit[true]) ** 2).sum(axis=1)[:, None])
        columns.append(numpy.eye(BINS)[_bins(confidence)] * gap[:, None])
    return numpy.hstack(columns)


def figures(sums: numpy.ndarray, labels: Sequence[str]) -> dict[str, numpy.ndarray]:
    """Return accuracy and macro_f1, and where the sums of `tally` hold them the figures of probabilities.

    The last axis of `sums` is the columns; each figure has the shape of the other axes. Macro F1 is over the
    labels that occur, as scikit-learn counts it. brier is the mean over rows of the squared differences,
    summed over labels (Brier 1950): from 0 to 2, and for two labels twice the one-sided form.
    calibration_error is the expected calibration error (Naeini et al. 2015; Guo et al., arXiv 1706.04599) of
    the predicted labels' probabilities; its bootstrap interval leans upward, since resampling adds scatter
    to each bin.
    """
    import numpy

    count = len(labels)
    hits, true, guessed = (sums[..., start : start + count] for start in (0, count, 2 * count))
    rows = true.sum(axis=-1)
    occurs = true + guessed
    f1 = numpy.divide(2 * hits, occurs, out=numpy.zeros_like(occurs), where=occurs > 0)
    found = {
        "accuracy": hits.sum(axis=-1) / rows,
        "macro_f1": f1.sum(axis=-1) / (occurs > 0).sum(axis=-1),
    }
    if sums.shape[-1] > 3 * count:
        found["log_loss"] = sums[..., 3 * count] / rows
        found["brier"] = sums[..., 3 * count + 1] / rows
        found["calibration_error"] = numpy.abs(sums[..., 3 * count + 2 :]).sum(axis=-1) / rows
    return found


def _positions(side: Sequence[str], labels: Sequence[str]) -> list[int]:
    index = {label: position for position, label in enumerate(labels)}
    unknown = set(side) - set(index)
    if unknown:
        raise ValueError(f"labels {sorted(unknown)!r} are not in {tuple(labels)!r}")
    return [index[label] for label in side]


def _checked(probability: Any, rows: int, labels: Sequence[str]) -> numpy.ndarray:
    import numpy

    shares = numpy.asarray(probability, dtype=float)
    if shares.shape != (rows, len(labels)):
        raise ValueError(f"probabilities of shape {shares.shape} for {rows} rows of {tuple(labels)!r}")
    # Written so that a NaN, which compares as false, is found too.
    odd = ~((shares >= -ROUNDING) & (shares <= 1 + ROUNDING)).all(axis=1)
    if odd.any():
        first = int(odd.argmax())
        raise ValueError(f"{shares[first].tolist()!r} of row {first} is not one probability for each label")
    return shares


def _bins(confidence: numpy.ndarray) -> numpy.ndarray:
    """Return the bin of each confidence; a bin holds its upper end, as in Guo et al., the first 0 as well."""
    import numpy

    found: numpy.ndarray = numpy.clip(numpy.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
    return found


def _reliability(
    true: numpy.ndarray, guessed: numpy.ndarray, shares: numpy.ndarray
) -> list[dict[str, float]]:
    """Return mean confidence and accuracy of each bin that holds rows, from low to high."""
    import numpy

    confidence = shares[numpy.arange(len(true)), guessed]
    bins = _bins(confidence)
    return [
        {
            "low": index / BINS,
            "high": (index + 1) / BINS,
            "rows": int((bins == index).sum()),
            "confidence": float(confidence[bins == index].mean()),
            "accuracy": float((true == guessed)[bins == index].mean()),
        }
        for index in sorted(set(bins.tolist()))
    ]


def _by_language(
    columns: numpy.ndarray, labels: Sequence[str], language: Sequence[str]
) -> dict[str, dict[str, Any]]:
    if len(language) != len(columns):
        raise ValueError(f"{len(columns)} rows and {len(language)} languages")
    positions: dict[str, list[int]] = {}
    for position, code in enumerate(language):
        positions.setdefault(code, []).append(position)
    found: dict[str, dict[str, Any]] = {}
    for code, rows in sorted(positions.items()):
        scalars = _scalars(figures(columns[rows].sum(axis=0), labels))
        hits = round(scalars["accuracy"] * len(rows))
        found[code] = {
            "rows": len(rows),
            "intervals": {"accuracy": intervals.share_interval(hits, len(rows))},
        }
        found[code] |= {name: scalars[name] for name in LANGUAGE_FIGURES if name in scalars}
    return found


def _scalars(found: dict[str, numpy.ndarray]) -> dict[str, float]:
    return {name: float(value) for name, value in found.items()}
