"""The log while a session runs and after it, through both of its addresses."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from kaggle_fixtures import TOKEN, USER, StartKaggle
from sdk_client import LITTLE, Kernels, Push, ask, push_behind_another, push_fields, rpc, wait_for_file

from local_kaggle import faults
from local_kaggle.server import Server

BROKEN = (requests.exceptions.ChunkedEncodingError, requests.ConnectionError)


def talk(gate: Path) -> str:
    """Make a script that says one thing, waits for the file and says two more."""
    return wait_for_file(gate) + "import sys; time.sleep(0.1); print('oops', file=sys.stderr, flush=True)\n"


def follow(kernels: Kernels, label: str | None = None) -> requests.Response:
    """Open the stream through the SDK."""
    return ask(kernels.get_kernel_session_logs_stream, **LITTLE, version_label=label)


def newest(kaggle: Server) -> requests.Response:
    """Open the stream of the newest session as the command line does."""
    address = f"{kaggle.url}/api/v1/kernels/logs/stream/{USER}/little-kernel"
    return requests.get(address, auth=(USER, TOKEN), stream=True, timeout=10)


def events(response: requests.Response) -> Iterator[str]:
    """Yield the data of the events as they come."""
    for line in response.iter_lines(chunk_size=1, decode_unicode=True):
        if line:
            assert line.startswith("data: ")
            yield line.removeprefix("data: ")


def test_a_running_session_streams_chunks_as_they_come(kernels: Kernels, push: Push, gate: Path) -> None:
    """The first event arrives while the script waits, END_OF_LOG ends it; a reconnect replays all."""
    push(talk(gate))
    for _ in range(2):
        response = follow(kernels)
        assert response.headers["Content-Type"] == "text/event-stream"
        stream = events(response)
        first = json.loads(next(stream))
        assert (first["stream_name"], first["data"]) == ("stdout", "waiting\n")
    gate.touch()
    rest = list(stream)
    assert [json.loads(event)["data"] for event in rest[:-1]] == ["done\n", "oops\n"]
    assert rest[-1] == "END_OF_LOG"


def test_a_finished_session_gives_its_log_as_an_array(kaggle: Server, kernels: Kernels, run: Push) -> None:
    """The same chunks, at once and as JSON, from the pinned and from the newest-session address."""
    run("print('first')")
    run("import sys; print('second', file=sys.stderr)")
    pinned = follow(kernels, "v1")
    assert pinned.headers["Content-Type"] == "application/json"
    assert [(chunk["stream_name"], chunk["data"]) for chunk in pinned.json()] == [("stdout", "first\n")]
    chunks = newest(kaggle).json()
    assert [(chunk["stream_name"], chunk["data"]) for chunk in chunks] == [("stderr", "second\n")]


def test_a_queued_session_has_no_log_until_it_starts(start_kaggle: StartKaggle, gate: Path) -> None:
    """The request waits as long as it was told to, then says so."""
    kaggle = start_kaggle(parallel_sessions=1)
    push_behind_another(kaggle, gate)
    asked = {"userName": USER, "kernelSlug": "little-kernel", "waitForLogsUrlSeconds": 1}
    assert rpc(kaggle, "GetKernelSessionLogsStream", asked).status_code == 404


def test_an_idle_stream_is_cut_without_an_end_mark(start_kaggle: StartKaggle, gate: Path) -> None:
    """A load balancer does that after minutes; the client sees a broken transfer."""
    kaggle = start_kaggle(stream_idle_seconds=0.2)
    rpc(kaggle, "SaveKernel", push_fields(text=talk(gate)))
    response = newest(kaggle)
    seen: list[str] = []
    with pytest.raises(BROKEN):
        seen.extend(events(response))
    assert [json.loads(event)["data"] for event in seen] == ["waiting\n"]


def test_a_stream_can_be_cut_by_a_fault(kaggle: Server, kernels: Kernels, push: Push, gate: Path) -> None:
    """After the armed number of events the connection breaks; the next attempt is whole."""
    cut = kaggle.faults.arm(faults.NAMED["cut-stream"])
    push(talk(gate))
    stream = events(follow(kernels))
    assert json.loads(next(stream))["data"] == "waiting\n"
    with pytest.raises(BROKEN):
        next(stream)
    assert kaggle.faults.struck(cut) == 1
    whole = events(follow(kernels))
    gate.touch()
    assert list(whole)[-1] == "END_OF_LOG"


def test_a_stopping_server_ends_its_streams(start_kaggle: StartKaggle, gate: Path) -> None:
    """Nobody hangs on a server that is gone, nor is answered by it through a connection that stayed open."""
    kaggle = start_kaggle()
    rpc(kaggle, "SaveKernel", push_fields(text=talk(gate)))
    stream = events(newest(kaggle))
    next(stream)
    address = f"{kaggle.url}/api/v1/kernels.KernelsApiService/GetAcceleratorQuotaStatistics"
    with requests.Session() as session:
        assert session.post(address, data="{}", auth=(USER, TOKEN), timeout=10).status_code == 200
        kaggle.close()
        with pytest.raises(BROKEN):
            session.post(address, data="{}", auth=(USER, TOKEN), timeout=10)
    with pytest.raises(BROKEN):
        list(stream)
