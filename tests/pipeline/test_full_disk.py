"""A working folder of any size ends a run with a submission or with one line, and never with half a file."""

from __future__ import annotations

import errno
import json
import os
import shutil
from pathlib import Path

import pytest

from kit import config as settings
from kit.errors import KitError
from kit.fetch.inputs import SAMPLE
from kit.pipeline import answers, run, schedule
from kit.pipeline.answers import UNTRAINED, Answers
from kit.pipeline.record import Job, RunRecord

QUICK = ("data.train_rows=72", "data.test_rows=18", "run.members=2", "model.layers=0", "model.width=0")
ADAPTER_BYTES = 60_000


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An input root with the sample competition and what passes for a model."""
    place = tmp_path / "input"
    shutil.copytree(SAMPLE, place / "competitions" / "sample-sentiment")
    model = place / "models" / "kit" / "tiny" / "transformers" / "default" / "1"
    model.mkdir(parents=True)
    (model / "config.json").write_text('{"architectures": ["LlamaForCausalLM"]}')
    header = b'{"weight": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]}}'
    (model / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + b"0")
    return place


def _work(job_path: Path, slots: int, **_: object) -> None:
    """Leave what members leave, without training: a checkpoint, answers, and an adapter that may not fit."""
    job = Job.read(job_path)
    for name in (name for slot in job.slots[:slots] for name in slot):
        member, folder = job.members[name], Path(job.folder)
        rows = [*member.held_out, *(row["id"] for row in job.test)]
        for kind in ("checkpoint", "adapter"):
            place = folder / name / kind
            try:
                place.mkdir(parents=True)
                if kind == "adapter":
                    timings = dict.fromkeys(("import", "load", "train", "predict"), 1.0)
                    answers.write(
                        folder,
                        Answers(
                            name, member.seed, None, None, "", job.identities[name], UNTRAINED,
                            {row: [0.75, 0.25] for row in rows}, {}, 1, timings, 0, "plain", {},
                        ),
                    )  # fmt: skip
                (place / "weights").write_bytes(b"0" * ADAPTER_BYTES)
            except OSError:
                shutil.rmtree(place, ignore_errors=True)


def _end(root: Path, working: Path) -> tuple[RunRecord, str]:
    config = settings.resolve("tiny", QUICK)
    record, said = RunRecord("b" * 64, config.model_dump(mode="json")), ""
    try:
        run.run(config, root, working, record)
        record.ended = "complete"
    except KitError as error:
        record.ended, said = f"failed: {error}", str(error)
    try:
        record.close(working)
    except KitError as error:
        said = str(error)
    return record, said


def test_any_size_of_the_disk_ends_with_a_submission_or_one_line(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answers come first: adapters and checkpoints give way to them, and nothing is half-written."""
    monkeypatch.setattr(schedule, "run", _work)
    whole = tmp_path / "whole"
    whole.mkdir()
    _end(root, whole)
    needed = sum({path.stat().st_ino: path.stat().st_size for path in whole.rglob("*")}.values())
    write_bytes, answered = Path.write_bytes, []
    for step in range(31):
        size, working = needed * step // 30, tmp_path / f"working-{step}"
        working.mkdir()

        def limited(path: Path, data: bytes, size: int = size, working: Path = working) -> int:
            if not path.is_relative_to(working):
                return write_bytes(path, data)
            files = [each for each in working.rglob("*") if each.is_file() and each != path]
            used = sum({each.stat().st_ino: each.stat().st_size for each in files}.values())
            written = write_bytes(path, data[: max(0, size - used)])
            if written < len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return written

        with monkeypatch.context() as patch:
            patch.setattr(Path, "write_bytes", limited)
            record, said = _end(root, working)
        assert not list(working.rglob("*.part*")), size
        for path in working.rglob("*.json"):
            json.loads(path.read_text())
        there = (working / "submission.csv").exists()
        assert there or "No space left on device" in said, size
        if record.ended == "complete" and not said:
            assert len((working / "submission.csv").read_text().splitlines()) == 19
            assert (working / "outputs.json").exists()
            answered.append(step)
    assert answered == list(range(answered[0], 31)), "a larger disk leaves no less"
    assert needed * answered[0] / 30 < needed - ADAPTER_BYTES, "the adapters gave way"
