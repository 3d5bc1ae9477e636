"""Score a submission by macro F1 against a solution, or say what is wrong with the file.

Column names come from the solution: its first column is the id, its second the label. Nothing here knows
about uploads, limits or who submitted.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Mapping
from pathlib import Path


class SubmissionMalformed(ValueError):
    """The file cannot be scored; the message is what the competitor reads."""


def score(submission: Path, solution: Path) -> float:
    """Give the macro F1 of `submission`; raises SubmissionMalformed when it does not fit `solution`."""
    with solution.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.reader(file))
    id_column, label_column = rows[0][:2]
    truth = {row[0]: row[1] for row in rows[1:] if row}
    predicted = _read(submission, id_column, label_column)
    if len(predicted) != len(truth):
        raise SubmissionMalformed(f"Evaluation Exception: Submission must have {len(truth)} rows")
    strange = sorted(predicted.keys() - truth.keys())
    if strange:
        raise SubmissionMalformed(
            f"Evaluation Exception: the value {strange[0]!r} in the key column {id_column!r} is unknown"
        )
    return macro_f1(truth, predicted)


def macro_f1(truth: Mapping[str, str], predicted: Mapping[str, str]) -> float:
    """Average the F1 of every label that occurs on either side; both map the same ids to labels."""
    right = Counter(label for key, label in truth.items() if predicted[key] == label)
    wanted, given = Counter(truth.values()), Counter(predicted.values())
    labels = wanted.keys() | given.keys()
    return sum(2 * right[label] / (wanted[label] + given[label]) for label in labels) / len(labels)


def _read(path: Path, id_column: str, label_column: str) -> dict[str, str]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            columns = reader.fieldnames or []
            for column in (id_column, label_column):
                if column not in columns:
                    raise SubmissionMalformed(f"ERROR: Unable to find required column {column!r}")
            labels: dict[str, str] = {}
            for row in reader:
                where = f"(Line {reader.line_num})"
                key, label = row[id_column], row[label_column]
                if not key or not label:
                    raise SubmissionMalformed(f"ERROR: Null values are not allowed {where}")
                if key in labels:
                    raise SubmissionMalformed(
                        f"ERROR: The value {key!r} in the key column {id_column!r}"
                        f" has already been defined {where}"
                    )
                labels[key] = label
            return labels
    except (UnicodeDecodeError, csv.Error) as error:
        raise SubmissionMalformed(f"ERROR: The file is not a csv in UTF-8: {error}") from error
