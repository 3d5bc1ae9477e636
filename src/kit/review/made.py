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
from kit.errors import KitError
from kit.outputs import MADE
from kit.review.record import SCHEMA
from kit.task import submission
from kit.task.submission import Columns

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True)
class Made:
    """Answers and how they do on held-out rows."""

    name: str
    """The folder's name."""
    competition: Competition
    config: Mapping[str, object]
    """The settings that still say something; with the name of the preset."""
    predictions: DataFrame
    oof: DataFrame | None
    held_out: Mapping[str, object] | None
    """The metrics of `oof`."""
    test_sha256: str = ""
    columns: Columns | None = None
    """The header of the submission."""
    members: Sequence[Mapping[str, object]] = ()
    """What was averaged: run, weight, bundle_hash."""
    owner: str = ""
    url: str = ""
    """Of a kernel behind it; it tells whether it belongs to Kaggle or to a rehearsal."""


def write(made: Made, root: Path) -> Path:
    """Write the folder below `root`, in the place of an earlier one in one step; return it.

    Raises KitError where the disk refuses; nothing is left then, and an earlier folder is as it was.
    """
    folder, staged = root / made.name, root / f".{made.name}.part"
    table = made.predictions
    try:
        shutil.rmtree(staged, ignore_errors=True)
        submission.write(
            staged / "submission.csv", table["id"].tolist(), table, made.competition, made.columns
        )
        _write_csv(staged / "predictions.csv", table)
        if made.oof is not None and len(made.oof):
            _write_csv(staged / "oof.csv", made.oof)
        files.write_json(staged / "metrics.json", _metrics(made))
        files.write_json(staged / "run.json", _record(made))
        files.write_json(staged / MADE, _origin(made, files.sha256_of(staged / "submission.csv")))
        files.replace_folder(staged, folder)
    except OSError as error:
        raise KitError(f"{folder} cannot be written: {error.strerror}", hint="df -h") from error
    finally:
        shutil.rmtree(staged, ignore_errors=True)
    return folder


def _metrics(made: Made) -> dict[str, object]:
    counts = {name: made.predictions[name].value_counts().to_dict() for name in ("label", "source")}
    test = {"rows": len(made.predictions), "labels": counts["label"], "sources": counts["source"]}
    told = {"metric": made.competition.metric, "held_out": made.held_out, "test": test, "history": {}}
    return {"schema": SCHEMA, **told}


def _record(made: Made) -> dict[str, object]:
    columns = made.columns
    return {
        "schema": SCHEMA,
        "bundle_hash": "",
        "config": dict(made.config),
        "test_sha256": made.test_sha256 or None,
        "test_ids": made.predictions["id"].tolist(),
        **({"submission": vars(columns)} if columns else {}),
        "ended": "complete",
    }


def _origin(made: Made, sha256: str) -> dict[str, object]:
    return {
        "schema": SCHEMA,
        "slug": made.name,
        "owner": made.owner,
        "version": 0,
        "url": made.url,
        "bundle_hash": "",
        "sha256": sha256,
        "members": list(made.members),
        "config": {"data": {"test_rows": 0}, **made.config},
    }


def _write_csv(path: Path, table: DataFrame) -> None:
    files.write_whole(path, table.to_csv(index=False, float_format="%.6f", lineterminator="\n"))
