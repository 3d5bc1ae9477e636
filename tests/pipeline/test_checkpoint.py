"""Checkpoints on disk: what is in them, and a training that was killed goes on as if it had not been."""

from __future__ import annotations

import json
import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import small_training
from small_training import adapter, config, load, rows

from kit.errors import InputInvalid, KitError
from kit.pipeline.answers import Trained
from kit.pipeline.training import checkpoint, stopping, train

pytestmark = pytest.mark.train

OFTEN = "train.checkpoint_minutes=0.000001"


def _train(folder: Path, chosen: Any, seed: int = 1, count: int = 40, **more: Any) -> tuple[Trained, Any]:
    loaded = load(folder, chosen, seed)
    scratch = more.get("checkpoint") or more.get("resume")
    trained = train.train(loaded, rows(count), chosen, seed=seed, scratch=Path(scratch).parent, **more)
    return trained, loaded


@pytest.fixture(scope="module")
def kept(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoints of a training that ran to its end, six steps."""
    folder = tmp_path_factory.mktemp("kept") / "seed-1"
    _train(tiny_model, config(OFTEN), checkpoint=folder)
    return folder


def test_a_checkpoint_holds_all_but_the_base(kept: Path) -> None:
    """Adapter, optimizer, scheduler, random state, position and whose it is; a fifth of the base's size."""
    assert [path.name for path in kept.iterdir()] == ["step-6"]
    names = {path.name for path in (kept / "step-6").iterdir()}
    assert names == {*checkpoint.NEEDED, checkpoint.NAME} - {"scaler.pt"}
    facts = json.loads((kept / "step-6" / checkpoint.NAME).read_text())
    assert (facts["step"], facts["steps"], facts["identity"]["seed"]) == (6, 6, 1)
    assert facts["identity"]["settings"]["train.learning_rate"] == 5e-3
    assert sum(path.stat().st_size for path in (kept / "step-6").iterdir()) < 0.5 * 2**20


def test_a_training_that_had_ended_is_taken_up_without_a_step(
    kept: Path, tiny_model: Path, tmp_path: Path
) -> None:
    """Killed while scoring, it only scores again."""
    import torch
    from safetensors.torch import load_file

    trained, loaded = _train(tiny_model, config(OFTEN), resume=kept)
    assert (trained.step, trained.steps, trained.stopped) == (6, 6, "")
    assert [entry["step"] for entry in trained.history] == [1, 2, 3, 4, 5, 6]
    assert trained.notes == ["went on from step 6 of 6"]
    there = load_file(kept / "step-6" / "adapter_model.safetensors")
    here = {name.replace(".default", ""): weight for name, weight in adapter(loaded).items()}
    assert there.keys() == here.keys()
    assert all(torch.equal(weight, here[name]) for name, weight in there.items())


@pytest.mark.parametrize(
    ("overrides", "seed", "count", "says"),
    [
        (["train.learning_rate=1e-3"], 1, 40, "train.learning_rate was 0.005, now 0.001"),
        (["lora.r=8"], 1, 40, "lora.r was 16, now 8"),
        ([], 2, 40, "its seed was 1, now 2"),
        ([], 1, 39, "its training rows were others"),
    ],
)
def test_a_checkpoint_of_another_training_is_refused_in_one_line(
    kept: Path, tiny_model: Path, overrides: list[str], seed: int, count: int, says: str
) -> None:
    """The first thing that differs is named."""
    with pytest.raises(KitError, match=says) as caught:
        _train(tiny_model, config(*overrides), seed, count, resume=kept)
    assert "\n" not in str(caught.value)


def test_when_checkpoints_are_written_and_how_many_cards_there_are_may_change(
    kept: Path, tiny_model: Path
) -> None:
    """They do not decide what is learnt."""
    chosen = config("train.checkpoint_minutes=5", "run.time_limit_minutes=9", "run.members=3")
    assert _train(tiny_model, chosen, resume=kept)[0].step == 6


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda at: shutil.rmtree(at), "holds no checkpoint"),
        (lambda at: (at / "optimizer.pt").unlink(), "optimizer.pt is missing or damaged"),
        (lambda at: (at / "rng_state.pth").write_bytes(b"half"), "rng_state.pth is missing or damaged"),
        (lambda at: (at / checkpoint.NAME).write_text('{"sch'), "checkpoint.json is damaged"),
        (lambda at: (at / checkpoint.NAME).write_text('{"schema": 2}'), "another version of the kit"),
    ],
)
def test_a_damaged_checkpoint_is_refused_in_one_line(
    kept: Path, tiny_model: Path, tmp_path: Path, damage: Callable[[Path], None], says: str
) -> None:
    """It went through a dataset, or a disk that was full."""
    shutil.copytree(kept, tmp_path / "seed-1")
    damage(tmp_path / "seed-1" / "step-6")
    with pytest.raises(InputInvalid, match=says):
        _train(tiny_model, config(), resume=tmp_path / "seed-1")


