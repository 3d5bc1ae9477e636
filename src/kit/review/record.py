"""What run.json, metrics.json, push.json and submission.json say, frozen; only this knows their names.

It judges nothing. A value of another kind than a run writes counts as absent: damage costs its own figure.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import BaseModel, Field, OnErrorOmit, ValidationError, field_validator, model_validator
from pydantic_core import PydanticUseDefault

from kit import progress
from kit.config import Competition
from kit.errors import InputInvalid
from kit.outputs import DRY_RUN, SCHEMA
from kit.task import csv_file
from kit.task.rows import Left
from kit.task.submission import Columns

LARGEST = 10**15
"""Beyond it nothing that a run measures lies, seconds and bytes included; an axis could not hold it."""
Number = Annotated[float, Field(strict=True, ge=-LARGEST, le=LARGEST, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0, le=LARGEST)]
Share = Annotated[float, Field(strict=True, ge=0, le=1)]
T = TypeVar("T")
Listed = tuple[OnErrorOmit[T], ...]
Named = dict[str, OnErrorOmit[T]]
"""Items of another kind are left out; the others still tell."""


class Record(BaseModel):
    """Something that a file of a run tells; every field has what stands for its absence."""

    model_config = {"frozen": True}

    @field_validator("*", mode="wrap")
    @classmethod
    def _absent_where_damaged(cls, value: object, read: Callable[[object], object]) -> object:
        try:
            return read(value)
        except ValidationError:
            raise PydanticUseDefault from None


class Member(Record):
    """One trained model."""

    name: str = "?"
    slot: Count = 0
    settings: str = ""
    stopped: str = ""
    notes: Listed[str] = ()
    step: Count | None = None
    train_tokens: Count | None = None
    bins: Count | None = None
    peak_memory_bytes: Number | None = None
    timings: Named[Number] = {}


class Run(Record):
    """run.json: the settings, the machine, the members, and how it ended."""

    ended: str = ""
    bundle_hash: str = ""
    config: dict[str, object] = {}
    cards: Listed[dict[str, object]] = ()
    precision: Named[str] = {}  # the number format, `dtype`, and the `reason` for it
    loader: str = ""
    timings: Named[Number] = {}
    train_rows: Named[Number] = {}
    share_of_train_seen: Number | None = None
    versions: Named[str] = {}
    ranks: Count = 1
    notes: Listed[str] = ()
    answered_by: Listed[str] = ()
    unreached: Listed[str] = ()
    failed: Named[str] = {}  # why a member is missing, by its name
    left: Named[Left] = {}  # rows of a file that were left out, by the file's name
    members: Listed[Member] = ()
    test_sha256: str = ""
    test_ids: Listed[str] | None = None  # the rows that were asked for; None for all
    submission: Columns | None = None  # the header of the submission

    @field_validator("test_sha256", mode="before")
    @classmethod
    def _matches_no_file(cls, value: object) -> str:
        """Let what is no hash match no file: as absent it would keep the test from being compared."""
        return value if isinstance(value, str) else "" if value is None else repr(value)

    @property
    def settings(self) -> dict[str, object]:
        """Every setting by its dotted name."""
        return flat(self.config)

    @property
    def state(self) -> tuple[str, str]:
        """How it ended, in a word, and the reason where it failed."""
        word, _, reason = self.ended.partition(":")
        return word.strip() or "unknown", " ".join(reason.split())


class Bin(Record):
    """One bin of the reliability diagram."""

    rows: Count = 0
    confidence: Share | None = None
    accuracy: Share | None = None


class Judged(Record):
    """Figures of rows that the models had not seen, as `kit.task.metrics.evaluate` gives them."""

    figures: Named[Number] = {}
    intervals: Named[tuple[Number, Number]] = {}
    confusion: Listed[tuple[Count, ...]] = ()
    reliability: Listed[Bin] = ()
    per_language: Named[Judged] = {}

    @model_validator(mode="before")
    @classmethod
    def _figures_stand_beside(cls, told: object) -> object:
        return {**told, "figures": told} if isinstance(told, dict) else told

    @field_validator("confusion")
    @classmethod
    def _square(cls, rows: tuple[tuple[int, ...], ...]) -> tuple[tuple[int, ...], ...]:
        return rows if all(len(row) == len(rows) for row in rows) else ()

    @property
    def rows(self) -> int:
        """How many rows the figures are of."""
        return int(self.figures.get("rows", 0))


class Step(Record):
    """One optimizer step, in metrics.json or as an event of the log; a loss that is none is None."""

    step: Number | None = None
    loss: Number | None = None
    learning_rate: Number | None = None
    seconds: Number | None = None


class Figures(Record):
    """metrics.json: the held-out figures, and each member's steps."""

    held_out: Judged = Judged()
    history: Named[list[object]] = {}


