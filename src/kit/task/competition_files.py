"""Read everything that a competition brings: training rows, test rows, the sample submission.

The kernel and `make doctor` read with this, so that a file that ends a run is seen before the push.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kit.task import rows, sample
from kit.task.rows import Left
from kit.task.sample import Sample
from kit.task.submission import Columns, columns

if TYPE_CHECKING:
    from pandas import DataFrame

    from kit.config import Competition


@dataclass(frozen=True)
class CompetitionFiles:
    """The rows of both files, what was left out of them, and what the submission must look like."""

    train: DataFrame
    test: DataFrame
    train_left: Left
    test_left: Left
    sample: Sample | None
    columns: Columns


def read(folder: Path, competition: Competition) -> CompetitionFiles:
    """Return what `folder` holds; a test without ids gets the sample's, by position. Raises InputInvalid."""
    train, train_left = rows.read(folder / "train.csv", competition, labelled=True)
    test, test_left = rows.read(folder / "test.csv", competition, labelled=False)
    found = sample.find(folder / "test.csv", test["id"].tolist(), competition)
    if found and not competition.id and not found.is_stale:
        test["id"] = list(found.ids)
    return CompetitionFiles(train, test, train_left, test_left, found, columns(competition, found))
