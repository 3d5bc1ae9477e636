"""Score predicted labels and their probabilities, overall and by language, with how sure each figure is.

It reads no files and chooses no labels. Every figure follows from sums over rows, so that a thousand
resamples cost one matrix product; tests hold each against scikit-learn. A new metric is a row of METRICS.
"""

import re
from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy
from numpy.typing import ArrayLike

from kit.task import sums
from kit.task.sums import Sums


@dataclass(frozen=True)
class Metric:
    """A figure: how it is called and computed, and which direction is better."""

    title: str
    meaning: str
    of: Callable[[Sums], numpy.ndarray]
    aliases: tuple[str, ...] = ()
    """What hosts call it, as `metric_named` reads it: its words without fill words."""
    higher_is_better: bool = True
    needs_probabilities: bool = False
    is_proportion: bool = False  # whether it counts rows, so that Wilson's interval holds


def _ranked(k: int) -> Metric:
    return Metric(
        f"MAP@{k}",
        f"mean of 1 / place of the true label among the {k} likeliest",
        lambda of: of.places[..., :k].sum(axis=-1) / of.rows,
        tuple(f"{name} {k}" for name in ("map", "map at", "mean precision", "mean precision at")),
        needs_probabilities=True,
    )


METRICS = {
    "macro_f1": Metric(
        "Macro F1", "mean of the labels’ F1",
        # As in scikit-learn, over the labels that occur.
        lambda of: of.f1.sum(axis=-1) / (of.true + of.guessed > 0).sum(axis=-1),
        ("macro f1",),
    ),
    "accuracy": Metric(
        "Accuracy", "share of rows answered right",
        lambda of: of.hits.sum(axis=-1) / of.rows,
        ("accuracy", "categorization accuracy"), is_proportion=True,
    ),
    "log_loss": Metric(
        "Log loss", "nats a row for the true label",
        lambda of: of.loss / of.rows,
        ("log loss", "logloss", "logarithmic loss", "multiclass loss", "cross entropy"),
        higher_is_better=False, needs_probabilities=True,
    ),
    "brier": Metric(
        "Brier score", "squared error of the probabilities, 0 to 2",
        lambda of: of.squares / of.rows,
        ("brier",), higher_is_better=False, needs_probabilities=True,
    ),
    "calibration_error": Metric(
        "Calibration error", "gap between sureness and being right",
        # Expected calibration error (Naeini et al. 2015; Guo et al., arXiv 1706.04599).
        lambda of: abs(of.gaps).sum(axis=-1) / of.rows,
        higher_is_better=False, needs_probabilities=True,
    ),
    "micro_f1": Metric(
        "Micro F1", "F1 over all rows, which is the accuracy",
        lambda of: of.hits.sum(axis=-1) / of.rows,
        ("micro f1",), is_proportion=True,
    ),
    "weighted_f1": Metric(
        "Weighted F1", "mean of the labels’ F1 by their rows",
        lambda of: (of.f1 * of.true).sum(axis=-1) / of.rows,
        ("weighted f1",),
    ),
    "auc": Metric(
        "AUC", "area under the ROC curve, mean of each label against the rest",
        lambda of: of.auc / of.rows,
        ("auc", "roc auc", "rocauc", "area under curve", "area under roc curve",
         "area under receiver characteristic curve"),
        needs_probabilities=True,
    ),
    "qwk": Metric(
        "Quadratic kappa", "agreement, by the squared distance of the labels in their order",
        lambda of: 1 - sums.ratio(of.distance * of.rows, sums.chance_distance(of)),
        ("qwk", "quadratic weighted kappa", "quadratic kappa", "cohen kappa quadratic"),
    ),
    "mcc": Metric(
        "MCC", "Matthews’ correlation of truth and answer",
        sums.correlation,
        ("mcc", "matthews correlation", "matthews correlation coefficient", "matthews corrcoef"),
    ),
    **{f"map@{k}": _ranked(k) for k in range(2, sums.PLACES + 1)},
}  # fmt: skip
"""Every figure, those first that a report always shows."""
SHOWN = ("macro_f1", "accuracy", "log_loss", "brier", "calibration_error")
LANGUAGE_FIGURES = ("accuracy", "macro_f1", "log_loss")
_FILL = {
    *("score", "metric", "the", "of", "a", "averaged", "average", "classification", "multi", "class"),
    *("binary", "operating"),
}


