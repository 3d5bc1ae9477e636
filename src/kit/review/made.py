"""Write the folder of a run that no kernel made, a blend or a baseline, so that every verb takes it.

Its made.json is what a submission needs in place of push.json. It computes nothing.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from kit import files
from kit.config import Competition
from kit.outputs import MADE, SCHEMA
from kit.review import results
from kit.task import submission
from kit.task.submission import Columns

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True, kw_only=True)
class Made:
    """Answers and how they do on held-out rows; a blend without shared ones has an empty `oof`."""

    name: str  # the folder's name
    competition: Competition
    config: Mapping[str, object]  # the settings that still say something; with the name of the preset
    predictions: DataFrame
    oof: DataFrame
    test_sha256: str
    columns: Columns | None  # the header of the submission
    members: Sequence[Mapping[str, object]] = ()  # what was averaged: run, weight, bundle_hash
    owner: str = ""
    url: str = ""  # of a kernel behind it; it tells whether it belongs to Kaggle or to a rehearsal

    @cached_property
    def held_out(self) -> Mapping[str, object] | None:
        """The metrics of `oof`."""
        return results.judge(self.oof, self.competition.labels) if len(self.oof) else None


def write(made: Made, root: Path) -> Path:
    """Write the folder below `root` in one step; if the disk refuses, with an error, an earlier one stays."""
    folder, staged = root / made.name, root / f".{made.name}.part"
    table, ids = made.predictions, made.predictions["id"].tolist()
    header = made.columns and vars(made.columns)
    run = {"config": made.config, "test_ids": ids, "submission": header, "ended": "complete"}
    run["test_sha256"] = made.test_sha256 or None
    try:
        shutil.rmtree(staged, ignore_errors=True)
        submission.write(staged / "submission.csv", ids, table, made.competition, made.columns)
        for name, rows in (("predictions.csv", table), ("oof.csv", made.oof)):
            if len(rows):
                text = rows.to_csv(index=False, float_format="%.6f", lineterminator="\n")
                files.write_whole(staged / name, text)
        pushed = {
            "slug": made.name,
            "owner": made.owner,
            "version": 0,
            "url": made.url,
            "bundle_hash": "",
            "members": made.members,
            "config": {"data": {"test_rows": 0}, **made.config},
            "sha256": files.sha256_of(staged / "submission.csv"),
        }
        for name, told in (("metrics.json", {"held_out": made.held_out}), ("run.json", run), (MADE, pushed)):
            files.write_json(staged / name, {"schema": SCHEMA, **told})
        files.replace_folder(staged, folder)
    finally:
        shutil.rmtree(staged, ignore_errors=True)
    return folder
