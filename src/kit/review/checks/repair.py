"""Write a corrected copy of a submission, for mechanical defects only, and list what was changed.

BOM, line ends, order of rows and columns, blanks and case are mechanical. Everything else stands as it was.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kit.files import write_whole
from kit.review.checks import csv_reader
from kit.review.checks.csv_reader import Table
from kit.review.checks.facts import Facts
from kit.review.checks.problems import Report

BEYOND_REPAIR = frozenset(
    {"file_missing", "file_empty", "not_csv", "utf16", "not_utf8", "nul_byte", "wrong_delimiter"}
)
"""Defects of the file as a whole; with one of them no copy is written."""


@dataclass(frozen=True, slots=True)
class Change:
    """One kind of correction and how often it was made."""

    code: str
    message: str
    count: int


def repair(report: Report, table: Table | None, facts: Facts) -> tuple[str, list[Change]] | None:
    """Return the corrected text and what was changed, or None where the file as a whole is beyond repair."""
    if table is None or any(problem.code in BEYOND_REPAIR for problem in report.problems):
        return None
    count_by_code = {problem.code: problem.count for problem in report.problems}
    changes: Counter[tuple[str, str]] = Counter()
    changes["bom", "dropped the byte order mark"] = count_by_code.get("bom", 0)
    changes["crlf", "ended lines in LF"] = count_by_code.get("crlf", 0)
    lines = [*_header(table, facts, changes), *_rows(table, facts, changes)]
    made = [Change(code, message, count) for (code, message), count in changes.items() if count]
    return "".join(f"{line}\n" for line in lines), made


def write(text: str, path: Path) -> None:
    """Write the corrected copy whole or not at all. Raises KitError."""
    write_whole(path, text)


def _header(table: Table, facts: Facts, changes: Counter[tuple[str, str]]) -> Iterator[str]:
    if not table.header:
        return
    names = list(table.header)
    for place, name in zip(table.places, (facts.id, facts.label), strict=True):
        if names[place] != name and csv_reader.plain(names[place]) == csv_reader.plain(name):
            changes["header", f"renamed column {names[place]!r} to {name!r}"] += 1
            names[place] = name
    if table.places[0] > table.places[1]:
        changes["column_order", f"put {facts.id!r} before {facts.label!r}"] += 1
    yield _line(_arranged(names, table))


def _rows(table: Table, facts: Facts, changes: Counter[tuple[str, str]]) -> Iterable[str]:
    """Return the lines of the rows, known ids in the order of the test, the rest behind them."""
    position_by_id = {name: position for position, name in enumerate(facts.ids)}
    label_by_folded = _by_folded(facts.labels)
    unread = [*table.quoted, *table.headers, *(number for _, number in table.others)]
    as_they_stand = {number for number in unread if number >= table.first_row}
    keyed: list[tuple[int, int, str]] = []
    for name, label, number in zip(table.ids, table.labels, table.numbers, strict=True):
        if number in as_they_stand:
            continue
        fields = [name, label] if table.width == 2 else _fields(table, number)
        mended = name.strip() if name not in position_by_id and name.strip() in position_by_id else name
        changes["id_blanks", "took blanks off ids"] += mended != name
        meant = _label(label, facts.labels, label_by_folded)
        changes["label", "put labels into their exact spelling (blanks, case)"] += meant != label
        if table.width != 2:
            fields = _arranged(fields, table)
        key = position_by_id.get(mended, len(facts.ids))
        keyed.append((key, number, _line([mended, meant, *fields[2:]])))
    for number in as_they_stand:
        fields = csv_reader.split(table.lines[number - 1], ",")[0]
        name = fields[table.places[0]] if len(fields) > table.places[0] else ""
        keyed.append((position_by_id.get(name, len(facts.ids)), number, table.lines[number - 1]))
    in_file_order = sorted(keyed, key=lambda row: row[1])
    in_test_order = sorted(keyed)
    moved = sum(one[1] != other[1] for one, other in zip(in_file_order, in_test_order, strict=True))
    changes["order", "put rows into the order of test.csv"] = moved
    return [line for _, _, line in in_test_order]


def _label(label: str, labels: Sequence[str], label_by_folded: Mapping[str, str]) -> str:
    return label if label in labels else label_by_folded.get(label.strip().casefold(), label)


def _by_folded(labels: Sequence[str]) -> dict[str, str]:
    """Return labels by their case-folded spelling, without those that fold alike."""
    folded = Counter(label.casefold() for label in labels)
    return {label.casefold(): label for label in labels if folded[label.casefold()] == 1}


def _arranged(fields: Sequence[str], table: Table) -> list[str]:
    """Return id and label first, then the other fields in their order."""
    id_at, label_at = table.places
    rest = [value for at, value in enumerate(fields) if at not in (id_at, label_at)]
    return [fields[id_at], fields[label_at], *rest]


def _fields(table: Table, number: int) -> list[str]:
    """Return every field of the row that begins on this line; an id may hold line ends."""
    return next(
        csv.reader((table.lines[at] + "\n" for at in range(number - 1, len(table.lines))), strict=True)
    )


def _line(fields: Sequence[str]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(fields)
    return text.getvalue()[:-1]
