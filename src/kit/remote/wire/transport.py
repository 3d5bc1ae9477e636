"""Give every HTTP request its limits, and turn what comes into typed objects or errors to act on."""

import json
import re
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from email.utils import parsedate_to_datetime
from types import SimpleNamespace
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter

from kit.errors import KitError
from kit.progress import one_line

Untyped: TypeAlias = Any  # a JSON value, or a type or an object of the SDK, which declares none
ANSWER_BYTES = 64 << 20  # more than any log that Kaggle keeps; a packed body counts as it unpacks
ERROR_BYTES = 1 << 16
ANSWER_SECONDS = 300.0  # longest time that one answer may take to arrive, however steadily it drips
UNREADABLE = (LookupError, ValueError, TypeError, AttributeError, ArithmeticError, RecursionError)
"""What parsing raises on hostile input; any other exception is a programming error."""
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


class Refused(KaggleError):
    """Kaggle understood and said no; asking again changes nothing."""

    def __init__(self, message: str, *, status: int, reason: str = "", kind: str = "") -> None:
        super().__init__(message, hint="make doctor")
        self.status = status
        self.reason = reason
        self.kind = kind  # Kaggle's own word for it, such as FAILED_PRECONDITION; often empty


class LinkStale(Refused):
    """A file's link says no, or gives a page in its place; a new listing may give a link that works."""


class Unsettled(KaggleError):
    """No answer, or one that says nothing: whether the work was done is unknown, asking again may help."""

    retry_after_seconds = 0.0

    def __init__(self, message: str, *, is_busy: bool = False) -> None:
        super().__init__(message, hint="the same command again in a minute")
        self.is_busy = is_busy  # whether too much was asked in too short a time (429)


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
    """Turn network errors into Unsettled and KaggleError, which name `host` where the error names none."""
    try:
        yield
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        raise _trouble(error, what, host) from None  # a proxy's address in its text may hold a password


def refused(code: int, kind: str, reason: str, method: str | None) -> KaggleError:
    """Return the exception that an error status stands for; `method` is None for a file's link."""
    what = method or "a file's link"
    if code in (408, 429) or code >= 500:
        return Unsettled(f"Kaggle answers {code} to {what}", is_busy=code == 429)
    message = f"Kaggle refuses {what} with {code}: {reason or 'no reason given'}"
    return (Refused if method else LinkStale)(message, status=code, reason=reason, kind=kind)


class _Adapter(HTTPAdapter):
    def __init__(self, timeout: tuple[float, float]) -> None:
        super().__init__()
        self._timeout = timeout

    def send(self, request: requests.PreparedRequest, *_: Untyped, **options: Untyped) -> requests.Response:
        address = urlsplit(request.url or "")
        if address.scheme != "https" and address.hostname not in LOOPBACK:
            text = f"a link to {address.hostname} is not encrypted, so it is not followed"
            raise KaggleError(text, hint="make doctor")
        try:
            response = super().send(request, **options | {"timeout": self._timeout})
        except OSError as error:
            if isinstance(error, requests.RequestException):
                raise
            raise _trouble(error, "", address.hostname or "") from None  # certificates that cannot be read
        if response.status_code >= 400:
            raise _refusal(response)
        return response


def _refusal(response: requests.Response) -> KaggleError:
    data, kind, reason = b"", "", ""
    with suppress(ValueError, requests.RequestException, urllib3.exceptions.HTTPError):
        data = body(response, ERROR_BYTES)
    try:
        _, kind, reason = error_in(json_of(data)) or (0, "", "")
    except UNREADABLE:
        text = one_line(data.decode("utf-8", "replace"))
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
            return KaggleError(f"{host}: {cause}{where}", hint=hint)
    passing = next((cause for word, cause in _PASSING.items() if word in text), "broke the connection")
    return Unsettled(f"{host} {passing}{where}")


def body(response: requests.Response, limit: int = ANSWER_BYTES) -> bytes:
    """Read and close a response; raises ValueError for a body over `limit` or one that takes too long."""
    parts: list[bytes] = []
    size, started = 0, time.monotonic()
    with closing(response):
        while part := response.raw.read1(1 << 16, decode_content=True):
            parts.append(part)
            size += len(part)
            if size > limit:
                raise ValueError(f"it has over {limit:,} bytes")
            if time.monotonic() - started > ANSWER_SECONDS:
                raise ValueError(f"it is still coming after {ANSWER_SECONDS:.0f} s")
    return b"".join(parts)


def json_of(data: bytes) -> Untyped:
    """Return the JSON value in a body; raises one of UNREADABLE. A bad byte or half a surrogate becomes ?."""
    return json.loads(data.decode("utf-8-sig", "replace"))


def typed(kind: Untyped, payload: object) -> Untyped:
    """Return an object of the SDK's type `kind` with what an answer says; raises one of UNREADABLE."""
    if not isinstance(payload, dict):
        raise TypeError(f"{type(payload).__name__} where an object is due")
    answer = kind()
    for field in kind._fields:
        value = payload.get(field.json_name)
        if value is None:
            continue
        if type(field.default_value) is not list:
            value = _read(field.field_type, field.serializer, value)
        elif isinstance(value, list):
            value = [_read(field.field_type, None, item) for item in value if item is not None]
        else:
            raise TypeError(f"{field.json_name} is no list")
        setattr(answer, field.private_field_name, value)
    return answer


def error_in(payload: object) -> tuple[int, str, str] | None:
    """Return code, kind and message of an error body, flat or in an envelope; None for anything else."""
    if not isinstance(payload, dict):
        return None
    envelope = payload.get("error")
    error = envelope if isinstance(envelope, dict) else payload
    words = (error.get("status"), error.get("message") or envelope)
    kind, message = (word if isinstance(word, str) else "" for word in words)
    code = error["code"] if type(error.get("code")) is int else 0
    return (code, kind, one_line(message)) if error is envelope or message or code >= 400 else None


def _read(kind: Untyped, serializer: Untyped, value: object) -> object:
    if hasattr(kind, "_fields"):
        return typed(kind, value)
    if kind is float and type(value) is int:
        return float(value)
    if kind in (str, int, bool, float, dict):
        if type(value) is not kind:
            raise TypeError(f"{type(value).__name__} where {kind.__name__} is due")
        return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value
    found: object = None
    with suppress(KeyError):
        found = serializer.from_dict_value(kind, value)
    # A state that the SDK does not know keeps its name; it is none of those that end a wait.
    return found if isinstance(found, kind) else SimpleNamespace(name=one_line(str(value)))
