"""Read what a run left into one record, for everything that judges runs: report, compare, blend, list.

It checks that the files are what a run writes, and judges no answer. What a run may lack is empty here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from kit import files
from kit.config import Competition
from kit.errors import InputInvalid
from kit.review import record
from kit.review.record import Figures, Judged, Push, Run, Submission
from kit.task import metrics, rows

if TYPE_CHECKING:
    import numpy
    from pandas import DataFrame

PREDICTIONS = ("id", "language", "label", "source")
OOF = ("id", "language", "fold", "label", "predicted", "source")
"""Columns before the probabilities and the completion."""
ANSWERS = ("label", "predicted")
SCORED = ("score", "")
"""Sources of a row's probabilities that are the model's own; other rows hold certain votes."""
FEW_ROWS = 30  # held-out rows below which a figure, or a difference of two, says little


@dataclass(frozen=True)
class Results:
    """What a run's folder says; csvs and log are read where they are asked for, or InputInvalid is raised."""

    folder: Path
    competition: Competition
    run: Run
    held_out: Judged
    """The figures on rows that the models had not seen; empty where the run judged itself on none."""
    history: Mapping[str, list[object]]  # what metrics.json holds of each member's steps
    push: Push | None
    submission: Submission

    @property
    def name(self) -> str:
        """`<slug>/v<N>` of a pushed run, else the folder's name."""
        return f"{self.folder.parent.name}/{self.folder.name}" if self.push else self.folder.name

    @cached_property
    def predictions(self) -> DataFrame:
        """`id, language, label, source, probability_<label>…, completion` of the test rows."""
        return _read_table(self.folder / "predictions.csv", self.competition.labels, PREDICTIONS)

    @cached_property
    def oof(self) -> DataFrame:
        """The held-out rows: as `predictions`, but `label` is the truth, beside `predicted` and `fold`."""
        return _read_table(self.folder / "oof.csv", self.competition.labels, OOF)


def read(folder: Path, *, whole: bool = True) -> Results:
    """Return the record of a run; without `whole` metrics.json may be missing. Raises InputInvalid."""
    folder = folder.resolve()
    run = record.read(Run, folder / "run.json", needed=True)
    competition = record.read_competition(folder / "run.json", run.config)
    try:
        figures = record.read(Figures, folder / "metrics.json", needed=whole)
    except InputInvalid as error:
        if run.ended in ("", "complete"):
            raise
        reason = f"{error.message}; the run {' '.join(run.ended.split())}"
        raise InputInvalid(reason, hint=error.hint) from None
    told = record.read_push(folder), record.read(Submission, folder / "submission.json")
    return Results(folder, competition, run, figures.held_out, figures.history, *told)


def probabilities(table: DataFrame, labels: Sequence[str]) -> numpy.ndarray | None:
    """Return the probabilities of predictions or oof, rows x labels; None where texts were parsed.

    A parsed text is a certain vote, and one certain mistake would drown every other row of a log loss.
    """
    return votes(table, labels) if table["source"].isin(SCORED).all() else None


def votes(table: DataFrame, labels: Sequence[str]) -> numpy.ndarray:
    """Return rows x labels, in which a parsed text stands as a certain vote."""
    values: numpy.ndarray = table[[f"probability_{label}" for label in labels]].to_numpy(dtype=float)
    return values


def joined(tables: Sequence[DataFrame]) -> list[DataFrame]:
    """Return the tables on the ids that all of them have, in the order of the first."""
    there = [table.set_index("id", drop=False) for table in tables]
    shared = set.intersection(*(set(table.index) for table in there))
    ids = [name for name in there[0].index if name in shared]
    return [table.loc[ids].reset_index(drop=True) for table in there]


def shared_held_out(runs: Sequence[Results]) -> list[DataFrame]:
    """Return each run's `oof` on the rows that all of them held out, as `joined` does.

    Raises InputInvalid where the runs have other labels or name another truth for a row.
    """
    first = runs[0]
    for other in runs[1:]:
        if set(own := other.competition.labels) != set(labels := first.competition.labels):
            words = f"{first.name} has the labels {labels!r}, {other.name} {own!r}"
            raise InputInvalid(words, hint="runs of one competition")
    aligned = joined([run.oof for run in runs])
    for run, table in zip(runs, aligned, strict=True):
        differing = (table["label"] != aligned[0]["label"]).to_numpy()
        if differing.any():
            row = int(differing.argmax())
            name, here, there = table["id"][row], aligned[0]["label"][row], table["label"][row]
            what = f"the truth of row {name!r} is {here!r} in {first.name} and {there!r} in {run.name}"
            raise InputInvalid(what, hint="runs of one train.csv")
    return aligned


def data_folder(test_sha256: str | None, places: Sequence[Path]) -> Path | None:
    """Return the one of `places` whose test.csv has this sha256, which is that of the file a run answered."""
    for place in places:
        if (place / "test.csv").is_file() and files.sha256_of(place / "test.csv") == test_sha256:
            return place
    return None


def training_rows(results: Results, data: Path) -> DataFrame:
    """Return the rows of train.csv that the run worked with: `id, text, language?, label`."""
    train, _ = rows.read(data / "train.csv", results.competition, labelled=True)
    told = (results.run.settings.get(name) for name in ("data.train_rows", "evaluate.seed"))
    return rows.sample(train, *(value if isinstance(value, int) else 0 for value in told))


def judge(oof: DataFrame, labels: Sequence[str]) -> dict[str, object]:
    """Return the metrics of held-out rows, as metrics.json has them."""
    spoken = oof["language"].tolist()
    return metrics.evaluate(
        oof["label"].tolist(),
        oof["predicted"].tolist(),
        labels,
        probability=probabilities(oof, labels),
        language=spoken if any(spoken) else None,
    )


def _read_table(path: Path, labels: Sequence[str], names: Sequence[str]) -> DataFrame:
    """Return a csv of answers, empty where there is none; of `names` only id and labels must be there."""
    from pandas import DataFrame, to_numeric

    shares = [f"probability_{label}" for label in labels]
    columns, kinds = [*names, *shares, "completion"], dict.fromkeys(shares, float)
    if not path.is_file():
        return DataFrame(columns=columns).astype(kinds)
    answers = [name for name in names if name in ANSWERS]
    told = list(record.table_rows(path, ["id", *answers, *shares]))
    if not told:
        raise InputInvalid(f"{path}: a header and no rows", hint="make pull")
    table = DataFrame([row for _, row in told])
    odd = [("id", table["id"].duplicated(), "and stands there twice")]
    odd += [
        (name, ~table[name].isin(labels), f"not one of {', '.join(map(repr, labels))}") for name in answers
    ]
    for name in shares:
        odd.append((name, ~to_numeric(table[name], errors="coerce").between(0, 1), "no probability"))
    for name, is_odd, words in odd:
        if is_odd.any():
            at = int(is_odd.argmax())
            what = f"{name} is {table[name][at]!r}, {words}"
            raise InputInvalid(f"{path}:{told[at][0]}: {what}", hint="make pull")
    return table.reindex(columns=columns, fill_value="").astype(kinds)
