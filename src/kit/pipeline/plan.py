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
    every, found = keys(train, "train"), []
    for number, text in enumerate(config.run.grid or [""]):
        chosen = point(config, text) if text else config
        for fold, held_out in _held_out(chosen, train, every, config.evaluate.seed).items():
            fit = [key for key in every if key not in held_out]
            for seed in range(chosen.seed, chosen.seed + chosen.run.members):
                parts = [f"point-{number}"] * bool(text) + [f"fold-{fold}"] * (fold is not None)
                parts += [f"seed-{seed}"] * (fold is None or chosen.run.members > 1)
                held = [key for key in every if key in held_out]
                at = number if text else None
                found.append(Member("-".join(parts), seed, fold, at, text, fit, held))
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


def _held_out(config: Config, train: DataFrame, every: list[str], seed: int) -> dict[int | None, set[str]]:
    """Return the keys that each fold holds out; the only one is called None where there are no folds."""
    settings = config.evaluate
    if settings.mode == "folds":
        fold_of = folds.folds(train, settings.folds, seed, group_duplicates=settings.group_duplicates)
        return {
            fold: {key for key, its in zip(every, fold_of, strict=True) if its == fold}
            for fold in range(settings.folds)
        }
    if settings.mode == "holdout":
        return {None: set(keys(rows.split(train, settings.holdout, seed)[1], "train"))}
    return {None: set()}


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
