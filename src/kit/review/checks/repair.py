"""Make a corrected copy of a submission, for mechanical defects only, and list every change.

Byte order mark, line ends, needless quotes, order of rows and columns, an index column, blanks, case and the
Unicode form are mechanical. Where anything else is wrong there is no copy.
"""

from __future__ import annotations

import csv
import io
from collections import Counter

from kit.config import spelling_key
from kit.review.checks.csv_reader import Table, plain
from kit.review.checks.facts import Facts
from kit.review.checks.problems import Problem, Verdict

BEYOND_REPAIR = frozenset({"utf16", "not_utf8", "nul_byte", "wrong_delimiter", "long_line", "extra_column"})
"""Defects that leave it open what was meant, beside those that leave no table at all."""


def repair(verdict: Verdict, table: Table | None, facts: Facts) -> tuple[str, list[Problem]] | None:
    """Return the corrected text and what was changed, or None where something is not mechanical."""
    count_by_code = {problem.code: problem.count for problem in verdict.problems}
    if table is None or not table.header or table.others or BEYOND_REPAIR & count_by_code.keys():
        return None
    names = (facts.id, facts.label)
    own = [table.header[place] for place in table.places]
    if list(map(plain, own)) != list(map(plain, names)):
        return None
    rows = _rows(table, facts)
    order = -1 if facts.label_first else 1
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names[::order])
    writer.writerows((name, label)[::order] for _, name, label in sorted(rows))
    quotes = sum(line.count('"') for line in table.lines)
    moved = sum(one[0] != other[0] for one, other in zip(rows, sorted(rows), strict=True))
    turned = list(table.places) != sorted(table.places, reverse=facts.label_first)
    respelled = sum(label != own for label, (_, _, own) in zip(table.labels, rows, strict=True))
    renamed = sum(name != own for name, (_, own, _) in zip(table.ids, rows, strict=True))
    changes = (
        ("bom", "dropped the byte order mark", count_by_code.get("bom", 0)),
        ("crlf", "ended lines in LF", count_by_code.get("crlf", 0)),
        ("last_line", "ended the last line", not table.is_whole),
        ("blank_lines", "dropped blank lines", table.lines.count("")),
        ("quotes", "dropped needless quotes", max(0, quotes - text.getvalue().count('"'))),
        ("header", f"renamed columns {own!r} to {list(names)!r}", sum(map(str.__ne__, own, names))),
        ("header_repeated", "dropped the header among the rows", count_by_code.get("header_repeated", 0)),
        ("index_column", "dropped the index column", count_by_code.get("index_column", 0)),
        ("column_order", "put the columns into the order of the sample submission", turned),
        ("id_blanks", "took blanks off ids", renamed),
        ("label", "put labels into their exact spelling (blanks, case, form, 1.0)", respelled),
        ("order", "put rows into the order of test.csv", moved),
    )
    return text.getvalue(), [Problem(code, words, int(count)) for code, words, count in changes if count]


def _rows(table: Table, facts: Facts) -> list[tuple[int, str, str]]:
    """Return position, id and label of each row, mended where that has one meaning."""
    position_by_id = {name: position for position, name in enumerate(facts.ids)}
    keys = Counter(map(spelling_key, facts.labels))
    label_by_key = {spelling_key(label): label for label in facts.labels if keys[spelling_key(label)] == 1}
    meant = {label: label_by_key.get(spelling_key(label), label) for label in set(table.labels)}
    meant |= {label: label for label in facts.labels}
    rows = []
    for name, label in zip(table.ids, table.labels, strict=True):
        own = name if name in position_by_id or name.strip() not in position_by_id else name.strip()
        rows.append((position_by_id.get(own, len(facts.ids)), own, meant[label]))
    return rows
