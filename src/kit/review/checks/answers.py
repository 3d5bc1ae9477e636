"""Say which answers of a submission are not what is asked, and whether labels are spread as in training.

Behind it the table holds each row's likeliest label, whether rows give labels, probabilities or rankings.
"""

import difflib
import math
from collections import Counter
from itertools import repeat

from kit.review.checks.csv_reader import LONGEST, Table, key
from kit.review.checks.facts import Facts, by_language
from kit.review.checks.problems import Problem, Spot, problems_of

_NAN = frozenset({"nan", "na", "n/a", "#n/a", "<na>", "null", "none", "nil", "nat", "-nan", "#na"})
FAR = 0.01  # below this two-sided probability a share is called far from training
NEAR = 0.7  # how alike a label is, by difflib, that is named as the one that may be meant
SUM_TOLERANCE = 1e-3  # how far from 1 a row's probabilities may add up
_DEFECTS = {
    "label_blank": "is blank",
    "label_nan": "is a missing value's spelling",
    "label_spelling": "is not exactly {near!r}",
    "label_unknown": "is none of {labels}",
    "value_number": "holds no number",
    "value_count": "has not as many values as are asked for",
    "value_range": "is not between 0 and 1",
    "value_sum": "does not add up to 1",
    "value_label": "names what is none of the labels",
    "value_twice": "names a label twice",
}


def check(table: Table, facts: Facts) -> list[Problem]:
    """Return one problem for each way in which answers are not as asked, or not spread as in training."""
    spots: dict[str, list[Spot]] = {code: [] for code in _DEFECTS}
    kind = {"label": _label, "ranking": _ranking}.get(facts.kind, _shares)
    judged = {answer: kind(facts, answer) for answer in set(table.answers)}
    table.labels = [judged[answer][1] for answer in table.answers]
    wrong = {answer: code for answer, (code, _) in judged.items() if code}
    for number, name, answer in zip(table.numbers, table.ids, table.answers, strict=True) if wrong else ():
        if answer in wrong:
            spots[wrong[answer]].append(Spot(number, name, answer))
    either = ", ".join(map(repr, facts.labels))
    label_by_key = {key(label): label for label in facts.labels}
    problems: list[Problem] = []
    for code, found in spots.items():
        is_like = bool(found) and code in ("label_spelling", "label_unknown")
        first = key(found[0].value or "")[:LONGEST] if is_like else ""
        near = [label_by_key[one] for one in difflib.get_close_matches(first, label_by_key, n=1, cutoff=NEAR)]
        # Letters that only look like those of a label show in ASCII alone.
        form = "a" if near and near[0].isascii() else "r"
        what = _DEFECTS["label_spelling" if near else code]
        words = f"{code.partition('_')[0]} {{value!{form}}} of id {{id!r}} {what}"
        problems += problems_of(code, words, found, labels=either, near="".join(near))
    return problems + _spread(table, facts)


def _label(facts: Facts, answer: str) -> tuple[str, str]:
    """Return the code of what is wrong with a label, or nothing, and the label that it is."""
    if answer in facts.labels:
        return "", answer
    own = key(answer)
    meant = next((label for label in facts.labels if key(label) == own), "")
    if own in ("", *_NAN) and not meant:
        return "label_nan" if own else "label_blank", ""
    return "label_spelling" if meant else "label_unknown", meant


def _ranking(facts: Facts, answer: str) -> tuple[str, str]:
    """Return the code of what is wrong with a ranking, or nothing, and its first label."""
    named = answer.split()
    rules = (
        ("value_count", not 1 <= len(named) <= facts.places),
        ("value_label", not {*named} <= {*facts.labels}),
        ("value_twice", len({*named}) < len(named)),
    )
    return next((code for code, applies in rules if applies), ""), named[0] if named else ""


def _shares(facts: Facts, answer: str) -> tuple[str, str]:
    """Return the code of what is wrong with probabilities, or nothing, and the likeliest label."""
    names = facts.columns.probabilities
    parts = answer.split("," if names else None)
    try:  # Kaggle reads no other digits, and no 0_1
        shares = list(map(float, parts if answer.isascii() and "_" not in answer else ["?"]))
    except ValueError:
        return "value_number" if all(map(str.strip, parts)) else "value_count", ""
    if len(shares) != max(1, len(names)):
        return "value_count", ""
    if not all(0 <= share <= 1 for share in shares):
        return "value_range", ""
    wrong = "value_sum" if names and abs(sum(shares) - 1) > SUM_TOLERANCE else ""
    by_label = dict(zip(names or ("1",), shares, strict=True))
    ordered = [by_label.get(label, 1 - shares[0]) for label in facts.labels]
    return wrong, facts.labels[ordered.index(max(ordered))]  # of equal ones the first, as runs take it


def _spread(table: Table, facts: Facts) -> list[Problem]:
    """Compare the shares of labels, over all and by language, with training; a test set may differ."""
    spoken = map(facts.languages.get, table.ids, repeat(""))
    here = by_language(zip(spoken, table.labels, strict=False), facts.labels)
    problems, rows = [], here[""].total()
    if len(here[""]) == 1 and rows > 1:
        problems.append(Problem("constant_label", f"all {rows} rows have the label {min(here[''])!r}", rows))
    shared = sorted(here.keys() & facts.training.keys())
    far = {code: words for code in shared if (words := _far(here[code], facts.training[code]))}
    if "" in far:
        problems.append(Problem("label_shift", far.pop("")))
    if far:
        words = "; also ".join(f"language {code!r}: {one}" for code, one in far.items())
        problems.append(Problem("language_label_shift", words, len(far)))
    return problems


def _far(here: Counter[str], trained: Counter[str]) -> str:
    """Describe the label whose share differs most beyond chance from training's, or return nothing."""
    rows, of = here.total(), trained.total()
    chances = [(chance(here[label], rows, trained[label], of), label) for label in {*here, *trained}]
    probability, label = min(chances, default=(1.0, ""))
    told = f"{here[label]} of {rows} rows are {label!r}, in training {trained[label]} of {of}"
    return f"{told} (two-sided p = {probability:.2g})" if probability < FAR else ""


def chance(hits: int, rows: int, other_hits: int, other_rows: int) -> float:
    """Return the two-sided p of one share of hits in both samples, by Yates (1934): nearly Fisher's test."""
    total, all_hits = rows + other_rows, hits + other_hits
    gap = abs(hits * other_rows - other_hits * rows) - total / 2
    spread = all_hits * (total - all_hits) * rows * other_rows
    return math.erfc(gap * math.sqrt(total / (2 * spread))) if spread and gap > 0 else 1.0
