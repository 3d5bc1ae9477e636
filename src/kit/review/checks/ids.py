"""Compare the ids of a submission with those of the test, as exact text."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Sequence
from itertools import pairwise

from kit.review.checks.csv_reader import INVISIBLE, UNDECODED, Table
from kit.review.checks.facts import Facts
from kit.review.checks.problems import Problem, Spot, problems_of

_THOUSANDS = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_EXPONENT = re.compile(r"\d(?:\.\d+)?e[+-]?\d+", re.IGNORECASE)
_NUMBER = re.compile(r"[\d,]+(?:\.\d*)?", re.ASCII)
_LONGEST = 1000
"""Characters of an id up to which another spelling is looked for."""


def check(table: Table, facts: Facts) -> list[Problem]:
    """Return unknown, re-typed, blank, duplicate and missing ids, and whether the order is another."""
    if table.ids == facts.ids and not table.others:
        return []
    position_by_id = {name: position for position, name in enumerate(facts.ids)}
    unique = set(table.ids)
    problems: list[Problem] = []
    meant_by_id: dict[str, str] = {}
    known = table.ids
    if not unique <= position_by_id.keys():
        known = [name for name in table.ids if name in position_by_id]
        meant_by_id = _meant(unique - position_by_id.keys(), facts.ids)
        problems += _strangers(table, position_by_id, meant_by_id)
    if len(unique) < len(table.ids):
        first_line: dict[str, int] = {}
        twice = [
            Spot(number, name, str(first_line[name]))
            for name, number in zip(table.ids, table.numbers, strict=True)
            if first_line.setdefault(name, number) != number and name in position_by_id
        ]
        problems += problems_of("id_duplicate", "id {id!r} is on line {value} already", twice)
    present = unique.union(
        meant_by_id.values(),
        (fields[table.places[0]] for fields, _ in table.others if len(fields) > table.places[0]),
    )
    missing = [Spot(id=name) for name in facts.ids if name not in present]
    problems += problems_of("id_missing", "id {id!r} of test.csv has no row", missing)
    pairs = pairwise(known) if len(unique) == len(table.ids) else ()
    late = next((name for before, name in pairs if position_by_id[name] < position_by_id[before]), None)
    if late is not None:
        problems.append(Problem("order", f"rows are not in the order of test.csv, the first is id {late!r}"))
    return problems


def _strangers(table: Table, position_by_id: Collection[str], meant_by_id: dict[str, str]) -> list[Problem]:
    """Sort the ids that are not in the test by what is wrong with them."""
    spots: dict[str, list[Spot]] = {"blank": [], "retyped": [], "unknown": []}
    for name, number in zip(table.ids, table.numbers, strict=True):
        if name not in position_by_id and not UNDECODED.search(name):
            meant = meant_by_id.get(name)
            is_retyped = meant is not None or _EXPONENT.fullmatch(name.strip()[:_LONGEST])
            kind = "retyped" if is_retyped else "unknown" if _bare(name) else "blank"
            spots[kind].append(Spot(number, name, meant))
    first = spots["retyped"][0] if spots["retyped"] else Spot()
    name = (first.id or "").strip()
    meant_as = "{value!r} in test.csv" if first.value is not None else "not in test.csv"
    if _EXPONENT.fullmatch(name) or _NUMBER.fullmatch(name):
        meant_as += ", re-typed by a spreadsheet or a data frame"
    return [
        *problems_of("id_blank", "id {id!r} is blank", spots["blank"]),
        *problems_of("id_retyped", f"id {{id!r}} is {meant_as}", spots["retyped"]),
        *problems_of("id_unknown", "id {id!r} is not in test.csv", spots["unknown"]),
    ]


def _meant(strangers: Iterable[str], ids: Sequence[str]) -> dict[str, str]:
    """Return the test id that each stranger is another spelling of, where there is exactly one."""
    strangers = list(strangers)
    forms = [_bare] + ([_exponent] if any(map(_EXPONENT.fullmatch, strangers)) else [])
    meant: dict[str, str] = {}
    for form in forms:
        id_by_form: dict[str, str | None] = {}
        for name in ids:
            key = form(name)
            id_by_form[key] = None if key in id_by_form else name
        for name in strangers:
            own = id_by_form.get(key) if (key := form(name)) else None
            if own is not None:
                meant.setdefault(name, own)
    return meant


def _exponent(name: str) -> str:
    """Return a number with the digits that a spreadsheet leaves of it, `1.03e+211`, else nothing."""
    try:
        return f"{float(name):.2e}" if len(name) <= _LONGEST else ""
    except ValueError:
        return ""


def _bare(name: str) -> str:
    """Return an id without what spreadsheets and data frames add: blanks, commas, `.0`, zeros, case."""
    if len(name) > _LONGEST:
        return name
    if not name.isascii():
        name = INVISIBLE.sub("", unicodedata.normalize("NFKC", name))
    text = name.strip(" \t\"'\x0b\x0c\xa0").casefold()
    if _THOUSANDS.fullmatch(text):
        text = text.replace(",", "")
    whole, _, rest = text.partition(".")
    return whole.lstrip("0") or "0" if whole.isdecimal() and not rest.strip("0") else text
