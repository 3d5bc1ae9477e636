"""Say which labels of a submission are not exactly of the set, and in which way."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from kit.review.checks.csv_reader import INVISIBLE, UNDECODED, Table
from kit.review.checks.facts import Facts
from kit.review.checks.problems import Problem, Spot, problems_of

_NAN = frozenset({"nan", "na", "n/a", "#n/a", "<na>", "null", "none", "nil", "nat", "-nan", "#na"})
_LONGEST = 1000
"""Characters of a label that are looked at; none is as long."""
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
    """Return one problem for each way in which labels are not exactly of the set."""
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
    return [
        problem
        for code, words in _DEFECTS.items()
        for problem in problems_of(code, words, spots[code], labels=either)
    ]


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
    composed = unicodedata.normalize("NFKC", text)
    if composed.casefold() == unicodedata.normalize("NFKC", label).casefold():
        return True
    if len(composed) != len(label):
        composed = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    pairs = list(zip(composed.casefold(), label.casefold(), strict=False))
    same = sum(one == other for one, other in pairs)
    foreign = sum(one != other and (not one.isascii() or one.isdigit()) for one, other in pairs)
    return len(composed) == len(label) and same + foreign == len(pairs) and same > 0
