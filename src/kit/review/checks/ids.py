"""Compare the ids of a submission with those of the test, as exact text."""

from __future__ import annotations

import operator
import re
import unicodedata
from collections.abc import Collection, Iterable, Sequence

from kit.review.checks.csv_reader import INVISIBLE, UNDECODED, Table
from kit.review.checks.facts import Facts
from kit.review.checks.problems import Problem, Spot, found

_THOUSANDS = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_DECIMAL = re.compile(r"0*(\d+)(?:\.0*)?")


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
        problems += _duplicates(table, position_by_id)
    present = unique.union(
        meant_by_id.values(),
        (fields[table.places[0]] for fields, _ in table.others if len(fields) > table.places[0]),
    )
    absent = position_by_id.keys() - present
    missing = [Spot(id=name) for name in facts.ids if name in absent] if absent else []
    problems += found("id_missing", lambda spot: f"id {spot.id!r} of test.csv has no row", missing)
    positions = list(map(position_by_id.__getitem__, known))
    if len(unique) == len(table.ids) and any(map(operator.lt, positions[1:], positions)):
        problems.append(_disorder(positions, facts))
    return problems


def _strangers(table: Table, position_by_id: Collection[str], meant_by_id: dict[str, str]) -> list[Problem]:
    """Sort the ids that are not in the test by what is wrong with them."""
    spots: dict[str, list[Spot]] = {"blank": [], "retyped": [], "unknown": []}
    for name, number in zip(table.ids, table.numbers, strict=True):
        if name not in position_by_id and not UNDECODED.search(name):
            meant = meant_by_id.get(name)
            kind = "retyped" if meant is not None else "unknown" if _bare(name) else "blank"
            spots[kind].append(Spot(number, name, meant))
    return [
        *found("id_blank", lambda spot: f"id {spot.id!r} is blank", spots["blank"]),
        *found("id_retyped", lambda spot: f"id {spot.id!r} is {spot.value!r} in test.csv", spots["retyped"]),
        *found("id_unknown", lambda spot: f"id {spot.id!r} is not in test.csv", spots["unknown"]),
    ]


def _duplicates(table: Table, position_by_id: Collection[str]) -> list[Problem]:
    first_line: dict[str, int] = {}
    spots = [
        Spot(number, name, str(first_line[name]))
        for name, number in zip(table.ids, table.numbers, strict=True)
        if first_line.setdefault(name, number) != number and name in position_by_id
    ]
    return found("id_duplicate", lambda spot: f"id {spot.id!r} stands on line {spot.value} already", spots)


def _disorder(positions: Sequence[int], facts: Facts) -> Problem:
    first = next(at for at in range(1, len(positions)) if positions[at] < positions[at - 1])
    name = facts.ids[positions[first]]
    return Problem("order", f"rows are not in the order of test.csv, the first is id {name!r}")


def _meant(strangers: Iterable[str], ids: Sequence[str]) -> dict[str, str]:
    """Return the test id that each stranger is another spelling of, where there is exactly one."""
    id_by_bare: dict[str, str | None] = {}
    for name in ids:
        bare = _bare(name)
        id_by_bare[bare] = None if bare in id_by_bare else name
    meant = {name: id_by_bare.get(bare) for name in strangers if (bare := _bare(name))}
    return {name: spelled for name, spelled in meant.items() if spelled is not None}


def _bare(name: str) -> str:
    """Return an id without what spreadsheets and data frames add: blanks, commas, `.0`, zeros, case."""
    if not name.isascii():
        name = INVISIBLE.sub("", unicodedata.normalize("NFKC", name))
    text = name.strip(" \t\"'\x0b\x0c\xa0").casefold()
    if _THOUSANDS.fullmatch(text):
        text = text.replace(",", "")
    number = _DECIMAL.fullmatch(text)
    return number[1] if number else text