def test_a_checkpoint_that_is_too_heavy_is_not_written_and_noted(tiny_model: Path, tmp_path: Path) -> None:
    """Training goes on without."""
    trained, _ = _train(tiny_model, config(OFTEN, "train.checkpoint_mib=0"), checkpoint=tmp_path / "seed-1")
    assert trained.step == 6
    assert trained.notes == ["no checkpoint: 0.4 MiB are more than train.checkpoint_mib = 0"]
    assert list((tmp_path / "seed-1").iterdir()) == []


def test_a_checkpoint_is_left_out_where_the_disk_has_no_room_for_two(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One file too many would take the submission's place."""
    free = shutil.disk_usage(tmp_path)._replace(free=2**18)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: free)
    trained, _ = _train(tiny_model, config(OFTEN, "train.max_steps=2"), checkpoint=tmp_path / "seed-1")
    assert (trained.step, trained.notes) == (2, ["no checkpoint: 0.4 MiB, and 0.2 MiB are free"])
    assert list((tmp_path / "seed-1").iterdir()) == []


@pytest.mark.parametrize(("optimizer", "most_bytes"), [("adamw_8bit", 100_000), ("adamw_torch", 300_000)])
def test_a_write_that_the_disk_refuses_ends_no_training(
    tiny_model: Path, tmp_path: Path, optimizer: str, most_bytes: int
) -> None:
    """The adapter or the optimizer finds no room; nothing half-written stays, and the note says why."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    chosen = config(OFTEN, "train.max_steps=2", f"train.optimizer={optimizer}")
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, limits[1]))
    try:
        trained, _ = _train(tiny_model, chosen, checkpoint=tmp_path / "seed-1")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (trained.step, len(trained.notes)) == (2, 2)
    assert trained.notes[0].startswith("no checkpoint at step 1: ")
    assert list((tmp_path / "seed-1").iterdir()) == []


def test_checkpoints_come_at_their_time_and_where_training_stops(tiny_model: Path, tmp_path: Path) -> None:
    """With 0 minutes only there; the time limit is one of these places."""
    kept = tmp_path / "seed-1"
    chosen = config("train.checkpoint_minutes=0", "train.max_steps=900")
    trained, _ = _train(tiny_model, chosen, checkpoint=kept, until=time.monotonic() + 8)
    assert trained.stopped == "time limit"
    assert [path.name for path in kept.iterdir()] == [f"step-{trained.step}"]


def test_a_retreat_goes_on_with_the_bins_of_the_checkpoint_or_begins_anew(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Checkpointing leaves the position in the rows as it is; other bins do not."""
    import torch

    kept = tmp_path / "seed-1"
    chosen = config(OFTEN, "train.gradient_checkpointing=auto", "train.max_steps=8")
    monkeypatch.setattr(stopping, "must_stop", lambda _now, _until, durations: len(durations) == 3)
    before, _ = _train(tiny_model, chosen, checkpoint=kept, until=time.monotonic() + 600)
    assert (before.step, before.stopped) == (3, "time limit")

    def holds(most: int) -> Callable[..., None]:
        def hook(module: Any, _args: Any, kwargs: dict[str, Any]) -> None:
            if kwargs["input_ids"].numel() > most or not module.layers[0].gradient_checkpointing:
                raise torch.OutOfMemoryError("CUDA out of memory.")

        return hook

    for most, reached in ((256, 6), (128, 3)):
        loaded = load(tiny_model, chosen)
        loaded.model.get_base_model().model.register_forward_pre_hook(holds(most), with_kwargs=True)
        again = train.train(
            loaded, rows(40), chosen, seed=1, scratch=tmp_path, checkpoint=kept, resume=kept,
            until=time.monotonic() + 600,
        )  # fmt: skip
        assert again.notes[0].startswith(f"went on from step {before.step} of 8")
        assert any("began anew" in note for note in again.notes) is (most == 128)
        assert (again.layout.pack_tokens, again.layout.gradient_checkpointing, again.step) == (
            most,
            True,
            reached,
        )
        assert [entry["step"] for entry in again.history] == list(range(1, reached + 1))
        assert [path.name for path in kept.iterdir()] == [f"step-{reached}"]
        before = again


