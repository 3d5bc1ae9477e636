"""Speak to Kaggle through its SDK: credentials, API methods by name, another try where it may help.

It knows how to ask, not what to ask for. The only module that imports kagglesdk, and inside functions only.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

import requests

from kit import environment
from kit.remote.wire import transport
from kit.remote.wire.transport import CredentialsInvalid, KaggleError, Unauthorized, Unsettled

ATTEMPTS = 6
LONGEST_PAUSE_SECONDS = 120.0
"""Bound of what a Retry-After header may ask for."""
PAGE_SIZE = 100
WEB = "https://www.kaggle.com"
TOKEN_PAGE = f"{WEB}/settings/api"

_SERVICES = {
    "kernels.KernelsApiService": ("kagglesdk.kernels.types.kernels_api_service", "Api"),
    "competitions.CompetitionApiService": ("kagglesdk.competitions.types.competition_api_service", "Api"),
    "datasets.DatasetApiService": ("kagglesdk.datasets.types.dataset_api_service", "Api"),
    "security.OAuthService": ("kagglesdk.security.types.oauth_service", ""),
}
"""Where the SDK keeps the types of each service, and how their names begin."""
_ANSWERS = {
    "GetCompetition": "ApiCompetition",
    "GetSubmission": "ApiSubmission",
    "GetSubmissionLimits": "ApiSubmissionLimits",
}
"""Answer types that are not called after their method."""

Result = TypeVar("Result")


@dataclass(frozen=True)
class Clock:
    """Time as watching and waiting see it; tests bring their own."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


@dataclass(frozen=True)
class Credentials:
    """Who asks. `origin` may be shown, `key` and `token` may not."""

    origin: str
    user: str = ""
    """Empty for a token: Kaggle knows whose it is."""
    key: str = field(default="", repr=False)
    token: str = field(default="", repr=False)


class Client:
    """A connection to Kaggle, or to the loopback server `endpoint`. Opens nothing before the first call."""

    def __init__(
        self,
        endpoint: str | None = None,
        *,
        clock: Clock | None = None,
        read_seconds: float = transport.READ_SECONDS,
        tell: Callable[[str], None] = lambda text: print(text, file=sys.stderr, flush=True),
    ) -> None:
        self.endpoint = endpoint
        self.clock = clock or Clock()
        self.credentials = find_credentials(local=self.is_local)
        self._tell = tell
        self._read_seconds = read_seconds
        self._connection: Any = None
        self._user = ""
        self._links = transport.limit(requests.Session(), local=self.is_local, read_seconds=read_seconds)

    def hasty(self, read_seconds: float) -> Client:
        """Return another client of the same server that bears less silence."""
        return Client(self.endpoint, clock=self.clock, read_seconds=read_seconds, tell=self._tell)

    @property
    def is_local(self) -> bool:
        """Whether this is a rehearsal on this machine."""
        return self.endpoint is not None

    @property
    def web(self) -> str:
        """Address of the pages that a person looks at."""
        return self.endpoint or WEB

    def user(self) -> str:
        """Return whose credentials these are; a token's owner is asked for once."""
        if not self._user:
            self._user = self.credentials.user
        if not self._user:
            answer = self.call("IntrospectToken", token=self.credentials.token)
            if not answer.active or not answer.username:
                raise self._rejected()
            self._user = answer.username
        return self._user

    def call(self, method: str, *, needs: str = "", patient: bool = True, **fields: Any) -> Any:
        """Call one API method and return the SDK's answer object.

        `needs` names the JSON key without which the answer says nothing. Unless `patient`, one attempt is
        all: for calls that must not be done twice. Raises Refused, Unsettled or CredentialsInvalid.
        """

        def attempt() -> Any:
            response, answer_type = self._send(method, fields)
            payload = transport.json_object(response, method)
            if needs and needs not in payload:
                raise Unsettled(f"Kaggle's answer to {method} lacks {needs!r}")
            try:
                return answer_type.from_dict(payload)
            except (KeyError, ValueError, TypeError, AttributeError) as error:
                raise KaggleError(f"Kaggle's answer to {method} cannot be read: {error!r}") from error

        return self.patiently(attempt) if patient else attempt()

    def pages(self, method: str, items: str, **fields: Any) -> list[Any]:
        """Return the answer of every page of a listing; the whole listing is asked for anew if one fails."""

        def attempt() -> list[Any]:
            answers: list[Any] = []
            tokens = [""]
            while len(tokens) > len(answers):
                answer = self.call(
                    method, patient=False, page_size=PAGE_SIZE, page_token=tokens[-1], **fields
                )
                answers.append(answer)
                if answer.next_page_token in tokens[1:] or (
                    answer.next_page_token and not getattr(answer, items)
                ):
                    raise Unsettled(f"Kaggle's answers to {method} repeat a page")
                if answer.next_page_token:
                    tokens.append(answer.next_page_token)
            return answers

        return self.patiently(attempt)

    def stream(self, method: str, **fields: Any) -> requests.Response:
        """Call a method that answers with bytes and return the open response; close it. One attempt."""
        return self._send(method, fields)[0]

    def link(self, verb: str, url: str, **options: Any) -> requests.Response:
        """Open a link that carries its own permission and return the response; close it. One attempt."""
        with self.explained("a file's link"):
            return self._links.request(verb, url, stream=True, **options)

    def explained(self, what: str) -> AbstractContextManager[None]:
        """Turn network errors in the block into Unsettled and Refused; `what` was being done."""
        return transport.explained(what, self.web)

    def patiently(self, attempt: Callable[[], Result]) -> Result:
        """Return what `attempt` returns, tried again with growing pauses while it raises Unsettled."""
        from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

        grow = wait_random_exponential(multiplier=0.5, max=20)

        def pause(state: Any) -> float:
            asked = state.outcome.exception().retry_after_seconds
            return min(asked, LONGEST_PAUSE_SECONDS) if asked else grow(state)

        def tell(state: Any) -> None:
            if state.next_action.sleep >= 2:
                seconds = state.next_action.sleep
                self._tell(f"{state.outcome.exception().message}; trying again in {seconds:.0f} s")

        return Retrying(
            retry=retry_if_exception_type(Unsettled),
            wait=pause,
            stop=stop_after_attempt(ATTEMPTS),
            sleep=self.clock.sleep,
            before_sleep=tell,
            reraise=True,
        )(attempt)

    def _send(self, method: str, fields: dict[str, Any]) -> tuple[requests.Response, Any]:
        """Return the response, unread where it is a stream, and the type of its answer."""
        service, request_type, answer_type = _types(method)
        request = request_type()
        for name, value in fields.items():
            setattr(request, name, value)
        try:
            return self._try(service, method, request, answer_type), answer_type
        except Unauthorized:
            # A token expires during a long watch; by now its file may hold another one.
            self.credentials = find_credentials(local=self.is_local, renew=True)
            self._connection = None
        try:
            return self._try(service, method, request, answer_type), answer_type
        except Unauthorized:
            raise self._rejected() from None

    def _try(self, service: str, method: str, request: Any, answer_type: Any) -> requests.Response:
        from kagglesdk.common.types.file_download import FileDownload

        if self._connection is None:
            self._connection = _sdk(self.endpoint, self.credentials, self._read_seconds).http_client()
        with self.explained(method):
            # The SDK leaves a FileDownload unread; under _Whole it hands over the response as well.
            wanted = FileDownload if answer_type is None else _Whole
            response: requests.Response = self._connection.call(service, method, request, wanted)
            return response

    def _rejected(self) -> CredentialsInvalid:
        return CredentialsInvalid(
            f"Kaggle rejects the credentials of {self.credentials.origin}",
            hint=f"a new token from {TOKEN_PAGE}",
        )


