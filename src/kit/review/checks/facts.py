"""Gather what a submission is checked against: the test's ids, the columns, the labels, the training shares.

It reads test.csv, sample_submission.csv, train.csv and a run's run.json, and judges nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kit.errors import InputInvalid
from kit.task import rows

if TYPE_CHECKING:
    from kit.config import Competition


@dataclass(frozen=True)
class Facts:
    """What a good submission holds. Ids are exact text, in the order of test.csv."""

    id: str
    """Name of the submission's first column."""
    label: str
    """Name of its second column."""
    labels: tuple[str, ...]
    ids: Sequence[str]
    """The test ids that must be answered."""
    languages: Sequence[str] = ()
    """Language of each of those, or empty."""
    left_out: int = 0
    """Test rows that the run was not asked to answer."""
    sample_ids: Sequence[str] | None = None
    """Ids of sample_submission.csv, or None where there is none."""
    sample_is_stale: bool = False
    """Whether those are not the ids of test.csv."""
    training: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Training rows by language and label; empty where train.csv is not at hand."""


@dataclass(frozen=True)
class Asked:
    """What run.json says about the rows that the run answered."""

    test_sha256: str | None = None
    test_ids: tuple[str, ...] | None = None


def asked_of(run: Path) -> Asked:
    """Return what a run was asked, by its run.json; nothing where it has none. Raises InputInvalid."""
    path = run / "run.json"
    if not path.is_file():
        return Asked()
    try:
        record = json.loads(path.read_bytes())
    except ValueError as error:
        raise InputInvalid(f"{path}: not JSON: {error}", hint="make pull") from None
    if not isinstance(record, dict):
        raise InputInvalid(f"{path}: not an object but {type(record).__name__}", hint="make pull")
    ids = record.get("test_ids")
    sha256 = record.get("test_sha256")
    if not isinstance(sha256, str | None) or not (ids is None or _is_text(ids)):
        raise InputInvalid(f"{path}: test_sha256 is no text or test_ids no list of texts", hint="make pull")
    return Asked(sha256, None if ids is None else tuple(ids))


def sha256_of(path: Path) -> str:
    """Return a file's SHA-256 in hexadecimal. Raises InputInvalid where it cannot be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise InputInvalid(f"{path} cannot be read: {error.strerror}", hint="make data") from None


def gather(
    competition: Competition,
    test: Path,
    *,
    sample: Path | None = None,
    train: Path | None = None,
    labels: Sequence[str] = (),
    asked: Asked | None = None,
) -> Facts:
    """Return the facts; `labels` and the header of `sample` win over the competition's settings.

    Raises InputInvalid where a file is missing or malformed, or is not the test that the run answered.
    """
    asked = asked or Asked()
    if asked.test_sha256 and sha256_of(test) != asked.test_sha256:
        raise InputInvalid(
            f"{test} is not the file that the run answered: its sha256 is {sha256_of(test)[:12]}…, "
            f"run.json has {asked.test_sha256[:12]}…",
            hint="make data, or --test with the file of that run",
        )
    columns = (competition.id, competition.label)
    sample_ids = None
    if sample is not None:
        columns, sample_ids = _read_sample(sample, competition)
    languages = [competition.language] if competition.language else []
    ids, *spoken = _read_columns(test, [competition.id], languages)
    known = set(ids)
    if len(known) != len(ids):
        twice = next(name for name, count in Counter(ids).items() if count > 1)
        raise InputInvalid(f"{test}: id {twice!r} stands there twice", hint="make data")
    stale = sample_ids is not None and set(sample_ids) != known
    kept = _kept(test, ids, asked)
    return Facts(
        id=columns[0],
        label=columns[1],
        labels=tuple(labels) or competition.labels,
        ids=[ids[position] for position in kept] if kept else ids,
        languages=[spoken[0][position] for position in kept] if kept and spoken else (*spoken, ())[0],
        left_out=len(ids) - len(kept) if kept else 0,
        sample_ids=sample_ids,
        sample_is_stale=stale,
        training=_read_training(train, competition) if train is not None else Counter(),
    )


def _kept(test: Path, ids: Sequence[str], asked: Asked) -> list[int]:
    """Return the positions of the test rows that were asked for, or nothing where all were."""
    if asked.test_ids is None:
        return []
    position_by_id = {name: position for position, name in enumerate(ids)}
    foreign = [name for name in asked.test_ids if name not in position_by_id]
    if foreign:
        raise InputInvalid(
            f"{len(foreign)} test_ids of run.json are not in {test}, the first is {foreign[0]!r}",
            hint="make data",
        )
    if not asked.test_ids:
        raise InputInvalid("run.json says that the run was asked for no test row", hint="make pull")
    return sorted({position_by_id[name] for name in asked.test_ids})


def _read_sample(path: Path, competition: Competition) -> tuple[tuple[str, str], list[str]]:
    records = rows.records(path)
    _, header = next(records, (0, []))
    if len(header) != 2:
        raise InputInvalid(
            f"{path}:1: {len(header)} columns; a submission of this kind has an id and a label",
            hint="make data",
        )
    first, second = reversed(header) if header[1] == competition.id else header
    at = header.index(first)
    return (first, second), [fields[at] for _, fields in records if len(fields) == 2]


def _read_training(path: Path, competition: Competition) -> Counter[tuple[str, str]]:
    languages = [competition.language] if competition.language else []
    labels, *spoken = _read_columns(path, [competition.label], languages)
    return Counter(zip(spoken[0] if spoken else [""] * len(labels), labels, strict=True))


def _read_columns(path: Path, wanted: Sequence[str], optional: Sequence[str]) -> list[list[str]]:
    """Return the values of the wanted columns and of those optional ones that are there."""
    records = rows.records(path)
    _, header = next(records, (0, []))
    position_by_column = rows.positions(path, header, wanted)
    places = [position_by_column[name] for name in [*wanted, *optional] if name in position_by_column]
    width = len(header)
    columns: list[list[str]] = [[] for _ in places]
    for line, fields in records:
        if len(fields) != width:
            raise InputInvalid(
                f"{path}:{line}: {len(fields)} fields under a header of {width}", hint="make data"
            )
        for column, place in zip(columns, places, strict=True):
            column.append(fields[place])
    if not columns[0]:
        raise InputInvalid(f"{path}: a header and no rows", hint="make data")
    return columns


def _is_text(values: Any) -> bool:
    return isinstance(values, list) and all(isinstance(value, str) for value in values)
