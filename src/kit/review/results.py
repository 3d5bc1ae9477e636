"""Read what a run left into one record, for everything that judges runs: report, compare, blend, ledger.

It checks that the files are what a run writes, and judges no answer. What a run may lack is empty here.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kit import files, progress
from kit.config import Competition
from kit.errors import InputInvalid, KitError
from kit.task import csv_file, rows

if TYPE_CHECKING:
    import numpy
    from pandas import DataFrame

SCHEMA = 1
LOG_NAME = "kernel.log"
PREDICTIONS = ("id", "language", "label", "source")
OOF = ("id", "language", "fold", "label", "predicted", "source")
"""Columns before the probabilities and the completion."""
ANSWERS = ("label", "predicted")
SCORED = ("score", "")
"""Sources of a row's probabilities that are the model's own; other rows hold certain votes."""


@dataclass(frozen=True)
class Results:
    """One run's folder. The dicts hold the JSON files as they stand, empty where there is none."""

    folder: Path
    run: dict[str, Any]
    metrics: dict[str, Any]
    """Empty only where `read` was told that it may be missing."""
    predictions: DataFrame | None
    """`id, language, label, source, probability_<label>…, completion` of the test rows."""
    oof: DataFrame | None
    """The held-out rows: as `predictions`, but `label` is the truth, beside `predicted` and `fold`."""
    push: dict[str, Any]
    pull: dict[str, Any]
    submission: dict[str, Any]
    events: tuple[dict[str, Any], ...]
    """The event lines of the log, in their order; none where no log was kept."""

    @property
    def name(self) -> str:
        """`<slug>/v<N>` of a pushed run, else the folder's name."""
        return f"{self.folder.parent.name}/{self.folder.name}" if self.push else self.folder.name

    @property
    def config(self) -> dict[str, Any]:
        """The settings that the run was given; an older run may lack some of today's."""
        config: dict[str, Any] = self.run["config"]
        return config

    @property
    def competition(self) -> Competition:
        """What the run was asked."""
        return Competition.model_validate(self.config["competition"])

    @property
    def labels(self) -> tuple[str, ...]:
        """Every label, in the order of the probabilities."""
        return tuple(self.config["competition"]["labels"])

    @property
    def held_out(self) -> dict[str, Any] | None:
        """The figures on rows that the models had not seen, or None where the run judged itself on none."""
        return self.metrics.get("held_out")


def read(folder: Path, *, whole: bool = True) -> Results:
    """Return the record of the run in `folder`.

    Without `whole` metrics.json may be missing, as a run that failed has none. Raises InputInvalid where
    run.json or metrics.json is missing or of an unknown schema, or a csv is not what a run writes.
    """
    folder = folder.resolve()
    run = _read_json(folder / "run.json", needed=True)
    _check_config(folder / "run.json", run)
    try:
        metrics = _read_json(folder / "metrics.json", needed=whole)
    except InputInvalid as error:
        raise _with_end(error, run) from None
    labels = tuple(run["config"]["competition"]["labels"])
    return Results(
        folder=folder,
        run=run,
        metrics=metrics,
        predictions=_read_table(folder / "predictions.csv", labels, PREDICTIONS),
        oof=_read_table(folder / "oof.csv", labels, OOF),
        push=_read_json(folder / "push.json"),
        pull=_read_json(folder / "pull.json"),
        submission=_read_json(folder / "submission.json"),
        events=tuple(_read_events(folder / LOG_NAME)),
    )


def probabilities(table: DataFrame, labels: Sequence[str]) -> numpy.ndarray | None:
    """Return the probabilities of predictions or oof, rows x labels; None where texts were parsed.

    A parsed text is a certain vote, and one certain mistake would drown every other row of a log loss.
    """
    return votes(table, labels) if table["source"].isin(SCORED).all() else None


def votes(table: DataFrame, labels: Sequence[str]) -> numpy.ndarray:
    """Return rows x labels, in which a parsed text stands as a certain vote."""
    values: numpy.ndarray = table[[f"probability_{label}" for label in labels]].to_numpy(dtype=float)
    return values


def shared_held_out(runs: Sequence[Results]) -> list[DataFrame]:
    """Return each run's `oof` on the rows that all of them held out, in the order of the first run.

    The tables are empty where no row is shared, and where a run kept none. Raises InputInvalid where the runs
    have other labels or name another truth for a row.
    """
    from pandas import DataFrame

    first = runs[0]
    for other in runs[1:]:
        if set(other.labels) != set(first.labels):
            raise InputInvalid(
                f"{first.name} has the labels {first.labels!r}, {other.name} {other.labels!r}",
                hint="runs of one competition",
            )
    tables = [one.oof for one in runs if one.oof is not None]
    if len(tables) < len(runs):
        return [DataFrame({"id": []}) for _ in runs]
    shared = set.intersection(*(set(table["id"]) for table in tables))
    ids = [name for name in tables[0]["id"] if name in shared]
    aligned = [table.set_index("id", drop=False).loc[ids].reset_index(drop=True) for table in tables]
    for run, table in zip(runs, aligned, strict=True):
        differing = (table["label"] != aligned[0]["label"]).to_numpy()
        if differing.any():
            row = int(differing.argmax())
            here, there = aligned[0]["label"][row], table["label"][row]
            raise InputInvalid(
                f"the truth of row {ids[row]!r} is {here!r} in {first.name} and {there!r} in {run.name}",
                hint="runs of one train.csv",
            )
    return aligned


