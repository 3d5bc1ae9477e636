"""Score a submission against a solution by the metric that a competition names, or say what is wrong with it.

Column names come from the solution. Its first column is the id; metrics of labels take the second, metrics of
probabilities all others but `Usage`. Nothing here knows about uploads, limits or who submitted.
"""

from __future__ import annotations

import csv
import functools
import math
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import NamedTuple


class SubmissionMalformed(ValueError):
    """The file cannot be scored; the message is what the competitor reads."""


class Metric(NamedTuple):
    """A way to score the rows of a solution and of a submission, with what hosts call it."""

    title: str
    of_labels: bool
    """Whether it compares one text a row, else rows of numbers."""
    compare: Callable[..., float]


def score(submission: Path, solution: Path, metric: str = "macro_f1") -> float:
    """Give the score of `submission`; raises SubmissionMalformed when it does not fit `solution`."""
    with solution.open(encoding="utf-8-sig", newline="") as file:
        id_column, *columns = [name for name in next(csv.reader(file)) if name != "Usage"]
    _, of_labels, compare = METRICS[metric]
    columns = columns[:1] if of_labels else columns
    truth = _read(solution, id_column, columns)
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


def macro_f1(truth: Sequence[str], predicted: Sequence[str]) -> float:
    """Average the F1 of every label that occurs on either side."""
    right = Counter(label for label, given in zip(truth, predicted, strict=True) if label == given)
    wanted, given = Counter(truth), Counter(predicted)
    labels = wanted.keys() | given.keys()
    return sum(2 * right[label] / (wanted[label] + given[label]) for label in labels) / len(labels)


def accuracy(truth: Sequence[str], predicted: Sequence[str]) -> float:
    """Give the share of rows with the right label."""
    return fmean(label == given for label, given in zip(truth, predicted, strict=True))


def mean_average_precision(truth: Sequence[str], predicted: Sequence[str], *, most: int) -> float:
    """Average 1 / rank of the one right label among the first `most`, separated by blanks; 0 if absent."""
    total = 0.0
    for label, answer in zip(truth, predicted, strict=True):
        given = answer.split()[:most]
        total += 1 / (given.index(label) + 1) if label in given else 0
    return total / len(truth)


def log_loss(truth: Sequence[Sequence[float]], predicted: Sequence[Sequence[float]]) -> float:
    """Average -log of the right label's share of its row; a single column is the probability of 1."""
    total = 0.0
    for wanted, given in zip(truth, predicted, strict=True):
        if not all(0 <= value <= 1 for value in given) or (len(given) > 1 and not sum(given)):
            raise SubmissionMalformed("Evaluation Exception: Submission values must be probabilities")
        pairs = [(wanted[0], given[0]), (1 - wanted[0], 1 - given[0])]
        if len(given) > 1:
            pairs = [(one, value / sum(given)) for one, value in zip(wanted, given, strict=True)]
        total -= sum(one * math.log(min(max(value, 1e-15), 1 - 1e-15)) for one, value in pairs)
    return total / len(truth)


def auc(truth: Sequence[Sequence[float]], predicted: Sequence[Sequence[float]]) -> float:
    """Average the columns' share of pairs of a 1 and a 0 that stand in the right order, a tie as half."""
    areas = []
    for wanted, given in zip(zip(*truth, strict=True), zip(*predicted, strict=True), strict=True):
        ones, zeros, ordered = sum(wanted), len(wanted) - sum(wanted), sorted(given)
        if not ones or not zeros:
            raise SubmissionMalformed("Evaluation Exception: Only one class present in y_true")
        ranks = (
            (bisect_left(ordered, value) + bisect_right(ordered, value) + 1) / 2
            for one, value in zip(wanted, given, strict=True)
            if one
        )
        areas.append((sum(ranks) - ones * (ones + 1) / 2) / (ones * zeros))
    return fmean(areas)


METRICS: Mapping[str, Metric] = {
    "macro_f1": Metric("Macro F1 Score", True, macro_f1),
    "accuracy": Metric("Categorization Accuracy", True, accuracy),
    "log_loss": Metric("Log Loss", False, log_loss),
    "auc": Metric("Area Under Receiver Operating Characteristic Curve", False, auc),
} | {
    f"map@{most}": Metric(
        f"Mean Average Precision @ {most}", True, functools.partial(mean_average_precision, most=most)
    )
    for most in range(1, 10)
}


def _numbers(rows: Iterable[Sequence[str]]) -> list[list[float]]:
    try:
        numbers = [[float(value) for value in row] for row in rows]
    except ValueError as error:
        raise SubmissionMalformed("ERROR: Submission values must be numeric") from error
    if not all(math.isfinite(value) for row in numbers for value in row):
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