def connect() -> Client:
    """Return a client for Kaggle, or for the loopback server that the environment names."""
    return Client(environment.kaggle_endpoint())


def find_credentials(*, local: bool = False, renew: bool = False) -> Credentials:
    """Return the first credentials that Kaggle's command line would take; raises CredentialsInvalid for none.

    `renew` gets another token where a log-in through the browser left the means; never for a `local` server.
    """
    from kagglesdk import get_access_token_from_env

    token, origin = get_access_token_from_env()
    if token:
        return Credentials(
            "KAGGLE_API_TOKEN" if origin == "KAGGLE_API_TOKEN" else f"~/.kaggle/{origin}", token=token
        )
    key = environment.kaggle_key()
    if key:
        return Credentials("KAGGLE_USERNAME and KAGGLE_KEY", *key)
    path = Path.home() / ".kaggle" / "kaggle.json"
    if path.is_file():
        try:
            stored = json.loads(path.read_text(encoding="utf-8"))
            return Credentials("~/.kaggle/kaggle.json", stored["username"], stored["key"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            what = type(error).__name__  # the error's own text may quote the key
            raise CredentialsInvalid(
                f"{path} cannot be read: {what}", hint=f"a new one from {TOKEN_PAGE}"
            ) from None
    login = None if local else _browser_login(renew=renew)
    if login is not None:
        return login
    raise CredentialsInvalid(
        "no Kaggle credentials: set KAGGLE_API_TOKEN, or save the token as ~/.kaggle/access_token",
        hint=f"{TOKEN_PAGE} for a token, or make rehearse, which needs none",
    )


def _browser_login(*, renew: bool) -> Credentials | None:
    """Return the credentials that `kaggle auth login` left, with a fresh token if need be."""
    from kagglesdk import KaggleCredentials

    login = KaggleCredentials.load(_sdk(None, Credentials("kaggle auth login"), transport.READ_SECONDS))
    if login is None:
        return None
    try:
        with transport.explained("a new token", WEB):
            if renew:
                login.refresh_access_token()
            return Credentials("kaggle auth login", token=login.get_access_token())
    except (Unauthorized, transport.Refused):
        raise CredentialsInvalid("the log-in has expired", hint="kaggle auth login") from None


def _sdk(endpoint: str | None, who: Credentials, read_seconds: float) -> Any:
    """Return the SDK's client with our time limits, set through private names of the pinned version."""
    from kagglesdk import KaggleClient, KaggleEnv

    client = KaggleClient(
        env=KaggleEnv.LOCAL if endpoint else KaggleEnv.PROD,
        username=who.user,
        password=who.key,
        api_token=who.token or None,
        user_agent="kaggle-submission-kit",
    )
    http = client.http_client()
    if endpoint:
        http._endpoint = endpoint
    http._init_session()
    transport.limit(http._session, local=endpoint is not None, read_seconds=read_seconds)
    return client


def _types(method: str) -> tuple[str, Any, Any]:
    """Return service, request type and answer type of a method, None where it answers with bytes."""
    for service, (module_name, prefix) in _SERVICES.items():
        module = import_module(module_name)
        request_type = getattr(module, f"{prefix}{method}Request", None)
        if request_type is not None:
            answer_name = _ANSWERS.get(method, f"{prefix}{method}Response")
            return service, request_type, getattr(module, answer_name, None)
    raise AttributeError(f"kagglesdk has no method {method!r}")


class _Whole:
    @staticmethod
    def prepare_from(response: requests.Response) -> requests.Response:
        return response
