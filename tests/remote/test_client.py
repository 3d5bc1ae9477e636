"""The client finds its credentials, asks again where that may help, and says in one line what went wrong."""

import socket
import traceback
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
import requests
from kaggle_fixtures import SLUG, TOKEN, StartKaggle
from makers import LeaveOnly, MakeClient
from quick_clock import QuickClock

from kit.errors import KitError
from kit.remote.wire import client as clients
from kit.remote.wire import transport
from kit.remote.wire.client import Client, Clock
from kit.remote.wire.transport import CredentialsInvalid, KaggleError, Refused, Unsettled
from local_kaggle import faults
from local_kaggle.faults import NAMED, Fault
from local_kaggle.server import Server

LOGIN = "me:sesame"  # A proxy's user and password; no message may show it

pytestmark = pytest.mark.usefixtures("own_home")


def joined(client: Client) -> bool:
    return bool(client.call("GetCompetition", competition_name=SLUG).user_has_entered)


@pytest.mark.parametrize(
    "environment", [{"KAGGLE_API_TOKEN": "sesame-1"}, {"KAGGLE_USERNAME": "me", "KAGGLE_KEY": "sesame-1"}]
)
def test_rejected_credentials_name_their_origin_and_not_the_secret(
    kaggle: Server, make_client: MakeClient, only: LeaveOnly, environment: dict[str, str]
) -> None:
    """A wrong token or key is one line with the page for a new one."""
    only(environment, {})
    client = make_client(kaggle)
    with pytest.raises(CredentialsInvalid, match="rejects the credentials of KAGGLE_") as caught:
        joined(client)
    assert "sesame" not in f"{caught.value} {client.credentials!r}"


def test_a_token_that_expires_is_read_again(kaggle: Server, make_client: MakeClient, only: LeaveOnly) -> None:
    """After a 401 a new client with the credentials of that moment asks once more."""
    folder = only({}, {"access_token": "expired"})
    client = make_client(kaggle)
    (folder / "access_token").write_text(TOKEN)
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
        (faults.html("GetCompetition", times=99), "cannot be read"),
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
    assert sum(clock.slept) <= (600 if fault.status == 429 else 31)


@pytest.mark.parametrize(
    ("asked", "least", "most"),
    [
        ("7", 7, 7),
        ("0.5", 0.5, 0.5),
        ("9999", clients.LONGEST_PAUSE_SECONDS, clients.LONGEST_PAUSE_SECONDS),
        (timedelta(seconds=90), 20, 90),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 30, 60),
        ("0", 30, 60),
        ("soon", 30, 60),
        ("9" * 5_000, clients.LONGEST_PAUSE_SECONDS, clients.LONGEST_PAUSE_SECONDS),
        ("", 30, 60),
    ],
    ids=range(9),
)
def test_retry_after_is_honoured_within_a_bound(
    kaggle: Server, client: Client, clock: QuickClock, asked: str | timedelta, least: float, most: float
) -> None:
    """In seconds, fractions or as a date; without it a busy Kaggle is left alone for most of a minute."""
    if isinstance(asked, timedelta):
        asked = format_datetime(datetime.now(UTC) + asked, usegmt=True)
    kaggle.faults.arm(Fault("GetCompetition", status=429, headers={"Retry-After": asked} if asked else {}))
    assert joined(client)
    assert len(clock.slept) == 1
    assert least <= clock.slept[0] <= most


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
    with pytest.raises(KitError, match=f"{address.partition('//')[2]} refuses the connection"):
        joined(make_client(address))


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_no_call_follows_a_redirect(
    kaggle: Server, start_kaggle: StartKaggle, client: Client, tmp_path: Path, code: int
) -> None:
    """Its body may hold a token; only the links of files are followed, and only encrypted ones."""
    other = start_kaggle(tmp_path / "other")
    headers = {"Location": f"{other.url}/api/v1/competitions.CompetitionApiService/GetCompetition"}
    kaggle.faults.arm(Fault("GetCompetition", status=code, headers=headers))
    with pytest.raises(KaggleError, match="sends GetCompetition on to"):
        joined(client)
    assert other.requests == []


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("http://evil.example/file", "evil.example is not encrypted"),
        ("ftp://evil.example/file", "no address|not encrypted"),
        ("http://[", "no address"),
    ],
)
def test_links_are_followed_by_https_only(
    kaggle: Server, client: Client, location: str, message: str
) -> None:
    """Or by http on this machine."""
    kaggle.faults.arm(Fault("DownloadDataFile", status=302, headers={"Location": location}))
    with pytest.raises(KaggleError, match=message):
        client.stream("DownloadDataFile", competition_name=SLUG, file_name="train.csv")