class Part(Record):
    """A run behind a blend."""

    run: str = ""
    weight: Number = 0.0


class Push(Record):
    """push.json, dry-run.json or made.json: what was pushed, run or averaged at home, where, when and why."""

    owner: str = ""
    url: str = ""
    sha256: str = ""
    commit: str = ""
    dirty: bool = False
    pushed_at: str = ""
    note: str = ""
    config: dict[str, object] = {}
    members: Listed[Part] = ()


class Submission(Record):
    """submission.json: what the leaderboard said."""

    public_score: Annotated[float, Field(allow_inf_nan=False)] | None = None


R = TypeVar("R", bound=Record)


def read(kind: type[R], path: Path, *, needed: bool = False) -> R:
    """Return what a run's file says; raises InputInvalid if damaged, or `needed` and missing."""
    try:
        value = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        if needed:
            raise InputInvalid(f"{path} is missing", hint="make pull, or make dry-run") from None
        return kind()
    except (OSError, ValueError, RecursionError) as error:
        raise InputInvalid(f"{path} cannot be read: {str(error)[:200]}", hint="make pull") from None
    if not isinstance(value, dict):
        raise InputInvalid(f"{path}: not an object but {type(value).__name__}", hint="make pull")
    if (schema := value.get("schema")) != SCHEMA:
        what = f"{path}: schema {str(schema)[:20]}, and this kit reads {SCHEMA}"
        raise InputInvalid(what, hint="git checkout of the commit that made the run")
    return kind.model_validate(value)


def read_push(folder: Path) -> Push | None:
    """Return what push.json says of a run, or dry-run.json of one that was made at home."""
    told = (folder / name for name in ("push.json", DRY_RUN))
    return next((read(Push, path) for path in told if path.exists()), None)


def read_competition(path: Path, config: Mapping[str, object]) -> Competition:
    """Return what a run was asked; raises InputInvalid where its settings do not say it."""
    try:
        return Competition.model_validate(config["competition"])
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:300]
        raise InputInvalid(f"{path}: no config of a run: {reason}", hint="make pull") from None


def table_rows(path: Path, needed: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the line and the values by column of each row of a run's csv. Raises InputInvalid."""
    records = csv_file.read(path).records()
    _, header = next(records, (0, []))
    csv_file.positions(path, header, needed)
    for line, fields in records:
        if len(fields) != len(header):
            what = f"{len(fields)} fields under a header of {len(header)}"
            raise InputInvalid(f"{path}:{line}: {what}", hint="make pull")
        yield line, dict(zip(header, fields, strict=True))


def events(path: Path, last: int = LARGEST) -> list[Mapping[str, object]]:
    """Return the event lines of a log's `last` bytes, in their order; none where no log was kept."""
    if not path.exists():
        return []
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - last))
            lines = file.read().decode("utf-8", errors="replace").split("\n")
    except OSError as error:
        raise InputInvalid(f"{path} cannot be read: {error.strerror}", hint="make pull") from None
    return [event for line in lines if (event := progress.event(line)) is not None]


def flat(values: Mapping[str, object], prefix: str = "") -> dict[str, object]:
    """Return nested values by their dotted names."""
    by_name: dict[str, object] = {}
    for name, value in values.items():
        by_name |= flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {prefix + name: value}
    return by_name