def metric_named(text: str) -> str | None:
    """Return the metric that a host's words mean, `Macro F1 Score` or `LogLoss`; None where none is sure.

    Plain F1, which is of one label, weighted log loss and balanced accuracy are none of ours.
    """
    words = map(str.lower, re.findall(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+\d*|[A-Z]+\d*|\d+", text))
    kept = {"f1" if word in ("f", "fscore") else word for word in words if word not in _FILL}
    named = (
        name for name, one in METRICS.items() if any(set(alias.split()) == kept for alias in one.aliases)
    )
    return next(named, None)


def shown(ranked_by: str) -> list[str]:
    """Return the figures to show, the one that the competition ranks by first."""
    return list(dict.fromkeys([ranked_by, *SHOWN]))


def order(figures: Mapping[str, object], metric: str) -> tuple[bool, float, float]:
    """Return a key that sorts the better figures first: by `metric`, then by log loss; without it last."""
    told = (figures.get(name) for name in (metric, "log_loss"))
    value, loss = (one if isinstance(one, int | float) else None for one in told)
    sign = -1 if METRICS[metric].higher_is_better else 1
    return value is None, sign * (value or 0.0), float("inf") if loss is None else loss


def evaluate(
    truth: Sequence[str],
    predicted: Sequence[str],
    labels: Sequence[str],
    *,
    probability: ArrayLike | None = None,
    language: Sequence[str] | None = None,
) -> dict[str, object]:
    """Return rows, every figure of METRICS, majority_accuracy, confusion and intervals, ready for JSON.

    `confusion` has a row for each true and a column for each predicted label, in the order of `labels`.
    `probability`, rows x labels in that order, adds the figures that need it and reliability; `language` adds
    per_language. `intervals` are of 95 %: Wilson's of proportions, else the bootstrap's, and none where every
    resample says the same. Raises ValueError where lengths differ, or for an unknown label or probability.
    """
    columns = sums.tally(truth, predicted, labels, probability=probability)
    each = Sums(columns, len(labels))
    scalars, bounds = _scalars(columns, labels), {}
    for name, values in figures(sums.resample(columns), labels).items():
        low, high = sums.interval(values)
        if METRICS[name].is_proportion:
            low, high = sums.share_interval(round(scalars[name] * len(truth)), len(truth))
        if name in scalars and high > low:
            bounds[name] = [low, high]
    result: dict[str, object] = {"rows": len(truth), **scalars, "intervals": bounds}
    result["confusion"] = (each.true.T @ each.guessed).astype(int).tolist()
    result["majority_accuracy"] = max(Counter(truth).values()) / len(truth)
    if probability is not None:
        result["reliability"] = _reliability(each, numpy.asarray(probability, dtype=float))
    if language is not None:
        result["per_language"] = _by_language(columns, labels, language)
    return result


def figures(totals: numpy.ndarray, labels: Sequence[str]) -> dict[str, numpy.ndarray]:
    """Return every metric that the totals of `sums.tally` tell, in the shape of the axes before the last.

    brier is the mean squared difference, summed over labels (Brier 1950): for two labels twice the one-sided
    form. The interval of calibration_error leans upward, since resampling adds scatter to each bin.
    """
    told = Sums(totals, len(labels))
    return {
        name: one.of(told)
        for name, one in METRICS.items()
        if (told.loss is not None or not one.needs_probabilities)
        and (len(labels) > 2 or not name.startswith("map@"))
    }


def _reliability(each: Sums, shares: numpy.ndarray) -> list[dict[Hashable, float]]:
    """Return rows, mean confidence and accuracy of each bin that holds rows, from low to high."""
    from pandas import DataFrame

    confidence, accuracy = (shares * each.guessed).sum(axis=1), each.hits.sum(axis=1)
    told = DataFrame({"bin": sums.bins(confidence), "confidence": confidence, "accuracy": accuracy})
    groups = told.groupby("bin").agg("mean").assign(rows=told["bin"].value_counts())
    return groups.to_dict("records")


def _by_language(
    columns: numpy.ndarray, labels: Sequence[str], language: Sequence[str]
) -> dict[str, dict[str, object]]:
    from pandas import Series

    if len(language) != len(columns):
        raise ValueError(f"{len(columns)} rows and {len(language)} languages")
    by_code: dict[str, dict[str, object]] = {}
    for code, rows in Series(language).groupby(list(language)).indices.items():
        told = _scalars(columns[rows], labels)
        bounds = sums.share_interval(round(told["accuracy"] * len(rows)), len(rows))
        figures_of = {name: told[name] for name in LANGUAGE_FIGURES if name in told}
        by_code[str(code)] = {"rows": len(rows), "intervals": {"accuracy": bounds}, **figures_of}
    return by_code


def _scalars(columns: numpy.ndarray, labels: Sequence[str]) -> dict[str, float]:
    """Return the figures of these rows; one that is undefined for them is left out."""
    values = {name: float(value) for name, value in figures(columns.sum(axis=0), labels).items()}
    return {name: value for name, value in values.items() if value == value}
