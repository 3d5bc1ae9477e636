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
from collections.abc import Iterator
from pathlib import Path

import pytest
from waiting import wait_for

from kit import config as settings
from kit.config import Config
from kit.errors import KitError
from kit.fetch import inputs as fetched
from kit.pipeline import run
from kit.pipeline.record import RunRecord

pytestmark = [pytest.mark.train, pytest.mark.slow, pytest.mark.timeout(300)]

QUICK = (
    "data.train_rows=72",
    "data.test_rows=18",
    "train.max_steps=4",
    "train.pack_tokens=256",
    "model.max_row_tokens=256",
)


HASH = "b" * 64
GRID = (
    "train.learning_rate=1e30",
    "train.epochs=0 train.max_steps=0",
    "train.learning_rate=5e-3 seed=1",
    "train.learning_rate=1e-9 seed=1",
)
SWEEP = (f"run.grid={json.dumps(GRID)}", "train.max_steps=12")
FOLDS = ("evaluate.mode=folds", "evaluate.folds=4")


@pytest.fixture(scope="module")
def attached(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An input root with the sample competition and the tiny model."""
    place = tmp_path_factory.mktemp("attached")
    shutil.copytree(fetched.SAMPLE, place / "competitions" / "sample-sentiment")
    handle = place / "models" / "kit" / "tiny" / "transformers" / "default"
    handle.mkdir(parents=True)
    (handle / "1").symlink_to(tiny_model)
    return place


@pytest.fixture
def root(attached: Path, tmp_path: Path) -> Path:
    """A copy of it, to which a test may attach more."""
    return Path(shutil.copytree(attached, tmp_path / "input", symlinks=True))


@pytest.fixture(autouse=True, scope="module")
def _sources() -> Iterator[None]:
    """Children find the sources."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(settings.PROJECT_ROOT / "src"))
        yield


@pytest.fixture(scope="module")
def folds(attached: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[RunRecord, Path]:
    """Four folds on two processes."""
    working = tmp_path_factory.mktemp("folds")
    return _run(attached, working, *FOLDS, "run.cpu_processes=2"), working


@pytest.fixture(scope="module")
def sweep(attached: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[RunRecord, Path]:
    """A sweep of four points: a broken one, the base model as it is, one that learns, one that cannot."""
    working = tmp_path_factory.mktemp("sweep")
    return _run(attached, working, *SWEEP), working


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
    record = RunRecord(HASH, config.model_dump(mode="json"))
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


def test_folds_on_two_processes_judge_every_row_once_and_answer_every_test_row(
    folds: tuple[RunRecord, Path],
) -> None:
    """Four members, two a process, each row judged by the one that has not seen it."""
    record, working = folds
    judged = _table(working / "oof.csv")
    assert len({row["id"] for row in judged}) == len(judged) == 72
    assert sorted({row["fold"] for row in judged}) == ["0", "1", "2", "3"]
    assert len(_table(working / "predictions.csv")) == len(_table(working / "submission.csv")) == 18
    assert [member["name"] for member in record.members] == [f"fold-{fold}" for fold in range(4)]
    assert [member["slot"] for member in record.members] == [0, 1, 0, 1]
    assert record.share_of_train_seen == 0.75
    assert {path.name for path in (working / "adapter").iterdir()} == {f"fold-{fold}" for fold in range(4)}
    assert not (working / "members").exists()
    assert json.loads((working / "metrics.json").read_text())["held_out"]["rows"] == 72


def test_an_earlier_runs_adapters_answer_without_training(
    folds: tuple[RunRecord, Path], root: Path, tmp_path: Path
) -> None:
    """FROM gives the same probabilities, and other test rows can be asked."""
    shutil.copytree(folds[1], root / "notebooks" / "me" / "kernel")
    record = _run(root, tmp_path / "second", *FOLDS, f"run.adapters_from={HASH}")
    assert [member["step"] for member in record.members] == [0] * 4
    tables = [_table(place / "predictions.csv") for place in (folds[1], tmp_path / "second")]
    for one, other in zip(*tables, strict=True):
        assert one["id"] == other["id"]
        assert float(one["probability_Positive"]) == pytest.approx(
            float(other["probability_Positive"]), abs=1e-3
        )
    with pytest.raises(KitError, match=r"evaluate\.mode was 'folds', now 'holdout'"):
        _run(root, tmp_path / "third", f"run.adapters_from={HASH}")
    with pytest.raises(KitError, match="no attached output"):
        _run(root, tmp_path / "fourth", f"run.adapters_from={'c' * 64}")


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


def test_a_sweep_leaves_a_row_for_each_point_and_answers_with_the_best(
    sweep: tuple[RunRecord, Path],
) -> None:
    """Points share the loaded base; one that fails costs no other; what training was worth stands there."""
    record, working = sweep
    points = _table(working / "sweep.csv")
    assert {point["settings"] for point in points} == set(GRID)
    assert [point["state"] for point in points] == ["done", "done", "done", "failed"]
    figures = [float(point["macro_f1"]) for point in points[:3]]
    assert figures == sorted(figures, reverse=True), "the competition's metric decides"
    (best,) = record.answered_by
    assert best.startswith(f"point-{points[0]['point']}-")
    assert [member["settings"] for member in record.members] == list(GRID[1:])
    assert [member["step"] for member in record.members] == [0, 12, 12]
    assert list(record.failed) == ["point-0-seed-42"]
    assert any(word in record.failed["point-0-seed-42"] for word in ("the loss is", "gradients"))
    assert len(_table(working / "submission.csv")) == 18


def test_a_point_that_cannot_succeed_is_not_tried_again(
    sweep: tuple[RunRecord, Path], root: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A resumed sweep keeps the reason; and it goes on from no run of other labels, nor does FROM."""
    before, working = sweep
    shutil.copytree(working, root / "notebooks" / "me" / "kernel")
    again = _run(root, tmp_path / "resumed", *SWEEP, f"run.resume={HASH}")
    assert (again.failed, again.answered_by) == (before.failed, before.answered_by)
    said = capfd.readouterr().out
    assert "is left out, since it failed before" in said
    assert '{"event": "load"' not in said, "nothing was left to do"
    train = root / "competitions" / "sample-sentiment" / "train.csv"
    swap = {"Positive": "Negative", "Negative": "Positive"}
    train.write_text(re.sub("Positive|Negative", lambda label: swap[label[0]], train.read_text()))
    for verb in ("resume", "adapters_from"):
        with pytest.raises(KitError, match=r"another train\.csv"):
            _run(root, tmp_path / verb, *SWEEP, f"run.{verb}={HASH}")


def test_a_sweep_that_runs_out_of_time_names_the_points_that_it_skipped(root: Path, tmp_path: Path) -> None:
    """What was reached is judged, though cut short; a point that would not fit is not begun."""
    working = tmp_path / "working"
    grid = [f"seed={seed} train.max_steps=200" for seed in range(40)]
    record = _run(root, working, f"run.grid={json.dumps(grid)}", "run.time_limit_minutes=1.2")
    states = [point["state"] for point in _table(working / "sweep.csv")]
    assert "done" in states
    assert "skipped" in states
    assert len(record.unreached) == states.count("skipped")
    assert len(_table(working / "submission.csv")) == 18


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
        assert wait_for(done.exists, 200)
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
