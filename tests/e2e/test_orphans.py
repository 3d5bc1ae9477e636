"""A rehearsal, its server or a kernel's parent that is killed leaves no process behind.

Each signal once, or KIT_ORPHANS times, which prints the figures of docs/results.md.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from loop_project import ROOT, SLUG, Project
from waiting import wait_for

from kit.bundle.script import bundle
from kit.bundle.tree import collect_project
from kit.config import resolve
from kit.fetch import inputs
from local_kaggle import sandbox

TRIES = int(os.environ.get("KIT_ORPHANS", "1"))
SLEEPS = """
import os, subprocess, sys, time
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
time.sleep(600)
"""
SAID = "without namespaces a child may outlive a killed server, and the sandbox says so"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300 * TRIES),
    pytest.mark.skipif(not sandbox.namespaces_allowed(), reason=SAID),
]


Start = Callable[[Path, Path], tuple["subprocess.Popen[str]", str]]


def processes(mark: str) -> dict[int, str]:
    """Return the processes with `mark` in their command or environment, with their commands."""
    found = {}
    for place in Path("/proc").glob("[0-9]*"):
        try:
            command = (place / "cmdline").read_bytes()
            if command and mark.encode() in command + (place / "environ").read_bytes():
                found[int(place.name)] = command.replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
    return found


def left(folder: Path, victim: str) -> list[str]:
    """Return what outlives a victim; verbs that wait for their server to come back are no orphans."""
    verbs = ("rehearse.py", "all.py") if victim == "local_kaggle" else ()
    return [name for name in processes(str(folder)).values() if not any(verb in name for verb in verbs)]


def rehearsal(folder: Path, competition: Path) -> tuple[subprocess.Popen[str], str]:
    """Start a rehearsal; its kernel is on when the script runs."""
    project = Project(folder, competition)
    (project.root / "kernel" / "main.py").write_text(SLEEPS)
    text = (project.root / "kit.toml").read_text().replace("sample-sentiment", SLUG)
    (project.root / "kit.toml").write_text(text)
    return project.start("rehearse", **project.environment(quick=False)), "time.sleep(600)"


def kernel(folder: Path, competition: Path) -> tuple[subprocess.Popen[str], str]:
    """Start a bundled run of two members on the sample; it is on when one of them is a process."""
    model = folder / "input" / "models" / "kit" / "tiny" / "transformers" / "default"
    model.mkdir(parents=True)
    (folder / "working").mkdir()
    shutil.copytree(ROOT / "src" / "local_kaggle" / "competition", folder / "input" / "sample-sentiment")
    config = resolve("tiny", ["run.members=2", "run.cpu_processes=2", "train.max_steps=4000"])
    (model / "1").symlink_to(inputs.model_folder(config) or "")
    made = bundle(collect_project(ROOT), config.model_dump(mode="json"))
    (folder / "kernel.py").write_text(made.text, encoding="utf-8")
    variables = {"KIT_INPUT_DIR": str(folder / "input"), "KIT_WORKING_DIR": str(folder / "working")}
    variables |= {"HOME": str(folder), "TMPDIR": str(folder)}
    started = subprocess.Popen(
        [sys.executable, str(folder / "kernel.py")], cwd=folder, env=os.environ | variables,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    return started, "kit.pipeline.member"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
@pytest.mark.parametrize(
    ("start", "victim"),
    [
        pytest.param(rehearsal, "itself", id="rehearsal"),
        pytest.param(rehearsal, "local_kaggle", id="server"),
        pytest.param(kernel, "itself", id="kernel", marks=pytest.mark.train),
    ],
)
def test_nothing_outlives_a_killed(
    tmp_path: Path, competition_folder: Path, start: Start, victim: str, number: signal.Signals
) -> None:
    """Neither a server nor a script nor what a script started in a session of its own."""
    for at in range(TRIES):
        assert strike(tmp_path / str(at), competition_folder, start, victim, number) == []


def strike(folder: Path, competition: Path, start: Start, victim: str, number: signal.Signals) -> list[str]:
    """Start a tree of processes, send one a signal when all are on, and return what is left of the tree."""
    folder.mkdir()
    process, is_on = start(folder, competition)
    with process:
        try:
            assert wait_for(
                lambda: process.poll() is not None or is_on in str(processes(str(folder)).values())
            )
            assert process.poll() is None, process.communicate()
            time.sleep(random.uniform(0, 1))
            servers = [pid for pid, name in processes(str(folder)).items() if victim in name]
            os.kill(min(servers, default=process.pid), number)
            wait_for(lambda: not left(folder, victim), 40)
            return left(folder, victim)
        finally:
            for pid in processes(str(folder)):
                with contextlib.suppress(ProcessLookupError):  # it may end meanwhile
                    os.kill(pid, signal.SIGKILL)
