"""Every verb as a user runs it, against a Kaggle on this machine that misbehaves in every way we know."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from loop_project import KERNEL, MODEL, SLUG, Project
from waiting import wait_for

from kit.remote.pulling import published
from local_kaggle import faults
from local_kaggle.faults import NAMED, Fault, Json
from local_kaggle.server import Server

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

Table = list[tuple[str, ...]]
Variables = dict[str, str]
TOKEN = "rehearsal"
BARE = ["push.json"]
WHOLE = ["kernel.log", "outputs.json", "pull.json", "push.json", "run.json", "submission.csv"]


@dataclass(frozen=True)
class Case:
    """A fault, the verb that meets it, and what the user sees of it."""

    name: str
    verb: str
    fault: Fault
    status: int
    message: str
    files: list[str]
    """In the run's folder afterwards; empty where no run was recorded."""


OTHER_BUNDLE = faults.run_instead(
    "import os\nopen(os.environ['KIT_WORKING_DIR'] + '/run.json', 'w').write('{\"bundle_hash\": \"00\"}')"
)
BROKEN = ["kernel.log", "pull.json", "push.json"]
SCORED = [*WHOLE, "submission.json"]
LOG = "GetKernelSessionLogsStream"
STATUS = "GetKernelSessionStatus"
LISTING = "ListKernelSessionOutput"

PARTIAL = [name for name in WHOLE if name != "submission.csv"]


def _drop(name: str) -> Fault:
    """List every output but one."""

    def edit(_: Json, payload: Json) -> Json:
        return payload | {"files": [file for file in payload["files"] if file["fileName"] != name]}

    return Fault(LISTING, 9999, edit_answer=edit)


def _add(name: str) -> Fault:
    """List another output, under this name."""

    def edit(_: Json, payload: Json) -> Json:
        more = [{"fileName": name, "url": file["url"]} for file in payload["files"][:1]]
        return payload | {"files": [*payload["files"], *more]}

    return Fault(LISTING, 9999, edit_answer=edit)


def _with(name: str) -> list[str]:
    """Return a whole run's files and where the kit puts one that Kaggle lists besides."""
    name = name.encode("utf-8", "replace").decode()
    return sorted([*WHOLE, published.places([name], [])[name]])


ODD = ["../../x", "/etc/x", "..\\x", "push.json", "push.json/x", "kernel.log", "kernel.log/x", "x" * 5000,
       "half \ud83d", "a/" * 1000 + "x", "report.html", "__script__.py", "tab\tand \x1b[31m"]  # fmt: skip
NO_LOG = replace(NAMED["late-log"], times=9999)
STATUS_FAULTS = {
    "status 403 for a while": faults.status(STATUS, 403, times=30),
    "status 404 always": faults.status(STATUS, 404, times=9999),
    "status 500 always": faults.status(STATUS, 500, times=9999),
    "status is a page": faults.html(STATUS, times=9999),
    "unknown state": faults.amend(STATUS, {"status": "PERHAPS"}, times=9999),
    "status takes no version": Fault(
        STATUS, 9999, edit_request=lambda asked: asked | {"versionLabel": asked.get("versionLabel", "")[1:]}
    ),
}
ODD_EVENTS = [
    {"data": f'{{"event": "step", "step": 1, "steps": {number}}}\n'}
    for number in ("1e999", "NaN", "1" + "0" * 400)
]
LOG_FAULTS = {
    "log as plain text": faults.raw(LOG, b"just words\nand more", "text/plain", times=9999),
    "log of no objects": faults.answer(LOG, [1, "words", None, {"data": 7}, {"data": "\ud83d"}], times=9999),
    "log with bad bytes": faults.raw(LOG, b"\xff\xfe\x00 words", "text/plain", times=9999),
    "200,000 brackets": faults.raw(LOG, b"[" * 200_000, "application/json", times=9999),
    "5,000 digits": faults.raw(LOG, b"[" + b"1" * 5000 + b"]", "application/json", times=9999),
    "odd events": faults.answer(LOG, ODD_EVENTS, times=9999),
    "control characters": faults.answer(LOG, [{"data": "\x1b[2J\x07\x9b31m\rsafe\n"}], times=9999),
    "empty stream": faults.raw(LOG, b"", "text/event-stream", times=3),
}
PASSING_FAULTS = {
    "half published": faults.half_published("run.json", "submission.csv", times=4),
    "files are null": faults.answer(LISTING, {"files": None}, times=3),
    "listing 403 for a while": faults.status(LISTING, 403, times=4),
    "late log": NAMED["late-log"],
    "cut every 40 bytes": Fault("signed", 60, keep_bytes=40),
    "cut, no ranges": Fault("signed", 8, keep_bytes=40, ignore_range=True),
    "another part": NAMED["middle-part"],
    "gzipped": NAMED["gzip"],
    "length abc": Fault("signed", 99, headers={"Content-Length": "abc"}),
    "length 1, 1": Fault("signed", 2, headers={"Content-Length": "1, 1"}),
    "no length": Fault("signed", 99, headers={"Content-Length": ""}),
    "drip": Fault("signed", 99, seconds_per_byte=0.001),
}

