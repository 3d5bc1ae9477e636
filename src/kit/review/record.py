"""What run.json, metrics.json, push.json and submission.json say, frozen; only this knows their names.

It judges nothing. A value of another kind than a run writes counts as absent: damage costs its own figure.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict

from kit.config import Competition
from kit.errors import InputInvalid
from kit.outputs import DRY_RUN

SCHEMA = 1
LARGEST = 1e15
"""Beyond it nothing that a run measures lies, seconds and bytes included; an axis could not hold it."""


def number(value: object) -> float | None:
    """Return a number that a run can mean, or None for anything else; text counts where it spells one."""
    try:
        read = float(value) if isinstance(value, int | float | str) else math.nan
    except (ValueError, OverflowError):
        return None
    return read if abs(read) <= LARGEST else None


def _count(value: object) -> int | None:
    read = number(value)
    return None if read is None else int(read)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def items(value: object) -> list[object]:
    """Return a list's items; nothing for anything else."""
    return list(value) if isinstance(value, list | tuple) else []


def table(value: object) -> dict[str, object]:
    """Return an object's values by name; nothing for anything else."""
    return dict(value) if isinstance(value, Mapping) else {}


def _texts(value: object) -> list[str]:
    return [one for one in items(value) if isinstance(one, str)]


def _numbers(value: object) -> dict[str, float]:
    read = {name: number(one) for name, one in table(value).items() if not isinstance(one, str)}
    return {name: one for name, one in read.items() if one is not None}


def _objects(value: object) -> list[object]:
    return [one for one in items(value) if isinstance(one, Mapping)]


def _intervals(value: object) -> dict[str, tuple[float, float]]:
    read = {name: [number(end) for end in items(ends)] for name, ends in table(value).items()}
    return {
        name: (ends[0], ends[1])
        for name, ends in read.items()
        if len(ends) == 2 and ends[0] is not None and ends[1] is not None
    }


def _square(value: object) -> list[list[int]]:
    """Return a matrix of counts, and none where it has rows of several lengths."""
    rows = [[int(number(cell) or 0) for cell in items(row)] for row in items(value)]
    return rows if all(len(row) == len(rows) for row in rows) else []


Number = Annotated[float | None, BeforeValidator(number)]
Count = Annotated[int | None, BeforeValidator(_count)]
Text = Annotated[str, BeforeValidator(_text)]
Texts = Annotated[tuple[str, ...], BeforeValidator(_texts)]
Numbers = Annotated[dict[str, float], BeforeValidator(_numbers)]
TextByName = Annotated[
    dict[str, str], BeforeValidator(lambda value: {name: str(one) for name, one in table(value).items()})
]
Table = Annotated[dict[str, object], BeforeValidator(table)]


class Record(BaseModel):
    """Something that a file of a run tells; every field has what stands for its absence."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Card(Record):
    """One GPU."""

    name: Text = ""


class Precision(Record):
    """The number format and why it was chosen."""

    dtype: Text = ""
    reason: Text = ""


class Member(Record):
    """One trained model."""

    name: Text = "?"
    slot: Annotated[int, BeforeValidator(lambda value: _count(value) or 0)] = 0
    settings: Text = ""
    stopped: Text = ""
    notes: Texts = ()
    step: Count = None
    train_tokens: Count = None
    bins: Count = None
    peak_memory_bytes: Number = None
    timings: Numbers = {}


class Run(Record):
    """run.json: the settings, the machine, the members, and how it ended."""

    ended: Text = ""
    bundle_hash: Text = ""
    config: Table = {}
    cards: Annotated[tuple[Card, ...], BeforeValidator(_objects)] = ()
    precision: Annotated[Precision, BeforeValidator(table)] = Precision()
    loader: Text = ""
    timings: Numbers = {}
    train_rows: Numbers = {}
    share_of_train_seen: Number = None
    versions: TextByName = {}
    ranks: Count = None
    notes: Texts = ()
    answered_by: Texts = ()
    unreached: Texts = ()
    failed: TextByName = {}
    """Why a member is missing, by its name."""
    left: Table = {}
    """Rows of a file that were left out, by the file's name."""
    members: Annotated[tuple[Member, ...], BeforeValidator(_objects)] = ()
    test_sha256: Text = ""
    submission: Table = {}
    """The header of the submission."""

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

    rows: Count = None
    confidence: Number = None
    accuracy: Number = None


