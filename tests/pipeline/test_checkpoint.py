"""Checkpoints on disk: what is in them, and a training that was killed goes on as if it had not been."""

from __future__ import annotations

import resource
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import small_training
from small_training import adapter, config, load, rows

from kit.errors import KitError
from kit.pipeline import model
from kit.pipeline.answers import Trained
from kit.pipeline.model import Loaded
from kit.pipeline.training import checkpoint, oversee, train

pytestmark = pytest.mark.train

OFTEN = "train.checkpoint_minutes=0.000001"
ADAPTER = "adapter/adapter_model.safetensors"


@pytest.fixture(scope="module")
def loaded(tiny_model: Path) -> Loaded:
    """The tiny model, loaded once; each training makes its adapter anew."""
    return load(tiny_model, config())


def _train(
    loaded: Loaded, folder: Path, *overrides: str, seed: int = 1, count: int = 40, **more: Any
) -> Trained:
    model.renew_adapter(loaded, seed)
    return train.train(
        loaded, rows(count), config(*overrides), seed=seed, scratch=folder.parent, checkpoint=folder, **more
    )


@pytest.fixture(scope="module")
def ended(loaded: Loaded, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoints of a training that ran to its end, six steps."""
    folder = tmp_path_factory.mktemp("kept") / "seed-1"
    _train(loaded, folder, OFTEN)
    return folder


@pytest.fixture
def kept(ended: Path, tmp_path: Path) -> Path:
    """A copy of them."""
    return Path(shutil.copytree(ended, tmp_path / "seed-1"))


def test_a_training_that_had_ended_is_taken_up_without_a_step(kept: Path, loaded: Loaded) -> None:
    """Killed while scoring, it only scores again; how often checkpoints are written does not matter.

    A checkpoint holds adapter, optimizer, scheduler, random state, position and whose it is, not the base.
    """
    import torch
    from safetensors.torch import load_file

    assert [path.name for path in kept.iterdir()] == ["step-6"]
    names = {path.name for path in (kept / "step-6").iterdir()}
    assert names == {*checkpoint.NEEDED, checkpoint.NAME} - {"scaler.pt"}
    assert sum(path.stat().st_size for path in (kept / "step-6").iterdir()) < 0.5 * 2**20
    trained = _train(loaded, kept, "train.checkpoint_minutes=5", "run.time_limit_minutes=9", "run.members=3")
    assert (trained.step, trained.steps, trained.stopped) == (6, 6, "")
    assert [entry["step"] for entry in trained.history] == [1, 2, 3, 4, 5, 6]
    assert trained.notes == ["went on from step 6 of 6"]
    there = load_file(kept / "step-6" / "adapter_model.safetensors")
    here = {name.replace(".default", ""): weight for name, weight in adapter(loaded).items()}
    assert there.keys() == here.keys()
    assert all(torch.equal(weight, here[name]) for name, weight in there.items())


@pytest.mark.parametrize(
    ("damage", "changed", "says"),
    [
        (None, {"overrides": ["train.learning_rate=1e-3"]}, "of another training"),
        (None, {"seed": 2}, "of another training"),
        (None, {"count": 39}, "of another training"),
        (lambda at: (at / "optimizer.pt").unlink(), {}, "optimizer.pt is missing or damaged"),
        (lambda at: (at / "rng_state.pth").write_bytes(b"half"), {}, "rng_state.pth is missing or damaged"),
        (lambda at: (at / checkpoint.NAME).write_text('{"sch'), {}, "checkpoint.json is damaged"),
        (lambda at: (at / checkpoint.NAME).write_text('{"schema": 2}'), {}, "checkpoint.json is damaged"),
    ],
)
def test_a_checkpoint_that_is_another_s_or_damaged_is_refused_in_one_line(
    kept: Path, loaded: Loaded, damage: Callable[[Path], None] | None, changed: dict[str, Any], says: str
) -> None:
    """It went through a dataset, or a disk that was full."""
    if damage:
        damage(kept / "step-6")
    with pytest.raises(KitError, match=says) as caught:
        _train(loaded, kept, *changed.pop("overrides", ()), **changed)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("override", "free", "notes"),
    [
        ("train.checkpoint_mib=0", 2**40, ["no checkpoint: 0.4 MiB are more than train.checkpoint_mib = 0"]),
        ("train.checkpoint_mib=9", 2**18, ["no checkpoint: 0.4 MiB, and 0.2 MiB are free"]),
    ],
)
def test_a_checkpoint_that_is_too_heavy_or_finds_no_room_for_two_is_not_written(
    loaded: Loaded,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    override: str,
    free: int,
    notes: list[str],
) -> None:
    """Training goes on without; one file too many would take the submission's place."""
    usage = shutil.disk_usage(tmp_path)._replace(free=free)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage)
    trained = _train(loaded, tmp_path / "seed-1", OFTEN, "train.max_steps=2", override)
    assert (trained.step, trained.notes) == (2, notes)
    assert list((tmp_path / "seed-1").iterdir()) == []


