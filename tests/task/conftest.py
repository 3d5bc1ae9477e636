"""One competition for the tests of this folder."""

from __future__ import annotations

import pytest

from kit.config import Competition


@pytest.fixture(scope="session")
def competition() -> Competition:
    columns = {"id": "ID", "text": "sentence", "label": "label", "language": "language"}
    return Competition(slug="reviews", labels=("Positive", "Negative"), **columns)