class Language(Record):
    """The figures of one language's rows."""

    rows: Count = None
    accuracy: Number = None
    macro_f1: Number = None
    log_loss: Number = None
    intervals: Annotated[dict[str, tuple[float, float]], BeforeValidator(_intervals)] = {}


class Judged(Record):
    """Figures of rows that the models had not seen."""

    figures: Numbers
    intervals: Annotated[dict[str, tuple[float, float]], BeforeValidator(_intervals)] = {}
    confusion: Annotated[tuple[tuple[int, ...], ...], BeforeValidator(_square)] = ()
    reliability: Annotated[tuple[Bin, ...], BeforeValidator(_objects)] = ()
    per_language: Annotated[
        dict[str, Language],
        BeforeValidator(lambda value: {code: table(one) for code, one in table(value).items()}),
    ] = {}

    @property
    def rows(self) -> int:
        """How many rows the figures are of."""
        return int(self.figures.get("rows", 0))


def judged(figures: object) -> Judged | None:
    """Return what `kit.task.metrics.evaluate` gave, or None where nothing was judged."""
    told = table(figures)
    return Judged.model_validate({**told, "figures": told}) if told else None


class Figures(Record):
    """metrics.json: the held-out figures, and each member's steps."""

    metric: Text = ""
    held_out: Annotated[Judged | None, BeforeValidator(judged)] = None
    history: Table = {}


class Push(Record):
    """push.json, or dry-run.json: what was pushed or run at home, where, when and why."""

    slug: Text = ""
    owner: Text = ""
    version: Count = None
    url: Text = ""
    sha256: Text = ""
    commit: Text = ""
    dirty: bool | None = None
    pushed_at: Text = ""
    note: Text = ""


class Submission(Record):
    """submission.json: what the leaderboard said."""

    public_score: Number = None


def read_object(path: Path, *, needed: bool = False) -> dict[str, object]:
    """Return the object of a run's file; raises InputInvalid where it is damaged, or `needed` and missing."""
    try:
        value = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        if needed:
            raise InputInvalid(f"{path} is missing", hint="make pull, or make dry-run") from None
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise InputInvalid(f"{path} cannot be read: {str(error)[:200]}", hint="make pull") from None
    if not isinstance(value, dict):
        raise InputInvalid(f"{path}: not an object but {type(value).__name__}", hint="make pull")
    if value.get("schema") != SCHEMA:
        raise InputInvalid(
            f"{path}: schema {str(value.get('schema'))[:20]}, and this kit reads {SCHEMA}",
            hint="git checkout of the commit that made the run",
        )
    return value


def read_push(folder: Path) -> dict[str, object]:
    """Return what push.json says of a run, or dry-run.json of one that was made at home."""
    return read_object(folder / "push.json") or read_object(folder / DRY_RUN)


def read_competition(path: Path, config: Mapping[str, object]) -> Competition:
    """Return what a run was asked; raises InputInvalid where its settings do not say it."""
    try:
        return Competition.model_validate(config["competition"])
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:300]
        raise InputInvalid(f"{path}: no config of a run: {reason}", hint="make pull") from None


def flat(values: Mapping[str, object], prefix: str = "") -> dict[str, object]:
    """Return nested values by their dotted names."""
    by_name: dict[str, object] = {}
    for name, value in values.items():
        by_name |= flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {prefix + name: value}
    return by_name
