"""The verbs that finish a run leave its line in the ledger, and `runs` prints it."""

from __future__ import annotations

import json

import pytest
from loop_project import KERNEL, Project

from local_kaggle.server import Server

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def test_a_rehearsal_leaves_a_line_that_runs_prints(project: Project) -> None:
    """The line of the pull has no score, that of the submission has; a broken line is named and skipped."""
    assert "no run has finished yet (try: make dry-run)" in project.run("runs", **project.environment()).out
    said = project.run("rehearse", **project.environment())
    assert said.status == 0, said
    path = project.runs / "ledger.jsonl"
    pulled, submitted = map(json.loads, path.read_text().splitlines())
    assert pulled["run"] == submitted["run"] == f"{KERNEL}/v1"
    assert (pulled["score"], submitted["score"]) == (None, 0.73333)
    assert (pulled["preset"], pulled["gpu_minutes"]) == ("tiny", 0.0)
    with path.open("a") as file:
        file.write("{half a line")
    shown = project.run("runs", **project.environment())
    assert shown.status == 0
    assert shown.err == f"warning: {path}:3: skipped: not JSON: " + shown.err.partition("not JSON: ")[2]
    assert shown.err.count("\n") == 1
    listed = [line.split() for line in shown.out.splitlines() if KERNEL in line]
    assert listed == [[f"{KERNEL}/v1", "–", "–", "–", "0.733", "0", "–", *listed[0][7:]]]


def test_each_verb_adds_what_it_knows(project: Project, kaggle: Server) -> None:
    """A dry run and a pull have a line each; pulling again adds none."""
    project.forget(pulled_only=False)
    path = project.runs / "ledger.jsonl"
    dry = project.run("dry_run", "--preset", "tiny", **project.environment())
    assert dry.status == 0, dry
    environment = project.environment(kaggle.url, KAGGLE_API_TOKEN="rehearsal")
    for verb, *options in (["push", "--preset", "tiny"], ["watch"], ["pull"], ["pull"]):
        said = project.run(verb, *options, **environment)
        assert said.status == 0, said
    assert [json.loads(text)["run"] for text in path.read_text().splitlines()] == [
        "dry-run-tiny",
        f"{KERNEL}/v1",
    ]
