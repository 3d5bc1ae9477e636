"""What members leave while a run goes on, and what of it another run may take up."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from kit import config as settings
from kit.config import Config
from kit.errors import KitError
from kit.pipeline import answers, earlier
from kit.pipeline.answers import UNTRAINED, Answers, Failure
from kit.pipeline.record import RunRecord
from kit.pipeline.training.layout import Layout

ONE = Answers(
    name="seed-1", seed=1, fold=None, point=None, settings="", identity="i",
    trained=replace(UNTRAINED, history=[{"step": 1.0, "loss": 0.1}], layout=Layout(128, 1, 2, True)),
    probabilities={"test/1": [0.1, 0.9]}, completions={"test/2": "Négatif\n"}, peak_memory_bytes=6,
    timings={"train": 1.0, "predict": 2.0}, slot=0, loader="plain", versions={},
)  # fmt: skip


def test_what_is_written_is_what_is_read(tmp_path: Path) -> None:
    """Types, floats, text and the layout; of another question it is none of this run's."""
    answers.write(tmp_path, ONE)
    assert answers.read(tmp_path, "seed-1", "i") == ONE
    assert answers.read(tmp_path, "seed-1", "another") is None
    assert answers.read(tmp_path, "seed-2", "i") is None


def test_ranks_answer_together(tmp_path: Path) -> None:
    """Their rows are joined, and a rank without answers means that the member is not done."""
    answers.write(tmp_path, replace(ONE, ranks=2))
    assert answers.read(tmp_path, "seed-1", "i") is None
    other = replace(ONE, ranks=2, probabilities={"test/3": [1.0, 0.0]}, peak_memory_bytes=9)
    answers.write(tmp_path, other, rank=1)
    joined = answers.read(tmp_path, "seed-1", "i")
    assert joined is not None
    assert joined.keys == {"test/1", "test/2", "test/3"}
    assert joined.peak_memory_bytes == 9
    answers.drop(tmp_path, "seed-1")
    assert not list(tmp_path.rglob("answers*"))


@pytest.mark.parametrize(
    "damage",
    [
        *(lambda text, size=size: text[:size] for size in (0, 1, 40, 300, -2)),
        lambda text: text.replace("0.9", "0.8"),
        lambda text: text.replace('"answers": {', '"answers": {"x": "\\ud800", '),
        lambda text: text.replace('"trained": {', '"trained": {"more": 1, '),
        lambda _: "null",
        lambda _: '{"answers": null}',
        lambda _: "[" * 100_000,
    ],
)
def test_a_damaged_file_is_no_answer(tmp_path: Path, damage: Callable[[str], str]) -> None:
    """Cut anywhere, or with something else in it: the member is trained again."""
    answers.write(tmp_path, ONE)
    path = answers.answers_path(tmp_path, "seed-1")
    path.write_text(damage(path.read_text()))
    assert answers.read(tmp_path, "seed-1", "i") is None


CONFIG = settings.resolve("tiny")
NOW = RunRecord("n" * 64, {}, train_sha256="t" * 64, test_sha256="q" * 64, model_revision="r" * 64)


def _record(config: Config = CONFIG, **changed: object) -> RunRecord:
    was = replace(NOW, bundle_hash="a" * 64, config=config.model_dump(mode="json"), ended="complete")
    return replace(was, answered_by=["seed-42"], **changed)  # type: ignore[arg-type]


def _kept(folder: Path) -> Path:
    (folder / answers.FOLDER / "seed-42").mkdir(parents=True)
    return folder


