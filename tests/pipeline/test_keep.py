"""What members leave while a run goes on, and what of it another run may take up."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kit import config as settings
from kit.errors import KitError
from kit.pipeline import keep


def _answers(stopped: str = "", key: str = "test/1") -> dict[str, Any]:
    return {
        "stopped": stopped,
        "probabilities": {key: [0.5, 0.5]},
        "completions": {},
        "peak_memory_bytes": len(key),
        "timings": {"train": 1.0, "predict": 2.0},
    }


def test_ranks_answer_together(tmp_path: Path) -> None:
    """Their rows are joined, and a rank without answers means that the member is not done."""
    (tmp_path / "seed-1").mkdir()
    keep.write_answers(tmp_path, "seed-1", 0, _answers())
    assert keep.read_answers(tmp_path, "seed-1", 2) is None
    keep.write_answers(tmp_path, "seed-1", 1, _answers(key="test/22"))
    joined = keep.read_answers(tmp_path, "seed-1", 2)
    assert joined is not None
    assert set(joined["probabilities"]) == {"test/1", "test/22"}
    assert joined["peak_memory_bytes"] == len("test/22")


def test_half_of_the_ranks_answers_are_dropped(tmp_path: Path) -> None:
    """Otherwise one rank would wait for another that has nothing to do."""
    (tmp_path / "seed-1").mkdir()
    keep.write_answers(tmp_path, "seed-1", 0, _answers())
    keep.drop_parts(tmp_path, "seed-1", 2)
    assert keep.read_answers(tmp_path, "seed-1") is None
    keep.write_answers(tmp_path, "seed-1", 0, _answers())
    keep.drop_parts(tmp_path, "seed-1", 1)
    assert keep.read_answers(tmp_path, "seed-1") is not None


def _earlier(folder: Path, config: settings.Config, **changed: Any) -> dict[str, Any]:
    told = {
        "bundle_hash": "a" * 64,
        "config": config.model_dump(mode="json"),
        "test_sha256": "t",
        "ended": "complete",
        **changed,
    }
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps(told))
    return told


def test_a_member_that_had_more_to_learn_is_taken_up_again(tmp_path: Path) -> None:
    """It answered in time, but its checkpoint is the better half; a finished one is not repeated."""
    config = settings.resolve("tiny")
    told = _earlier(tmp_path / "run", config)
    for name, stopped in (("seed-1", "time limit"), ("seed-2", "")):
        (tmp_path / "run" / "members" / name).mkdir(parents=True)
        keep.write_answers(tmp_path / "run" / "members", name, 0, _answers(stopped))
    keep.bring_back(tmp_path / "run", told, config, "t", tmp_path / "members")
    assert keep.read_answers(tmp_path / "members", "seed-1") is None
    assert keep.read_answers(tmp_path / "members", "seed-2") is not None


@pytest.mark.parametrize(
    ("changed", "setting", "reason"),
    [
        ({}, "seed=7", "seed was 42"),
        ({"test_sha256": "other"}, "seed=42", "another test.csv"),
        ({"ended": "failed: no room"}, "seed=42", "holds no members/"),
    ],
)
def test_another_run_is_not_resumed(
    tmp_path: Path, changed: dict[str, Any], setting: str, reason: str
) -> None:
    """Answers of two different runs would be averaged."""
    told = _earlier(tmp_path / "run", settings.resolve("tiny"), **changed)
    with pytest.raises(KitError, match=reason):
        keep.bring_back(tmp_path / "run", told, settings.resolve("tiny", [setting]), "t", tmp_path / "m")


def test_the_attached_run_is_told_by_its_bundle_hash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kaggle attaches the newest version, whichever was asked for."""
    _earlier(tmp_path / "notebooks" / "me" / "kernel", settings.resolve("tiny"))
    folder, told = keep.earlier_run(tmp_path, "a" * 64, "RESUME")
    assert folder.name == "kernel"
    assert told["ended"] == "complete"
    with pytest.raises(KitError, match="attached are aaaaaaaaaaaa"):
        keep.earlier_run(tmp_path, "b" * 64, "RESUME")
