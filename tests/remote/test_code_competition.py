"""A version is submitted to a code competition once, and what its rerun dies of is said."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from kaggle_fixtures import SLUG, StartKaggle
from makers import MakeRun
from tiny_kernels import MANIFEST

from kit import config as settings
from kit.config import Config
from kit.errors import NotYet
from kit.remote import runs, submit
from kit.remote.pulling import pull
from kit.remote.runs import Run
from kit.remote.wire.client import Client
from kit.remote.wire.transport import KaggleError
from local_kaggle import faults
from local_kaggle.faults import NAMED, Fault
from local_kaggle.server import Server

ANSWER = """
import csv, json, os, pathlib, socket, time
working = pathlib.Path(os.environ["KIT_WORKING_DIR"])
test = next(pathlib.Path(os.environ["KIT_INPUT_DIR"]).rglob("test.csv"))
ids = [row["ID"] for row in csv.DictReader(test.open())]
is_rerun = "KAGGLE_IS_COMPETITION_RERUN" in os.environ
BODY
lines = ["ID,label"] + [f"{name},{'Positive' if int(name[1:]) % 2 == 0 else 'Negative'}" for name in ids]
(working / "submission.csv").write_text("\\n".join(lines) + "\\n")
(working / "run.json").write_text(json.dumps({"bundle_hash": "BUNDLE", "ended": "complete"}))
"""
"""Answers every row of the mounted test.csv rightly, after what a test puts in the place of BODY."""
BAD = {
    "fixed rows": ("ids = [f't{n}' for n in range(4)]", "Submission Scoring Error.*never a fixed number"),
    "calls home": (
        "if is_rerun: socket.create_connection(('203.0.113.1', 443), timeout=5)",
        "Notebook Threw Exception.*failed on the hidden rows.*offline",
    ),
    "too slow": ("time.sleep(60 * is_rerun)", "Notebook Timeout.*longer than the host allows"),
    "no file": ("if is_rerun: raise SystemExit", "Submission CSV Not Found.*left no submission"),
}


@pytest.fixture
def kaggle(start_kaggle: StartKaggle, hidden: Path) -> Server:
    """A code competition of four public test rows, nine hidden ones, and three seconds for a rerun."""
    return start_kaggle(
        child_env={"KIT_WORKING_DIR": "{working}", "KIT_INPUT_DIR": "{input}"},
        notebooks_only=True,
        hidden=hidden,
        rerun_limit_seconds=3.0,
    )


@pytest.fixture
def config(config: Config) -> Config:
    """Settings of a run that a code competition takes."""
    return settings.override(config, ["competition.kind=code", "kernel.internet=false"])


@pytest.fixture
def answered(client: Client, finished: MakeRun) -> MakeRun:
    """Push a script that answers, wait for its end and pull it."""

    def run(body: str = "") -> Run:
        made = finished(ANSWER.replace("BODY", body) + MANIFEST)
        pull.pull(client, made)
        return made

    return run


def record(run: Run) -> dict[str, Any]:
    return runs.read_json(run.folder / "submission.json")


def test_a_version_is_scored_on_hidden_rows_and_submitted_once(
    kaggle: Server, client: Client, answered: MakeRun, capsys: pytest.CaptureFixture[str]
) -> None:
    """The day's allowance is shown; a second submit, here or in another checkout, only looks."""
    run = answered()
    assert submit.submit(client, run, "first").public_score == "1.00000"
    said = capsys.readouterr().out
    assert f"5 submissions to {SLUG} are left today" in said
    assert "make submit RUN=little-kernel-tiny/v1 comes back to it" in said
    assert submit.submit(client, run).earlier
    (run.folder / "submission.json").unlink()
    assert submit.submit(client, run).earlier
    assert kaggle.requests.count("CreateCodeSubmission") == 1


@pytest.mark.parametrize(("body", "message"), BAD.values(), ids=BAD)
def test_a_script_that_only_works_on_the_public_rows_is_caught(
    kaggle: Server, client: Client, answered: MakeRun, body: str, message: str
) -> None:
    """It is said what that error means and what to do; the version is never submitted again."""
    run = answered(body)
    for _ in range(2):
        with pytest.raises(KaggleError, match=message) as caught:
            submit.submit(client, run)
        assert "make rehearse KIND=code" in caught.value.hint or "rerun_minutes" in caught.value.hint
    assert (record(run)["status"], kaggle.requests.count("CreateCodeSubmission")) == ("ERROR", 1)


