"""What the server accepts on the wire, what it refuses, and how it starts and stops as a command."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import kaggle_fixtures
import pytest
import requests
from kaggle_fixtures import SLUG, TOKEN, USER, StartKaggle
from sdk_client import connect, left, push_fields, rpc
from waiting import wait_for

from local_kaggle import __main__ as command
from local_kaggle import sandbox
from local_kaggle.profile import Settings
from local_kaggle.routes import ROUTES
from local_kaggle.server import Server

PATHS = {"PYTHONPATH": str(Path(command.__file__).parents[1])}
QUOTA = "/api/v1/kernels.KernelsApiService/GetAcceleratorQuotaStatistics"


def raw(kaggle: Server, method: str, target: str, host: str = "", length: str = "2") -> int:
    """Send a request line as it stands and give the status of its answer; nothing follows another length."""
    connection = http.client.HTTPConnection("127.0.0.1", int(kaggle.url.rpartition(":")[2]), timeout=10)
    connection.putrequest(method, target, skip_host=bool(host))
    if host:
        connection.putheader("Host", host)
    connection.putheader("Authorization", f"Bearer {TOKEN}")
    connection.putheader("Content-Length", length)
    connection.endheaders(b"{}" if length == "2" else None)
    return connection.getresponse().status


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "localhost:80"])
def test_requests_in_absolute_form_are_accepted(kaggle: Server, host: str) -> None:
    """So a client can be led here by HTTP_PROXY."""
    assert raw(kaggle, "POST", f"http://{host}{QUOTA}") == 200


@pytest.mark.parametrize(
    ("method", "target", "host"),
    [
        ("POST", "/api/v1/kernels.KernelsApiService/CreateKernelSession", ""),
        ("GET", QUOTA, ""),
        ("POST", "/api/v1/datasets.DatasetApiService/ListDatasets", ""),
        ("PUT", "/api/v1/anything", ""),
        ("DELETE", "/upload/token", ""),
        ("POST", f"http://www.kaggle.com{QUOTA}", ""),
        ("POST", QUOTA, "evil.example"),
        ("CONNECT", "www.kaggle.com:443", ""),
    ],
)
def test_an_unknown_request_is_recorded_and_gets_501(
    kaggle: Server, method: str, target: str, host: str
) -> None:
    """Nothing is forwarded, and nobody reaches the server under another name."""
    assert raw(kaggle, method, target, host) == 501
    assert kaggle.unknown_requests == [f"{method} {target}"]
    kaggle.unknown_requests.clear()


def test_the_fixture_fails_the_test_that_caused_an_unknown_request(tmp_path: Path) -> None:
    """Also when the client itself swallowed the answer."""
    (tmp_path / "test_swallows.py").write_text(
        "import requests\n"
        "def test_asks_for_something(kaggle):\n"
        "    requests.get(kaggle.url + '/no/such/thing', timeout=10)\n"
    )
    paths = [str(Path(kaggle_fixtures.__file__).parent), str(Path(command.__file__).parents[1])]
    # A folder of its own: at its end pytest clears what earlier runs left in the shared one.
    options = ["-q", "-p", "kaggle_fixtures", "-p", "no:cacheprovider", "--basetemp=made"]
    result = subprocess.run(
        [sys.executable, "-m", "pytest", *options, "test_swallows.py"], cwd=tmp_path, check=False,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)}, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert "1 passed, 1 error" in result.stdout
    assert "GET /no/such/thing" in result.stdout


def test_a_request_that_crashes_the_server_is_recorded(
    kaggle: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A bug of the stand-in must not pass for a fault of the network."""
    key = "kernels.KernelsApiService/GetAcceleratorQuotaStatistics"
    monkeypatch.setitem(ROUTES, key, (ROUTES[key][0], lambda *_: 1 / 0))
    with pytest.raises(requests.ConnectionError):
        requests.post(f"{kaggle.url}{QUOTA}", data="{}", auth=(USER, TOKEN), timeout=10)
    assert wait_for(lambda: len(kaggle.crashes) == 1)
    assert "ZeroDivisionError" in kaggle.crashes.pop()
    capsys.readouterr()


