"""Members, folds, points and ranks, each through the real processes on the CPU with the tiny model."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from kit import config as settings
from kit.config import Config
from kit.errors import KitError
from kit.fetch import inputs as fetched
from kit.pipeline import run, schedule

pytestmark = [pytest.mark.train, pytest.mark.slow, pytest.mark.timeout(300)]

QUICK = (
    "data.train_rows=72",
    "data.test_rows=18",
    "train.max_steps=4",
    "train.pack_tokens=256",
    "model.max_row_tokens=256",
)


@pytest.fixture
def root(tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An input root with the sample competition and the tiny model; children find the sources."""
    place = tmp_path / "input"
    (place / "competitions").mkdir(parents=True)
    shutil.copytree(fetched.SAMPLE, place / "competitions" / "sample-sentiment")
    handle = place / "models" / "kit" / "tiny" / "transformers" / "default"
    handle.mkdir(parents=True)
    (handle / "1").symlink_to(tiny_model)
    monkeypatch.setenv("PYTHONPATH", str(settings.PROJECT_ROOT / "src"))
    return place


KILLED = """
import json, sys
from pathlib import Path
from kit import config as settings
from kit.pipeline import run
root, working, *overrides = json.loads(Path(sys.argv[1]).read_text())
config = settings.resolve("tiny", [*json.loads(sys.argv[2]), *overrides])
record = {"bundle_hash": "b" * 64, "config": config.model_dump(mode="json"), "timings": {}}
run.run(config, Path(root), Path(working), record)
"""
"""A run in a process of its own, which a test may kill."""


def _config(*overrides: str) -> Config:
    return settings.resolve("tiny", [*QUICK, *overrides])


def _run(root: Path, working: Path, *overrides: str) -> dict[str, Any]:
    working.mkdir(exist_ok=True)
    config = _config(*overrides)
    record: dict[str, Any] = {
        "bundle_hash": "b" * 64,
        "config": config.model_dump(mode="json"),
        "timings": {},
        "ended": "started",
    }
    try:
        run.run(config, root, working, record)
        record["ended"] = "complete"
    finally:
        (working / "run.json").write_text(json.dumps(record))
    return record


def _table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _close(first: Path, second: Path, tolerance: float) -> bool:
    return all(
        one["id"] == other["id"]
        and abs(float(one["probability_Positive"]) - float(other["probability_Positive"])) <= tolerance
        for one, other in zip(_table(first), _table(second), strict=True)
    )


def test_folds_on_two_processes_judge_every_row_once_and_answer_every_test_row(
    root: Path, tmp_path: Path
) -> None:
    """Four members, two a process, each row judged by the one that has not seen it."""
    working = tmp_path / "working"
    record = _run(
        root,
        working,
        "evaluate.mode=folds",
        "evaluate.folds=4",
        "run.cpu_processes=2",
    )
    judged = _table(working / "oof.csv")
    assert len({row["id"] for row in judged}) == len(judged) == 72
    assert sorted({row["fold"] for row in judged}) == ["0", "1", "2", "3"]
    assert len(_table(working / "predictions.csv")) == len(_table(working / "submission.csv")) == 18
    assert [member["name"] for member in record["members"]] == [f"fold-{fold}" for fold in range(4)]
    assert [member["slot"] for member in record["members"]] == [0, 1, 0, 1]
    assert record["share_of_train_seen"] == 0.75
    assert {path.name for path in (working / "adapter").iterdir()} == {f"fold-{fold}" for fold in range(4)}
    assert not (working / "members").exists()
    figures = json.loads((working / "metrics.json").read_text())
    assert figures["held_out"]["rows"] == 72


def test_a_second_member_equals_a_fresh_process_with_its_seed(root: Path, tmp_path: Path) -> None:
    """The base stays loaded and has answered in between; only the adapter is made anew."""
    after_another, fresh = tmp_path / "after", tmp_path / "fresh"
    _run(root, after_another, "run.members=2")
    _run(root, fresh, "run.members=2", "run.cpu_processes=2")
    first, second = (_weights(place / "adapter" / "seed-43") for place in (after_another, fresh))
    assert first.keys() == second.keys()
    assert all(first[name].equal(second[name]) for name in first)
    assert _close(after_another / "predictions.csv", fresh / "predictions.csv", 1e-6)


def test_one_member_on_two_ranks_answers_every_row_and_learns_the_same(root: Path, tmp_path: Path) -> None:
    """Two ranks of one bin a step see the rows of one process of two bins; each answers half of the rows."""
    together, alone = tmp_path / "together", tmp_path / "alone"
    record = _run(root, together, "run.cpu_processes=2", "train.gradient_accumulation=1")
    assert record["ranks"] == 2
    assert len(_table(together / "predictions.csv")) == 18
    _run(root, alone, "train.gradient_accumulation=2")
    losses = [
        [entry["loss"] for entry in json.loads((place / "metrics.json").read_text())["history"]["seed-42"]]
        for place in (together, alone)
    ]
    assert len(losses[0]) == len(losses[1]) == 4
    assert losses[0] == pytest.approx(losses[1], abs=1e-3)


