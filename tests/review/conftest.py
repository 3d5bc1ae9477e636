"""A good submission of 40 rows, and the facts that it is checked against."""

from __future__ import annotations

from collections import Counter

import pytest

from kit.review.checks.facts import Facts
from kit.task.submission import Columns

IDS = [f"r{number}" for number in range(1, 41)]


@pytest.fixture(scope="session")
def facts() -> Facts:
    return Facts(
        Columns("ID", "label"),
        labels=("Positive", "Negative"),
        ids=IDS,
        training=Counter(Positive=100, Negative=100),
    )


@pytest.fixture(scope="session")
def rows() -> list[str]:
    """The lines of the good file, header first, without their ends."""
    return [
        "ID,label",
        *(f"{name},{'Positive' if at % 4 < 2 else 'Negative'}" for at, name in enumerate(IDS)),
    ]
