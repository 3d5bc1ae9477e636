"""A code competition: a version is submitted, runs again on the hidden test set and is scored there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from kaggle_fixtures import SLUG, USER, StartKaggle
from sdk_client import Json, push_fields, rpc, wait_for_file
from waiting import wait_for

from local_kaggle.profile import OBSERVED
from local_kaggle.server import Server

COMPETITION = {"competitionName": SLUG}
CODE = COMPETITION | {"kernelOwner": USER, "kernelSlug": "little-kernel", "kernelVersion": 1}
CODE |= {"fileName": "submission.csv", "submissionDescription": "run v1"}
ANSWERS = """import os, pathlib
rows = pathlib.Path(os.environ["INPUT"], "competitions/little-reviews/test.csv").read_text().splitlines()[1:]
os.chdir(pathlib.Path(os.environ["INPUT"]).parent / "working")
again = "KAGGLE_IS_COMPETITION_RERUN" in os.environ
"""
WRITES = """
with open("submission.csv", "w") as file:
    file.write("ID,label\\n" + "".join(row.split(",")[0] + ",Positive\\n" for row in rows))
"""


@pytest.fixture
def code(start_kaggle: StartKaggle, hidden: Path) -> Server:
    """A code competition with a hidden test set and a short limit."""
    return start_kaggle(
        notebooks_only=True,
        hidden=hidden,
        rerun_limit_seconds=2.0,
        child_env={"INPUT": "{input}"},
        profile=OBSERVED.without_waiting(),
    )


def pushed(kaggle: Server, text: str = ANSWERS + WRITES, **changes: object) -> None:
    """Push a script with the competition attached and wait for its end."""
    answer = rpc(kaggle, "SaveKernel", push_fields(text=text, competitionDataSources=[SLUG]) | changes)
    kaggle.state.wait(USER, "little-kernel", answer.json()["versionNumber"])


def judged(kaggle: Server, ref: int) -> Json:
    """Wait until the rerun has ended and give the submission."""
    assert wait_for(
        lambda: rpc(kaggle, "GetSubmission", {"ref": ref}).json().get("status") in ("COMPLETE", "ERROR")
    )
    entry: Json = rpc(kaggle, "GetSubmission", {"ref": ref}).json()
    return entry


def test_a_version_is_scored_on_the_hidden_test_set(code: Server, gate: Path) -> None:
    """Pending until the rerun has ended; the hidden rows stand at the public ones' place."""
    seen = "print(len(rows), again, flush=True)\n"
    pushed(code, ANSWERS + WRITES + seen + "if again:\n " + wait_for_file(gate).replace("\n", "\n "))
    submitted = rpc(code, "CreateCodeSubmission", CODE).json()
    assert submitted["message"] == "Successfully submitted to Little Reviews"
    for _ in range(3):
        assert rpc(code, "GetSubmission", {"ref": submitted["ref"]}).json().get("status") in (None, "PENDING")
    assert rpc(code, "GetSubmissionLimits", COMPETITION).json()["numToday"] == 1
    gate.touch()
    entry = judged(code, submitted["ref"])
    assert (entry["status"], entry["publicScore"]) == ("COMPLETE", "0.35714")
    assert (entry["fileName"], entry["description"]) == ("submission.csv", "run v1")
    version = code.state.version(USER, "little-kernel")
    assert code.state.log(version)[0]["data"] == "4 False\n"
    log = (code.state.root / "reruns" / str(submitted["ref"]) / "log.json").read_text()
    assert json.loads(log)[0]["data"].startswith("9 True\n")
    assert not list(code.state.root.glob("competition*/solution.csv"))


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("if again: raise ValueError", "Notebook Threw Exception"),
        ("import time\nif again: time.sleep(60)", "Notebook Timeout"),
        ("if again: os.kill(os.getpid(), 9)", "Notebook Exceeded Allowed Compute"),
        ("if again: os.remove('submission.csv')", "Submission CSV Not Found"),
        ("if again: pathlib.Path('submission.csv').write_text('')", "Submission Format Error"),
        (
            "if again: pathlib.Path('submission.csv').write_text('ID,label\\nt0,Positive\\n')",
            "Submission Scoring Error",
        ),
    ],
)
def test_a_rerun_that_fails_says_so_in_kaggles_words(code: Server, script: str, words: str) -> None:
    """The version itself was green; the submission ends in an error and counts for the day."""
    pushed(code, f"{ANSWERS}{WRITES}{script}\n")
    entry = judged(code, rpc(code, "CreateCodeSubmission", CODE).json()["ref"])
    assert (entry["status"], entry["errorDescription"]) == ("ERROR", words)
    assert rpc(code, "GetSubmissionLimits", COMPETITION).json()["numToday"] == 1


