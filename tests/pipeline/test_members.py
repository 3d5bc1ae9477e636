"""Members, folds, points and ranks, each through the real processes on the CPU with the tiny model."""

from __future__ import annotations

import csv
import json
import os
import re
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
from kit.pipeline.record import RunRecord

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
from kit.pipeline.record import RunRecord
root, working, *overrides = json.loads(Path(sys.argv[1]).read_text())
config = settings.resolve("tiny", [*json.loads(sys.argv[2]), *overrides])
record = RunRecord("b" * 64, config.model_dump(mode="json"))
run.run(config, Path(root), Path(working), record)
"""
"""A run in a process of its own, which a test may kill."""


def _config(*overrides: str) -> Config:
    return settings.resolve("tiny", [*QUICK, *overrides])


def _run(root: Path, working: Path, *overrides: str) -> RunRecord:
    working.mkdir(exist_ok=True)
    config = _config(*overrides)
    record = RunRecord("b" * 64, config.model_dump(mode="json"))
    try:
        run.run(config, root, working, record)
        record.ended = "complete"
    except KitError as error:
        record.ended = f"failed: {error}"
        raise
    finally:
        record.close(working)
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
    assert [member["name"] for member in record.members] == [f"fold-{fold}" for fold in range(4)]
    assert [member["slot"] for member in record.members] == [0, 1, 0, 1]
    assert record.share_of_train_seen == 0.75
    assert {path.name for path in (working / "adapter").iterdir()} == {f"fold-{fold}" for fold in range(4)}
    assert not (working / "members").exists()
    figures = json.loads((working / "metrics.json").read_text())
    assert figures["held_out"]["rows"] == 72


def test_a_second_member_equals_a_fresh_process_with_its_seed(root: Path, tmp_path: Path) -> None:
    """The base stays loaded and has answered in between; only the adapter is made anew.

    In equally many threads, since sums over more of them are others.
    """
    after_another, fresh = tmp_path / "after", tmp_path / "fresh"
    whole = ("data.train_rows=0", "evaluate.mode=none")
    _run(root, after_another, *whole, "run.members=2")
    _run(root, fresh, *whole, "seed=43")
    first, second = _weights(after_another / "adapter" / "seed-43"), _weights(fresh / "adapter")
    assert first.keys() == second.keys()
    assert all(first[name].equal(second[name]) for name in first)


def test_one_member_on_two_ranks_answers_every_row_and_learns_the_same(root: Path, tmp_path: Path) -> None:
    """Two ranks share the two bins of a step that one process works off; each answers half of the rows."""
    together, alone = tmp_path / "together", tmp_path / "alone"
    record = _run(root, together, "run.cpu_processes=2", "train.gradient_accumulation=2")
    assert record.ranks == 2
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
    assert [member["name"] for member in record.members] == ["seed-42", "seed-43"]
    assert "2 seeds took its place" in record.notes[0]
    assert len(_table(tmp_path / "working" / "submission.csv")) == 18


def test_a_sweep_leaves_a_row_for_each_point_and_answers_with_the_best(root: Path, tmp_path: Path) -> None:
    """Points share the loaded base; held-out rows are the same for all of them."""
    working = tmp_path / "working"
    grid = ["train.learning_rate=5e-3 seed=1", "train.learning_rate=1e-9 seed=1"]
    record = _run(root, working, f"run.grid={json.dumps(grid)}", "train.max_steps=12")
    points = _table(working / "sweep.csv")
    assert {point["settings"] for point in points} == set(grid)
    assert float(points[0]["macro_f1"]) >= float(points[1]["macro_f1"]), "the competition's metric decides"
    assert record.answered_by == [f"point-{points[0]['point']}-seed-1"]
    assert [member["settings"] for member in record.members] == grid


def test_no_epochs_ask_the_base_model_as_it_is(root: Path, tmp_path: Path) -> None:
    """A point of a sweep like any other: what training was worth stands beside it."""
    working = tmp_path / "working"
    grid = ["train.epochs=0 train.max_steps=0", "train.max_steps=12"]
    record = _run(root, working, f"run.grid={json.dumps(grid)}")
    assert [member["step"] for member in record.members] == [0, 12]
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
    assert len(record.unreached) == states.count("skipped")
    assert len(_table(working / "submission.csv")) == 18


def test_an_earlier_runs_adapters_answer_without_training(root: Path, tmp_path: Path) -> None:
    """FROM gives the same probabilities, and other test rows can be asked."""
    first, second = tmp_path / "first", tmp_path / "second"
    _run(root, first, "run.members=2")
    shutil.copytree(first, root / "notebooks" / "me" / "kernel")
    record = _run(root, second, "run.members=2", f"run.adapters_from={'b' * 64}")
    assert [member["step"] for member in record.members] == [0, 0]
    assert _close(first / "predictions.csv", second / "predictions.csv", 1e-3)
    with pytest.raises(KitError, match=r"run\.members was 2, now 1"):
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
    told = {member["name"]: member for member in record.members}
    kept = json.loads(before)["answers"]
    assert told["point-1-seed-2"]["timings"] == kept["timings"], "it was trained again"


def test_a_sweep_whose_first_point_is_broken_ends_with_the_others_and_so_does_its_resume(
    root: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The reason is in run.json and in a warning; it is not tried again."""
    first, resumed = tmp_path / "first", tmp_path / "resumed"
    grid = "run.grid=" + json.dumps(["train.learning_rate=1e30", "seed=1", "seed=2"])
    record = _run(root, first, grid, "train.max_steps=8")
    assert list(record.failed) == ["point-0-seed-42"]
    assert (
        "the loss is" in record.failed["point-0-seed-42"] or "gradients" in record.failed["point-0-seed-42"]
    )
    assert [point["state"] for point in _table(first / "sweep.csv")] == ["done", "done", "failed"]
    assert len(_table(first / "submission.csv")) == 18
    said = capfd.readouterr().out
    assert '{"event": "warning"' in said
    assert "member point-0-seed-42 failed" in said
    shutil.copytree(first, root / "notebooks" / "me" / "kernel")
    again = _run(root, resumed, grid, "train.max_steps=8", f"run.resume={'b' * 64}")
    assert (again.failed, again.answered_by) == (record.failed, record.answered_by)
    said = capfd.readouterr().out
    assert "is left out, since it failed before" in said
    assert '{"event": "load"' not in said, "nothing was left to do"


