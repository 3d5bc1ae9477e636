"""Verbs that write, two of each at once: both end well, or the second says that another is at work."""

from __future__ import annotations

import json

import pytest
from loop_project import Project

from local_kaggle.server import Server

TINY = ("--preset", "tiny")


@pytest.mark.slow
def test_two_of_each_verb_at_once(project: Project, kaggle: Server) -> None:
    """Every version that was pushed is recorded, one file is submitted once, no file is half of two."""
    variables = project.environment(kaggle.url, KAGGLE_API_TOKEN="rehearsal")
    for verb, *options in (
        ["bundle", *TINY], ["data"], ["push", *TINY], ["watch"], ["pull"], ["report"], ["submit"],
        ["baseline", *TINY], ["stop", "--yes"],
    ):  # fmt: skip
        children = [project.start(verb, *options, **variables) for _ in range(2)]
        for child in children:
            said = "".join(child.communicate(timeout=100))
            assert "Traceback" not in said, f"{verb}: {said}"
            assert child.returncode == 0 or "another " in said or verb == "stop", f"{verb}: {said}"
        assert 0 in [child.returncode for child in children], verb
        if verb == "push":
            pushed = {version.number for kernel in kaggle.state.kernels for version in kernel.versions}
            assert {f"v{number}" for number in pushed} == {path.name for path in project.runs.glob("*/v*")}
    assert len(kaggle.state.submissions) == 1
    for path in project.runs.rglob("*.json"):
        json.loads(path.read_text())
