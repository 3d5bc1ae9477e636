"""Check a submission whose rows give probabilities, or the likeliest labels, in place of one label.

Behind it the table holds each row's likeliest label, so that other checks go on as with labels.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from kit.review.checks.csv_reader import Table
from kit.review.checks.facts import Facts
from kit.review.checks.problems import Problem, Spot, problems_of

SUM_TOLERANCE = 1e-3
"""How far from 1 a row's probabilities may add up."""
_DEFECTS = {
    "value_number": "holds no number",
    "value_count": "has not as many values as are asked for",
    "value_range": "is not between 0 and 1",
    "value_sum": "does not add up to 1",
    "value_label": "names what is none of the labels",
    "value_twice": "names a label twice",
}


def projected(data: bytes, facts: Facts) -> bytes:
    """Return the file with a row's values in one field, apart by blanks, line by line as it was."""
    if facts.kind != "probabilities":
        return data
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    try:
        for row in csv.reader(io.StringIO(data.decode("utf-8"), newline=""), strict=True):
            writer.writerow([row[0], " ".join(row[1:])] if len(row) > 1 else row)
    except (UnicodeDecodeError, csv.Error):
        return data  # its reader says what is wrong
    return text.getvalue().encode()


def check(table: Table, facts: Facts) -> list[Problem]:
    """Return one problem for each way in which a row's values are not what is asked."""
    spots: dict[str, list[Spot]] = {code: [] for code in _DEFECTS}
    likeliest = []
    judge = _ranking if facts.kind == "ranking" else _shares
    for number, name, text in zip(table.numbers, table.ids, table.labels, strict=True):
        code, label = judge(text.split(), facts)
        if code:
            spots[code].append(Spot(number, name, text))
        likeliest.append(facts.labels[0] if code else label)
    table.labels = likeliest
    words = {code: f"{{value!r}} of id {{id!r}} {what}" for code, what in _DEFECTS.items()}
    return [problem for code in spots for problem in problems_of(code, words[code], spots[code])]


def _ranking(named: Sequence[str], facts: Facts) -> tuple[str, str]:
    """Return the code of what is wrong with a ranking, or nothing, and its first label."""
    rules = (
        ("value_count", not 1 <= len(named) <= facts.places),
        ("value_label", not {*named} <= {*facts.labels}),
        ("value_twice", len({*named}) < len(named)),
    )
    return next((code for code, applies in rules if applies), ""), named[0] if named else ""


def _shares(values: Sequence[str], facts: Facts) -> tuple[str, str]:
    """Return the code of what is wrong with probabilities, or nothing, and the likeliest label."""
    labels = facts.probabilities or sorted(facts.labels, key="1".__eq__)
    try:
        shares = list(map(float, values))
    except ValueError:
        return "value_number", ""
    if len(shares) != max(1, len(facts.probabilities)):
        return "value_count", ""
    if not all(0 <= share <= 1 for share in shares):
        return "value_range", ""
    if len(shares) == 1:
        shares = [1 - shares[0], shares[0]]
    wrong = "" if abs(sum(shares) - 1) <= SUM_TOLERANCE else "value_sum"
    return wrong, max(zip(shares, labels, strict=True), key=lambda pair: pair[0])[1]
