"""Stopping saves what it can, asks, and deletes; a no leaves everything as it is."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from kaggle_fixtures import USER
from sdk_client import wait_for

from kit.errors import KitError
from kit.remote import stop, watch
from kit.remote.runs import Run
from kit.remote.wire.client import Client
from local_kaggle import faults
from local_kaggle.faults import Fault
from local_kaggle.server import Server

LONG = "import time\nprint('begun', flush=True)\ntime.sleep(60)"


def test_a_running_session_ends_with_its_kernel(
    kaggle: Server, client: Client, push: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log so far is saved before the question, and nothing runs afterwards."""
    monkeypatch.setattr(watch, "SO_FAR_SECONDS", 1.0)
    run = push(LONG)
    wait_for(lambda: bool(kaggle.state.log(kaggle.state.kernels[0].versions[0])))
    asked: list[str] = []

    def confirm(question: str) -> bool:
        asked.append(question)
        assert (run.folder / "kernel.log").read_text() == "begun\n"
        return True

    assert stop.stop(client, run, confirm=confirm, tell=lambda _: None)
    assert "little-kernel-tiny/v1 is " in asked[0]
    assert "removes all versions, 1 pushed from here" in asked[0]
    assert kaggle.state.kernels == []
    with pytest.raises(KitError, match="Kaggle has no little-kernel-tiny/v1"):
        watch.watch(client, run, 60, lambda *_: None)


def test_the_outputs_of_an_ended_run_are_pulled_first(client: Client, finished: Callable[..., Run]) -> None:
    """Deleting loses what Kaggle holds, so it comes home before."""
    run = finished()
    assert stop.stop(client, run, confirm=lambda _: True, tell=lambda _: None)
    assert (run.folder / "submission.csv").is_file()


def test_a_no_keeps_the_kernel(kaggle: Server, client: Client, finished: Callable[..., Run]) -> None:
    """Nothing is deleted without a yes."""
    assert not stop.stop(client, finished(), confirm=lambda _: False, tell=lambda _: None)
    assert len(kaggle.state.kernels) == 1


def test_what_cannot_be_saved_is_said_before_the_question(
    kaggle: Server, client: Client, finished: Callable[..., Run]
) -> None:
    """The answer is given knowing that the outputs would be lost."""
    run = finished()
    kaggle.faults.arm(Fault("signed", 999, drop="before"))
    said: list[str] = []

    def confirm(question: str) -> bool:
        said.append(question)
        return False

    stop.stop(client, run, confirm=confirm, tell=said.append)
    assert said[0].startswith("nothing could be saved: ")
    assert "Delete?" in said[1]


def test_a_deletion_that_kaggle_refuses_is_an_error(
    kaggle: Server, client: Client, finished: Callable[..., Run]
) -> None:
    """A soft error in a good answer is no success."""
    run = finished()
    kaggle.faults.arm(faults.answer("DeleteKernel", {"errorMessage": "not today"}))
    with pytest.raises(KitError, match=f"does not delete {USER}/little-kernel-tiny: not today"):
        stop.stop(client, run, confirm=lambda _: True, tell=lambda _: None)
