"""Compare the ids of a submission with those of the test, as exact text."""

import re
from itertools import pairwise

from kit.review.checks.csv_reader import Table, key
from kit.review.checks.facts import Facts
from kit.review.checks.problems import Problem, Spot, problems_of

_ROUNDED = re.compile(r"\s*\d(?:\.\d+)?e[+-]?\d{1,9}\s*", re.IGNORECASE)
_DEFECTS = {
    "id_blank": "id {id!r} is blank",
    "id_retyped": "id {id!r} is {shown} in test.csv: a program has re-typed it",
    "id_unknown": "id {id!r} is not in test.csv",
    "id_duplicate": "id {id!r} is on line {value} already",
    "id_missing": "id {id!r} of test.csv has no row",
}


def check(table: Table, facts: Facts) -> list[Problem]:
    """Return unknown, re-typed, blank, duplicate and missing ids, and whether the order is another."""
    if table.ids == facts.ids and not table.ragged:
        return []
    position_by_id = {name: position for position, name in enumerate(facts.ids)}
    unique = set(table.ids)
    known = [name for name in table.ids if name in position_by_id]
    meant: dict[str, str | None] = {}  # None where several ids share their spellings
    for name in facts.ids if len(known) < len(table.ids) else ():
        own = key(name)
        meant[own] = None if own in meant else name
    first_line: dict[str, int] = {}
    spots: dict[str, list[Spot]] = {code: [] for code in _DEFECTS}
    for name, number in zip(table.ids, table.numbers, strict=True):
        if name in position_by_id:
            if first_line.setdefault(name, number) != number:
                spots["id_duplicate"].append(Spot(number, name, str(first_line[name])))
            continue
        was = meant.get(key(name))
        is_retyped = was is not None or _ROUNDED.fullmatch(name)
        code = "id_retyped" if is_retyped else "id_unknown" if key(name) else "id_blank"
        spots[code].append(Spot(number, name, was))
    retyped = [spot.value for spot in spots["id_retyped"]]
    present = unique.union(retyped, [spot.id for spot in table.ragged])
    spots["id_missing"] = [Spot(id=name) for name in facts.ids if name not in present]
    shown = repr(retyped[0]) if retyped and retyped[0] is not None else "not"
    problems = [
        one for code, words in _DEFECTS.items() for one in problems_of(code, words, spots[code], shown=shown)
    ]
    pairs = pairwise(known) if len(unique) == len(table.ids) else ()
    late = next((name for before, name in pairs if position_by_id[name] < position_by_id[before]), None)
    if late is not None:
        problems.append(Problem("order", f"rows are not in the order of test.csv, the first is id {late!r}"))
    return problems
