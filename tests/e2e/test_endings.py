"""Whatever befalls a run, it ends: with a submission or a clear reason, its record, and no process left.

The last test prints one table of all cases: fault, what is left, exit status, message.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from waiting import wait_for

from kit import config as settings
from kit.bundle.script import bundle
from kit.bundle.tree import collect_project
from kit.config import PROJECT_ROOT
from kit.fetch.inputs import SAMPLE
from kit.outputs import MANIFEST, read_manifest
from kit.pipeline import schedule

sys.path.insert(0, str(PROJECT_ROOT / "tests" / "kernel"))
import little_hub

pytestmark = [pytest.mark.slow, pytest.mark.train, pytest.mark.timeout(600)]

QUICK = (
    *("data.train_rows=72", "data.test_rows=18", "train.pack_tokens=256", "model.max_row_tokens=256"),
    "train.gradient_accumulation=1",
)
LONG = ("train.max_steps=4000", "train.checkpoint_minutes=0.01")
"""A training that is still on when a test strikes."""
HANGS = "import time\ntime.sleep(600)\n"


@dataclass
class Ended:
    """How a run ended and what it left."""

    status: int
    out: str
    err: str
    working: Path

    @property
    def record(self) -> dict[str, object]:
        """Its run.json."""
        found: dict[str, object] = json.loads((self.working / "run.json").read_text())
        return found

    @property
    def errors(self) -> list[str]:
        """The lines that say why it failed."""
        return [line for line in self.err.splitlines() if line.startswith("error: ")]

    @property
    def warnings(self) -> list[str]:
        """What it warned of."""
        lines = [line for line in self.out.splitlines() if line.startswith('{"event": "warning"')]
        return [json.loads(line)["text"] for line in lines]


class Kernel:
    """A bundled script that runs as Kaggle's would, in folders of its own."""

    def __init__(self, folder: Path, model: Path, *overrides: str, **variables: str) -> None:
        self.working = folder / "working"
        self.working.mkdir()
        inputs = folder / "input"
        shutil.copytree(SAMPLE, inputs / "competitions" / "sample-sentiment")
        handle = inputs / "models" / "kit" / "tiny" / "transformers" / "default"
        handle.mkdir(parents=True)
        (handle / "1").symlink_to(model)
        config = settings.resolve("tiny", [*QUICK, *overrides])
        made = bundle(collect_project(PROJECT_ROOT), config.model_dump(mode="json"))
        (folder / "kernel.py").write_text(made.text, encoding="utf-8")
        self.log = (folder / "out").open("w+"), (folder / "err").open("w+")
        self.process = subprocess.Popen(
            [sys.executable, str(folder / "kernel.py")],
            cwd=folder, stdout=self.log[0], stderr=self.log[1],
            env={
                "PATH": "/usr/bin:/bin", "HOME": str(folder), "TMPDIR": str(folder), "HF_HUB_OFFLINE": "1",
                "KIT_INPUT_DIR": str(inputs), "KIT_WORKING_DIR": str(self.working), **variables,
            },
        )  # fmt: skip

    def until(self, seen: str, count: int = 1) -> None:
        """Wait until the log shows something so often."""
        deadline = time.monotonic() + 240
        while Path(self.log[0].name).read_text().count(seen) < count:
            assert self.process.poll() is None, Path(self.log[1].name).read_text()
            assert time.monotonic() < deadline, seen
            time.sleep(0.05)

    def children(self, slot: int | None = None) -> list[int]:
        """Return its processes that run, all or the one of a slot."""
        marker, found = f"KIT_WORKING_DIR={self.working}\0".encode(), []
        for place in Path("/proc").glob("[0-9]*"):
            try:
                command = (place / "cmdline").read_bytes().split(b"\0")
                is_own = marker in (place / "environ").read_bytes() and command[0]
            except OSError:
                continue
            is_slot = b"kit.pipeline.member" in command and command[-2] == b"%d" % (slot or 0)
            if is_own and (slot is None or is_slot):
                found.append(int(place.name))
        return found

    def end(self) -> Ended:
        """Wait for its end, and for that of all its processes."""
        try:
            status = self.process.wait(400)
            assert wait_for(lambda: not self.children()), "a process outlived the kernel"
        finally:
            self.process.kill()
            for file in self.log:
                file.close()
        return Ended(status, *(Path(file.name).read_text() for file in self.log), self.working)