CASES = [
    Case("refuse-push", "push", NAMED["refuse-push"], 1, "Maximum batch GPU session count of 2", []),
    Case("no-quota", "push", NAMED["no-quota"], 1, "Maximum weekly GPU quota", []),
    Case("drop-competition", "push", NAMED["drop-competition"], 1, f"competition '{SLUG}' was dropped", BARE),
    Case("drop-model", "push", NAMED["drop-model"], 1, f"model '{MODEL}' was dropped", BARE),
    Case("lose-answer", "push", NAMED["lose-answer"], 0, "next: make watch", BARE),
    Case("500 once", "push", faults.status("SaveKernel", 500), 0, "next: make watch", BARE),
    Case("500 always", "push", faults.status("SaveKernel", 500, times=99), 1, "answers 500", []),
    Case("429", "push", faults.status("SaveKernel", 429, retry_after_seconds=9), 0, "next: make watch", BARE),
    Case("html", "push", faults.html("SaveKernel"), 0, "next: make watch", BARE),
    Case("empty-json", "push", faults.answer("SaveKernel", {}), 1, "names no version", []),
    Case("reset", "push", Fault("SaveKernel", drop="before"), 0, "next: make watch", BARE),
    Case("unauthorized", "push", faults.status("*", 401, times=99), 1, "rejects the credentials of", []),
    Case("cut-stream", "watch", Fault(LOG, 3, cut_after_events=1), 0, "COMPLETE", BARE),
    Case("no stream", "watch", faults.status(LOG, 500, times=99), 0, "COMPLETE", BARE),
    Case("empty-json", "watch", NAMED["empty-json"], 0, "COMPLETE", BARE),
    Case("cancelled", "watch", NAMED["cancelled"], 1, "ended as CANCELLED", WHOLE),
    Case("never-ends", "watch", NAMED["never-ends"], 3, "is stuck: over for", BARE),
    Case("silence", "watch", Fault("*", 9999, drop="before"), 3, "no word from Kaggle for", BARE),
    Case("expired links", "pull", NAMED["expire-output-links"], 0, "next: make validate", WHOLE),
    Case("expired always", "pull", faults.html("output", 404, times=99), 1, "a file's link with 404", BARE),
    Case("truncate", "pull", NAMED["truncate"], 0, "next: make validate", WHOLE),
    Case("truncate always", "pull", Fault("signed", 999, keep_bytes=9), 1, "broke the connection", BARE),
    Case("wrong-length", "pull", Fault("signed", 999, edit_body=lambda b: b[1:]), 1, "names no bundle", BARE),
    Case("html file", "pull", faults.html("signed", times=999), 1, "a web page in its place", BARE),
    Case("repeated page", "pull", NAMED["repeat-page"], 0, "next: make validate", WHOLE),
    Case("slow", "pull", Fault("*", 9999, delay_seconds=0.1), 0, "next: make validate", WHOLE),
    *(Case(name, "watch", fault, 0, "COMPLETE", BARE) for name, fault in STATUS_FAULTS.items()),
    *(Case(name, "watch", fault, 0, "COMPLETE", BARE) for name, fault in LOG_FAULTS.items()),
    Case("403 on everything", "watch", faults.status("*", 403, times=9999), 1, "credentials", BARE),
    *(Case(name, "pull", fault, 0, "next: make validate", WHOLE) for name, fault in STATUS_FAULTS.items()),
    *(Case(name, "pull", fault, 0, "next: make validate", WHOLE) for name, fault in PASSING_FAULTS.items()),
    *(Case(f"name {name[:14]!a}", "pull", _add(name), 0, "next: make validate", _with(name)) for name in ODD),
    Case("lost file", "pull", _drop("submission.csv"), 1, "lacks submission.csv", PARTIAL),
    Case("log stays empty", "pull", NO_LOG, 0, "log is still empty", WHOLE),
    Case("endless file", "pull", Fault("signed", 99, endless=True), 1, "run.json cannot be read", BARE),
    *(Case(name, "all", fault, 0, "submission.csv: valid", WHOLE) for name, fault in STATUS_FAULTS.items()),
    Case("limit", "submit", NAMED["submission-limit"], 1, "daily Submission allowance", WHOLE),
    Case(
        "403",
        "submit",
        faults.status("CreateSubmission", 403, "no"),
        1,
        "CreateSubmission with 403: no",
        WHOLE,
    ),
    Case("score-pending", "submit", NAMED["score-pending"], 3, "only looks", SCORED),
    Case("score-error", "submit", NAMED["score-error"], 1, "cannot score", SCORED),
    Case("lose-answer", "submit", Fault("CreateSubmission", drop="after"), 0, "scored", SCORED),
    Case("error-run", "all", NAMED["error-run"], 1, "ended as ERROR", BROKEN),
    Case("dead-rank", "all", NAMED["dead-rank"], 1, "ended as ERROR", BROKEN),
    Case("wrong-bundle", "all", OTHER_BUNDLE, 1, "a push that is not recorded here", BARE),
    Case("none", "all", Fault("none"), 0, "submission.csv: valid", WHOLE),
]


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
    if not (project.runs / "latest").exists():
        assert project.run("all", "--preset", "tiny", **environment).status == 0
    if verb == "submit":
        assert project.run("pull", **environment).status == 0
    else:
        project.forget(pulled_only=True)
    (project.runs / "latest" / "submission.json").unlink(missing_ok=True)


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
