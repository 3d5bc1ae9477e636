"""Credentials are those that Kaggle's own command takes, cleaned, checked, renewed in time, never shown."""

import json
import subprocess
import sys
import traceback
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from kaggle_fixtures import SLUG, TOKEN, USER
from makers import LeaveOnly, MakeClient
from quick_clock import QuickClock

from kit.remote.wire.client import Client, Clock
from kit.remote.wire.transport import CredentialsInvalid, Refused
from local_kaggle import faults
from local_kaggle.server import Server

pytestmark = pytest.mark.usefixtures("own_home")

KEY = json.dumps({"username": "filed", "key": "k1"})


def login(stored: str = "browser", *, hours: float = 6, naive: bool = False) -> str:
    expiry = datetime.now(UTC) + timedelta(hours=hours)
    text = (expiry.replace(tzinfo=None) if naive else expiry).isoformat()
    kept = {"refresh_token": "r", "access_token": stored, "access_token_expiration": text, "username": "me"}
    return json.dumps(kept)


RESOLUTIONS: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "nothing": ({}, {}),
    "token": ({"KAGGLE_API_TOKEN": "t1"}, {".kaggle/access_token": "t2"}),
    "token in a file": ({"KAGGLE_API_TOKEN": "~/token"}, {"token": "t3\n", ".kaggle/access_token": "t2"}),
    "token in an empty file": ({"KAGGLE_API_TOKEN": "~/token"}, {"token": "", ".kaggle/kaggle.json": KEY}),
    "access_token": ({"KAGGLE_USERNAME": "u", "KAGGLE_KEY": "k"}, {".kaggle/access_token": "t2\n"}),
    "access_token.txt": ({}, {".kaggle/access_token": " \n", ".kaggle/access_token.txt": "t4"}),
    "dead token": ({"KAGGLE_API_TOKEN": "dead"}, {".kaggle/kaggle.json": KEY}),
    "dead token and log-in": ({"KAGGLE_API_TOKEN": "dead"}, {".kaggle/credentials.json": login()}),
    "key": ({"KAGGLE_USERNAME": "u", "KAGGLE_KEY": "k"}, {".kaggle/kaggle.json": KEY}),
    "key and file joined": ({"KAGGLE_KEY": "k"}, {".kaggle/kaggle.json": KEY}),
    "file": ({}, {".kaggle/kaggle.json": KEY, ".kaggle/credentials.json": login()}),
    "file without key": ({}, {".kaggle/kaggle.json": '{"path": "x"}', ".kaggle/credentials.json": login()}),
    "broken file": ({}, {".kaggle/kaggle.json": '{"key": "k', ".kaggle/credentials.json": login()}),
    "folder": ({"KAGGLE_CONFIG_DIR": "~/own"}, {"own/kaggle.json": KEY, ".kaggle/kaggle.json": "{}"}),
    "XDG": ({"XDG_CONFIG_HOME": "~/xdg"}, {"xdg/kaggle/kaggle.json": KEY}),
    "XDG by default": ({}, {".config/kaggle/kaggle.json": KEY}),
    "XDG beside .kaggle": ({}, {".config/kaggle/kaggle.json": KEY, ".kaggle/access_token": ""}),
    "log-in": ({}, {".kaggle/credentials.json": login()}),
    "expired log-in": ({}, {".kaggle/credentials.json": login(hours=-5)}),
}


def test_credentials_are_those_of_kaggles_own_command(tmp_path: Path) -> None:
    """Both look into the same homes and environments, each in a process of its own."""
    environments = []
    for number, (variables, files) in enumerate(RESOLUTIONS.values()):
        home = tmp_path / str(number)
        home.mkdir()
        for name, text in files.items():
            (home / name).parent.mkdir(parents=True, exist_ok=True)
            (home / name).write_text(text)
        expanded = {name: value.replace("~", str(home)) for name, value in variables.items()}
        environments.append(expanded | {"HOME": str(home)})
    answers = []
    for who in ("kit", "kaggle"):  # Kaggle's makes folders
        child = subprocess.run(
            [sys.executable, str(Path(__file__).with_name("kaggle_resolution.py")), who],
            input=json.dumps(environments), capture_output=True, text=True, timeout=100, check=True,
        )  # fmt: skip
        answers.append(dict(zip(RESOLUTIONS, json.loads(child.stdout), strict=True)))
    assert answers[0] == answers[1]
    assert answers[0]["expired log-in"] == "renewed"
    assert len({str(answer) for answer in answers[0].values()}) >= 9, "the cases differ"


