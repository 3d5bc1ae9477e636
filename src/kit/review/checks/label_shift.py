"""Ask whether the labels of a submission are spread as in training, overall and in each language.

It only warns: a test set may differ from its training set.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from itertools import repeat

from kit.review.checks.csv_reader import Table
from kit.review.checks.facts import Facts
from kit.review.checks.problems import Problem

FAR = 0.01
"""Below this two-sided probability a share is called far from training."""


def check(table: Table, facts: Facts) -> list[Problem]:
    """Return the warnings on constant labels and on shares far from training."""
    spoken: Iterable[str] = repeat("")
    if facts.training and facts.languages:
        language_by_id = dict(zip(facts.ids, facts.languages, strict=True))
        spoken = (language_by_id.get(name, "") for name in table.ids)
    counted = Counter(zip(spoken, table.labels, strict=False))
    here = Counter({key: count for key, count in counted.items() if key[1] in facts.labels})
    problems = []
    if len(labels := {label for _, label in here}) == 1 and here.total() > 1:
        message = f"all {here.total()} rows have the label {labels.pop()!r}"
        problems.append(Problem("constant_label", message, here.total()))
    if not facts.training or not here:
        return problems
    if overall := _far(_by_label(here), _by_label(facts.training), facts.labels):
        problems.append(Problem("label_shift", overall))
    shared = {code for code, _ in here} & {code for code, _ in facts.training} - {""}
    far = {
        code: words
        for code in sorted(shared)
        if (words := _far(_by_label(here, code), _by_label(facts.training, code), facts.labels))
    }
    if far:
        (language, words), *others = far.items()
        also = f"; also {', '.join(repr(code) for code, _ in others)}" if others else ""
        problems.append(Problem("language_label_shift", f"language {language!r}: {words}{also}", len(far)))
    return problems


def _by_label(counts: Counter[tuple[str, str]], language: str | None = None) -> Counter[str]:
    result: Counter[str] = Counter()
    for (code, label), count in counts.items():
        if language is None or code == language:
            result[label] += count
    return result


def _far(here: Counter[str], training: Counter[str], labels: tuple[str, ...]) -> str:
    """Describe the label whose share differs most beyond chance from training's, or return nothing."""
    rows, training_rows = here.total(), training.total()
    probability, label = min(
        (fisher(here[label], rows, training[label], training_rows), label) for label in labels
    )
    if probability >= FAR:
        return ""
    return (
        f"{here[label]} of {rows} rows are {label!r}, in training {training[label]} of {training_rows} "
        f"(Fisher's exact test, p = {probability:.2g})"
    )


def fisher(hits: int, rows: int, other_hits: int, other_rows: int) -> float:
    """Return the two-sided p-value of Fisher's exact test that both samples have one share of hits.

    SciPy has it too, and takes longer to import than a million rows to check. The tails beyond twelve
    standard deviations are left out: they hold less than a float can add.
    """
    total, all_hits = rows + other_rows, hits + other_hits
    if all_hits in (0, total):
        return 1.0
    mean = rows * all_hits / total
    reach = 1 + 12 * math.sqrt(mean * (1 - all_hits / total) * other_rows / max(total - 1, 1))
    low, high = max(0, all_hits - other_rows, int(mean - reach)), min(rows, all_hits, int(mean + reach) + 1)
    if not low <= hits <= high:
        return 0.0
    # Up to a factor that all have in common: the probability of each count of hits.
    logs = [
        -sum(
            math.lgamma(cell + 1)
            for cell in (count, rows - count, all_hits - count, other_rows - all_hits + count)
        )
        for count in range(low, high + 1)
    ]
    most, limit = max(logs), logs[hits - low] + 1e-7
    as_odd = math.fsum(math.exp(value - most) for value in logs if value <= limit)
    return as_odd / math.fsum(math.exp(value - most) for value in logs)
