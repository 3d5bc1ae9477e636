"""Give every HTTP request a time limit and turn what goes wrong into errors that a person can act on.

It knows neither credentials nor API methods, and never asks twice.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import requests
from requests.adapters import HTTPAdapter

from kit.errors import KitError

CONNECT_SECONDS = 10.0
READ_SECONDS = 60.0
"""Longest silence within one answer; Kaggle cuts idle log streams after three minutes."""

_API_METHOD = re.compile(r"/v1/\w+\.\w+Service/(\w+)$")


class KaggleError(KitError):
    """Kaggle did not do what it was asked for."""


class CredentialsInvalid(KaggleError):
    """There are no credentials, or Kaggle rejects them."""


class Refused(KaggleError):
    """Kaggle understood and said no; asking again changes nothing."""

    def __init__(self, message: str, *, status: int, reason: str, by_api: bool) -> None:
        super().__init__(message, hint="make doctor")
        self.status = status
        self.reason = reason
        self.by_api = by_api
        """False where a file's link said no, and not the API."""


class Unsettled(KaggleError):
    """No answer, or one that says nothing: whether the work was done is unknown, asking again may help."""

    def __init__(self, message: str, *, retry_after_seconds: float = 0.0) -> None:
        super().__init__(message, hint="the same command again in a minute")
        self.retry_after_seconds = retry_after_seconds


class Unauthorized(Exception):
    """The API does not accept the credentials of this request."""


def limit(session: requests.Session, *, local: bool, read_seconds: float = READ_SECONDS) -> requests.Session:
    """Put time limits and our errors on a session and return it."""
    # A proxy from the environment could never reach this machine's loopback.
    session.trust_env = not local
    for scheme in ("https://", "http://"):
        session.mount(scheme, _Adapter((CONNECT_SECONDS, read_seconds)))
    return session


@contextmanager
def explained(what: str, host: str) -> Iterator[None]:
    """Turn the errors of requests, also those met while reading a stream, into Refused and Unsettled."""
    try:
        yield
    except requests.HTTPError as error:
        # The SDK's own: status 200 with `{"code": 404, "message": …}` in the body.
        if error.response is None:
            raise
        raise _refusal(error.response, int(error.response.json()["code"])) from None
    except requests.RequestException as error:
        raise Unsettled(f"{host} {_trouble(error)} ({what})") from error


def json_object(response: requests.Response, what: str) -> dict[str, Any]:
    """Return the JSON object of a response; raises Unsettled for anything else, a web page included."""
    try:
        payload = response.json()
    except ValueError:
        raise Unsettled(f"Kaggle answers {what} with something that is not JSON") from None
    if not isinstance(payload, dict):
        raise Unsettled(f"Kaggle answers {what} with {payload!r:.80}")
    return payload


class _Adapter(HTTPAdapter):
    def __init__(self, timeout: tuple[float, float]) -> None:
        super().__init__()
        self._timeout = timeout

    def send(self, request: requests.PreparedRequest, *arguments: Any, **options: Any) -> requests.Response:
        if options.get("timeout") is None:
            options["timeout"] = self._timeout
        response = super().send(request, *arguments, **options)
        if response.status_code >= 400:
            raise _refusal(response, response.status_code)
        return response


def _refusal(response: requests.Response, status: int) -> Exception:
    """Return the exception that an error status stands for."""
    method = _API_METHOD.search(response.request.url or "")
    if status == 401 and method:
        return Unauthorized()
    what = method[1] if method else "a file's link"
    if status in (408, 429) or status >= 500:
        after = response.headers.get("Retry-After", "")
        return Unsettled(
            f"Kaggle answers {status} to {what}",
            retry_after_seconds=float(after) if after.isdecimal() else 0.0,
        )
    reason = _reason(response)
    message = f"Kaggle refuses {what} with {status}: {reason or 'no reason given'}"
    return Refused(message, status=status, reason=reason, by_api=method is not None)


def _reason(response: requests.Response) -> str:
    try:
        return str(response.json()["message"])
    except (ValueError, KeyError, TypeError):
        text = response.text.strip()
        return "" if text.startswith("<") else text[:200]


def _trouble(error: requests.RequestException) -> str:
    if isinstance(error, requests.ConnectTimeout) or "NewConnectionError" in repr(error):
        return "cannot be reached"
    if isinstance(error, requests.Timeout) or "timed out" in str(error):
        return "sent nothing in time"
    if isinstance(error, requests.JSONDecodeError):
        return "answers with something that is not JSON"
    return "broke the connection"