@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        (f" {TOKEN}\r\n", "utf-8"),
        (f'"{TOKEN}"\n', "utf-8-sig"),
        (f"\u201c{TOKEN}\u201d", "utf-8"),
        (f"\u200b{TOKEN[:5]}\u200d{TOKEN[5:]}\u2060", "utf-8"),
        (f"{TOKEN}\n", "utf-16"),
    ],
)
def test_what_copying_leaves_around_a_token_is_taken_off(
    kaggle: Server, make_client: MakeClient, only: LeaveOnly, data: str, encoding: str
) -> None:
    """Blanks, line ends, quotes, byte order marks, invisible characters."""
    only({}, {"access_token": data.encode(encoding)})
    assert make_client(kaggle).user() == USER


FAULTS: dict[str, tuple[dict[str, str], dict[str, bytes | None], str]] = {
    "line inside": ({"KAGGLE_API_TOKEN": "sesame\nopen"}, {}, "KAGGLE_API_TOKEN holds a blank or a line end"),
    "two lines": ({}, {"access_token": b"sesame\r\nopen"}, "access_token holds a blank or a line end"),
    "accent": ({"KAGGLE_API_TOKEN": "sesam\u00e9"}, {}, r"KAGGLE_API_TOKEN holds U\+00E9"),
    "Cyrillic": ({"KAGGLE_USERNAME": "u", "KAGGLE_KEY": "sesame\u0416"}, {}, r"KAGGLE_KEY holds U\+0416"),
    "too long": ({"KAGGLE_API_TOKEN": "sesame" * 1_000}, {}, "KAGGLE_API_TOKEN has 6,000 characters"),
    "blank": ({"KAGGLE_API_TOKEN": " '' "}, {}, "KAGGLE_API_TOKEN is empty"),
    "unmarked UTF-16": ({}, {"access_token": "sesame".encode("utf-16-le")}, r"access_token holds U\+0000"),
    "bytes": ({}, {"access_token": b"sesame\xff\x80"}, "neither UTF-8 nor UTF-16"),
    "folder": ({}, {"access_token": None}, "access_token is no file"),
    "folder as value": ({"KAGGLE_API_TOKEN": "/tmp"}, {}, "/tmp is no file"),
    "number as key": ({}, {"kaggle.json": b'{"username": "me", "key": 5}'}, "kaggle.json is no text but int"),
    "list": ({}, {"kaggle.json": b'["sesame"]'}, "kaggle.json holds no JSON object"),
    "half": ({}, {"kaggle.json": b'{"key": "sesame'}, "kaggle.json holds no JSON object"),
    "deep": ({}, {"kaggle.json": b"[" * 50_000}, "kaggle.json holds no JSON object"),
    "list of log-ins": ({}, {"credentials.json": b"[1]"}, "credentials.json holds no JSON object"),
    "list as token": ({}, {"credentials.json": b'{"refresh_token": ["sesame"]}'}, "is no text but list"),
    "nothing": ({}, {}, "no Kaggle credentials"),
}  # fmt: skip


@pytest.mark.parametrize(("variables", "files", "message"), FAULTS.values(), ids=FAULTS)
def test_a_fault_names_its_origin_and_never_the_value(
    only: LeaveOnly, variables: dict[str, str], files: dict[str, bytes | None], message: str
) -> None:
    """One line, before anything is sent."""
    only(variables, files)
    with pytest.raises(CredentialsInvalid, match=message) as caught:
        _ = Client(None).credentials
    assert "https://www.kaggle.com/settings/api" in str(caught.value)
    assert "sesam" not in "".join(traceback.format_exception(caught.value))


def test_a_token_stored_as_a_key_goes_as_a_token(only: LeaveOnly) -> None:
    """Kaggle's new tokens begin with KGAT, wherever they are kept."""
    only({}, {"kaggle.json": b'{"username": "me", "key": "KGAT_1"}'})
    assert Client(None).credentials.token == "KGAT_1"


