"""One competition for the tests of this folder."""

from __future__ import annotations

import pytest

from kit.config import Competition


@pytest.fixture(scope="session")
def competition() -> Competition:
    return Competition(
        slug="reviews",
        id="ID",
        text="sentence",
        label="label",
        language="language",
        labels=("Positive", "Negative"),
    )
