"""Score a submission against a solution by the metric that a competition names, or say what is wrong with it.

Column names come from the solution, whose first column is the id; `Usage` is passed over. Metrics of labels
compare the second column. Metrics of numbers compare all others; a second column of words stands for one
column a label. Nothing here knows about uploads, limits or who submitted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

Values = Sequence[str] | np.ndarray
"""Labels, or a row of numbers for each id."""


class SubmissionMalformed(ValueError):
    """The file cannot be scored; the message is what the competitor reads."""


class Metric(NamedTuple):
    """A way to score the rows of a solution and of a submission, with what hosts call it."""

    title: str
    of_labels: bool
    compare: Callable[..., float]


def score(submission: Path, solution: Path, metric: str = "macro_f1") -> float:
    """Give the score of `submission`; raises SubmissionMalformed when it does not fit `solution`."""
    import pandas as pd  # a server that scores nothing starts sooner

    _, of_labels, compare = METRICS[metric]
    truth = pd.read_csv(solution, dtype=str, keep_default_na=False, index_col=0, encoding="utf-8-sig")
    truth = truth.drop(columns="Usage", errors="ignore")
    first = truth.iloc[:, 0]
    if of_labels:
        return compare(list(first), list(_read(submission, truth.iloc[:, :1]).iloc[:, 0]))
    if len(truth.columns) == 1 and not first.isin(["0", "1"]).all():
        truth = pd.get_dummies(first, dtype=int)
    return compare(_numbers(truth), _numbers(_read(submission, truth)))


def _average_precision(most: int) -> Callable[..., float]:
    """Average 1 / rank of the one right label among the first `most`, separated by blanks; 0 if absent."""

    def compare(truth: Sequence[str], predicted: Sequence[str]) -> float:
        rows = [(label, given.split()[:most]) for label, given in zip(truth, predicted, strict=True)]
        return fmean(1 / (given.index(label) + 1) if label in given else 0 for label, given in rows)

    return compare


def _sklearn(name: str, **options: object) -> Callable[..., float]:
    def compare(truth: Values, predicted: Values) -> float:
        from sklearn import metrics

        return float(getattr(metrics, name)(truth, predicted, **options))

    return compare


def _kappa(truth: Sequence[str], predicted: Sequence[str]) -> float:
    """Weigh by the squared distance of numbers, or of words in their order among all that occur."""
    values = np.array([*truth, *predicted])
    try:
        values = values.astype(float)
    except ValueError:
        values = np.unique(values, return_inverse=True)[1]
    first, second = np.split(values, 2)
    by_chance = first.var() + second.var() + (first.mean() - second.mean()) ** 2
    return float(1 - ((first - second) ** 2).mean() / by_chance)


def _log_loss(truth: np.ndarray, predicted: np.ndarray) -> float:
    """Rescale each row to the sum of 1; a single column is the probability of 1."""
    if truth.shape[1] == 1:
        truth, predicted = np.hstack([1 - truth, truth]), np.hstack([1 - predicted, predicted])
    if (predicted < 0).any() or (predicted > 1).any() or not predicted.sum(axis=1).all():
        raise SubmissionMalformed("Evaluation Exception: Submission values must be probabilities")
    shares = predicted / predicted.sum(axis=1, keepdims=True)
    return _sklearn("log_loss", labels=range(truth.shape[1]))(truth.argmax(axis=1), shares)


def _auc(truth: np.ndarray, predicted: np.ndarray) -> float:
    if (truth == truth[0]).all(axis=0).any():
        raise SubmissionMalformed("Evaluation Exception: Only one class present in y_true")
    return _sklearn("roc_auc_score")(truth, predicted)


METRICS: Mapping[str, Metric] = {
    "macro_f1": Metric("Macro F1 Score", True, _sklearn("f1_score", average="macro")),
    "micro_f1": Metric("Micro F1 Score", True, _sklearn("f1_score", average="micro")),
    "weighted_f1": Metric("Weighted F1 Score", True, _sklearn("f1_score", average="weighted")),
    "accuracy": Metric("Categorization Accuracy", True, _sklearn("accuracy_score")),
    "mcc": Metric("Matthews Correlation Coefficient", True, _sklearn("matthews_corrcoef")),
    "qwk": Metric("Quadratic Weighted Kappa", True, _kappa),
    "log_loss": Metric("Log Loss", False, _log_loss),
    "auc": Metric("Area Under Receiver Operating Characteristic Curve", False, _auc),
} | {
    f"map@{most}": Metric(f"Mean Average Precision @ {most}", True, _average_precision(most))
    for most in range(1, 10)
}
"""By the name that a server is given."""


def _numbers(table: pd.DataFrame) -> np.ndarray:
    try:
        numbers = table.to_numpy().astype(float)
    except ValueError as error:
        raise SubmissionMalformed("ERROR: Submission values must be numeric") from error
    if not np.isfinite(numbers).all():
        raise SubmissionMalformed("ERROR: Submission values must be finite")
    return numbers


def _read(path: Path, truth: pd.DataFrame) -> pd.DataFrame:
    """Give a submission's values in the order of the solution's rows and columns."""
    import pandas as pd

    key, wanted = str(truth.index.name), [str(truth.index.name), *truth.columns]
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, index_col=False, encoding="utf-8-sig")
    except pd.errors.EmptyDataError:
        table = pd.DataFrame()
    except (UnicodeDecodeError, pd.errors.ParserError) as error:
        raise SubmissionMalformed(f"ERROR: The file is not a csv in UTF-8: {error}") from error
    if missing := [column for column in wanted if column not in list(table.columns)]:
        raise SubmissionMalformed(f"ERROR: Unable to find required column {missing[0]!r}")
    null = (table[wanted].fillna("") == "").any(axis=1)
    if null.any():
        raise SubmissionMalformed(f"ERROR: Null values are not allowed (Line {null.argmax() + 2})")
    if (again := table[key].duplicated()).any():
        what = f"The value {table[key][again.argmax()]!r} in the key column {key!r} has already been defined"
        raise SubmissionMalformed(f"ERROR: {what} (Line {again.argmax() + 2})")
    if len(table) != len(truth):
        raise SubmissionMalformed(f"Evaluation Exception: Submission must have {len(truth)} rows")
    if strange := sorted(set(table[key]) - set(truth.index)):
        what = f"the value {strange[0]!r} in the key column {key!r} is unknown"
        raise SubmissionMalformed(f"Evaluation Exception: {what}")
    return table.set_index(key).loc[truth.index, truth.columns]