@pytest.mark.parametrize(
    "body",
    [
        b"5", b"null", b"{", b"[" * 100_000, b"\xff", b'{"slug": "\\ud800"}',
        b'{"slug": null}', b'{"slug": 5}',
        b'{"sessionTimeoutSeconds": 1e308}', b'{"sessionTimeoutSeconds": %s}' % (b"9" * 400),
        *(
            json.dumps(push_fields(**changes)).encode()
            for changes in (
                {"slug": "..", "newTitle": None}, {"slug": f"{USER}/.", "newTitle": None},
                {"slug": f"{USER}/a\r\nb", "newTitle": None},
                {"slug": "../../x", "newTitle": "Fine Title"},
                {"datasetDataSources": ["../../etc"]}, {"datasetDataSources": "a/b"},
                {"modelDataSources": [5]},
                {"sessionTimeoutSeconds": -1}, {"text": 5},
                {"enableGpu": "yes"}, {"competitionDataSources": [""]},
            )
        ),
    ],
)  # fmt: skip
def test_a_push_of_nonsense_is_a_clean_refusal(kaggle: Server, body: bytes) -> None:
    """A client error without a traceback, a hang or a trace on disk; the fixture looks for crashes."""
    address = f"{kaggle.url}/api/v1/kernels.KernelsApiService/SaveKernel"
    answer = requests.post(address, data=body, auth=(USER, TOKEN), timeout=10)
    assert 400 <= answer.status_code < 500
    assert kaggle.state.kernels == []


@pytest.mark.parametrize(
    ("length", "status"),
    [("abc", 400), ("-1", 400), ("1.0", 400), ("1, 1", 400), ("9" * 5000, 413), ("1" + "0" * 15, 413)],
)
def test_a_length_of_nonsense_is_refused_at_once(kaggle: Server, length: str, status: int) -> None:
    """Nothing is waited for and nothing is allocated."""
    assert raw(kaggle, "POST", QUOTA, length=length) == status