@pytest.mark.parametrize(("optimizer", "most_bytes"), [("adamw_8bit", 100_000), ("adamw_torch", 300_000)])
def test_a_write_that_the_disk_refuses_ends_no_training(
    loaded: Loaded, tmp_path: Path, optimizer: str, most_bytes: int
) -> None:
    """The adapter or the optimizer finds no room; nothing half-written stays, and the note says why."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, limits[1]))
    try:
        trained = _train(
            loaded, tmp_path / "seed-1", OFTEN, "train.max_steps=2", f"train.optimizer={optimizer}"
        )
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (trained.step, len(trained.notes)) == (2, 2)
    assert trained.notes[0].startswith("no checkpoint at step 1: ")
    assert list((tmp_path / "seed-1").iterdir()) == []


def _stop_behind(monkeypatch: pytest.MonkeyPatch, step: int) -> float:
    """Let the time of each training be over behind so many of its steps; return the time."""
    monkeypatch.setattr(oversee, "must_stop", lambda _now, _until, durations: len(durations) == step)
    return time.monotonic() + 600


def test_with_0_minutes_a_checkpoint_comes_only_where_training_stops(
    loaded: Loaded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time limit is one of these places."""
    until = _stop_behind(monkeypatch, 2)
    trained = _train(loaded, tmp_path / "seed-1", "train.checkpoint_minutes=0", until=until)
    assert (trained.stopped, trained.step) == ("time limit", 2)
    assert [path.name for path in (tmp_path / "seed-1").iterdir()] == ["step-2"]


def test_a_retreat_goes_on_with_the_bins_of_the_checkpoint_or_begins_anew(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Checkpointing leaves the position in the rows as it is; other bins do not."""
    import torch

    folder = tmp_path / "seed-1"
    settings = (OFTEN, "train.gradient_checkpointing=auto", "train.max_steps=8")
    loaded = load(tiny_model, config(*settings))
    until = _stop_behind(monkeypatch, 3)
    before = _train(loaded, folder, *settings, until=until)
    assert (before.step, before.stopped) == (3, "time limit")

    def holds(most: int) -> Callable[..., None]:
        def hook(module: Any, _args: Any, kwargs: dict[str, Any]) -> None:
            if kwargs["input_ids"].numel() > most or not module.layers[0].gradient_checkpointing:
                raise torch.OutOfMemoryError("CUDA out of memory.")

        return hook

    base = loaded.model.get_base_model().model
    for most, reached in ((256, 6), (128, 3)):
        handle = base.register_forward_pre_hook(holds(most), with_kwargs=True)
        again = _train(loaded, folder, *settings, until=until)
        handle.remove()
        assert again.notes[0].startswith(f"went on from step {before.step} of 8")
        assert any("began anew" in note for note in again.notes) is (most == 128)
        assert again.layout is not None
        assert (again.layout.pack_tokens, again.layout.gradient_checkpointing) == (most, True)
        assert [entry["step"] for entry in again.history] == list(range(1, reached + 1))
        assert [path.name for path in folder.iterdir()] == [f"step-{reached}"]
        before = again


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_training_that_was_killed_goes_on_to_the_very_same_adapter(
    tiny_model: Path, tmp_path: Path
) -> None:
    """Bit for bit after SIGKILL right behind a checkpoint, and after SIGTERM, which writes one itself.

    In the middle of an epoch, in the second one, and with dropout, so that optimizer, schedule, random state
    and position all count. What was half-written in a kill lies aside and is never taken for a checkpoint.
    """
    import torch
    from safetensors.torch import load_file

    overrides = [OFTEN, "train.max_steps=9", "train.gradient_accumulation=2", "lora.dropout=0.1"]

    def job(name: str, checkpoints: str) -> dict[str, Any]:
        named = {"model": str(tiny_model), "out": str(tmp_path / name), "overrides": overrides}
        return {**named, "rows": 60, "seed": 1, "checkpoint": str(tmp_path / checkpoints)}

    to_kill, to_ask = job("killed", "kept"), job("asked", "kept-asked")
    killed, asked = small_training.start(to_kill), small_training.start(to_ask)
    small_training.until_event(to_kill, "checkpoint", 4)
    killed.kill()
    killed.join()
    assert not (tmp_path / "killed" / "trained.json").exists()
    half = tmp_path / "kept" / ".part" / "checkpoint-9"
    half.mkdir(parents=True, exist_ok=True)
    (half / "optimizer.pt").write_bytes(b"half")
    small_training.until_event(to_ask, "step", 4)
    asked.terminate()
    stopped = small_training.finish(asked, to_ask)
    assert stopped["stopped"] == "SIGTERM"
    assert 4 <= stopped["step"] < 9
    assert [path.name for path in (tmp_path / "kept-asked").iterdir()] == [f"step-{stopped['step']}"]

    jobs = [job("whole", "kept-whole"), job("resumed", "kept"), job("again", "kept-asked")]
    children = [small_training.start(each) for each in jobs]
    whole, *others = [small_training.finish(*each) for each in zip(children, jobs, strict=True)]
    weights = {name: load_file(tmp_path / name / ADAPTER) for name in ("whole", "resumed", "again", "asked")}
    assert whole["step"] == 9
    assert [path.name for path in (tmp_path / "kept").iterdir()] == ["step-9"]
    for told, name in zip(others, ("resumed", "again"), strict=True):
        assert all(torch.equal(weight, weights[name][key]) for key, weight in weights["whole"].items()), name
        assert told["history"] == whole["history"]
        assert told["notes"][0].startswith("went on from step ")
    first = next(iter(weights["whole"]))
    assert not torch.equal(weights["whole"][first], weights["asked"][first])
