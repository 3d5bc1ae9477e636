"""A good submission of 40 rows in two languages, the facts that it is checked against, and a run's data."""

from __future__ import annotations

from pathlib import Path

import made_run
import pytest

from kit.review.checks.facts import Facts, by_language
from kit.task.submission import Columns

LABELS = ("Positive", "Negative")
IDS = [f"r{number}" for number in range(1, 41)]


@pytest.fixture(scope="session")
def facts() -> Facts:
    return Facts(
        Columns("ID", "label"),
        labels=LABELS,
        ids=IDS,
        languages=dict(zip(IDS, ["hi", "ta"] * 20, strict=True)),
        training=by_language([(code, label) for code in ("hi", "ta") for label in LABELS * 50], LABELS),
    )


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The competition's files of the runs that reports are drawn of."""
    return made_run.data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="session")
def rows() -> list[str]:
    """The lines of the good file, header first, without their ends."""
    return [
        "ID,label",
        *(f"{name},{'Positive' if at % 4 < 2 else 'Negative'}" for at, name in enumerate(IDS)),
    ]