@pytest.mark.parametrize(
    ("changed", "settings_now", "reason"),
    [
        ({}, "seed=7", "seed was 42, now 7"),
        ({}, "train.learning_rate=1e-3", "train.learning_rate was 0.005"),
        ({}, "predict.batch_rows=1", "predict.batch_rows was 0"),
        ({}, "run.members=3", "run.members was 1"),
        ({"train_sha256": "x" * 64}, "seed=42", "another train.csv: xxxxxxxxxxxx, now tttttttttttt"),
        ({"test_sha256": "x" * 64}, "seed=42", "another test.csv"),
        ({"model_revision": "x" * 64}, "seed=42", "another base model"),
        ({"model_revision": ""}, "seed=42", "another base model: unknown"),
    ],
)
def test_another_run_is_not_resumed(
    tmp_path: Path, changed: dict[str, str], settings_now: str, reason: str
) -> None:
    """Answers of two different runs would be averaged; what differs is named."""
    config = settings.resolve("tiny", [settings_now])
    with pytest.raises(KitError, match=reason):
        earlier.bring_back(_kept(tmp_path / "run"), _record(**changed), config, NOW, tmp_path / "m")
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize(
    "change", ["run.time_limit_minutes=5", "train.checkpoint_minutes=5", "kernel.internet=false"]
)
def test_where_and_how_long_a_run_is_may_change(tmp_path: Path, change: str) -> None:
    """It decides no answer. A member that cannot succeed stays failed; any other is tried again."""
    run = _kept(tmp_path / "run")
    answers.write_failure(run / answers.FOLDER, "seed-1", Failure("the loss is nan", is_final=True))
    answers.write_failure(run / answers.FOLDER, "seed-2", Failure("SIGKILL", is_final=False))
    earlier.bring_back(run, _record(), settings.resolve("tiny", [change]), NOW, tmp_path / "m")
    assert answers.read_failure(tmp_path / "m", "seed-1") == Failure("the loss is nan", is_final=True)
    assert answers.read_failure(tmp_path / "m", "seed-2") is None


@pytest.mark.parametrize(
    ("changed", "settings_now", "reason"),
    [
        ({}, "prompt.style=notebook", "prompt.style was 'plain'"),
        ({"train_sha256": "x" * 64}, "seed=42", "another train.csv"),
        ({"model_revision": "x" * 64}, "seed=42", "another base model"),
        ({"answered_by": ["seed-9"]}, "seed=42", "adapters are seed-9, this one needs seed-42"),
    ],
)
def test_adapters_of_another_training_do_not_answer(
    tmp_path: Path, changed: dict[str, object], settings_now: str, reason: str
) -> None:
    """Their base, their rows and their prompt must be this run's."""
    config = settings.resolve("tiny", [settings_now])
    with pytest.raises(KitError, match=reason):
        earlier.adapters(tmp_path, replace(_record(), **changed), config, NOW, ["seed-42"])  # type: ignore[arg-type]


def test_adapters_may_answer_other_rows_in_another_way(tmp_path: Path) -> None:
    """That is what FROM is for; a member that failed there is left out here."""
    config = settings.resolve("tiny", ["predict.mode=generate", "data.test_rows=5"])
    found = earlier.adapters(tmp_path, _record(test_sha256="x" * 64), config, NOW, ["seed-42", "seed-43"])
    assert found == {"seed-42": str(tmp_path / "adapter")}


def test_an_interrupted_run_without_anything_to_go_on_from_says_so(tmp_path: Path) -> None:
    """A complete run keeps no members."""
    (tmp_path / "run").mkdir()
    with pytest.raises(KitError, match="holds no members/: that run ended as 'complete'"):
        earlier.bring_back(tmp_path / "run", _record(), CONFIG, NOW, tmp_path / "m")


def test_the_attached_run_is_the_one_with_its_bundle_hash(tmp_path: Path) -> None:
    """Kaggle attaches the newest version, whichever was asked for; a file that cannot be read is none."""
    for name, text in (("a", ""), ("b", "{"), ("c", json.dumps({"bundle_hash": 5}))):
        (tmp_path / name).mkdir()
        (tmp_path / name / "run.json").write_text(text)
    (tmp_path / "notebooks" / "me" / "kernel").mkdir(parents=True)
    _record().close(tmp_path / "notebooks" / "me" / "kernel")
    folder, was = earlier.find(tmp_path, "a" * 64, "RESUME")
    assert (folder.name, was) == ("kernel", _record())
    with pytest.raises(KitError, match="attached are aaaaaaaaaaaa"):
        earlier.find(tmp_path, "b" * 64, "RESUME")
