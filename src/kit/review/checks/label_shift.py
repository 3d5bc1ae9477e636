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
    here = Counter(zip(spoken, table.labels, strict=False))
    for key in [key for key in here if key[1] not in facts.labels]:
        del here[key]
    problems = _constant(here)
    if not facts.training or not here:
        return problems
    overall = _far(_by_label(here), _by_label(facts.training), facts.labels)
    if overall:
        problems.append(Problem("label_shift", overall))
    far = {}
    for language in sorted({language for language, _ in here} & {language for language, _ in facts.training}):
        words = _far(_by_label(here, language), _by_label(facts.training, language), facts.labels)
        if words and language:
            far[language] = words
    if far:
        language, words = next(iter(far.items()))
        also = f"; also {', '.join(map(repr, list(far)[1:]))}" if len(far) > 1 else ""
        problems.append(Problem("language_label_shift", f"language {language!r}: {words}{also}", len(far)))
    return problems


def _constant(here: Counter[tuple[str, str]]) -> list[Problem]:
    labels = {label for _, label in here}
    rows = sum(here.values())
    if len(labels) != 1 or rows < 2:
        return []
    return [Problem("constant_label", f"all {rows} rows have the label {labels.pop()!r}", rows)]


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

    The tails beyond twelve standard deviations are left out: they hold less than a float can add.
    """
    total, all_hits = rows + other_rows, hits + other_hits
    if not rows or not other_rows or all_hits in (0, total):
        return 1.0
    mean = rows * all_hits / total
    deviation = math.sqrt(mean * (1 - all_hits / total) * other_rows / max(total - 1, 1))
    low = max(0, all_hits - other_rows, math.floor(mean - 12 * deviation) - 1)
    high = min(rows, all_hits, math.ceil(mean + 12 * deviation) + 1)
    if not low <= hits <= high:
        return 0.0

    def log_ways(number: int, chosen: int) -> float:
        return math.lgamma(number + 1) - math.lgamma(chosen + 1) - math.lgamma(number - chosen + 1)

    everything = log_ways(total, all_hits)
    logs = [
        log_ways(rows, count) + log_ways(other_rows, all_hits - count) - everything
        for count in range(low, high + 1)
    ]
    limit = logs[hits - low] + 1e-7
    return min(1.0, math.fsum(math.exp(value) for value in logs if value <= limit))
