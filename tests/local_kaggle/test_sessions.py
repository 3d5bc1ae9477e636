"""The life of a session: queued, running, ended or stopped, and what it leaves behind."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests
from kaggle_fixtures import SLUG, USER, StartKaggle
from kagglesdk.kernels.types.kernels_enums import KernelWorkerStatus
from sdk_client import (
    GO_TO_WORKING,
    LITTLE,
    Kernels,
    Push,
    ask,
    connect,
    output,
    push_behind_another,
    push_fields,
    rpc,
    status,
    wait_for_file,
)  # fmt: skip
from toy_wheels import make_wheel
from waiting import wait_for

from local_kaggle import following
from local_kaggle.server import Server


@pytest.mark.parametrize(
    ("script", "limit", "ended", "why", "said"),
    [
        ("raise ValueError('broken')", None, "ERROR", "exit status 1", "ValueError: broken"),
        ("time.sleep(600)", 1, "CANCEL_ACKNOWLEDGED", "max allowed execution duration", ""),
    ],
)
def test_a_script_that_fails_or_is_stopped_keeps_log_and_outputs(
    kernels: Kernels, run: Push, script: str, limit: int | None, ended: str, why: str, said: str
) -> None:
    """The traceback is in the log as stderr chunks; Kaggle says why, and what was written before stays."""
    text = GO_TO_WORKING + "import time; open('half.txt', 'w').write('x')\n"
    run(text + script, session_timeout_seconds=limit)
    assert (status(kernels).status.name, why in status(kernels).failure_message) == (ended, True)
    answer = output(kernels)
    assert [file.file_name for file in answer.files] == ["half.txt"]
    chunks = json.loads(answer.log)
    assert said in "".join(chunk["data"] for chunk in chunks if chunk["stream_name"] == "stderr")


def test_a_session_is_queued_then_running_and_shows_nothing_yet(
    start_kaggle: StartKaggle, gate: Path
) -> None:
    """With one slot the second push waits its turn; QUEUED is written out although it is the default."""
    kaggle = start_kaggle(parallel_sessions=1)
    kernels = connect(kaggle).kernels.kernels_api_client
    push_behind_another(kaggle, gate)
    raw = rpc(kaggle, "GetKernelSessionStatus", {"userName": USER, "kernelSlug": "little-kernel"})
    assert raw.json() == {"status": "QUEUED"}
    running = output(kernels, kernel_slug="first-one")
    assert (running.files, running.log) == ([], "")
    gate.touch()
    kaggle.state.wait(USER, "little-kernel", 1)
    assert "".join(chunk["data"] for chunk in json.loads(output(kernels).log)) == "waiting\ndone\n"


def test_the_newest_session_answers_unless_a_label_pins_another(kernels: Kernels, run: Push) -> None:
    """Status, log and outputs of an older version need `v<N>`."""
    run(GO_TO_WORKING + "open('one.txt', 'w'); print('first')")
    run("raise SystemExit(4)")
    assert status(kernels).status == KernelWorkerStatus.ERROR
    assert status(kernels, "v1").status == KernelWorkerStatus.COMPLETE
    assert output(kernels).files == []
    pinned = output(kernels, "v1")
    assert [file.file_name for file in pinned.files] == ["one.txt"]
    assert json.loads(pinned.log)[0]["data"] == "first\n"


WRITES_FILES = (
    GO_TO_WORKING
    + """
os.makedirs("deep/er")
for n in range(5):
    open(f"deep/er/file {n} é.txt", "w").write("x" * n)
