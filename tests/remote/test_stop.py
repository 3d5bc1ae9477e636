"""Stopping cancels by the session's number and brings home what is there; deleting is the last resort."""

import json

import pytest
from kaggle_fixtures import USER
from makers import MakeRun
from waiting import wait_for

from kit.errors import KitError
from kit.remote import runs
from kit.remote.following import stop, watch
from kit.remote.runs import Run
from kit.remote.wire.client import Client
from local_kaggle import faults
from local_kaggle.faults import Fault
from local_kaggle.server import Server

NUMBER = """
import json, os, time
number = int(os.environ["KAGGLE_CONTAINER_NAME"].split("-")[-2])
print(json.dumps({"event": "session", "id": number}), flush=True)
"""
LONG = """
import os, time
open(os.environ["KIT_WORKING_DIR"] + "/half.txt", "w").write("half")
print("begun", flush=True)
time.sleep(60)
"""


def no_question(_: str) -> bool:
    """Fail where a question is asked."""
    raise AssertionError("nothing is to be asked")


@pytest.fixture
def begun(kaggle: Server, push: MakeRun, monkeypatch: pytest.MonkeyPatch) -> MakeRun:
    """Push a long script and wait until it has said so."""
    monkeypatch.setattr(watch, "SO_FAR_SECONDS", 1.0)

    def run(script: str) -> Run:
        pushed = push(script)
        version = kaggle.state.kernels[0].versions[-1]
        assert wait_for(lambda: "begun" in json.dumps(kaggle.state.log(version)))
        return pushed

    return run


def test_a_running_session_is_cancelled_and_its_outputs_come_home(
    kaggle: Server, client: Client, begun: MakeRun, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is asked, nothing deleted, and what it had written is named as unproved."""
    run = begun(NUMBER + LONG)
    assert stop.stop(client, run, confirm=no_question) == "cancelled"
    assert (run.folder / "half.txt").read_text() == "half"
    assert "begun\n" in (run.folder / "kernel.log").read_text()
    record = json.loads((run.folder / "pull.json").read_text())
    assert (record["status"], record["unproved"]) == ("CANCEL_ACKNOWLEDGED", ["half.txt"])
    said = capsys.readouterr().out.splitlines()
    assert any("unproved" in line and "half.txt" in line for line in said)
    assert kaggle.state.kernels[0].versions[-1].status == "CANCEL_ACKNOWLEDGED"


@pytest.mark.parametrize(
    "fault",
    [
        None,
        faults.status("CancelKernelSession", 404, times=99),
        faults.answer("CancelKernelSession", {"errorMessage": "no"}),
    ],
    ids=["no number", "unknown number", "soft error"],
)
def test_a_session_that_cannot_be_cancelled_ends_with_its_kernel(
    kaggle: Server, client: Client, begun: MakeRun, fault: Fault | None
) -> None:
    """The log so far is saved before the question, and nothing runs afterwards."""
    run = begun((NUMBER if fault else "") + LONG)
    if fault:
        kaggle.faults.arm(fault)
    asked: list[str] = []

    def confirm(question: str) -> bool:
        asked.append(question)
        assert (run.folder / "kernel.log").read_text().endswith("begun\n")
        return True

    assert stop.stop(client, run, confirm=confirm) == "deleted"
    assert "little-kernel-tiny/v1 is " in asked[0]
    assert "removes all versions, 1 pushed from here" in asked[0]
    assert kaggle.state.kernels == []


def test_a_dead_status_does_not_keep_a_session_from_being_cancelled(
    kaggle: Server, client: Client, begun: MakeRun
) -> None:
    """The number is in the log; the end is known once Kaggle answers again."""
    run = begun(NUMBER + LONG)
    kaggle.faults.arm(faults.status("GetKernelSessionStatus", 500, times=20))
    assert stop.stop(client, run, confirm=no_question) == "cancelled"
    assert (run.folder / "half.txt").is_file()


def test_the_outputs_of_an_ended_run_are_pulled_first(client: Client, done: Run) -> None:
    """Deleting loses what Kaggle holds, so it comes home before; a no keeps the kernel."""
    assert stop.stop(client, done, confirm=lambda _: False) == "kept"
    assert stop.stop(client, done, confirm=lambda _: True) == "deleted"
    assert (done.folder / "submission.csv").is_file()


def test_what_was_pushed_to_a_kernel_that_is_gone_is_no_version_of_the_next(
    client: Client, finished: MakeRun
) -> None:
    """Its folder was moved aside, under which name it is found."""
    assert stop.stop(client, finished(), confirm=lambda _: True) == "deleted"
    again, asked = finished(), list[str]()
    assert stop.stop(client, again, confirm=asked.append) == "kept"
    assert "1 pushed from here" in asked[0]
    assert len({run.name for run in runs.newest_first(again.folder.parents[1])}) == 2


def test_outputs_that_cannot_be_saved_are_not_deleted(kaggle: Server, client: Client, done: Run) -> None:
    """A yes is not enough for that; only words that say so are."""
    kaggle.faults.arm(Fault("signed", 99_999, drop="before"))
    with pytest.raises(KitError, match=r"would lose the outputs of little-kernel-tiny/v1.*DISCARD=1"):
        stop.stop(client, done, confirm=lambda _: True)
    assert len(kaggle.state.kernels) == 1
    assert stop.stop(client, done, confirm=lambda _: True, discard=True) == "deleted"
    assert kaggle.state.kernels == []


def test_an_earlier_versions_outputs_come_home_before_the_kernel_goes(
    client: Client, finished: MakeRun, begun: MakeRun
) -> None:
    """Deleting takes all versions, so all are saved."""
    first = finished()
    second = begun(LONG)
    assert stop.stop(client, second, confirm=lambda _: True) == "deleted"
    assert (first.folder / "submission.csv").is_file()


def test_a_deletion_that_kaggle_refuses_is_an_error(kaggle: Server, client: Client, done: Run) -> None:
    """A soft error in a good answer is no success."""
    kaggle.faults.arm(faults.answer("DeleteKernel", {"errorMessage": "not today"}))
    with pytest.raises(KitError, match=f"does not delete {USER}/little-kernel-tiny: not today"):
        stop.stop(client, done, confirm=lambda _: True)
