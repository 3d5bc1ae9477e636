"""The client finds its credentials, asks again where that may help, and says in one line what went wrong."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kaggle_fixtures import SLUG, TOKEN, USER, StartKaggle
from quick_clock import QuickClock

from kit import environment
from kit.errors import KitError, SettingInvalid
from kit.remote.wire import client as clients
from kit.remote.wire.client import Client
from kit.remote.wire.transport import CredentialsInvalid, Refused, Unsettled
from local_kaggle import faults
from local_kaggle.faults import NAMED, Fault
from local_kaggle.server import Server

pytestmark = pytest.mark.usefixtures("own_home")

MakeClient = Callable[..., Client]


def joined(client: Client) -> bool:
    return bool(client.call("GetCompetition", competition_name=SLUG).user_has_entered)


def test_the_private_names_of_the_sdk_that_are_set_exist() -> None:
    """The endpoint and the session are reached through names that the pinned SDK has."""
    from kagglesdk import KaggleClient, KaggleEnv, __version__

    http = KaggleClient(env=KaggleEnv.LOCAL, username="a", password="b").http_client()
    assert __version__ == "0.1.38"
    assert http._endpoint == "http://localhost"
    assert http._init_session() is None
    assert http._session.auth == ("a", "b")


@pytest.mark.parametrize(
    ("environment", "files", "origin"),
    [
        ({"KAGGLE_API_TOKEN": TOKEN}, {}, "KAGGLE_API_TOKEN"),
        ({}, {"access_token": f"{TOKEN}\n"}, "~/.kaggle/access_token"),
        ({"KAGGLE_USERNAME": USER, "KAGGLE_KEY": TOKEN}, {}, "KAGGLE_USERNAME and KAGGLE_KEY"),
        ({}, {"kaggle.json": json.dumps({"username": USER, "key": TOKEN})}, "~/.kaggle/kaggle.json"),
        (
            {"KAGGLE_USERNAME": "other", "KAGGLE_KEY": "wrong"},
            {"access_token": TOKEN},
            "~/.kaggle/access_token",
        ),
    ],
)
def test_credentials_are_found_where_kaggles_own_client_looks(
    kaggle: Server,
    make_client: MakeClient,
    monkeypatch: pytest.MonkeyPatch,
    environment: dict[str, str],
    files: dict[str, str],
    origin: str,
) -> None:
    """A token comes before a key, the environment before a file, and each opens the door."""
    only(monkeypatch, environment, files)
    client = make_client(kaggle)
    assert client.credentials.origin == origin
    assert client.user() == USER
    assert joined(client)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "make rehearse"),
        ({"kaggle.json": '{"username": "me", "kee": "sesame-1"}'}, "kaggle.json cannot be read"),
        ({"kaggle.json": '{"key": "sesame-1'}, "kaggle.json cannot be read"),
        ({"kaggle.json": '["sesame-1"]'}, "kaggle.json cannot be read"),
    ],
)
def test_missing_and_broken_credentials_are_one_line_without_the_secret(
    monkeypatch: pytest.MonkeyPatch, files: dict[str, str], message: str
) -> None:
    """Nothing is asked of Kaggle without credentials, and a broken file is named but not quoted."""
    only(monkeypatch, {}, files)
    with pytest.raises(CredentialsInvalid) as caught:
        Client(None)
    assert message in str(caught.value)
    assert "https://www.kaggle.com/settings/api" in str(caught.value)
    assert "sesame" not in str(caught.value)


def test_a_browser_log_in_is_taken_last(monkeypatch: pytest.MonkeyPatch) -> None:
    """What `kaggle auth login` left is used while it has not expired, and never sent to a local server."""
    stored = {
        "refresh_token": "r",
        "access_token": "t",
        "access_token_expiration": "2999-01-01T00:00:00+00:00",
    }
    only(monkeypatch, {}, {"credentials.json": json.dumps(stored)})
    assert clients.find_credentials().token == "t"
    with pytest.raises(CredentialsInvalid, match="no Kaggle credentials"):
        clients.find_credentials(local=True)


@pytest.mark.parametrize(
    "environment", [{"KAGGLE_API_TOKEN": "sesame-1"}, {"KAGGLE_USERNAME": "me", "KAGGLE_KEY": "sesame-1"}]
)
def test_rejected_credentials_name_their_origin_and_not_the_secret(
    kaggle: Server, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]
) -> None:
    """A wrong token or key is one line with the page for a new one."""
    only(monkeypatch, environment, {})
    client = make_client(kaggle)
    with pytest.raises(CredentialsInvalid, match="rejects the credentials of KAGGLE_") as caught:
        joined(client)
    assert "sesame" not in f"{caught.value} {client.credentials!r}"


def test_a_token_that_expires_is_read_again(
    kaggle: Server, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """After a 401 a new client with the credentials of that moment asks once more."""
    only(monkeypatch, {}, {"access_token": "expired"})
    client = make_client(kaggle)
    (tmp_path / "home" / ".kaggle" / "access_token").write_text(TOKEN)
    assert joined(client)


@pytest.mark.parametrize(
    "name", ["http-500", "http-502", "http-503", "http-429", "unauthorized", "html", "reset"]
)
def test_a_passing_trouble_is_not_noticed(kaggle: Server, client: Client, name: str) -> None:
    """One bad answer costs another request and nothing else."""
    fault = kaggle.faults.arm(NAMED[name])
    assert joined(client)
    assert kaggle.faults.struck(fault) == 1


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (faults.status("GetCompetition", 500, times=99), "Kaggle answers 500 to GetCompetition"),
        (faults.status("GetCompetition", 429, times=99), "Kaggle answers 429 to GetCompetition"),
        (faults.html("GetCompetition", times=99), "with something that is not JSON"),
        (faults.html("GetCompetition", 503, times=99), "Kaggle answers 503"),
        (Fault("GetCompetition", 99, drop="before"), "broke the connection"),
        (faults.answer("GetCompetition", {}, times=99), "lacks 'id'"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_lasting_trouble_ends_in_one_line(
    kaggle: Server, client: Client, clock: QuickClock, fault: Fault, message: str
) -> None:
    """The number of attempts and the pauses between them are bounded."""
    kaggle.faults.arm(fault)
    with pytest.raises(Unsettled, match=message) as caught:
        client.call("GetCompetition", needs="id", competition_name=SLUG)
    assert "\n" not in str(caught.value)
    assert kaggle.faults.struck(fault) == clients.ATTEMPTS
    assert len(clock.slept) == clients.ATTEMPTS - 1
    assert sum(clock.slept) <= 20 * clients.ATTEMPTS


@pytest.mark.parametrize(("asked", "slept"), [(7, 7.0), (9_999, clients.LONGEST_PAUSE_SECONDS)])
def test_retry_after_is_honoured_within_a_bound(
    kaggle: Server, client: Client, clock: QuickClock, asked: int, slept: float
) -> None:
    """Kaggle says how long to wait; an absurd wish is cut."""
    kaggle.faults.arm(faults.status("GetCompetition", 429, retry_after_seconds=asked))
    assert joined(client)
    assert clock.slept == [slept]


@pytest.mark.parametrize(
    ("fault", "status", "reason"),
    [
        (faults.status("GetCompetition", 403, "not yours"), 403, "not yours"),
        (faults.html("GetCompetition", 404), 404, ""),
        (Fault("GetCompetition", status=400), 400, ""),
        (faults.answer("GetCompetition", {"code": 404, "message": "gone"}), 404, "gone"),
    ],
    ids=["json", "page", "bare", "code in a good answer"],
)
def test_a_refusal_is_final_and_keeps_its_reason(
    kaggle: Server, client: Client, clock: QuickClock, fault: Fault, status: int, reason: str
) -> None:
    """What Kaggle refuses is not asked again, whatever shape the refusal has."""
    kaggle.faults.arm(fault)
    with pytest.raises(Refused) as caught:
        joined(client)
    assert (caught.value.status, caught.value.reason) == (status, reason)
    assert clock.slept == []


def test_silence_ends_in_time(kaggle: Server, make_client: MakeClient) -> None:
    """Every request has a time limit, which the SDK itself does not set."""
    kaggle.faults.arm(Fault("GetCompetition", 99, delay_seconds=0.5))
    client = make_client(kaggle, read_seconds=0.05)
    with pytest.raises(Unsettled, match="sent nothing in time"):
        client.call("GetCompetition", patient=False, competition_name=SLUG)


def test_an_unreachable_kaggle_is_one_line(make_client: MakeClient) -> None:
    """Nobody listens there: the line names the address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{probe.getsockname()[1]}"
    with pytest.raises(KitError, match=f"{address} cannot be reached"):
        joined(make_client(address))


