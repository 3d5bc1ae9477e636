"""Decide which members a run has: their seeds, which rows each learns from and which it is judged on.

Rows are named by keys, `train/<id>` and `test/<id>`, since both files may number theirs from 1.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kit import files
from kit.config import Config, load, point
from kit.errors import InputInvalid
from kit.task import folds, rows

if TYPE_CHECKING:
    from pandas import DataFrame


NOT_DECIDING = (
    *("competition.kind", "competition.rerun_minutes", "train.checkpoint_"),
    *("model.layers", "model.width"),  # of the weights, which have a revision
)
"""Settings that change no answer, by how their names begin."""


@dataclass(frozen=True)
class Member:
    """One model that is trained and answers; `fold` and `point` (of a sweep) are None where there is none."""

    name: str
    seed: int
    fold: int | None
    point: int | None
    settings: str
    """What its point changes, `name=value` by spaces."""
    fit: list[str]
    held_out: list[str]


def keys(frame: DataFrame, kind: str) -> list[str]:
    """Return the keys of a frame's rows; `kind` is "train" or "test"."""
    return [f"{kind}/{row_id}" for row_id in frame["id"]]


def members(config: Config, train: DataFrame) -> list[Member]:
    """Return every member of a run, those of a sweep point by point; all points hold out the same rows."""
    if not config.run.grid:
        return _members(config, train, config.evaluate.seed)
    found = []
    for number, text in enumerate(config.run.grid):
        found += _members(point(config, text), train, config.evaluate.seed, number, text)
    return found


def settings_of(config: Config, member: Member) -> Config:
    """Return the settings that a member is trained with."""
    return point(config, member.settings) if member.settings else config


def deal(names: list[str], slots: int) -> list[list[str]]:
    """Return the members of each slot, dealt out in turn; never an empty slot."""
    used = max(1, min(slots, len(names)))
    return [names[slot::used] for slot in range(used)]


def differs(earlier: Mapping[str, object], config: Config, *, only_answers: bool = False) -> str:
    """Return the first setting in which an earlier run's members would differ from this run's, or nothing.

    With `only_answers` the members are to answer again, and how and which rows may differ.
    """
    before, now = (
        {**_deciding(each), "run.members": each.run.members, "run.grid": each.run.grid}
        for each in (load(earlier, where="the earlier run's settings"), config)
    )
    for name, value in now.items():
        may_differ = only_answers and name.startswith(("predict.", "data.test_rows"))
        if before[name] != value and not may_differ:
            return f"{name} was {before[name]!r}, now {value!r}"
    return ""


def identity(config: Config, member: Member, rows_by_key: Mapping[str, object], revision: str) -> str:
    """Return the hash of all that decides a member's answers: settings, rows in their order, base model."""
    asked = [key for key in rows_by_key if key.startswith("test/")]
    named = [[rows_by_key[key] for key in keys] for keys in (member.fit, member.held_out, asked)]
    decides = [_deciding(settings_of(config, member)), member.seed, member.fold, revision, named]
    return files.sha256_of(json.dumps(decides, sort_keys=True))


def _deciding(config: Config) -> dict[str, object]:
    """Return the settings that decide an answer; where and how it runs, and checkpoints, do not."""
    values = config.model_dump(mode="json")
    sections = ("competition", "data", "model", "lora", "prompt", "train", "predict", "evaluate")
    return {"seed": config.seed} | {
        f"{section}.{name}": value
        for section in sections
        for name, value in values[section].items()
        if not f"{section}.{name}".startswith(NOT_DECIDING)
    }


def _members(
    config: Config, train: DataFrame, split_seed: int, number: int | None = None, text: str = ""
) -> list[Member]:
    seeds = range(config.seed, config.seed + config.run.members)
    prefix = "" if number is None else f"point-{number}-"
    every = keys(train, "train")
    if config.evaluate.mode != "folds":
        held_out: list[str] = []
        if config.evaluate.mode == "holdout":
            held_out = keys(rows.split(train, config.evaluate.holdout, split_seed)[1], "train")
        fit = [key for key in every if key not in set(held_out)]
        return [Member(f"{prefix}seed-{seed}", seed, None, number, text, fit, held_out) for seed in seeds]
    fold_of = folds.folds(
        train, config.evaluate.folds, split_seed, group_duplicates=config.evaluate.group_duplicates
    )
    found = []
    for fold in range(config.evaluate.folds):
        held_out = [key for key, its in zip(every, fold_of, strict=True) if its == fold]
        fit = [key for key, its in zip(every, fold_of, strict=True) if its != fold]
        for seed in seeds:
            suffix = f"-seed-{seed}" if config.run.members > 1 else ""
            found.append(Member(f"{prefix}fold-{fold}{suffix}", seed, fold, number, text, fit, held_out))
    return found


def refuse_missing_labels(members: list[Member], train: DataFrame, labels: tuple[str, ...]) -> None:
    """Raise InputInvalid where a member would never see one of the labels."""
    label_by_key = dict(zip(keys(train, "train"), train["label"], strict=True))
    for member in members:
        missing = set(labels) - {label_by_key[key] for key in member.fit}
        if missing:
            raise InputInvalid(
                f"member {member.name} would learn from no row labelled {sorted(missing)!r}",
                hint="more rows, or SET=evaluate.mode=none",
            )
