"""Say which labels of a submission are not exactly of the set, and whether they are spread as in training."""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import repeat

from kit.review.checks.csv_reader import INVISIBLE, UNDECODED, Table
from kit.review.checks.facts import Facts
from kit.review.checks.problems import Problem, Spot, problems_of

_NAN = frozenset({"nan", "na", "n/a", "#n/a", "<na>", "null", "none", "nil", "nat", "-nan", "#na"})
_LONGEST = 1000
"""Characters of a label that are looked at; none is as long."""
FAR = 0.01
"""Below this two-sided probability a share is called far from training."""
_NUMBER = re.compile(r"[+-]?\d+(?:\.\d*)?(?:e[+-]?\d+)?")
_DEFECTS = {
    "label_blank": "label {value!r} of id {id!r} is blank",
    "label_nan": "label {value!r} of id {id!r} is a missing value's spelling",
    "label_blanks": "label {value!r} of id {id!r} has blanks around it",
    "label_case": "label {value!r} of id {id!r} is in the wrong case",
    "label_invisible": "label {value!a} of id {id!r} holds invisible characters",
    "label_float": "label {value!r} of id {id!r} is a label written as a float",
    "label_form": "label {value!a} of id {id!r} is a label in another Unicode form (NFC, NFD)",
    "label_numeric": "label {value!r} of id {id!r} is a number",
    "label_lookalike": "label {value!a} of id {id!r} only looks like a label",
    "label_unknown": "label {value!r} of id {id!r} is none of {labels}",
}


def check(table: Table, facts: Facts) -> list[Problem]:
    """Return one problem for each way in which labels are not of the set, or not spread as in training."""
    allowed = frozenset(facts.labels)
    code_by_label: dict[str, str] = {}
    spots: dict[str, list[Spot]] = {code: [] for code in _DEFECTS}
    for at in [at for at, label in enumerate(table.labels) if label not in allowed]:
        label = table.labels[at]
        if UNDECODED.search(label):
            continue
        if label not in code_by_label:
            code_by_label[label] = label_defect(label, facts.labels)
        spots[code_by_label[label]].append(Spot(table.numbers[at], table.ids[at], label))
    either = ", ".join(map(repr, facts.labels))
    problems: list[Problem] = []
    for code, words in _DEFECTS.items():
        problems += problems_of(code, words, spots[code], labels=either)
    return problems + _spread(table, facts)


def label_defect(label: str, labels: Sequence[str]) -> str:
    """Return the code of what is wrong with a label outside the set; the most telling one."""
    label = label[:_LONGEST]
    bare = INVISIBLE.sub("", label).strip()
    whole, point, rest = bare.partition(".")
    is_float = point and rest and whole.lstrip("+-").isdecimal() and not rest.strip("0")
    composed = unicodedata.normalize("NFC", bare)
    rules = (
        ("label_blank", not bare),
        ("label_blanks", label.strip() in labels),
        ("label_invisible", bare in labels),
        ("label_form", composed in {unicodedata.normalize("NFC", name) for name in labels}),
        ("label_float", is_float and whole in labels),
        ("label_nan", bare.casefold() in _NAN),
        ("label_case", bare.casefold() in {name.casefold() for name in labels}),
        ("label_numeric", _NUMBER.fullmatch(bare.casefold())),
    )
    for code, applies in rules:
        if applies:
            return code
    return "label_lookalike" if any(_looks_like(bare, name) for name in labels) else "label_unknown"


def _looks_like(text: str, label: str) -> bool:
    """Say whether a reader would take `text` for `label`: foreign letters or digits in place of its own."""
    folded, own = (
        "".join(sign for sign in unicodedata.normalize("NFKD", side) if not unicodedata.combining(sign))
        for side in (text.casefold(), label.casefold())
    )
    pairs = list(zip(folded.casefold(), own, strict=False))
    foreign = [one != other and (not one.isascii() or one.isdigit()) for one, other in pairs]
    same = [one == other for one, other in pairs]
    return len(folded) == len(own) and any(same) and sum(same) + sum(foreign) == len(pairs)


def _spread(table: Table, facts: Facts) -> list[Problem]:
    """Return the warnings on a constant label and on shares far from training; a test set may differ."""
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
    if overall := _far(here, facts):
        problems.append(Problem("label_shift", overall))
    shared = {code for code, _ in here} & {code for code, _ in facts.training} - {""}
    far = [(code, words) for code in sorted(shared) if (words := _far(here, facts, code))]
    if far:
        also = f"; also {', '.join(repr(code) for code, _ in far[1:])}" if len(far) > 1 else ""
        message = f"language {far[0][0]!r}: {far[0][1]}{also}"
        problems.append(Problem("language_label_shift", message, len(far)))
    return problems


def _far(here: Counter[tuple[str, str]], facts: Facts, language: str | None = None) -> str:
    """Describe the label whose share differs most beyond chance from training's, or return nothing."""
    mine, theirs = Counter[str](), Counter[str]()
    for counts, by_label in ((here, mine), (facts.training, theirs)):
        for (code, label), count in counts.items():
            by_label[label] += count if language in (None, code) else 0
    rows, training_rows = mine.total(), theirs.total()
    probability, label = min(
        (chance(mine[label], rows, theirs[label], training_rows), label) for label in facts.labels
    )
    if probability >= FAR:
        return ""
    return (
        f"{mine[label]} of {rows} rows are {label!r}, in training {theirs[label]} of {training_rows} "
        f"(two-sided test, p = {probability:.2g})"
    )


def chance(hits: int, rows: int, other_hits: int, other_rows: int) -> float:
    """Return the two-sided p-value of one share of hits in both samples, with Yates' correction of 1934.

    It decides as Fisher's exact test does but for about one table in a hundred.
    """
    total, all_hits = rows + other_rows, hits + other_hits
    gap = abs(hits * other_rows - other_hits * rows) - total / 2
    spread = all_hits * (total - all_hits) * rows * other_rows
    return math.erfc(gap * math.sqrt(total / (2 * spread))) if spread and gap > 0 else 1.0
