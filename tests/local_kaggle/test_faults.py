"""Armed faults spoil exactly the requests they name, and leave the records as they are."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
import requests
from kaggle_fixtures import SLUG, USER
from sdk_client import GO_TO_WORKING, Json, Push, push_fields, rpc

from local_kaggle import faults
from local_kaggle.faults import Fault
from local_kaggle.server import Server

QUOTA = "GetAcceleratorQuotaStatistics"
LITTLE = {"userName": USER, "kernelSlug": "little-kernel"}
TWO_FILES = GO_TO_WORKING + ("for name in ('a.txt', 'b.txt'): open(name, 'w').write('0123456789' * 5)\n")


def listed(kaggle: Server, **fields: object) -> Json:
    """List the outputs of the little kernel."""
    answer: Json = rpc(kaggle, "ListKernelSessionOutput", LITTLE | fields).json()
    return answer


def test_a_fault_skips_strikes_and_stops(kaggle: Server) -> None:
    """It lets `skip` requests pass, spoils `times` of them, counts these, and leaves other routes alone."""
    fault = kaggle.faults.arm(replace(faults.status(QUOTA, 503), skip=1, times=2))
    codes = [rpc(kaggle, QUOTA, {}).status_code for _ in range(5)]
    assert codes == [200, 503, 503, 200, 200]
    assert rpc(kaggle, "GetCompetition", {"competitionName": SLUG}).status_code == 200
    assert kaggle.faults.struck(fault) == 2
    assert kaggle.requests == [QUOTA] * 5 + ["GetCompetition"]


@pytest.mark.parametrize(
    "fault",
    [
        faults.status(QUOTA, 429, retry_after_seconds=7),
        faults.status(QUOTA, 429, nested=True, retry_after_seconds="Wed, 25 Nov 2026 21:00:00 GMT"),
        faults.status(QUOTA, 500),
        faults.html(QUOTA, 429, content_type="TEXT/HTML"),
        faults.answer(QUOTA, [[1]]),
        faults.raw(QUOTA, b"[" * 9, "text/event-stream"),
    ],
)
def test_an_answer_can_be_replaced(kaggle: Server, fault: Fault) -> None:
    """Once, in many forms; the next request is answered as if nothing had been."""
    kaggle.faults.arm(fault)
    answer = rpc(kaggle, QUOTA, {})
    assert (answer.status_code, answer.content) == (fault.status, fault.body)
    assert {name: answer.headers[name] for name in fault.headers} == fault.headers
    assert rpc(kaggle, QUOTA, {}).json()["gpuQuota"]


@pytest.mark.parametrize(("when", "versions"), [("before", 0), ("after", 1)])
def test_a_connection_is_reset_before_or_after_the_work(kaggle: Server, when: str, versions: int) -> None:
    """A push whose answer was lost has made its version; one that never arrived has not."""
    kaggle.faults.arm(Fault("SaveKernel", drop=when))
    with pytest.raises(requests.ConnectionError):
        rpc(kaggle, "SaveKernel", push_fields())
    assert len(kaggle.state.kernels) == versions
    assert rpc(kaggle, "SaveKernel", push_fields()).json()["versionNumber"] == versions + 1


def test_a_file_can_be_cut_or_shortened(kaggle: Server, run: Push) -> None:
    """Cut, it announces more than it sends; shortened, everything looks right but the size in the listing."""
    run(TWO_FILES)
    url = listed(kaggle)["files"][0]["url"]
    kaggle.faults.arm(faults.NAMED["truncate"])
    with pytest.raises(requests.exceptions.ChunkedEncodingError, match="10 bytes read, 40 more expected"):
        _ = requests.get(url, timeout=10).content
    kaggle.faults.arm(faults.NAMED["wrong-length"])
    short = requests.get(url, timeout=10)
    assert (len(short.content), short.headers["Content-Length"]) == (25, "25")
    assert len(requests.get(url, timeout=10).content) == 50


@pytest.mark.parametrize(("route", "code"), [("output", 404), ("signed", 403)])
def test_a_link_can_expire(kaggle: Server, run: Push, route: str, code: int) -> None:
    """Listing again gives one that works."""
    run(TWO_FILES)
    kaggle.faults.arm(faults.html(route, code))
    for expected in (code, 200):
        url = listed(kaggle)["files"][0]["url"]
        assert requests.get(url, timeout=10).status_code == expected


def test_a_list_can_name_a_way_out_come_twice_or_in_small_pages(kaggle: Server, run: Push) -> None:
    """Links work under any name; an overlooked token gives a page again; one file comes at a time."""
    run(TWO_FILES)
    kaggle.faults.arm(faults.NAMED["traversal"])
    files = listed(kaggle)["files"]
    assert [file["fileName"] for file in files] == ["../../a.txt", "../../b.txt"]
    assert requests.get(files[0]["url"], timeout=10).status_code == 200
    kaggle.faults.clear()
    kaggle.faults.arm(replace(faults.NAMED["repeat-page"], skip=1))
    names, token = [], ""
    for _ in range(3):
        page = listed(kaggle, pageSize=1, pageToken=token)
        names.append(page["files"][0]["fileName"])
        token = page.get("nextPageToken", "")
    assert (names, token) == (["a.txt", "a.txt", "b.txt"], "")
    kaggle.faults.arm(faults.NAMED["small-pages"])
    page = listed(kaggle, pageSize=50)
    assert (len(page["files"]), page["nextPageToken"]) == (1, "1")


@pytest.mark.parametrize(
    ("kind", "field", "handle"),
    [
        ("dataset", "datasetDataSources", "me/words"),
        ("competition", "competitionDataSources", SLUG),
        ("kernel", "kernelDataSources", f"{USER}/earlier"),
        ("model", "modelDataSources", "meta/llama/transformers/tiny/1"),
    ],
)
def test_a_source_of_each_kind_can_be_dropped(kaggle: Server, kind: str, field: str, handle: str) -> None:
    """The push succeeds, the handle is listed as invalid, and the version runs without it."""
    kaggle.faults.arm(faults.NAMED[f"drop-{kind}"])
    answer = rpc(kaggle, "SaveKernel", push_fields(**{field: [handle]})).json()
    assert answer["versionNumber"] == 1
    assert answer[f"invalid{kind.capitalize()}Sources"] == [handle]
    recorded = rpc(kaggle, "GetKernel", LITTLE).json()["metadata"]
    assert recorded.get(field, []) == []


def test_a_pinned_version_can_be_overlooked(kaggle: Server, run: Push) -> None:
    """Then the newest answers under an older one's name: for everything, or for the outputs alone."""
    run(TWO_FILES)
    run("raise SystemExit(1)")
    pinned = LITTLE | {"versionLabel": "v1"}
    kaggle.faults.arm(faults.NAMED["wrong-outputs"])
    assert rpc(kaggle, "GetKernelSessionStatus", pinned).json()["status"] == "COMPLETE"
    assert rpc(kaggle, "ListKernelFiles", pinned).json().get("files", []) == []
    kaggle.faults.arm(faults.NAMED["stale-version"])
    assert rpc(kaggle, "GetKernelSessionStatus", pinned).json()["status"] == "ERROR"