def test_rows_with_other_labels_are_not_what_a_run_goes_on_with(root: Path, tmp_path: Path) -> None:
    """Half of the answers would come from the opposite of the other half."""
    first = tmp_path / "first"
    _run(root, first, "run.grid=" + json.dumps(["train.learning_rate=1e30", "seed=1"]), "train.max_steps=8")
    shutil.copytree(first, root / "notebooks" / "me" / "kernel")
    train = root / "competitions" / "sample-sentiment" / "train.csv"
    swap = {"Positive": "Negative", "Negative": "Positive"}
    train.write_text(re.sub("Positive|Negative", lambda label: swap[label[0]], train.read_text()))
    for verb in ("resume", "adapters_from"):
        with pytest.raises(KitError, match=r"another train\.csv"):
            _run(
                root, tmp_path / verb, "run.grid=" + json.dumps(["train.learning_rate=1e30", "seed=1"]),
                "train.max_steps=8", f"run.{verb}={'b' * 64}",
            )  # fmt: skip


def test_training_stops_in_time_and_says_at_which_step(root: Path, tmp_path: Path) -> None:
    """Half a minute for ten thousand steps: the submission is whole, the step is told."""
    working = tmp_path / "working"
    record = _run(root, working, "train.max_steps=10000", "run.time_limit_minutes=0.7")
    member = record.members[0]
    assert member["stopped"] == "time limit"
    assert 0 < member["step"] < member["steps"] == 10000
    assert len(_table(working / "submission.csv")) == 18


def _weights(folder: Path) -> dict[str, Any]:
    from safetensors.torch import load_file

    found: dict[str, Any] = load_file(folder / "adapter_model.safetensors")
    return found
