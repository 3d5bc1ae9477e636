"""Write the submission, joined to the test rows by id. It invents no label and fills no gap."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
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

    @property
    def header(self) -> list[str]:
        """The names in their order."""
        return [self.label, self.id] if self.label_first else [self.id, self.label]


def columns(competition: Competition, sample: Sample | None) -> Columns:
    """Return the header that the settings name, else the sample's, else that of the training data."""
    own = Columns(competition.id or "id", competition.label)
    if sample is not None and len(sample.header) == 2:
        own = Columns(sample.id, sample.label, sample.id_at == 1)
    return Columns(
        competition.submission_id or own.id, competition.submission_label or own.label, own.label_first
    )


def write(
    path: Path,
    test: DataFrame,
    label_by_id: Mapping[str, str],
    competition: Competition,
    header: Columns | None = None,
) -> None:
    """Write an id and a label for each row of `test`, in its order, whole or not at all.

    UTF-8 with LF. Raises KitError on a test id without a label, a label without a test id, a label outside
    the set, or a disk that refuses.
    """
    header = header or columns(competition, None)
    ids = test["id"].tolist()
    _check(path, ids, label_by_id, competition)
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header.header)
    order = -1 if header.label_first else 1
    writer.writerows((name, competition.written(label_by_id[name]))[::order] for name in ids)
    files.write_whole(path, text.getvalue())


def _check(path: Path, ids: list[str], label_by_id: Mapping[str, str], competition: Competition) -> None:
    known = set(ids)
    without = [name for name in ids if name not in label_by_id]
    extra = [name for name in label_by_id if name not in known]
    wrong = [(name, label) for name, label in label_by_id.items() if label not in competition.labels]
    if without:
        raise KitError(f"{path}: {len(without)} test ids have no label, the first is {without[0]!r}")
    if extra:
        raise KitError(f"{path}: {len(extra)} labels are for ids outside the test, the first is {extra[0]!r}")
    if wrong:
        allowed = ", ".join(map(repr, competition.labels))
        raise KitError(f"{path}: label {wrong[0][1]!r} of id {wrong[0][0]!r} is not one of {allowed}")
