"""The words for what is wrong with a submission: a problem, where it stands, and a report of all of them.

It finds nothing itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

EXAMPLES = 5
"""Spots that a problem shows; its count says how many there are."""

WARNINGS = frozenset(
    {
        *("bom", "crlf", "order", "stale_sample", "partial_run"),
        *("constant_label", "label_share", "language_label_share"),
        *("low_confidence", "predictions_differ", "parser_differs"),
    }
)
"""Codes that leave a submission valid; every other code is an error."""


@dataclass(frozen=True, slots=True)
class Spot:
    """Where a problem stands: line from 1, exact id, offending value; each where it applies."""

    line: int | None = None
    id: str | None = None
    value: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the parts that apply, long values cut."""
        parts = {"line": self.line, "id": _cut(self.id), "value": _cut(self.value)}
        return {name: part for name, part in parts.items() if part is not None}


@dataclass(frozen=True, slots=True)
class Problem:
    """One kind of defect: its code, its first case in words, how many there are, and some of them."""

    code: str
    message: str
    count: int = 1
    examples: tuple[Spot, ...] = ()

    @property
    def is_warning(self) -> bool:
        """Whether a submission with this is still valid."""
        return self.code in WARNINGS

    def as_json(self) -> dict[str, Any]:
        """Return what `--json` shows."""
        return {
            "code": self.code,
            "message": self.message,
            "count": self.count,
            "examples": [spot.as_json() for spot in self.examples],
        }


@dataclass(frozen=True, slots=True)
class Report:
    """What was found in a file of `rows` rows, in the order of reading."""

    rows: int
    problems: Sequence[Problem]
    extra: dict[str, Any] = field(default_factory=dict)
    """Further parts of the JSON: the re-parsed completions, the changes of a repair."""

    @property
    def valid(self) -> bool:
        """Whether Kaggle would take the file and score what was meant."""
        return not self.errors

    @property
    def errors(self) -> list[Problem]:
        """The problems that make it invalid."""
        return [problem for problem in self.problems if not problem.is_warning]

    @property
    def warnings(self) -> list[Problem]:
        """The problems that deserve a look."""
        return [problem for problem in self.problems if problem.is_warning]

    def as_json(self) -> dict[str, Any]:
        """Return the one object that `--json` prints."""
        return {
            "valid": self.valid,
            "rows": self.rows,
            "errors": [problem.as_json() for problem in self.errors],
            "warnings": [problem.as_json() for problem in self.warnings],
            **self.extra,
        }


def found(code: str, describe: Callable[[Spot], str], spots: Sequence[Spot]) -> list[Problem]:
    """Return one problem that describes the first spot and counts the rest; nothing for no spots."""
    if not spots:
        return []
    first = spots[0]
    where = f"line {first.line}: " if first.line is not None else ""
    return [Problem(code, where + describe(first), len(spots), tuple(spots[:EXAMPLES]))]


def _cut(text: str | None) -> str | None:
    if text is None:
        return None
    printable = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return printable if len(printable) <= 80 else f"{printable[:77]}..."