@pytest.mark.parametrize("header", [{"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}])
def test_a_web_page_is_refused(kaggle: Server, header: dict[str, str]) -> None:
    """Whatever it knows; a browser names itself in headers that no page can leave out."""
    answer = requests.post(kaggle.url + QUOTA, data="{}", auth=(USER, TOKEN), headers=header, timeout=10)
    assert answer.status_code == 403


def test_control_characters_in_an_address_are_not_reflected(kaggle: Server) -> None:
    """They would end a header."""
    answer = requests.get(f"{kaggle.url}/kf/%0d%0aSet-Cookie:%20a=b", timeout=10)
    assert (answer.status_code, answer.headers.get("Set-Cookie")) == (400, None)


def test_each_server_has_a_token_of_its_own(tmp_path: Path) -> None:
    """Every user of the machine reaches the port, and what is pushed runs as this one."""
    settings = Settings()
    assert settings.token != Settings().token
    assert len(settings.token) == 32
    assert settings.token not in repr(settings)


def test_a_token_can_be_looked_up_without_a_login(kaggle: Server) -> None:
    """The command line asks whose token it holds; a wrong one is inactive, not an error."""
    known = rpc(kaggle, "IntrospectToken", {"token": TOKEN}, auth=None).json()
    assert (known["active"], known["username"]) == (True, USER)
    assert not rpc(kaggle, "IntrospectToken", {"token": "other"}, auth=None).json()["active"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGKILL])
def test_the_command_says_where_it_is_and_stops_with_its_scripts(
    tmp_path: Path, competition_folder: Path, number: signal.Signals
) -> None:
    """One line when it is ready; after the signal no process of a script is left, whatever it started.

    The competition is named after its folder.
    """
    if number == signal.SIGKILL and not sandbox.namespaces_allowed():
        pytest.skip("without namespaces a child outlives a killed server, and the sandbox says so")
    root, mark, user = tmp_path / "root", str(tmp_path), Settings().user
    script = (
        "import os, subprocess, sys, time\n"
        f"stays = [sys.executable, '-c', 'import time; time.sleep(600)', {mark!r}]\n"
        "subprocess.Popen(stays, env={}, start_new_session=True)\n"
        "open(os.environ['OUT'], 'w'); time.sleep(600)"
    )
    push = ("kernels.KernelsApiService/SaveKernel", push_fields(text=script, slug=f"{user}/little-kernel"))
    look = ("competitions.CompetitionApiService/GetCompetition", {"competitionName": SLUG})
    options = ["--root", root, "--competition", competition_folder, "--fault", "http-503:1"]
    server = [sys.executable, "-m", "local_kaggle", *options, "--child-env", "OUT={working}/up"]
    environment = os.environ | PATHS | {"LOCAL_KAGGLE_TOKEN": TOKEN}
    with subprocess.Popen(server, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            ready, _, url = process.stdout.readline().strip().rpartition(" ")
            assert (ready, url[:17]) == ("local Kaggle ready at", "http://127.0.0.1:")
            for (method, told), status in ((push, 503), (push, 200), (look, 200)):
                address = f"{url}/api/v1/{method}"
                answer = requests.post(address, json=told, auth=(user, TOKEN), timeout=10)
                assert answer.status_code == status
            note = root / f"kernels/{user}/little-kernel/v1/machine/kaggle/working/up"
            assert wait_for(note.exists)
            process.send_signal(number)
            assert process.wait(20) == (-9 if number == signal.SIGKILL else 0)
        finally:
            process.kill()
    assert wait_for(lambda: left(mark) == [])


def test_the_command_ends_with_its_parent(tmp_path: Path, competition_folder: Path) -> None:
    """Also when the parent is killed and can stop nothing itself; a token that it made is told."""
    starts = (
        "import os, subprocess, sys, time\n"
        "subprocess.Popen([*sys.argv[1:], '--parent', str(os.getpid())], start_new_session=True)\n"
        "time.sleep(600)"
    )
    server = [sys.executable, "-m", "local_kaggle", "--root", str(tmp_path / "root")]
    server = [sys.executable, "-c", starts, *server, "--competition", str(competition_folder)]
    environment = os.environ | PATHS | {"LOCAL_KAGGLE_TOKEN": ""}
    with subprocess.Popen(server, stdout=subprocess.PIPE, env=environment) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline().startswith(b"local Kaggle ready at ")
        assert parent.stdout.readline().startswith(b"KAGGLE_API_TOKEN=")
        parent.kill()
    assert wait_for(lambda: left(str(tmp_path / "root")) == [])


@pytest.mark.parametrize("number", ["", "65536"])
def test_a_port_that_cannot_be_had_is_one_line_and_exit_1(
    kaggle: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str], number: str
) -> None:
    """No traceback, whether it is taken or is none."""
    port = number or kaggle.url.rpartition(":")[2]
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)}
    try:
        assert command.main(["--port", port, "--root", str(tmp_path / "other")]) == 1
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    error = capsys.readouterr().err
    assert error.startswith(f"local_kaggle: cannot start on port {port}: ")
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    "option", ["--competition=gone", "--child-env=NAME", "--fault=typhoon", "--layout=new", "--host=0.0.0.0"]
)
def test_a_wrong_option_is_refused(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    """With its name and exit status 2, before anything is made; only loopback is ever bound."""
    with pytest.raises(SystemExit, match="2"):
        command.main(["--root", "gone-too", option])
    assert option.partition("=")[0] in capsys.readouterr().err
    assert not Path("gone-too").exists()


def test_two_servers_do_not_share_anything(start_kaggle: StartKaggle, tmp_path: Path) -> None:
    """Each has its records, its faults and its links."""
    one, other = start_kaggle(), start_kaggle(tmp_path / "other")
    link = one.state.signed("/signed/train.csv", one.state.competition_folder / "train.csv")
    assert requests.get(link, timeout=10).status_code == 200
    assert requests.get(link.replace(one.url, other.url), timeout=10).status_code == 403
    connect(one)
    assert other.requests == ["signed"]
