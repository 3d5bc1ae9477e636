"""Fixtures around the local Kaggle for every room that talks to it.

A request that the server does not know, or fails to answer, fails the test that caused it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from local_kaggle import server
from local_kaggle.profile import OBSERVED, Profile, Settings
from local_kaggle.server import Server

USER = "tester"
TOKEN = "0" * 32
SLUG = "little-reviews"

StartKaggle = Callable[..., Server]


@pytest.fixture
def competition_folder(tmp_path: Path) -> Path:
    """A competition of six training rows and four test rows with its solution."""
    folder = tmp_path / SLUG
    folder.mkdir()
    rows = "".join(f"r{n},sentence {n},{'Positive' if n % 2 else 'Negative'},hi\n" for n in range(6))
    (folder / "train.csv").write_text("ID,sentence,label,language\n" + rows)
    (folder / "test.csv").write_text(
        "ID,sentence,language\n" + "".join(f"t{n},words {n},ta\n" for n in range(4))
    )
    (folder / "sample_submission.csv").write_text(
        "ID,label\n" + "".join(f"t{n},Positive\n" for n in range(4))
    )
    (folder / "solution.csv").write_text("ID,label\nt0,Positive\nt1,Negative\nt2,Positive\nt3,Negative\n")
    return folder


@pytest.fixture
def hidden(tmp_path: Path) -> Path:
    """The nine hidden rows of a code competition, with their solution: every second one is negative."""
    folder = tmp_path / "hidden"
    folder.mkdir()
    (folder / "test.csv").write_text("ID,sentence,language\n" + "".join(f"t{n},w {n},ta\n" for n in range(9)))
    answers = "".join(f"t{n},{'Negative' if n % 2 else 'Positive'}\n" for n in range(9))
    for name in ("solution.csv", "sample_submission.csv"):
        (folder / name).write_text("ID,label\n" + answers)
    return folder


@pytest.fixture
def profile() -> Profile:
    """How the local Kaggles of a test behave: as observed, but at once."""
    return OBSERVED.without_waiting()


@pytest.fixture
def start_kaggle(tmp_path: Path, competition_folder: Path, profile: Profile) -> Iterator[StartKaggle]:
    """Start local Kaggles with settings of the test's choice; `root` restarts an earlier one."""
    started: list[Server] = []

    def start(root: Path = tmp_path / "kaggle", **changes: object) -> Server:
        defaults = {"user": USER, "token": TOKEN, "slug": SLUG, "competition": competition_folder}
        # Scripts wait for files that a test makes in its own folder.
        defaults |= {"visible": [tmp_path], "profile": profile}
        kaggle = server.start(root, Settings(**(defaults | changes)))  # type: ignore[arg-type]
        started.append(kaggle)
        return kaggle

    yield start
    for kaggle in started:
        kaggle.close()
    assert [request for kaggle in started for request in kaggle.unknown_requests] == []
    assert [crash for kaggle in started for crash in kaggle.crashes] == []


@pytest.fixture
def kaggle(start_kaggle: StartKaggle) -> Server:
    """A local Kaggle with the little competition; user and token are those of the test fence."""
    return start_kaggle()
