"""A project of its own, a Kaggle that serves it, and a table of what was seen, for each module."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from loop_project import SLUG, Project

from local_kaggle import server
from local_kaggle.profile import OBSERVED, Settings
from local_kaggle.server import Server


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A checkout of its own for the little competition, set up by its own `init`."""
    folder = tmp_path_factory.mktemp("competition")
    train = "".join(f"r{n},words {n},{'Yes' if n % 2 else 'No'},hi\n" for n in range(8))
    (folder / "train.csv").write_text(f"ID,sentence,label,language\n{train}")
    test = "".join(f"t{n},words {n},ta\n" for n in range(4))
    (folder / "test.csv").write_text(f"ID,sentence,language\n{test}")
    (folder / "sample_submission.csv").write_text("ID,label\n" + "".join(f"t{n},No\n" for n in range(4)))
    (folder / "solution.csv").write_text("ID,label\nt0,No\nt1,Yes\nt2,No\nt3,No\n")
    made = Project(tmp_path_factory.mktemp("project"), folder)
    said = made.run("init", "--competition", SLUG, **made.environment())
    assert said.status == 0, said.err
    return made


@pytest.fixture(scope="module")
def kaggle(project: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A local Kaggle for the whole module; versions count on."""
    settings = Settings(
        token="rehearsal",
        slug=SLUG,
        competition=project.root / "data" / SLUG,
        models=project.root / "models",
        child_env={"KIT_INPUT_DIR": "{input}", "KIT_WORKING_DIR": "{working}"},
        max_daily_submissions=99,
        page_size=2,
        profile=OBSERVED.without_waiting(),
    )
    with server.start(tmp_path_factory.mktemp("kaggle"), settings) as running:
        yield running
        running.faults.clear()
    assert running.unknown_requests == []
    assert running.crashes == []


@pytest.fixture(scope="module")
def table(request: pytest.FixtureRequest) -> Iterator[list[tuple[str, ...]]]:
    """Collect a row a case: fault, verb, message, exit, files; where KIT_TABLES says so, keep them there."""
    found: list[tuple[str, ...]] = [("fault", "verb", "message", "exit", "files"), ("---",) * 5]
    yield found
    if folder := os.environ.get("KIT_TABLES"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        lines = "".join(f"| {' | '.join(row)} |\n" for row in found)
        (Path(folder) / f"{request.path.stem}.md").write_text(f"\n{lines}", encoding="utf-8")