def test_links_that_go_in_a_circle_end(kaggle: Server, client: Client) -> None:
    """The number of hops is bounded."""
    kaggle.faults.arm(Fault("signed", 99, status=302, headers={"Location": f"{kaggle.url}/signed/x"}))
    with pytest.raises(KaggleError, match="from link to link"):
        client.link("GET", f"{kaggle.url}/signed/x")


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"REQUESTS_CA_BUNDLE": "/no/such/file"}, r"no file of certificates .*REQUESTS_CA_BUNDLE"),
        ({"HTTPS_PROXY": f"socks5://{LOGIN}@127.0.0.1:9"}, "SOCKS proxies is missing"),
        ({"HTTPS_PROXY": f"http://{LOGIN}@127.0.0.1:9"}, "api.kaggle.com cannot be reached, the proxy"),
        ({"HTTPS_PROXY": "http:///"}, "address is malformed"),
    ],
)
def test_causes_in_the_network_are_named(
    clock: QuickClock, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], message: str
) -> None:
    """With the host that failed, without a proxy's password, and not tried again where that cannot heal."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
        monkeypatch.setenv(name.lower(), value)
    client = Client(None, clock=Clock(clock.now, clock.sleep))
    with pytest.raises(KaggleError, match=message) as caught:
        joined(client)
    assert "sesame" not in "".join(traceback.format_exception(caught.value))
    assert len(clock.slept) in (0, clients.ATTEMPTS - 1)
    assert bool(clock.slept) == isinstance(caught.value, Unsettled)


@pytest.mark.parametrize(
    ("error", "message", "is_lasting"),
    [
        ("SSLError('certificate verify failed: self-signed')", "not trusted", True),
        ("ProxyError('Tunnel connection failed: 407 Proxy Authentication Required')", "407", True),
        ("ConnectionError(NameResolutionError(\"Failed to resolve 'api.kaggle.com'\"))", "by name", False),
        ("ConnectionError(NewConnectionError('[Errno 111] Connection refused'))", "refuses", False),
        ("ConnectTimeout()", "cannot be reached", False),
        ("ReadTimeout('Read timed out.')", "sent nothing in time", False),
        ("ChunkedEncodingError()", "broke the connection", False),
    ],
)
def test_an_error_of_the_network_is_told_by_its_cause(error: str, message: str, is_lasting: bool) -> None:
    """By what the libraries below write into their errors."""
    made = type("Raised", (requests.RequestException,), {"__repr__": lambda _: error})()
    with pytest.raises(KaggleError, match=message) as caught, transport.explained("x", "host"):
        raise made
    assert isinstance(caught.value, Unsettled) != is_lasting


def test_every_page_is_read_once(start_kaggle: StartKaggle, make_client: MakeClient) -> None:
    """A listing is all its pages; one that fails or comes round again is asked for anew, alone."""
    kaggle = start_kaggle(page_size=1)
    client = make_client(kaggle)

    def names() -> list[str]:
        pages = client.pages("ListDataFiles", "files", competition_name=SLUG)
        return [file.name for page in pages for file in page.files]

    for troubles in (
        [],
        [faults.status("ListDataFiles", 429, times=1), Fault("ListDataFiles", 2, skip=2, status=500)],
        [faults.forget("ListDataFiles", "pageToken", times=3)],
    ):
        kaggle.requests.clear()
        for fault in troubles:
            kaggle.faults.arm(fault)
        assert names() == ["sample_submission.csv", "test.csv", "train.csv"]
        assert kaggle.requests.count("ListDataFiles") <= 3 + 3
    kaggle.faults.arm(faults.forget("ListDataFiles", "pageToken", times=999))
    with pytest.raises(Unsettled, match="repeat a page"):
        names()


def test_the_private_names_of_the_sdk_that_are_read_exist() -> None:
    """Answers are typed by the fields that the pinned SDK declares."""
    from kagglesdk import __version__
    from kagglesdk.kernels.types.kernels_api_service import ApiGetKernelSessionStatusResponse as Status

    field = next(field for field in Status._fields if field.json_name == "status")
    assert __version__ == "0.1.38"
    assert (field.private_field_name, field.default_value.name) == ("_status", "QUEUED")
    assert field.serializer.from_dict_value(field.field_type, "RUNNING").name == "RUNNING"
