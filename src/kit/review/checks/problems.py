"""The words for what is wrong with a submission: a problem, its place, and a verdict on all of them.

It looks at no file itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

EXAMPLES = 5
"""Spots that a problem shows; its count says how many there are."""
MESSAGE = 320
"""Most characters of a message; a value in it has at most 80."""

WARNINGS = frozenset(
    {
        *("bom", "crlf", "order", "column_order", "partial_run"),
        *("no_sample", "stale_sample", "sample_unknown", "train_unread", "train_rows", "test_rows"),
        *("constant_label", "label_shift", "language_label_shift"),
        *("low_confidence", "predictions_differ", "parser_differs"),
    }
)
"""Codes that leave a submission valid; every other code is an error."""


@dataclass(frozen=True, slots=True)
class Spot:
    """Where a problem is: line from 1, exact id, offending value; each where it applies."""

    line: int | None = None
    id: str | None = None
    value: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the parts that apply, long values cut."""
        parts = {"line": self.line, "id": cut(self.id), "value": cut(self.value)}
        return {name: part for name, part in parts.items() if part is not None}


@dataclass(frozen=True, slots=True)
class Problem:
    """One kind of defect: its code, its first case in words, how many there are, and some of them."""

    code: str
    message: str
    count: int = 1
    examples: tuple[Spot, ...] = ()

    def __post_init__(self) -> None:
        """Cut the message."""
        object.__setattr__(self, "message", cut(self.message, MESSAGE))

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
class Change:
    """One kind of correction and how often it was made."""

    code: str
    message: str
    count: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is wrong with a file of `rows` rows, in the order of reading."""

    rows: int
    problems: Sequence[Problem]
    path: Path | None = None
    """The file that was judged: the submission or its mended copy."""
    completions: dict[str, Any] | None = None
    """What today's parser reads in predictions.csv, where that was looked at."""
    changes: Sequence[Change] | None = None
    """What the copy has otherwise; None where no copy was asked for."""
    fixed: bool = False
    """Whether the copy was written."""

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
        parts = {
            "file": None if self.path is None else str(self.path),
            "completions": self.completions,
            "changes": None if self.changes is None else [asdict(change) for change in self.changes],
            "fixed": str(self.path) if self.fixed else None,
        }
        return {
            "valid": self.valid,
            "rows": self.rows,
            "errors": [problem.as_json() for problem in self.errors],
            "warnings": [problem.as_json() for problem in self.warnings],
            **{name: part for name, part in parts.items() if part is not None},
        }


def problems_of(code: str, describe: Callable[[Spot], str], spots: Sequence[Spot]) -> list[Problem]:
    """Return one problem that describes the first spot and counts the rest; nothing for no spots."""
    if not spots:
        return []
    first = spots[0]
    where = f"line {first.line}: " if first.line is not None else ""
    short = Spot(first.line, cut(first.id), cut(first.value))
    return [Problem(code, where + describe(short), len(spots), tuple(spots[:EXAMPLES]))]


def cut(text: str | None, most: int = 80) -> str | None:
    """Return a text that can be printed, of at most `most` characters."""
    if text is None:
        return None
    printable = text[: most + 1].encode("utf-8", "backslashreplace").decode("utf-8")
    return printable if len(printable) <= most else f"{printable[: most - 3]}..."
