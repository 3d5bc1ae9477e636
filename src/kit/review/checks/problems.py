"""The words for what is wrong with a submission: a problem, its place, and a verdict on all of them.

It looks at no file itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kit.review.checks.completions import Reread

EXAMPLES = 5  # spots that a problem shows; its count says how many there are
MESSAGE = 320  # most characters of a message; a value in it has at most 80

WARNINGS = frozenset(
    {
        *("bom", "crlf", "order", "column_order", "partial_run"),
        *("no_sample", "stale_sample", "sample_unknown", "train_unread", "train_rows", "test_rows"),
        *("constant_label", "label_shift", "language_label_shift"),
        *("predictions_differ", "parser_differs"),
    }
)
"""Codes that leave a submission valid; every other code is an error."""


@dataclass(frozen=True, slots=True)
class Spot:
    """Where a problem is: line from 1, exact id, offending value; each where it applies."""

    line: int | None = None
    id: str | None = None
    value: str | None = None


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


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is wrong with a file of `rows` rows, in the order of reading."""

    rows: int
    problems: Sequence[Problem]
    path: Path | None = None  # the file that was judged
    completions: Reread | None = None
    """What today's parser reads in predictions.csv, where that was looked at."""

    def __str__(self) -> str:
        """Each problem with a few of its spots, then the verdict."""
        shown = []
        for kind, problems in (("error", self.errors), ("warning", self.warnings)):
            for one in problems:
                shown.append(f"{kind:<7}  {one.code} ({one.count:,})  {one.message}")
                for spot in one.examples[1:]:
                    parts = (("line", spot.line), ("id", spot.id), ("value", spot.value))
                    told = (f"{name} {value!r}" for name, value in parts if value is not None)
                    shown.append(" " * 9 + ", ".join(told))
        if self.completions:
            shown.append(str(self.completions))
        word = "valid" if self.valid else "invalid"
        counted = ((len(self.errors), "error"), (len(self.warnings), "warning"))
        counts = ", ".join(f"{count} {name}{'' if count == 1 else 's'}" for count, name in counted)
        return "\n".join([*shown, f"{self.path}: {word}, {self.rows:,} rows, {counts}"])

    @property
    def valid(self) -> bool:
        """Whether Kaggle would take the file and score what was meant."""
        return not self.errors

    @property
    def errors(self) -> list[Problem]:
        """The problems that make it invalid."""
        return [problem for problem in self.problems if problem.code not in WARNINGS]

    @property
    def warnings(self) -> list[Problem]:
        """The problems that deserve a look."""
        return [problem for problem in self.problems if problem.code in WARNINGS]

    def as_json(self) -> dict[str, object]:
        """Return the one object that `--json` prints."""
        told: dict[str, object] = {"valid": self.valid, "rows": self.rows}
        for name, found in (("errors", self.errors), ("warnings", self.warnings)):
            told[name] = [asdict(one, dict_factory=_applying) for one in found]
        if self.path is not None:
            told["file"] = str(self.path)
        if self.completions is not None:
            told["completions"] = asdict(self.completions, dict_factory=_applying)
        return told


def _applying(parts: Iterable[tuple[str, object]]) -> dict[str, object]:
    return {name: part for name, part in parts if part is not None}


def problems_of(code: str, words: str, spots: Sequence[Spot], **also: object) -> list[Problem]:
    """Return one problem of all spots in `words`, a format for the first one's id and value, and `also`."""
    if not spots:
        return []
    shown = tuple(Spot(one.line, cut(one.id), cut(one.value)) for one in spots[:EXAMPLES])
    where = f"line {shown[0].line}: " if shown[0].line is not None else ""
    said = words.format(id=shown[0].id, value=shown[0].value, **also)
    return [Problem(code, where + said, len(spots), shown)]


def cut(text: str | None, most: int = 80) -> str | None:
    """Return a text that can be printed, of at most `most` characters."""
    return text if text is None or len(text) <= most else f"{text[: most - 3]}..."
