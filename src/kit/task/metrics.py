"""Score predicted labels, overall and by language. It reads no files and chooses no labels."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

PROBABILITY_FLOOR = 1e-15
"""A certain and wrong answer costs -log of this instead of infinity."""


def evaluate(
    truth: Sequence[str],
    predicted: Sequence[str],
    labels: Sequence[str],
    *,
    probability: Any = None,
    language: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Return rows, accuracy, macro_f1, majority_accuracy and confusion, ready for JSON.

    `confusion` has a row for each true and a column for each predicted label, in the order of `labels`.
    `probability`, rows x labels in that order, adds log_loss in nats; `language` adds per_language.
    Raises ValueError where lengths differ, a label is unknown or a probability is not finite.
    """
    confusion = _confusion(truth, predicted, labels)
    result: dict[str, Any] = {"rows": len(truth), **_shares(confusion), "confusion": confusion}
    result["majority_accuracy"] = max(Counter(truth).values()) / len(truth)
    if probability is not None:
        result["log_loss"] = _log_loss(truth, labels, probability)
    if language is not None:
        positions: dict[str, list[int]] = {}
        for position, code in enumerate(language):
            positions.setdefault(code, []).append(position)
        if sum(map(len, positions.values())) != len(truth):
            raise ValueError(f"{len(truth)} rows and {len(language)} languages")
        result["per_language"] = {
            code: {
                "rows": len(rows),
                **_shares(_confusion([truth[i] for i in rows], [predicted[i] for i in rows], labels)),
            }
            for code, rows in sorted(positions.items())
        }
    return result


def _confusion(truth: Sequence[str], predicted: Sequence[str], labels: Sequence[str]) -> list[list[int]]:
    if not len(truth):
        raise ValueError("no rows to evaluate")
    index = {label: position for position, label in enumerate(labels)}
    unknown = (set(truth) | set(predicted)) - set(index)
    if unknown:
        raise ValueError(f"labels {sorted(unknown)!r} are not in {tuple(labels)!r}")
    confusion = [[0] * len(labels) for _ in labels]
    for true, guess in zip(truth, predicted, strict=True):
        confusion[index[true]][index[guess]] += 1
    return confusion


def _shares(confusion: list[list[int]]) -> dict[str, float]:
    """Return accuracy and macro F1 over the labels that occur, as scikit-learn counts them."""
    right = [confusion[i][i] for i in range(len(confusion))]
    occurrences = [sum(confusion[i]) + sum(row[i] for row in confusion) for i in range(len(confusion))]
    f1 = [2 * hits / total for hits, total in zip(right, occurrences, strict=True) if total]
    return {"accuracy": sum(right) / sum(map(sum, confusion)), "macro_f1": sum(f1) / len(f1)}


def _log_loss(truth: Sequence[str], labels: Sequence[str], probability: Any) -> float:
    # Not scikit-learn's: it takes the columns in alphabetical order, whatever the order of the labels.
    index = {label: position for position, label in enumerate(labels)}
    total = 0.0
    for true, row in zip(truth, probability, strict=True):
        if len(row) != len(labels) or not all(math.isfinite(value) for value in row):
            raise ValueError(f"{list(row)!r} is not one finite probability for each of {tuple(labels)!r}")
        total -= math.log(min(max(float(row[index[true]]), PROBABILITY_FLOOR), 1.0))
    return total / len(truth)