def test_where_ranks_cannot_start_two_seeds_take_their_place(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broken process group costs a note and not the run."""
    variables = schedule._rank_variables

    def broken(ranks: int) -> list[dict[str, str]]:
        return [{**each, "MASTER_PORT": "no port"} for each in variables(ranks)]

    monkeypatch.setattr(schedule, "_rank_variables", broken)
    record = _run(root, tmp_path / "working", "run.cpu_processes=2")
    assert [member["name"] for member in record["members"]] == ["seed-42", "seed-43"]
    assert "2 seeds took its place" in record["notes"][0]
    assert len(_table(tmp_path / "working" / "submission.csv")) == 18


def test_a_sweep_leaves_a_row_for_each_point_and_answers_with_the_best(root: Path, tmp_path: Path) -> None:
    """Points share the loaded base; held-out rows are the same for all of them."""
    working = tmp_path / "working"
    grid = ["train.learning_rate=5e-3 seed=1", "train.learning_rate=1e-9 seed=1"]
    record = _run(root, working, f"run.grid={json.dumps(grid)}", "train.max_steps=12")
    points = _table(working / "sweep.csv")
    assert {point["settings"] for point in points} == set(grid)
    assert float(points[0]["log_loss"]) < float(points[1]["log_loss"])
    assert record["answered_by"] == [f"point-{points[0]['point']}-seed-1"]
    assert [member["settings"] for member in record["members"]] == grid


def test_no_epochs_ask_the_base_model_as_it_is(root: Path, tmp_path: Path) -> None:
    """A point of a sweep like any other: what training was worth stands beside it."""
    working = tmp_path / "working"
    grid = ["train.epochs=0 train.max_steps=0", "train.max_steps=12"]
    record = _run(root, working, f"run.grid={json.dumps(grid)}")
    assert [member["step"] for member in record["members"]] == [0, 12]
    best = _table(working / "sweep.csv")[0]
    assert best["settings"] == grid[1]


def test_a_sweep_that_runs_out_of_time_names_the_points_that_it_skipped(root: Path, tmp_path: Path) -> None:
    """What was reached is judged; a point that would not fit is not begun."""
    working = tmp_path / "working"
    grid = [f"seed={seed} train.max_steps=200" for seed in range(40)]
    record = _run(root, working, f"run.grid={json.dumps(grid)}", "run.time_limit_minutes=0.6")
    states = [point["state"] for point in _table(working / "sweep.csv")]
    assert "done" in states
    assert "skipped" in states
    assert len(record["unreached"]) == states.count("skipped")
    assert len(_table(working / "submission.csv")) == 18


def test_an_earlier_runs_adapters_answer_without_training(root: Path, tmp_path: Path) -> None:
    """FROM gives the same probabilities, and other test rows can be asked."""
    first, second = tmp_path / "first", tmp_path / "second"
    _run(root, first, "run.members=2")
    shutil.copytree(first, root / "notebooks" / "me" / "kernel")
    record = _run(root, second, "run.members=2", f"run.adapters_from={'b' * 64}")
    assert [member["step"] for member in record["members"]] == [0, 0]
    assert _close(first / "predictions.csv", second / "predictions.csv", 1e-3)
    with pytest.raises(KitError, match="needs seed-42"):
        _run(root, tmp_path / "third", f"run.adapters_from={'b' * 64}")
    with pytest.raises(KitError, match="no attached output"):
        _run(root, tmp_path / "fourth", f"run.adapters_from={'c' * 64}")


def test_a_killed_sweep_is_resumed_and_repeats_no_point(root: Path, tmp_path: Path) -> None:
    """SIGKILL leaves the finished points in the output; another run goes on behind them."""
    killed, resumed = tmp_path / "killed", tmp_path / "resumed"
    grid = ["run.grid=" + json.dumps([f"seed={seed}" for seed in (1, 2, 3)])]
    killed.mkdir()
    (tmp_path / "job.json").write_text(json.dumps([str(root), str(killed), *grid]))
    child = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path / "job.json"), json.dumps(QUICK)], start_new_session=True
    )
    try:
        done = killed / "members" / "point-1-seed-2" / "answers.json"
        deadline = time.monotonic() + 120
        while not done.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
    finally:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait(20)
    assert not (killed / "submission.csv").exists()
    before = done.read_bytes()
    shutil.copytree(killed, root / "notebooks" / "me" / "kernel")
    with pytest.raises(KitError, match=r"train\.learning_rate was"):
        _run(root, resumed, *grid, f"run.resume={'b' * 64}", "train.learning_rate=1e-3")
    record = _run(root, resumed, *grid, f"run.resume={'b' * 64}")
    assert len(_table(resumed / "sweep.csv")) == 3
    assert not (resumed / "members").exists()
    told = {member["name"]: member for member in record["members"]}
    kept = json.loads(before)
    assert told["point-1-seed-2"]["timings"] == kept["timings"], "it was trained again"


def test_a_member_that_fails_leaves_the_submission_of_those_that_are_done(root: Path, tmp_path: Path) -> None:
    """The run says that it failed and keeps what RESUME needs."""
    working = tmp_path / "working"
    grid = ["seed=1", "seed=2 train.learning_rate=1e30"]
    with pytest.raises(KitError, match="loss is"):
        _run(root, working, f"run.grid={json.dumps(grid)}", "train.max_steps=8")
    assert len(_table(working / "submission.csv")) == 18
    assert (working / "members" / "point-0-seed-1" / "answers.json").is_file()
    record = json.loads((working / "run.json").read_text())
    assert record["unreached"] == ["point-1-seed-2"]


def test_training_stops_in_time_and_says_at_which_step(root: Path, tmp_path: Path) -> None:
    """Half a minute for ten thousand steps: the submission is whole, the step is told."""
    working = tmp_path / "working"
    record = _run(root, working, "train.max_steps=10000", "run.time_limit_minutes=0.5")
    member = record["members"][0]
    assert member["stopped"] == "time limit"
    assert 0 < member["step"] < member["steps"] == 10000
    assert len(_table(working / "submission.csv")) == 18


def _weights(folder: Path) -> dict[str, Any]:
    from safetensors.torch import load_file

    found: dict[str, Any] = load_file(folder / "adapter_model.safetensors")
    return found