Begin = Callable[..., Kernel]
Table = list[tuple[str, ...]]


@pytest.fixture
def start(tiny_model: Path, tmp_path: Path) -> Begin:
    """Start a kernel in this test's folder."""

    def begin(*overrides: str, **variables: str) -> Kernel:
        return Kernel(tmp_path, tiny_model, *overrides, **variables)

    return begin


def _show(table: Table, fault: str, ended: Ended) -> None:
    said = [*ended.errors, *(f"warning: {text}" for text in ended.warnings)]
    left = sorted(path.name for path in ended.working.iterdir())
    table.append((fault, "the kernel", " / ".join(said) or "none", str(ended.status), ", ".join(left)))


def _is_closed(ended: Ended) -> bool:
    """Tell whether the list of outputs names every file with its size, which only the last file can."""
    listed = {name: told.bytes for name, told in read_manifest(ended.working / MANIFEST).items()}
    there = {
        path.relative_to(ended.working).as_posix(): path.stat().st_size
        for path in ended.working.rglob("*")
        if path.is_file() and path.name != MANIFEST
    }
    return listed == there and not any(name.endswith(".part") for name in there)


def _rows(ended: Ended) -> int:
    return len((ended.working / "submission.csv").read_text().splitlines()) - 1


def test_a_killed_member_costs_its_own_answers_only(start: Begin, table: Table) -> None:
    """The run answers with the other, says who failed and why, and ends well."""
    kernel = start("run.members=2", "run.cpu_processes=2", "train.max_steps=60")
    kernel.until('"event": "step"', 4)
    os.kill(kernel.children(slot=1)[0], signal.SIGKILL)
    ended = kernel.end()
    _show(table, "kill -9 of one of two members", ended)
    assert (ended.status, _rows(ended)) == (0, 18), ended.err
    assert ended.record["answered_by"] == ["seed-42"]
    assert list(ended.record["failed"]) == ["seed-43"]  # type: ignore[call-overload]
    assert "SIGKILL" in ended.warnings[0]
    assert _is_closed(ended)


def test_a_killed_rank_costs_what_both_had_learned_and_two_seeds_take_its_place(
    start: Begin, table: Table
) -> None:
    """Ranks cannot go on alone."""
    kernel = start("run.members=1", "run.cpu_processes=2", "train.max_steps=40")
    kernel.until('"event": "step"', 4)
    os.kill(kernel.children(slot=0)[0], signal.SIGKILL)
    ended = kernel.end()
    _show(table, "kill -9 of a rank", ended)
    assert (ended.status, _rows(ended)) == (0, 18), ended.err
    assert ended.record["answered_by"] == ["seed-42", "seed-43"]
    assert "2 seeds took its place" in ended.warnings[0]
    assert _is_closed(ended)


def test_a_killed_kernel_leaves_no_process_and_what_resume_needs(start: Begin, table: Table) -> None:
    """SIGKILL of the parent, which no handler sees."""
    kernel = start("run.members=2", "run.cpu_processes=2", *LONG)
    kernel.until('"event": "checkpoint"', 2)
    kernel.process.kill()
    ended = kernel.end()
    _show(table, "kill -9 of the kernel itself", ended)
    assert ended.status == -signal.SIGKILL
    assert ended.record["ended"] == "started"
    assert list(ended.working.glob("members/seed-4?/checkpoint/step-*/checkpoint.json"))


