"""Every verb as a user runs it, against a Kaggle on this machine that misbehaves in every way we know."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from loop_faults import BARE, CASES, WHOLE, Case
from loop_project import KERNEL, SLUG, Project
from waiting import wait_for

from local_kaggle import faults
from local_kaggle.faults import NAMED, Fault
from local_kaggle.server import Server

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

Table = list[tuple[str, ...]]
Variables = dict[str, str]
TOKEN = "rehearsal"


@pytest.fixture
def environment(project: Project, kaggle: Server) -> Iterator[dict[str, str]]:
    """What a script needs to talk to the local Kaggle."""
    kaggle.faults.clear()
    kaggle.state.submissions.clear()  # the same file is found again, and not submitted
    yield project.environment(kaggle.url, KAGGLE_API_TOKEN=TOKEN)
    kaggle.faults.clear()


def _prepare(project: Project, kaggle: Server, environment: Variables, verb: str) -> None:
    """Bring runs/ to where the verb begins: nothing, a finished version, or a pulled one."""
    if verb in ("push", "all"):
        project.forget(pulled_only=False)
        return
    record = project.runs / "latest" / "push.json"
    if not record.exists() or record.read_bytes() != project.whole:  # what an earlier test left
        project.forget(pulled_only=False)
        assert project.run("all", "--preset", "tiny", **environment).status == 0
        project.whole = record.read_bytes()
    project.forget(pulled_only=True)
    if verb == "submit":
        assert project.run("pull", **environment).status == 0


def _left(project: Project) -> list[str]:
    """Return the files of the newest run, by their names in its folder; kernel.py left out."""
    folders = sorted(project.runs.glob(f"{KERNEL}/v*"), key=lambda path: int(path.name[1:]))
    if not folders:
        return []
    files = [path for path in folders[-1].rglob("*") if path.is_file() and path.name != "kernel.py"]
    return sorted(path.relative_to(folders[-1]).as_posix() for path in files)


@pytest.mark.parametrize("case", CASES, ids=[f"{case.verb} {case.name}" for case in CASES])
def test_a_fault_is_borne_or_said(
    project: Project, kaggle: Server, environment: Variables, table: Table, case: Case
) -> None:
    """One line names the cause, the exit status tells the truth, and no wrong file is left."""
    _prepare(project, kaggle, environment, case.verb)
    kaggle.faults.arm(case.fault)
    options = ["--preset", "tiny"] if case.verb in ("push", "all") else []
    before = sum(len(kernel.versions) for kernel in kaggle.state.kernels)
    said = project.run(case.verb, *options, **environment)
    pushed = sum(len(kernel.versions) for kernel in kaggle.state.kernels) - before
    left = _left(project)
    shown = re.sub(r"http://\S+|/tmp/\S+", "…", said.error.removeprefix("error: "))
    table.append((case.name, case.verb, shown, str(said.status), ", ".join(left) or "none"))
    assert said.status == case.status, said
    assert case.message in said.error or case.message in said.out, said
    assert "Traceback" not in said.err or case.name in ("error-run", "dead-rank"), said.err
    assert left == case.files
    assert not any(character in said.out + said.err for character in "\x1b\x07\x9b")
    assert pushed <= 1


def test_a_dead_rank_is_shown_before_the_launchers_own_error(
    project: Project, kaggle: Server, environment: Variables
) -> None:
    """What a rank died of is printed with its name, and the run is at home."""
    project.forget(pulled_only=False)
    kaggle.faults.arm(NAMED["dead-rank"])
    said = project.run("all", "--preset", "tiny", **environment)
    assert "--- rank1 ---\nTraceback (most recent call last):" in said.err
    assert said.err.index("CUDA error: out of memory") < said.err.index("ChildFailedError")
    assert "its log and outputs are in " in said.out


def test_the_whole_loop_scores(project: Project, kaggle: Server, environment: Variables) -> None:
    """init, data, doctor, all, submit: a score at the end, and latest/submission.csv."""
    project.forget(pulled_only=False)
    (project.root / "data" / SLUG / "test.csv").unlink()
    for verb, options, message in (
        ("data", [], f"data/{SLUG}/test.csv"),
        ("doctor", ["--preset", "tiny"], "pass  competition   little-reviews is joined"),
        ("all", ["--preset", "tiny"], "training member seed-42 on 6 rows"),
        ("submit", [], "scored 0.7333"),
    ):
        said = project.run(verb, *options, **environment)
        assert said.status == 0, said
        assert message in said.out
    assert (project.runs / "latest" / "submission.csv").is_file()
    score = json.loads((project.runs / "latest" / "submission.json").read_text())["public_score"]
    assert score.startswith("0.7333")
    again = project.run("submit", **environment)
    assert "scored earlier 0.7333" in again.out


def test_an_invalid_submission_is_not_submitted(
    project: Project, kaggle: Server, environment: Variables
) -> None:
    """submit refuses what validate refuses."""
    _prepare(project, kaggle, environment, "submit")
    path = project.runs / "latest" / "submission.csv"
    good = path.read_text()
    path.write_text(good.replace("t0,No", "t0,Perhaps"))
    before = len(kaggle.state.submissions)
    said = project.run("submit", **environment)
    assert said.status == 1
    assert "nothing was submitted" in said.error
    assert len(kaggle.state.submissions) == before
    path.write_text(good)


@pytest.mark.parametrize("verb", ["data", "push", "watch", "pull", "submit", "stop", "all"])
def test_no_credentials_are_one_line_for_every_verb(project: Project, verb: str) -> None:
    """It names make rehearse and the page for a token, exits 1 and writes nothing."""
    before = project.files()
    said = project.run(verb, **project.environment())
    assert (said.status, said.out) == (1, "")
    assert said.err.count("\n") == 1
    assert "make rehearse" in said.err
    assert "https://www.kaggle.com/settings/api" in said.err
    assert project.files() == before


def test_an_unreachable_kaggle_is_one_line(project: Project) -> None:
    """Nobody answers: the address is named after a bounded number of attempts."""
    said = project.run("data", **project.environment("http://127.0.0.1:9", KAGGLE_API_TOKEN=TOKEN))
    assert said.status == 1
    assert "127.0.0.1:9 refuses the connection" in said.error


def test_ctrl_c_leaves_the_run_going(project: Project, kaggle: Server, environment: Variables) -> None:
    """Watching stops, the session does not, and the way back is printed."""
    project.forget(pulled_only=False)
    kaggle.faults.arm(faults.run_instead("import time\nprint('begun', flush=True)\ntime.sleep(120)"))
    assert project.run("push", "--preset", "tiny", **environment).status == 0
    with project.start("watch", **environment) as process:
        assert process.stdout is not None
        while "begun" not in process.stdout.readline():
            pass
        os.kill(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=100)
    assert process.returncode == 130
    assert re.search(rf"{KERNEL}/v\d+ is left before its end", err)
    assert "Traceback" not in err
    newest = kaggle.state.kernels[0].versions[-1]
    assert newest.status == "RUNNING"
    asked = project.run("stop", **environment)
    assert asked.status == 1, "nobody is there to say yes"
    assert kaggle.state.kernels
    deleted = project.run("stop", "--yes", **environment)
    assert deleted.status == 0, deleted
    assert kaggle.state.kernels == []
    assert (project.runs / "latest" / "kernel.log").read_text() == "begun\n"
    project.forget(pulled_only=False)


@pytest.mark.parametrize(
    ("name", "options", "status", "message", "kept"),
    [
        ("nothing can be saved", ["--yes"], 1, "would lose the outputs of", True),
        ("the same, discarded", ["--yes", "--discard"], 0, "is deleted", False),
    ],
)
def test_a_finished_run_is_not_deleted_unsaved(
    project: Project, kaggle: Server, environment: Variables, table: Table,
    name: str, options: list[str], status: int, message: str, kept: bool,
) -> None:  # fmt: skip
    """A yes is not enough to lose what Kaggle alone holds."""
    _prepare(project, kaggle, environment, "pull")
    kaggle.faults.arm(Fault("signed", 99_999, drop="before"))
    said = project.run("stop", *options, **environment)
    table.append((name, "stop", said.error[:200], str(said.status), ", ".join(_left(project))))
    assert said.status == status, said
    assert message in said.error + said.out
    assert bool(kaggle.state.kernels) is kept
    if not kept:
        project.forget(pulled_only=False)


def test_a_run_is_stopped_and_its_outputs_come_home(
    project: Project, kaggle: Server, environment: Variables, table: Table
) -> None:
    """It is cancelled by the number that it printed; nothing is asked or deleted, what it wrote is named."""
    project.forget(pulled_only=False)
    script = (
        "import json, os, time\n"
        "number = int(os.environ['KAGGLE_CONTAINER_NAME'].split('-')[-2])\n"
        "print(json.dumps({'event': 'session', 'id': number}), flush=True)\n"
        "open(os.environ['KIT_WORKING_DIR'] + '/half.txt', 'w').write('half')\n"
        "time.sleep(120)"
    )
    kaggle.faults.arm(faults.run_instead(script))
    assert project.run("push", "--preset", "tiny", **environment).status == 0
    version = kaggle.state.kernels[0].versions[-1]
    assert wait_for(lambda: "session" in json.dumps(kaggle.state.log(version)))
    said = project.run("stop", **environment)
    table.append(("running", "stop", said.error, str(said.status), ", ".join(_left(project))))
    assert said.status == 0, said
    assert "unproved, for the run left no list of its outputs: half.txt" in said.out
    assert _left(project) == ["half.txt", "kernel.log", "pull.json", "push.json"]
    assert version.status == "CANCEL_ACKNOWLEDGED"
    project.forget(pulled_only=False)


def test_a_killed_pull_goes_on(project: Project, kaggle: Server, environment: Variables) -> None:
    """SIGKILL in the middle leaves the folder bare; the next pull brings what was missing."""
    _prepare(project, kaggle, environment, "pull")
    kaggle.faults.arm(Fault("signed", 99, skip=1, delay_seconds=30.0))
    kaggle.requests.clear()
    with project.start("pull", **environment) as process:
        assert wait_for(lambda: kaggle.requests.count("signed") >= 2)
        process.kill()
        process.communicate(timeout=100)
    assert _left(project) == BARE
    kaggle.faults.clear()
    said = project.run("pull", **environment)
    assert said.status == 0, said
    assert _left(project) == WHOLE


def test_a_rehearsal_starts_and_stops_its_own_kaggle(project: Project) -> None:
    """With no credentials at all the loop ends with a score, and no server is left behind."""
    project.forget(pulled_only=False)
    said = project.run("rehearse", **project.environment(quick=False))
    assert said.status == 0, said
    assert re.search(rf"{KERNEL}/v1 scored 0\.7333", said.out)
    assert "the rehearsal passed after" in said.out
    assert _servers(project.root) == []


def test_a_rehearsal_ends_with_ctrl_c(project: Project) -> None:
    """The server and the kernel go with it."""
    main = project.root / "kernel" / "main.py"
    kept = main.read_text()
    main.write_text("import time\nprint('begun', flush=True)\ntime.sleep(120)\n")
    try:
        with project.start("rehearse", **project.environment()) as process:
            assert process.stdout is not None
            while "begun" not in (line := process.stdout.readline()):
                assert line, process.stderr.read() if process.stderr else ""
            os.killpg(process.pid, signal.SIGINT)
            process.communicate(timeout=60)
    finally:
        main.write_text(kept)
    assert process.returncode == 130
    assert _servers(project.root) == []


def _servers(root: Path) -> list[str]:
    """Return the processes that still work below a folder."""
    listed = subprocess.check_output(["ps", "-eo", "args"], text=True, timeout=30)
    return [line for line in listed.splitlines() if str(root) in line and "ps -eo" not in line]