@pytest.mark.parametrize("name", list(faults.NAMED))
def test_every_named_fault_names_routes_that_exist(name: str) -> None:
    """A fault on a misspelt route would never strike, and its test would prove nothing."""
    from local_kaggle.routes import ROUTES

    known = {key.rpartition("/")[2] for key in ROUTES} | {"output", "signed", "upload", "*"}
    assert set(faults.NAMED[name].route.split(",")) <= known


def test_a_list_can_be_half_or_strange(kaggle: Server, run: Push) -> None:
    """Without a name and the log, or without a key; the stored log of the stream can be late, too."""
    run(TWO_FILES + "print('said')")
    for fault in (faults.half_published("b.txt"), replace(faults.NAMED["late-log"], times=1)):
        kaggle.faults.arm(fault)
        assert listed(kaggle)["log"] == ""
        assert "said" in listed(kaggle)["log"]
    kaggle.faults.arm(faults.half_published("b.txt"))
    assert [file["fileName"] for file in listed(kaggle)["files"]] == ["a.txt"]
    kaggle.faults.arm(faults.leave_out("ListKernelSessionOutput", "files"))
    assert "files" not in listed(kaggle)
    kaggle.faults.arm(replace(faults.NAMED["late-log"], times=1))
    logs = [rpc(kaggle, "GetKernelSessionLogsStream", LITTLE).json() for _ in range(2)]
    assert (logs[0], logs[1][0]["data"]) == ([], "said\n")


@pytest.mark.parametrize("ranges", [True, False])
def test_a_transfer_can_be_cut_again_and_again(kaggle: Server, run: Push, ranges: bool) -> None:
    """Whoever asks for the rest gets on, unless ranges are ignored: then each time starts over."""
    run(TWO_FILES)
    kaggle.faults.arm(Fault("signed", 99, keep_bytes=20, ignore_range=not ranges))
    url, received = listed(kaggle)["files"][0]["url"], b""
    for _ in range(3):
        with requests.get(url, headers={"Range": f"bytes={len(received)}-"}, stream=True, timeout=9) as part:
            received += part.raw.read(20)
    assert received == (b"0123456789" * (5 if ranges else 6))


def test_a_body_can_lie_about_itself(kaggle: Server, run: Push) -> None:
    """Compressed unasked, a part nobody wanted, a length of nonsense or none, no end, byte by byte."""
    run(TWO_FILES)
    url, whole = listed(kaggle)["files"][0]["url"], b"0123456789" * 5
    kaggle.faults.arm(replace(faults.NAMED["gzip"], times=1))
    packed = requests.get(url, headers={"Accept-Encoding": "identity"}, timeout=9)
    assert (packed.headers["Content-Encoding"], packed.content) == ("gzip", whole)
    kaggle.faults.arm(replace(faults.NAMED["middle-part"], times=1))
    assert requests.get(url, timeout=9).status_code == 206
    for length in ("abc", "1, 1", "9" * 5000, ""):
        kaggle.faults.arm(Fault("signed", headers={"Content-Length": length}))
        with requests.get(url, stream=True, timeout=9) as answer:
            assert answer.headers.get("Content-Length", "") == length
    kaggle.faults.arm(Fault("signed", endless=True))
    with requests.get(url, stream=True, timeout=9) as answer:
        assert len(answer.raw.read(len(whole) * 1000)) == len(whole) * 1000
    kaggle.faults.arm(Fault("signed", seconds_per_byte=0.01))
    started = time.monotonic()
    assert requests.get(url, timeout=9).content == whole
    assert time.monotonic() - started > 0.4


def test_a_good_push_can_come_without_its_version(kaggle: Server) -> None:
    """It runs all the same."""
    kaggle.faults.arm(faults.NAMED["no-version"])
    assert "versionNumber" not in rpc(kaggle, "SaveKernel", push_fields()).json()
    assert len(kaggle.state.kernels[0].versions) == 1