@pytest.mark.parametrize(
    ("moment", "seen"), [("loading", '"event": "data"'), ("training", '"event": "step"')]
)
def test_sigterm_leaves_the_record_and_as_the_last_file_the_list_of_outputs(
    start: Begin, table: Table, moment: str, seen: str
) -> None:
    """While training with a checkpoint behind the step that was on."""
    kernel = start("run.members=2", "run.cpu_processes=2", *LONG)
    kernel.until(seen, 2 if moment == "training" else 1)
    kernel.process.terminate()
    ended = kernel.end()
    _show(table, f"SIGTERM while {moment}", ended)
    assert ended.status == 128 + signal.SIGTERM
    assert ended.record["ended"] == "failed: stopped by SIGTERM"
    assert _is_closed(ended)
    if moment == "training":
        assert list(ended.working.glob("members/seed-4?/checkpoint/step-*/checkpoint.json"))


@pytest.mark.parametrize(
    ("fault", "overrides", "says"),
    [
        ("an import that hangs", ("run.silence_minutes=0.1",), "it said nothing for 0.1 minutes"),
        ("a clock too short for loading", ("run.time_limit_minutes=0.2",), schedule.TIME_LIMIT),
    ],
)
def test_what_hangs_while_loading_is_stopped(
    start: Begin, table: Table, tmp_path: Path, fault: str, overrides: tuple[str, ...], says: str
) -> None:
    """By its silence or by the clock, whichever is first; no member is left, so the run fails."""
    (tmp_path / "hanging").mkdir()
    (tmp_path / "hanging" / "peft.py").write_text(HANGS)
    ended = start(*overrides, PYTHONPATH=str(tmp_path / "hanging")).end()
    _show(table, fault, ended)
    assert ended.status == 1
    assert len(ended.errors) == 1
    assert says in ended.errors[0]
    assert _is_closed(ended)


@pytest.mark.parametrize(
    ("limit", "stage"), [(0.001, "reading the rows"), (0.5, "training"), (0.9, "training")]
)
def test_a_clock_that_is_too_short_gives_what_can_be_had_in_it(
    start: Begin, table: Table, limit: float, stage: str
) -> None:
    """A submission of what was learned until then, or one line; never later than it said."""
    started = time.monotonic()
    ended = start(f"run.time_limit_minutes={limit}", *LONG).end()
    _show(table, f"a clock of {60 * limit:g} s, too short for {stage}", ended)
    assert time.monotonic() - started < 60 * limit + schedule.CHECKPOINT_SECONDS + 30
    assert ended.status == (0 if (ended.working / "submission.csv").exists() else 1)
    assert len(ended.errors) == ended.status
    assert _is_closed(ended)


def test_a_download_that_hangs_ends_the_run_with_the_way_out(
    start: Begin, table: Table, tiny_model: Path
) -> None:
    """Two tries, each given up after the stall time, which is a minute where nobody changes it."""
    started = time.monotonic()
    with little_hub.serve("ada/tiny", tiny_model, hangs=99) as (address, _):
        names = ("model.name=ada/tiny", "run.stall_seconds=2")
        ended = start(*names, HF_HUB_OFFLINE="0", HF_ENDPOINT=address).end()
    _show(table, "a download that hangs", ended)
    assert ended.status == 1
    assert "cannot be fetched from Hugging Face: no byte in 2 s" in ended.errors[0]
    assert "make prepare" in ended.errors[0]
    assert time.monotonic() - started < 120
    assert _is_closed(ended)


def test_a_run_whose_only_member_learns_no_number_fails(start: Begin, table: Table) -> None:
    """Untrained is never complete."""
    ended = start("train.learning_rate=1e30", "train.max_steps=8").end()
    _show(table, "a loss that is not a number", ended)
    assert ended.status == 1
    assert len(ended.errors) == 1
    assert not (ended.working / "submission.csv").exists()
    assert str(ended.record["ended"]).startswith("failed: the ")
    assert _is_closed(ended)