def data_folder(results: Results, places: Sequence[Path]) -> Path | None:
    """Return the one of `places` whose test.csv is the file that the run answered, by its sha256."""
    wanted = results.run.get("test_sha256")
    for place in places:
        if (place / "test.csv").is_file() and files.sha256_of(place / "test.csv") == wanted:
            return place
    return None


def training_rows(results: Results, data: Path) -> DataFrame:
    """Return the rows of train.csv that the run worked with: `id, text, language?, label`."""
    train, _ = rows.read(data / "train.csv", results.competition, labelled=True)
    return rows.sample(train, results.config.get("data", {}).get("train_rows", 0), results.config["seed"])


def _with_end(error: InputInvalid, run: dict[str, Any]) -> InputInvalid:
    """Say how the run ended, where that is why a file is missing."""
    ended = str(run.get("ended", ""))
    if ended in ("", "complete"):
        return error
    return InputInvalid(f"{error.message}; the run {' '.join(ended.split())}", hint=error.hint)


def _read_json(path: Path, *, needed: bool = False) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        if needed:
            raise InputInvalid(f"{path} is missing", hint="make pull, or make dry-run") from None
        return {}
    except (OSError, ValueError) as error:
        raise InputInvalid(f"{path} cannot be read: {error}", hint="make pull") from None
    if not isinstance(found, dict):
        raise InputInvalid(f"{path}: not an object but {type(found).__name__}", hint="make pull")
    if found.get("schema") != SCHEMA:
        raise InputInvalid(
            f"{path}: schema {found.get('schema')!r}, and this kit reads {SCHEMA}",
            hint="git checkout of the commit that made the run",
        )
    return found


def _check_config(path: Path, run: dict[str, Any]) -> None:
    try:
        Competition.model_validate(run["config"]["competition"])
    except (KeyError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise InputInvalid(f"{path}: no config of a run: {reason}", hint="make pull") from None


def _read_table(path: Path, labels: Sequence[str], names: Sequence[str]) -> DataFrame | None:
    """Return a csv of answers, or None where there is none; of `names` only id and labels must be there."""
    from pandas import DataFrame

    if not path.is_file():
        return None
    probability = [f"probability_{label}" for label in labels]
    answers = [name for name in names if name in ANSWERS]
    records = csv_file.records(path)
    _, header = next(records, (0, []))
    at = csv_file.positions(path, header, ["id", *answers, *probability])
    columns: dict[str, list[Any]] = {name: [] for name in [*names, *probability, "completion"]}
    seen: set[str] = set()
    for line, fields in records:
        if len(fields) != len(header):
            raise InputInvalid(
                f"{path}:{line}: {len(fields)} fields under a header of {len(header)}", hint="make pull"
            )
        row = {name: fields[at[name]] if name in at else "" for name in columns}
        _check_row(f"{path}:{line}", row, answers, labels, seen)
        for name, value in row.items():
            columns[name].append(value)
    if not seen:
        raise InputInvalid(f"{path}: a header and no rows", hint="make pull")
    for name in probability:
        columns[name] = [float(text) for text in columns[name]]
    return DataFrame(columns)


def _check_row(
    where: str, row: dict[str, str], answers: Sequence[str], labels: Sequence[str], seen: set[str]
) -> None:
    """Raise InputInvalid for an id that was `seen`, a label outside the set, or what is no probability."""
    if row["id"] in seen:
        raise InputInvalid(f"{where}: id {row['id']!r} stands there twice", hint="make pull")
    seen.add(row["id"])
    for name in answers:
        if row[name] not in labels:
            allowed = ", ".join(map(repr, labels))
            raise InputInvalid(f"{where}: {name} {row[name]!r} is not one of {allowed}", hint="make pull")
    for label in labels:
        text = row[f"probability_{label}"]
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not 0 <= value <= 1:
            raise InputInvalid(f"{where}: probability_{label} is {text!r}, no probability", hint="make pull")


def _read_events(path: Path) -> Iterator[dict[str, Any]]:
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise KitError(f"{path} cannot be read: {error.strerror}", hint="make pull") from None
    for line in lines:
        found = progress.event(line)
        if found is not None:
            yield found
