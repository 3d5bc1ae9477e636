"""Give every HTTP request its limits and turn what goes wrong into errors that a person can act on."""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter

from kit.errors import KitError
from kit.remote.wire import answers
from kit.remote.wire.answers import Untyped

CONNECT_SECONDS = 10.0
READ_SECONDS = 60.0  # longest silence within one answer; Kaggle cuts idle log streams after three minutes
LOOPBACK = ("127.0.0.1", "localhost", "::1")
_API_METHOD = re.compile(r"/v1/\w+\.\w+Service/(\w+)$")
# What asking again cannot heal, by words of the error: what it is, and what to try.
_LASTING = {
    "407 Proxy": ("the proxy asks for a password (407)", "HTTPS_PROXY with user and password in it"),
    "certificate verify failed": ("its certificate is not trusted", "REQUESTS_CA_BUNDLE=your network's file"),
    "TLS CA certificate bundle": ("no file of certificates", "unset REQUESTS_CA_BUNDLE CURL_CA_BUNDLE"),
    "SOCKS": ("support of SOCKS proxies is missing", "uv pip install pysocks, or another HTTPS_PROXY"),
    "proxy URL": ("the proxy's address is malformed", "HTTPS_PROXY=http://host:port"),
    "redirects": ("it sends from link to link without an end", "make doctor"),
    "WRONG_VERSION_NUMBER": ("it does not speak TLS there", "a proxy's address begins with http://"),
}
_PASSING = {
    "Unable to connect to proxy": "cannot be reached, the proxy does not answer",
    "NameResolutionError": "cannot be found by name, there may be no network",
    "Connection refused": "refuses the connection",
    "NewConnectionError": "cannot be reached",
    "ConnectTimeout": "cannot be reached",
    "timed out": "sent nothing in time",
}


class KaggleError(KitError):
    """Kaggle did not do what it was asked for."""


class CredentialsInvalid(KaggleError):
    """There are no credentials, or Kaggle rejects them."""


class Unreachable(KaggleError):
    """The network lacks something that asking again does not bring; nothing was sent."""


class Refused(KaggleError):
    """Kaggle understood and said no; asking again changes nothing."""

    def __init__(self, message: str, *, status: int, reason: str, by_api: bool, kind: str = "") -> None:
        super().__init__(message, hint="make doctor")
        self.status = status
        self.reason = reason
        self.kind = kind  # Kaggle's own word for it, such as FAILED_PRECONDITION; often empty
        self.by_api = by_api  # false where a file's link said no, and not the API


class Unsettled(KaggleError):
    """No answer, or one that says nothing: whether the work was done is unknown, asking again may help."""

    retry_after_seconds = 0.0

    def __init__(self, message: str, *, is_busy: bool = False) -> None:
        super().__init__(message, hint="the same command again in a minute")
        self.is_busy = is_busy  # whether too much was asked in too short a time (429)


class LinkStale(KaggleError):
    """A link gives a page where a file is due; a new listing may give a link that works."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name}: Kaggle sends a web page in its place", hint="make pull")


class Unauthorized(Exception):
    """The API does not accept the credentials of this request."""


def session(*, local: bool, read_seconds: float) -> requests.Session:
    """Return a session with our limits and errors."""
    made = requests.Session()
    made.trust_env = not local  # a proxy from the environment could never reach this machine's loopback
    made.max_redirects = 5
    for scheme in ("https://", "http://"):
        made.mount(scheme, _Adapter((CONNECT_SECONDS, read_seconds)))
    return made


@contextmanager
def explained(what: str, host: str) -> Iterator[None]:
    """Turn network errors into Unsettled and Unreachable, which name `host` where the error names none."""
    try:
        yield
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        raise _trouble(error, what, host) from None  # a proxy's address in its text may hold a password


def refused(code: int, kind: str, reason: str, method: str | None) -> Exception:
    """Return the exception that an error status stands for; `method` is None for a file's link."""
    if code == 401 and method:
        return Unauthorized()
    what = method or "a file's link"
    if code in (408, 429) or code >= 500:
        return Unsettled(f"Kaggle answers {code} to {what}", is_busy=code == 429)
    message = f"Kaggle refuses {what} with {code}: {reason or 'no reason given'}"
    return Refused(message, status=code, reason=reason, by_api=method is not None, kind=kind)


class _Adapter(HTTPAdapter):
    def __init__(self, timeout: tuple[float, float]) -> None:
        super().__init__()
        self._timeout = timeout

    def send(self, request: requests.PreparedRequest, *_: Untyped, **options: Untyped) -> requests.Response:
        address = urlsplit(request.url or "")
        if address.scheme != "https" and address.hostname not in LOOPBACK:
            text = f"a link to {address.hostname} is not encrypted, so it is not followed"
            raise Unreachable(text, hint="make doctor")
        try:
            response = super().send(request, **options | {"timeout": self._timeout})
        except OSError as error:
            if isinstance(error, requests.RequestException):
                raise
            raise _trouble(error, "", address.hostname or "") from None  # certificates that cannot be read
        if response.status_code >= 400:
            raise _refusal(response)
        return response


def _refusal(response: requests.Response) -> Exception:
    data, kind, reason = b"", "", ""
    with suppress(ValueError, requests.RequestException, urllib3.exceptions.HTTPError):
        data = answers.body(response, answers.ERROR_BYTES)
    try:
        _, kind, reason = answers.refusal(answers.json_of(data)) or (0, "", "")
    except answers.UNREADABLE:
        text = answers.plain(data.decode("utf-8", "replace"))
        reason = "" if text.startswith("<") else text
    method = _API_METHOD.search(response.request.url or "")
    error = refused(response.status_code, kind, reason, method[1] if method else None)
    if isinstance(error, Unsettled):
        error.retry_after_seconds = _seconds(response.headers.get("Retry-After", ""))
    return error


def _seconds(after: str) -> float:
    """Return the wait that a Retry-After header asks for, in seconds or as a date; 0 for none."""
    try:
        if re.fullmatch(r"\s*[\d.]+\s*", after):
            return float(after)
        return max(0.0, parsedate_to_datetime(after).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError, IndexError):
        return 0.0


def _trouble(error: Exception, what: str, host: str) -> KaggleError:
    """Return what a person can do about an error of the network."""
    request = getattr(error, "request", None)
    host = urlsplit(getattr(request, "url", "") or "").netloc.rpartition("@")[2] or host
    where, text = f" ({what})" if what else "", f"{error!r}"
    for word, (cause, hint) in _LASTING.items():
        if word in text:
            return Unreachable(f"{host}: {cause}{where}", hint=hint)
    passing = next((cause for word, cause in _PASSING.items() if word in text), "broke the connection")
    return Unsettled(f"{host} {passing}{where}")