def _until_event(child: subprocess.Popen[str], name: str, step: int) -> None:
    assert child.stdout is not None
    for line in child.stdout:
        if line.startswith('{"event"'):
            event = json.loads(line)
            if event["event"] == name and event["step"] == step:
                return
    assert child.stderr is not None
    raise AssertionError(child.stderr.read())


def _job(tiny_model: Path, out: Path, **more: object) -> dict[str, Any]:
    overrides = [OFTEN, "train.max_steps=9", "train.gradient_accumulation=2", "lora.dropout=0.1"]
    return {"model": str(tiny_model), "out": str(out), "overrides": overrides, "rows": 60, "seed": 1, **more}


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_training_that_was_killed_goes_on_to_the_very_same_adapter(
    tiny_model: Path, tmp_path: Path
) -> None:
    """Bit for bit after SIGKILL right behind a checkpoint, and after SIGTERM, which writes one itself.

    In the middle of an epoch, in the second one, and with dropout, so that optimizer, schedule, random state
    and position all count.
    """
    import torch
    from safetensors.torch import load_file

    whole = small_training.start(_job(tiny_model, tmp_path / "whole"))
    kept = tmp_path / "killed-checkpoint"
    killed = small_training.start(_job(tiny_model, tmp_path / "killed", checkpoint=str(kept)))
    _until_event(killed, "checkpoint", 4)
    killed.kill()
    killed.communicate()
    assert killed.returncode == -signal.SIGKILL
    assert not (tmp_path / "killed" / "trained.json").exists()
    small_training.finish(whole)

    asked = small_training.start(
        _job(tiny_model, tmp_path / "asked", checkpoint=str(tmp_path / "asked-checkpoint"))
    )
    resumed = small_training.start(
        _job(tiny_model, tmp_path / "resumed", checkpoint=str(kept), resume=str(kept))
    )
    _until_event(asked, "step", 4)
    asked.terminate()
    small_training.finish(asked)
    small_training.finish(resumed)
    stopped = json.loads((tmp_path / "asked" / "trained.json").read_text())
    assert stopped["stopped"] == "SIGTERM"
    assert 4 <= stopped["step"] < 9
    assert [path.name for path in (tmp_path / "asked-checkpoint").iterdir()] == [f"step-{stopped['step']}"]
    again = small_training.start(
        _job(tiny_model, tmp_path / "again", resume=str(tmp_path / "asked-checkpoint"))
    )
    small_training.finish(again)

    expected = load_file(tmp_path / "whole" / "adapter" / "adapter_model.safetensors")
    told = json.loads((tmp_path / "whole" / "trained.json").read_text())
    assert told["step"] == 9
    for name in ("resumed", "again"):
        found = load_file(tmp_path / name / "adapter" / "adapter_model.safetensors")
        assert all(torch.equal(weight, found[key]) for key, weight in expected.items()), name
        assert json.loads((tmp_path / name / "trained.json").read_text())["history"] == told["history"]
    assert not torch.equal(
        expected[next(iter(expected))],
        load_file(tmp_path / "asked" / "adapter" / "adapter_model.safetensors")[next(iter(expected))],
    )


@pytest.mark.slow
def test_a_kill_in_the_middle_of_writing_leaves_the_checkpoint_before(
    tiny_model: Path, tmp_path: Path
) -> None:
    """What is half-written lies aside, is never taken for one, and is gone behind the next checkpoint."""
    kept = tmp_path / "kept"
    job = _job(tiny_model, tmp_path / "first", checkpoint=str(kept))
    child = small_training.start(job)
    _until_event(child, "checkpoint", 2)
    deadline = time.monotonic() + 60
    while not list(kept.glob(".part/checkpoint-*/adapter_model.safetensors")):
        assert time.monotonic() < deadline
    child.kill()
    child.communicate()
    chosen = config(*job["overrides"])
    loaded = load(tiny_model, chosen)
    half = kept / ".part" / "checkpoint-9"
    half.mkdir(parents=True, exist_ok=True)
    (half / "optimizer.pt").write_bytes(b"half")
    trained = train.train(loaded, rows(60), chosen, seed=1, scratch=tmp_path, checkpoint=kept, resume=kept)
    assert trained.notes[0].startswith("went on from step ")
    assert trained.step == 9
    assert [path.name for path in kept.iterdir()] == ["step-9"]
