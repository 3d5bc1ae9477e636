"""Score a submission against a solution by the metric that a competition names, or say what is wrong with it.

Column names come from the solution, whose first column is the id; `Usage` is passed over. Metrics of labels
compare the second column. Metrics of numbers compare all others; a second column of words stands for one
column a label. Nothing here knows about uploads, limits or who submitted.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np


class SubmissionMalformed(ValueError):
    """The file cannot be scored; the message is what the competitor reads."""


class Metric(NamedTuple):
    """A way to score the rows of a solution and of a submission, with what hosts call it."""

    title: str
    of_labels: bool
    compare: Callable[[Any, Any], float]


def score(submission: Path, solution: Path, metric: str = "macro_f1") -> float:
    """Give the score of `submission`; raises SubmissionMalformed when it does not fit `solution`."""
    with solution.open(encoding="utf-8-sig", newline="") as file:
        id_column, *columns = [name for name in next(csv.reader(file)) if name != "Usage"]
    _, of_labels, compare = METRICS[metric]
    columns = columns[:1] if of_labels else columns
    truth = _read(solution, id_column, columns)
    labels = sorted({row[0] for row in truth.values()})
    if not of_labels and len(columns) == 1 and not {"0", "1"}.issuperset(labels):
        truth = {key: [str(int(row[0] == label)) for label in labels] for key, row in truth.items()}
        columns = labels
    predicted = _read(submission, id_column, columns)
    if len(predicted) != len(truth):
        raise SubmissionMalformed(f"Evaluation Exception: Submission must have {len(truth)} rows")
    strange = sorted(predicted.keys() - truth.keys())
    if strange:
        raise SubmissionMalformed(
            f"Evaluation Exception: the value {strange[0]!r} in the key column {id_column!r} is unknown"
        )
    wanted, given = list(truth.values()), [predicted[key] for key in truth]
    if of_labels:
        return compare([row[0] for row in wanted], [row[0] for row in given])
    return compare(_numbers(wanted), _numbers(given))


def _average_precision(most: int) -> Callable[[Any, Any], float]:
    """Average 1 / rank of the one right label among the first `most`, separated by blanks; 0 if absent."""

    def compare(truth: Sequence[str], predicted: Sequence[str]) -> float:
        rows = [(label, given.split()[:most]) for label, given in zip(truth, predicted, strict=True)]
        return fmean(1 / (given.index(label) + 1) if label in given else 0 for label, given in rows)

    return compare


def _sklearn(name: str, **options: Any) -> Callable[[Any, Any], float]:
    def compare(truth: Any, predicted: Any) -> float:
        from sklearn import metrics  # a server that scores nothing starts sooner

        return float(getattr(metrics, name)(truth, predicted, **options))

    return compare


def _log_loss(truth: Any, predicted: Any) -> float:
    """Rescale each row to the sum of 1; a single column is the probability of 1."""
    if truth.shape[1] == 1:
        truth, predicted = np.hstack([1 - truth, truth]), np.hstack([1 - predicted, predicted])
    if (predicted < 0).any() or (predicted > 1).any() or not predicted.sum(axis=1).all():
        raise SubmissionMalformed("Evaluation Exception: Submission values must be probabilities")
    shares = predicted / predicted.sum(axis=1, keepdims=True)
    return _sklearn("log_loss", labels=range(truth.shape[1]))(truth.argmax(axis=1), shares)


def _auc(truth: Any, predicted: Any) -> float:
    if (truth == truth[0]).all(axis=0).any():
        raise SubmissionMalformed("Evaluation Exception: Only one class present in y_true")
    return _sklearn("roc_auc_score")(truth, predicted)


METRICS: Mapping[str, Metric] = {
    "macro_f1": Metric("Macro F1 Score", True, _sklearn("f1_score", average="macro")),
    "micro_f1": Metric("Micro F1 Score", True, _sklearn("f1_score", average="micro")),
    "weighted_f1": Metric("Weighted F1 Score", True, _sklearn("f1_score", average="weighted")),
    "accuracy": Metric("Categorization Accuracy", True, _sklearn("accuracy_score")),
    "mcc": Metric("Matthews Correlation Coefficient", True, _sklearn("matthews_corrcoef")),
    "qwk": Metric("Quadratic Weighted Kappa", True, _sklearn("cohen_kappa_score", weights="quadratic")),
    "log_loss": Metric("Log Loss", False, _log_loss),
    "auc": Metric("Area Under Receiver Operating Characteristic Curve", False, _auc),
} | {
    f"map@{most}": Metric(f"Mean Average Precision @ {most}", True, _average_precision(most))
    for most in range(1, 10)
}
"""By the name that a server is given."""


def _numbers(rows: Sequence[Sequence[str]]) -> Any:
    try:
        numbers = np.array(rows, dtype=float)
    except ValueError as error:
        raise SubmissionMalformed("ERROR: Submission values must be numeric") from error
    if not np.isfinite(numbers).all():
        raise SubmissionMalformed("ERROR: Submission values must be finite")
    return numbers


def _read(path: Path, id_column: str, columns: Sequence[str]) -> dict[str, list[str]]:
    """Give the columns' values of each id."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            for column in (id_column, *columns):
                if column not in (reader.fieldnames or []):
                    raise SubmissionMalformed(f"ERROR: Unable to find required column {column!r}")
            rows: dict[str, list[str]] = {}
            for row in reader:
                where = f"(Line {reader.line_num})"
                key, values = row[id_column], [row[column] for column in columns]
                if not key or not all(values):
                    raise SubmissionMalformed(f"ERROR: Null values are not allowed {where}")
                if key in rows:
                    raise SubmissionMalformed(
                        f"ERROR: The value {key!r} in the key column {id_column!r}"
                        f" has already been defined {where}"
                    )
                rows[key] = values
            return rows
    except (UnicodeDecodeError, csv.Error) as error:
        raise SubmissionMalformed(f"ERROR: The file is not a csv in UTF-8: {error}") from error