DENIED = (403, "Permission 'kernelSessions.get' was denied")
REFUSED: list[tuple[Json, Json, int, str]] = [
    ({}, {"kernelVersion": None}, *DENIED),
    ({}, {"kernelVersion": 7}, *DENIED),
    ({}, {"kernelSlug": None, "kernel_slug": "little-kernel"}, *DENIED),
    ({}, {"kernelOwner": "other"}, *DENIED),
    ({}, {"fileName": None}, 400, ""),
    ({}, {"competitionName": "titanic"}, 404, "'titanic' was not found"),
    ({"text": "raise SystemExit(1)"}, {}, 400, "The Notebook did not complete."),
    ({"enableInternet": True}, {}, 400, "Internet access must be turned off in the Notebook."),
    ({"machineShape": "NvidiaTeslaP100"}, {}, 400, "The P100 accelerator is not allowed."),
    ({"text": "", "competitionDataSources": []}, {}, 400, "must be attached to the Notebook."),
    ({}, {"fileName": "answers.csv"}, 400, "The output file must be called submission.csv."),
    ({"text": "print('nothing')"}, {}, 400, "The output file was not found."),
]


@pytest.mark.parametrize(("push", "submission", "status", "words"), REFUSED)
def test_a_refused_version_uses_no_slot(
    code: Server, push: Json, submission: Json, status: int, words: str
) -> None:
    """Each refusal has its own words, and nothing is listed."""
    pushed(code, **push)
    answer = rpc(code, "CreateCodeSubmission", CODE | submission)
    assert (answer.status_code, bool(answer.content)) == (status, bool(words))
    assert words in answer.text
    limits = rpc(code, "GetSubmissionLimits", COMPETITION).json()
    assert (limits.get("numToday", 0), code.state.submissions) == (0, [])


def test_a_running_version_cannot_be_submitted(code: Server, gate: Path) -> None:
    """Its output is not there yet."""
    fields = push_fields(text=wait_for_file(gate), competitionDataSources=[SLUG])
    rpc(code, "SaveKernel", fields)
    assert "The Notebook is still running." in rpc(code, "CreateCodeSubmission", CODE).text


def test_a_competition_takes_files_or_versions(start_kaggle: StartKaggle, code: Server) -> None:
    """It says which beforehand, and refuses the other as a failed precondition; the day's limit holds."""
    assert rpc(code, "GetCompetition", COMPETITION).json()["isKernelsSubmissionsOnly"] is True
    refused = rpc(code, "CreateSubmission", COMPETITION | {"blobFileTokens": "x"})
    assert (refused.status_code, refused.json()["error"]["status"]) == (400, "FAILED_PRECONDITION")
    words = "Submission not allowed:  This competition only accepts Submissions from Notebooks."
    assert refused.json()["error"]["message"] == words
    code.close()
    files = start_kaggle()
    pushed(files, "")
    assert "does not accept Submissions from Notebooks" in rpc(files, "CreateCodeSubmission", CODE).text
    files.close()
    none_left = start_kaggle(notebooks_only=True, max_daily_submissions=0)
    assert "daily Submission allowance (0)" in rpc(none_left, "CreateCodeSubmission", CODE).text


def test_a_rerun_cut_by_the_servers_end_is_an_error_after_the_restart(
    code: Server, start_kaggle: StartKaggle, gate: Path
) -> None:
    """It counts, and nobody waits for ever."""
    pushed(code, ANSWERS + WRITES + "if again:\n " + wait_for_file(gate).replace("\n", "\n "))
    ref = rpc(code, "CreateCodeSubmission", CODE).json()["ref"]
    code.close()
    again = start_kaggle(notebooks_only=True, pending_polls=0)
    assert "stopped during the rerun" in judged(again, ref)["errorDescription"]