"""
)


def test_an_output_whose_name_is_no_text_can_be_fetched(kernels: Kernels, run: Push) -> None:
    """With a sign in the place of what is none."""
    run(GO_TO_WORKING + "open(b'\\xff.txt', 'w')")
    (file,) = output(kernels).files
    assert (file.file_name, requests.get(file.url, timeout=10).status_code) == ("\ufffd.txt", 200)


def test_outputs_are_listed_in_pages_with_sizes_only_where_kaggle_has_them(
    kernels: Kernels, run: Push
) -> None:
    """The output list has links and no sizes, the file list sizes and no links."""
    run(WRITES_FILES)
    pages = [output(kernels, page_size=2)]
    while token := pages[-1].next_page_token:
        pages.append(output(kernels, page_size=2, page_token=token))
    names = [file.file_name for page in pages for file in page.files]
    assert names == [f"deep/er/file {n} é.txt" for n in range(5)]
    assert len(pages) == 3
    files = ask(kernels.list_kernel_files, **LITTLE).files
    assert {file.name: file.size for file in files} == {name: n for n, name in enumerate(names)}
    assert "size" not in pages[0].files[0].to_dict()


def test_an_output_link_needs_no_login_redirects_and_can_be_resumed(kernels: Kernels, run: Push) -> None:
    """The first address redirects to a signed one, which says its length and serves ranges."""
    run(WRITES_FILES)
    url = output(kernels).files[4].url
    first = requests.get(url, allow_redirects=False, timeout=10)
    assert first.status_code == 302
    whole = requests.get(first.headers["Location"], timeout=10)
    assert (whole.status_code, whole.content, whole.headers["Content-Length"]) == (200, b"xxxx", "4")
    rest = requests.get(url, headers={"Range": "bytes=3-", "If-Range": whole.headers["ETag"]}, timeout=10)
    assert (rest.status_code, rest.content) == (206, b"x")
    assert rest.headers["Content-Range"] == "bytes 3-3/4"
    stale = requests.get(url, headers={"Range": "bytes=3-", "If-Range": '"other"'}, timeout=10)
    assert (stale.status_code, stale.content) == (200, b"xxxx")
    beyond = requests.get(url, headers={"Range": "bytes=9-"}, timeout=10)
    assert beyond.status_code == 416


def test_links_expire_and_cannot_be_forged(start_kaggle: StartKaggle) -> None:
    """An expired address is a web page with 404, an expired signed link an XML text with 403."""
    kaggle = start_kaggle(link_seconds=0)
    path = f"/kf/{USER}/little-kernel/1/submission.csv"
    late, signed = (kaggle.state.signed(root + path, kaggle.state.bundle) for root in ("", "/signed"))
    forged = signed.replace("signature=", "signature=9")
    bare = f"{kaggle.url}/signed/competitions/{SLUG}/solution.csv"
    answers = [requests.get(address, timeout=10) for address in (late, signed, forged, bare)]
    assert [answer.status_code for answer in answers] == [404, 403, 403, 403]
    assert [answer.headers["Content-Type"] for answer in answers[:2]] == ["text/html", "application/xml"]


def test_deleting_a_kernel_stops_its_session_and_loses_its_outputs(
    kaggle: Server, kernels: Kernels, push: Push, gate: Path
) -> None:
    """Afterwards it is as if it had never been, on disk too."""
    push(wait_for_file(gate))
    version = kaggle.state.version(USER, "little-kernel")
    ask(kernels.delete_kernel, **LITTLE)
    assert version.is_terminal
    assert not kaggle.state.folder(version).parent.exists()
    with pytest.raises(requests.HTTPError, match="denied"):
        status(kernels)


def test_what_comes_while_a_kernel_is_deleted_waits(
    kaggle: Server, push: Push, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second deletion then finds nothing to delete, and a push begins anew."""
    monkeypatch.setattr(following, "GRACE_SECONDS", 0.5)
    push("import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(60)")
    version = kaggle.state.version(USER, "little-kernel")
    assert wait_for(lambda: bool(kaggle.state.log(version)))
    with ThreadPoolExecutor() as pool:
        for _ in range(2):
            pool.submit(rpc, kaggle, "DeleteKernel", {"userName": USER, "kernelSlug": "little-kernel"})
        assert wait_for(lambda: version.status == "CANCEL_REQUESTED")
        assert push().version_number == 1
    assert kaggle.state.wait(USER, "little-kernel", 1).status == "COMPLETE"


def test_a_restarted_server_knows_versions_logs_and_outputs(
    tmp_path: Path, start_kaggle: StartKaggle
) -> None:
    """A session that was running when the server stopped is not shown as running."""
    kaggle = start_kaggle()
    rpc(kaggle, "SaveKernel", push_fields(text=GO_TO_WORKING + "open('x', 'w'); print('kept')"))
    kaggle.state.wait(USER, "little-kernel", 1)
    rpc(kaggle, "SaveKernel", push_fields(text=wait_for_file(tmp_path / "never")))
    kaggle.close()

    again = start_kaggle()
    kernels = connect(again).kernels.kernels_api_client
    assert status(kernels).status == KernelWorkerStatus.CANCEL_ACKNOWLEDGED
    first = output(kernels, "v1")
    assert json.loads(first.log)[0]["data"] == "kept\n"
    assert requests.get(first.files[0].url, timeout=10).status_code == 200
    assert rpc(again, "SaveKernel", push_fields()).json()["versionNumber"] == 3


def test_a_session_cut_by_a_crash_is_an_error_after_the_restart(
    start_kaggle: StartKaggle, tmp_path: Path
) -> None:
    """A server that was killed could not record the end itself."""
    kaggle = start_kaggle()
    rpc(kaggle, "SaveKernel", push_fields())
    kaggle.state.wait(USER, "little-kernel", 1)
    kaggle.close()
    records = tmp_path / "kaggle" / "state.json"
    records.write_text(records.read_text().replace("COMPLETE", "RUNNING"))
    again = start_kaggle()
    assert status(connect(again).kernels.kernels_api_client).status == KernelWorkerStatus.ERROR


def test_each_session_can_start_in_an_empty_environment(tmp_path: Path, start_kaggle: StartKaggle) -> None:
    """The script's own installer runs: pip finds the wheels and nothing else, and nothing is there yet."""
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    make_wheel(wheels, "pocket", "1.0")
    kaggle = start_kaggle(wheels=wheels)
    script = (
        "import importlib.util, subprocess, sys\n"
        "print(*(bool(importlib.util.find_spec(name)) for name in ('requests', 'pocket')), flush=True)\n"
        "subprocess.run([sys.executable, '-m', 'pip', 'install', '-q', 'pocket'], check=True)\n"
        "print(subprocess.run([sys.executable, '-c', 'import pocket; print(pocket.__file__)'],"
        " capture_output=True, text=True, check=True).stdout)\n"
    )
    rpc(kaggle, "SaveKernel", push_fields(text=script))
    version = kaggle.state.wait(USER, "little-kernel", 1, timeout_seconds=90)
    log = "".join(chunk["data"] for chunk in kaggle.state.log(version))
    assert version.status == "COMPLETE", log
    assert log.startswith("False False\n")
    assert "machine/environment/lib" in log


def test_the_internet_takes_both_the_kernels_wish_and_the_servers_leave(start_kaggle: StartKaggle) -> None:
    """A kernel that does not ask stays offline even where others may go online."""
    kaggle = start_kaggle(network=True)
    port = kaggle.url.rpartition(":")[2]
    script = f"import socket; socket.create_connection(('127.0.0.1', {port}), 5)"
    for wish, expected in ((True, "COMPLETE"), (False, "ERROR")):
        rpc(kaggle, "SaveKernel", push_fields(text=script, enableInternet=wish))
        number = len(kaggle.state.kernels[0].versions)
        assert kaggle.state.wait(USER, "little-kernel", number).status == expected