REFUSALS = {
    "internet": ("Internet access must be turned off in the Notebook.", "make infer FROM=little-kernel"),
    "running": ("The Notebook is still running.", "make watch RUN=little-kernel-tiny/v1, then make submit"),
    "ended": ("The Notebook did not complete.", "make pull RUN=little-kernel-tiny/v1, whose log"),
    "accelerator": ("The P100 accelerator is not allowed.", "make settings"),
    "attached": ("The competition must be attached to the Notebook.", "kernel-metadata.json"),
    "name": ("The output file must be called submission.csv.", "make infer writes"),
    "file": ("The output file was not found.", "make pull RUN=little-kernel-tiny/v1 FORCE=1"),
    "csv": ("This competition does not accept Submissions from Notebooks.", 'competition.kind = "csv"'),
    "limit": ("Your team has used its daily Submission allowance (5) today", "tomorrow, after 00:00 UTC"),
    "denied": ("Permission 'kernelSessions.get' was denied", "make doctor, and http://127.0.0.1"),
    "nothing": ("", "/submissions"),
}


@pytest.mark.parametrize(("reason", "hint"), REFUSALS.values(), ids=REFUSALS)
def test_each_refusal_has_its_next_command(
    kaggle: Server, client: Client, answered: MakeRun, reason: str, hint: str
) -> None:
    """Nothing is recorded that Kaggle has not got."""
    run = answered()
    kaggle.faults.arm(faults.status("CreateCodeSubmission", 403 if "denied" in reason else 400, reason))
    with pytest.raises(KaggleError, match=re.escape(reason) or "with 400") as caught:
        submit.submit(client, run)
    assert hint in caught.value.hint
    assert not record(run)


@pytest.mark.parametrize(
    "fault",
    [
        Fault("CreateCodeSubmission", drop="after"),
        faults.status("CreateCodeSubmission", 429),
        faults.status("GetSubmission", 404, times=99),
        NAMED["late-files"],
        NAMED["lagging-list"],
    ],
    ids=["lost answer", "busy", "unseen", "late files", "lagging list"],
)
def test_one_submission_is_made_whatever_happens_to_its_answers(
    kaggle: Server, client: Client, answered: MakeRun, fault: Fault
) -> None:
    """The version's files are listed first, and a lost answer is looked up."""
    run = answered()
    kaggle.faults.arm(fault)
    assert submit.submit(client, run).public_score == "1.00000"
    assert len(kaggle.state.submissions) == 1


def test_a_rerun_is_waited_for_and_come_back_to(kaggle: Server, client: Client, answered: MakeRun) -> None:
    """Giving up, as Ctrl-C does, leaves the rerun going; the next command finds its verdict."""
    run = answered("time.sleep(2 * is_rerun)")
    with pytest.raises(NotYet, match="without a score after"):
        submit.submit(client, run, deadline_seconds=0.1)
    assert record(run)["status"] == "PENDING"
    assert submit.submit(client, run).public_score == "1.00000"
    assert kaggle.requests.count("CreateCodeSubmission") == 1


def test_what_a_code_competition_never_takes_is_not_sent(
    kaggle: Server, client: Client, answered: MakeRun
) -> None:
    """A run with internet, a blend, and a file that Kaggle does not hold are refused at home."""
    run = answered()
    connected = json.loads(json.dumps(run.config))
    connected["kernel"]["internet"] = True
    for other, message, hint in (
        (replace(run, config=connected), "ran with internet", "make infer FROM="),
        (replace(run, version=0), "was made at home", "make infer FROM=v3"),
    ):
        with pytest.raises(KaggleError, match=message) as caught:
            submit.submit(client, other)
        assert hint in caught.value.hint
    (run.folder / "submission.csv").write_text("ID,label\nt0,Positive\n")
    with pytest.raises(KaggleError, match=r"does not list submission\.csv .* as it was pulled"):
        submit.submit(client, run)
    assert "CreateCodeSubmission" not in kaggle.requests
