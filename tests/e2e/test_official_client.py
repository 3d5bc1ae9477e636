"""The unmodified `kaggle` command under the faults that the kit bears or refuses: what it says and leaves.

It holds the pinned version to the facts for which the kit has its own transport; nothing here is the kit's.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from loop_project import KERNEL, SLUG, Project

from local_kaggle import faults
from local_kaggle.faults import NAMED, Fault
from local_kaggle.server import Server

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

REF = f"rehearsal/{KERNEL}"
PUSH = ["kernels", "push", "-p", "build/tiny"]
STATUS = ["kernels", "status", REF]
OUTPUT = ["kernels", "output", REF, "-p", "out/a/b"]
BOTH = ["run.json", "submission.csv"]
ALL = ["outputs.json", *BOTH]
SUBMIT = ["competitions", "submit", SLUG, "-f", "submission.csv", "-m", "by hand"]


@dataclass(frozen=True)
class Case:
    """A fault, the command that meets it, and the truth about it."""

    name: str
    command: list[str]
    fault: Fault
    status: int
    wrong: list[str]
    """Files that it leaves and that are not what the kernel wrote; empty where it leaves none."""


CASES = [
    Case("refuse-push", PUSH, NAMED["refuse-push"], 0, []),
    Case("drop-competition", PUSH, NAMED["drop-competition"], 0, []),
    Case("drop-model", PUSH, NAMED["drop-model"], 0, []),
    Case("lose-answer", PUSH, NAMED["lose-answer"], 1, []),
    Case("empty-json", PUSH, faults.answer("SaveKernel", {}), 0, []),
    Case("empty-json", STATUS, NAMED["empty-json"], 0, []),
    Case("error-run", STATUS, faults.amend("GetKernelSessionStatus", {"status": "ERROR"}), 0, []),
    Case("expired links", OUTPUT, faults.html("output", 404, times=99), 1, []),
    Case("html file", OUTPUT, faults.html("signed", times=99), 0, ALL),
    Case("truncate", OUTPUT, Fault("signed", 99, keep_bytes=9), 1, [ALL[0], f"{ALL[0]}.kaggle-partial"]),
    Case("wrong-length", OUTPUT, Fault("signed", 99, edit_body=lambda b: b[1:]), 0, ALL),
    Case("traversal", OUTPUT, NAMED["traversal"], 1, []),
    Case("newer version", OUTPUT, Fault("none"), 0, BOTH),
    Case("limit", SUBMIT, NAMED["submission-limit"], 1, []),
    Case("score-error", SUBMIT, NAMED["score-error"], 0, []),
]  # fmt: skip


@pytest.fixture(scope="module")
def pushed(project: Project, kaggle: Server) -> Iterator[Path]:
    """A finished version whose true outputs lie in the folder, and a build to push."""
    environment = project.environment(kaggle.url, KAGGLE_API_TOKEN="rehearsal")
    said = project.run("all", "--preset", "tiny", **environment)
    assert said.status == 0, said
    return project.runs / KERNEL / "v1"


@pytest.mark.parametrize("case", CASES, ids=[f"{case.command[1]} {case.name}" for case in CASES])
def test_the_command_ends_and_leaves_what_it_does(
    project: Project, kaggle: Server, pushed: Path, table: list[tuple[str, ...]], case: Case
) -> None:
    """Its exit status and the files that are not the kernel's, for each fault."""
    work = project.root / "work"
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(project.root / "build" / "tiny", work / "build" / "tiny")
    shutil.copy(pushed / "submission.csv", work)
    kaggle.faults.clear()
    # The command asks for the newest version: here one that the kit pushed, else what an earlier case left.
    if case.name == "newer version":
        script = "import os\nfor name in ('run.json', 'submission.csv'):\n"
        script += "    open(os.environ['KIT_WORKING_DIR'] + '/' + name, 'w').write('of another push')\n"
        (work / "build" / "tiny" / "kernel.py").write_text(script)
    if case.command == OUTPUT:
        _run(project, kaggle, work, PUSH)
        newest = kaggle.state.kernels[0].versions[-1]
        kaggle.state.wait("rehearsal", KERNEL, newest.number, timeout_seconds=100)
    kaggle.faults.arm(case.fault)
    done = _run(project, kaggle, work, case.command)
    kaggle.faults.clear()
    out = work / "out" / "a" / "b"
    left = sorted(path for path in (work / "out").rglob("*") if path.is_file() and path.suffix != ".log")
    wrong = [
        os.path.relpath(path, out)
        for path in left
        if path.parent != out or path.read_bytes() != _bytes(pushed / path.name)
    ]
    said = (done.stdout.strip() or done.stderr.strip()).splitlines()
    line = said[-1].replace(str(work), "…") if said else ""
    table.append(
        (case.name, " ".join(case.command[:2]), line, str(done.returncode), ", ".join(wrong) or "none wrong")
    )
    assert done.returncode == case.status, done.stdout + done.stderr
    assert sorted(wrong) == case.wrong


def _bytes(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None


def _run(
    project: Project, kaggle: Server, work: Path, command: list[str]
) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "HOME": str(project.root / "home"), "NO_PROXY": ""}
    environment |= {"KAGGLE_API_ENVIRONMENT": "LOCALHOST", "KAGGLE_API_TOKEN": "rehearsal"}
    environment |= {"HTTP_PROXY": kaggle.url, "HTTPS_PROXY": "http://127.0.0.1:9"}
    return subprocess.run(
        [str(Path(sys.executable).with_name("kaggle")), *command], env=environment, cwd=work,
        capture_output=True, text=True, timeout=90, check=False,
    )  # fmt: skip
