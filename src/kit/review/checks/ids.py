"""Compare the ids of a submission with those of the test, as exact text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import pairwise

from kit.review.checks.csv_reader import Table, key
from kit.review.checks.facts import Facts
from kit.review.checks.problems import Problem, Spot, problems_of

_ROUNDED = re.compile(r"\s*\d(?:\.\d+)?e[+-]?\d{1,9}\s*", re.IGNORECASE)


def check(table: Table, facts: Facts) -> list[Problem]:
    """Return unknown, re-typed, blank, duplicate and missing ids, and whether the order is another."""
    if table.ids == facts.ids and not table.ragged:
        return []
    position_by_id = {name: position for position, name in enumerate(facts.ids)}
    unique = set(table.ids)
    known = [name for name in table.ids if name in position_by_id]
    meant = _meant(facts) if len(known) < len(table.ids) else {}
    problems, first_line = [], dict[str, int]()
    spots: dict[str, list[Spot]] = {"blank": [], "retyped": [], "unknown": [], "duplicate": []}
    for name, number in zip(table.ids, table.numbers, strict=True):
        if name in position_by_id:
            if first_line.setdefault(name, number) != number:
                spots["duplicate"].append(Spot(number, name, str(first_line[name])))
            continue
        own = meant.get(key(name))
        kind = (
            "retyped" if own is not None or _ROUNDED.fullmatch(name) else "unknown" if key(name) else "blank"
        )
        spots[kind].append(Spot(number, name, own))
    was = "{value!r}" if spots["retyped"] and spots["retyped"][0].value is not None else "not so"
    problems += problems_of("id_blank", "id {id!r} is blank", spots["blank"])
    problems += problems_of(
        "id_retyped", f"id {{id!r}} is {was} in test.csv: a program has re-typed it", spots["retyped"]
    )
    problems += problems_of("id_unknown", "id {id!r} is not in test.csv", spots["unknown"])
    problems += problems_of("id_duplicate", "id {id!r} is on line {value} already", spots["duplicate"])
    present = unique.union([spot.value for spot in spots["retyped"]], [spot.id for spot in table.ragged])
    missing = [Spot(id=name) for name in facts.ids if name not in present]
    problems += problems_of("id_missing", "id {id!r} of test.csv has no row", missing)
    pairs = pairwise(known) if len(unique) == len(table.ids) else ()
    late = next((name for before, name in pairs if position_by_id[name] < position_by_id[before]), None)
    if late is not None:
        problems.append(Problem("order", f"rows are not in the order of test.csv, the first is id {late!r}"))
    return problems


def _meant(facts: Facts) -> Mapping[str, str | None]:
    """Return the test id by the key of its spellings, None where several share one."""
    id_by_key: dict[str, str | None] = {}
    for name in facts.ids:
        own = key(name)
        id_by_key[own] = None if own in id_by_key else name
    return id_by_key
