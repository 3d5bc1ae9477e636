"""Write the folder of a run that no kernel made, a blend or a baseline, so that every verb takes it.

Its made.json is what a submission needs in place of push.json. It computes nothing.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kit import files
from kit.config import Competition
from kit.outputs import MADE, SCHEMA
from kit.task import submission
from kit.task.submission import Columns

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True, kw_only=True)
class Made:
    """Answers and how they do on held-out rows; a blend without shared ones has an empty `oof`."""

    name: str
    """The folder's name."""
    competition: Competition
    config: Mapping[str, object]
    """The settings that still say something; with the name of the preset."""
    predictions: DataFrame
    oof: DataFrame
    held_out: Mapping[str, object] | None
    """The metrics of `oof`."""
    test_sha256: str
    columns: Columns | None
    """The header of the submission."""
    members: Sequence[Mapping[str, object]] = ()
    """What was averaged: run, weight, bundle_hash."""
    owner: str = ""
    url: str = ""
    """Of a kernel behind it; it tells whether it belongs to Kaggle or to a rehearsal."""


def write(made: Made, root: Path) -> Path:
    """Write the folder below `root`, in the place of an earlier one in one step; return it.

    Raises KitError or OSError where the disk refuses; an earlier folder is then as it was.
    """
    folder, staged = root / made.name, root / f".{made.name}.part"
    table = made.predictions
    counts = {name: table[name].value_counts().to_dict() for name in ("label", "source")}
    test = {"rows": len(table), "labels": counts["label"], "sources": counts["source"]}
    told: dict[str, Mapping[str, object]] = {
        "metrics.json": {
            "metric": made.competition.metric, "held_out": made.held_out, "test": test, "history": {},
        },
        "run.json": {
            "bundle_hash": "",
            "config": made.config,
            "test_sha256": made.test_sha256 or None,
            "test_ids": table["id"].tolist(),
            "submission": made.columns and vars(made.columns),
            "ended": "complete",
        },
        MADE: {
            "slug": made.name,
            "owner": made.owner,
            "version": 0,
            "url": made.url,
            "bundle_hash": "",
            "members": made.members,
            "config": {"data": {"test_rows": 0}, **made.config},
        },
    }  # fmt: skip
    try:
        shutil.rmtree(staged, ignore_errors=True)
        ids = table["id"].tolist()
        submission.write(staged / "submission.csv", ids, table, made.competition, made.columns)
        for name, rows in (("predictions.csv", table), ("oof.csv", made.oof)):
            if len(rows):
                text = rows.to_csv(index=False, float_format="%.6f", lineterminator="\n")
                files.write_whole(staged / name, text)
        proof = {"sha256": files.sha256_of(staged / "submission.csv")}
        for name, values in told.items():
            files.write_json(staged / name, {"schema": SCHEMA, **values, **(proof if name == MADE else {})})
        files.replace_folder(staged, folder)
    finally:
        shutil.rmtree(staged, ignore_errors=True)
    return folder