def test_every_page_is_read_once(start_kaggle: StartKaggle, make_client: MakeClient) -> None:
    """A listing is all its pages; a page that comes round again is asked for anew."""
    kaggle = start_kaggle(page_size=1)
    client = make_client(kaggle)

    def names() -> list[str]:
        pages = client.pages("ListDataFiles", "files", competition_name=SLUG)
        return [file.name for page in pages for file in page.files]

    assert names() == ["sample_submission.csv", "test.csv", "train.csv"]
    kaggle.faults.arm(faults.forget("ListDataFiles", "pageToken", times=3))
    assert names() == ["sample_submission.csv", "test.csv", "train.csv"]
    kaggle.faults.arm(faults.forget("ListDataFiles", "pageToken", times=999))
    with pytest.raises(Unsettled, match="repeat a page"):
        names()


@pytest.mark.parametrize(
    ("value", "is_fine"),
    [
        ("", True),
        ("http://127.0.0.1:8000", True),
        ("http://localhost:8000/", True),
        ("http://[::1]:8000", True),
        ("https://127.0.0.1:8000", False),
        ("http://127.0.0.1.evil.example:80", False),
        ("http://evil.example:80", False),
        ("http://127.0.0.1:80@evil.example", False),
        ("http://127.0.0.1", False),
    ],
)
def test_only_loopback_stands_in_for_kaggle(
    monkeypatch: pytest.MonkeyPatch, value: str, is_fine: bool
) -> None:
    """Credentials go to the endpoint, so any other host is refused."""
    monkeypatch.setenv("KIT_KAGGLE_ENDPOINT", value)
    if is_fine:
        assert environment.kaggle_endpoint() == (value.rstrip("/") or None)
    else:
        with pytest.raises(SettingInvalid, match="KIT_KAGGLE_ENDPOINT"):
            environment.kaggle_endpoint()


def only(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], files: dict[str, Any]) -> None:
    """Leave these credentials and no others."""
    for name in ("KAGGLE_API_TOKEN", "KAGGLE_USERNAME", "KAGGLE_KEY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    folder = Path.home() / ".kaggle"
    folder.mkdir()
    for name, text in files.items():
        (folder / name).write_text(text)