@pytest.mark.parametrize("naive", [False, True])
@pytest.mark.parametrize("hours", [-5, 0.1])
def test_a_log_in_is_renewed_before_its_file_says_that_it_ends(
    kaggle: Server, only: LeaveOnly, monkeypatch: pytest.MonkeyPatch, hours: float, naive: bool
) -> None:
    """Once, without changing the file; a local server is never shown it."""
    folder = only({}, {"credentials.json": login("old", hours=hours, naive=naive).encode()})
    renewals = hold_renewals(monkeypatch)
    client = Client(None)
    client._api = f"{kaggle.url}/api"
    assert client.user() == USER
    assert client.call("GetCompetition", competition_name=SLUG).user_has_entered
    assert renewals == ["r"]
    assert json.loads((folder / "credentials.json").read_text())["access_token"] == "old"
    with pytest.raises(CredentialsInvalid, match="no Kaggle credentials"):
        _ = Client(kaggle.url).credentials


@pytest.mark.parametrize("expiry", ["[1]", '"soon"', "5", "null"])
def test_an_odd_expiry_counts_as_over(only: LeaveOnly, expiry: str) -> None:
    """Another token costs one request, a stale one the whole command."""
    stored = f'{{"refresh_token": "r", "access_token": "t", "access_token_expiration": {expiry}}}'
    only({}, {"credentials.json": stored.encode()})
    assert Client(None).credentials.expires_at == 0


@pytest.mark.parametrize("code", [401, 403])
def test_a_rejected_log_in_is_renewed_once(
    kaggle: Server, only: LeaveOnly, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """Kaggle may answer a stale token with 403 for kernels; who asks is found out first."""
    only({}, {"credentials.json": login("stale").encode()})
    renewals = hold_renewals(monkeypatch)
    client = Client(None)
    client._api = f"{kaggle.url}/api"
    kaggle.faults.arm(faults.status("GetAcceleratorQuotaStatistics", code))
    client.call("GetAcceleratorQuotaStatistics")
    assert renewals == ["r"]


def test_a_denied_kernel_is_no_matter_of_credentials_that_kaggle_knows(
    kaggle: Server, client: Client
) -> None:
    """Who asks is asked once, and the 403 is what it says."""
    kaggle.faults.arm(faults.status("GetKernel", 403, "Permission 'kernels.get' was denied", times=99))
    for _ in range(3):
        with pytest.raises(Refused, match=r"kernels\.get"):
            client.call("GetKernel", user_name="other", kernel_slug="x")
    assert kaggle.requests.count("GetAcceleratorQuotaStatistics") == 1


def test_a_denial_to_nobody_is_said_to_be_about_credentials(kaggle: Server, client: Client) -> None:
    """Kaggle denies kernels with 403 to a bad key."""
    kaggle.faults.arm(faults.status("GetKernel,GetAcceleratorQuotaStatistics", 403, times=99))
    with pytest.raises(CredentialsInvalid, match="rejects the credentials of KAGGLE_USERNAME"):
        client.call("GetKernel", user_name=USER, kernel_slug="x")


def test_a_dead_token_gives_way_to_the_next_credentials_but_never_to_another_user(
    kaggle: Server, only: LeaveOnly, clock: QuickClock
) -> None:
    """As Kaggle's command does; once the owner is known, no one else's credentials are used."""
    only({"KAGGLE_API_TOKEN": "stale", "KAGGLE_USERNAME": USER, "KAGGLE_KEY": TOKEN}, {})
    client = Client(None, clock=Clock(clock.now, clock.sleep))
    client._api = f"{kaggle.url}/api"
    assert client.user() == USER
    assert client.credentials.origin == "KAGGLE_USERNAME and KAGGLE_KEY"
    settled = Client(None, clock=Clock(clock.now, clock.sleep))
    settled._api, settled._user = f"{kaggle.url}/api", "someone"
    with pytest.raises(CredentialsInvalid, match="KAGGLE_API_TOKEN"):
        settled.call("GetCompetition", competition_name=SLUG)


def hold_renewals(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Answer renewals with a token that the server knows, and list the refresh tokens that were used."""
    post, item = Client._post, Client._object
    used: list[str] = []

    def posting(self: Client, method: str, fields: dict[str, Any], **options: Any) -> Any:
        if method != "GenerateAccessToken":
            return post(self, method, fields, **options)
        used.append(fields["refresh_token"])
        return None

    def answering(self: Client, method: str, response: Any, needs: str = "") -> Any:
        if response is not None:
            return item(self, method, response, needs)
        return type("Answer", (), {"token": TOKEN, "expires_in": 43_200})

    monkeypatch.setattr(Client, "_post", posting)
    monkeypatch.setattr(Client, "_object", answering)
    return used
