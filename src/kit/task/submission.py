"""Write the submission, of any kind, joined to the test rows by id. It invents no answer and fills no gap."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kit import files
from kit.errors import KitError
from kit.task.sample import Sample

if TYPE_CHECKING:
    from pandas import DataFrame

    from kit.config import Competition


@dataclass(frozen=True)
class Columns:
    """The header of a submission."""

    id: str
    label: str
    label_first: bool = False
    probabilities: Sequence[str] = ()  # where each label has a column of its own, their names in order

    @property
    def header(self) -> list[str]:
        """The names in their order."""
        if self.probabilities:
            return [self.id, *self.probabilities]
        return [self.label, self.id] if self.label_first else [self.id, self.label]


def columns(competition: Competition, sample: Sample | None) -> Columns:
    """Return the header that the settings name, else the sample's, else that of the training data."""
    own = Columns(competition.id or "id", competition.label)
    each: Sequence[str] = ()
    if competition.submission == "probabilities":
        each = tuple(map(competition.written, competition.labels))
        others = [name for at, name in enumerate(sample.header) if at != sample.id_at] if sample else []
        if sample and sorted(others) == sorted(each):
            own, each = Columns(sample.id, competition.label), others
    elif sample is not None and len(sample.header) == 2:
        own = Columns(sample.id, sample.label, sample.id_at == 1)
    return Columns(
        competition.submission_id or own.id, competition.submission_label or own.label, own.label_first, each
    )


def write(
    path: Path,
    ids: Sequence[str],
    predictions: DataFrame,
    competition: Competition,
    header: Columns | None = None,
) -> None:
    """Write what the competition asks of each id, in that order, whole or not at all.

    `predictions` has id, label and, unless labels are asked, probability_<label>…. UTF-8 with LF. Raises
    KitError on an id without answer, an answer without id, a label outside the set, or a disk that refuses.
    """
    header = header or columns(competition, None)
    _check(path, ids, dict(zip(predictions["id"], predictions["label"], strict=True)), competition)
    answers = dict(zip(predictions["id"], fields(predictions, competition, header), strict=True))
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header.header)
    order = -1 if header.label_first else 1
    writer.writerows((name, *answers[name])[::order] for name in ids)
    files.write_whole(path, text.getvalue())


def fields(predictions: DataFrame, competition: Competition, header: Columns) -> list[list[str]]:
    """Return what each row of predictions gives beside its id."""
    written = [competition.written(label) for label in competition.labels]
    if competition.submission == "label":
        return [[competition.written(label)] for label in predictions["label"]]
    shares = predictions[[f"probability_{label}" for label in competition.labels]].to_numpy(float)
    if competition.submission == "ranking":
        likeliest = (-shares).argsort(axis=1, kind="stable")[:, : competition.places]
        return [[" ".join(written[at] for at in row)] for row in likeliest]
    shown = ("1",) if competition.submission == "probability" else header.probabilities
    order = [written.index(name) for name in shown]
    return [[f"{share:.9f}" for share in row] for row in shares[:, order]]


def _check(path: Path, ids: Sequence[str], label_by_id: Mapping[str, str], competition: Competition) -> None:
    known, labels = set(ids), competition.labels
    allowed = ", ".join(map(repr, labels))
    odd = {
        "test ids have no label": [repr(name) for name in ids if name not in label_by_id],
        "labels are for ids outside the test": [repr(name) for name in label_by_id if name not in known],
        f"labels are not one of {allowed}": [
            f"{label!r} of id {name!r}" for name, label in label_by_id.items() if label not in labels
        ],
    }
    for what, found in odd.items():
        if found:
            raise KitError(f"{path}: {len(found)} {what}, the first is {found[0]}")
