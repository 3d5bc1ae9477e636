"""Speak to Kaggle by the SDK's types, which no other module imports, and try again where it may help."""

import random
import re
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from typing import TypeVar

import requests

from kit import environment
from kit.progress import one_line
from kit.remote.wire import credentials, transport
from kit.remote.wire.credentials import Credentials
from kit.remote.wire.transport import CredentialsInvalid, KaggleError, Refused, Unsettled, Untyped

ATTEMPTS = 6
LONGEST_PAUSE_SECONDS = 120.0  # bound of every pause, also of what a Retry-After header asks for
BUSY_SECONDS = (30.0, 60.0)  # pause after Kaggle said that too much was asked; every further one doubles
PROOF_SECONDS = 300.0  # how long credentials that Kaggle knew count as good when it denies something
EARLY_SECONDS = 600.0  # how long before its end a token is renewed: longer than any single request
PAGE_SIZE, MOST_PAGES = 100, 1_000
API, WEB = "https://api.kaggle.com", "https://www.kaggle.com"
_SERVICES = (
    *("kernels.KernelsApiService", "competitions.CompetitionApiService", "datasets.DatasetApiService"),
    *("blobs.BlobApiService", "security.OAuthService", "users.AccountService"),
)
Fields = dict[str, Untyped]  # what a method is asked for, by the SDK's names
Result = TypeVar("Result")
Sign = Callable[[requests.PreparedRequest], requests.PreparedRequest]


@dataclass(frozen=True)
class Clock:
    """Time as watching and waiting see it; tests bring their own."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    wall: Callable[[], float] = time.time  # seconds since 1970, for what Kaggle dates

    def rounds(self, seconds: float, *, first: float = 5.0, longest: float = 60.0) -> Iterator[float]:
        """Yield how long the pause after this round is, growing; 0 for the last, once `seconds` are over."""
        started, pause = self.now(), first
        while self.now() - started <= seconds:
            yield pause
            self.sleep(pause)
            pause = min(pause * 1.5, longest)
        yield 0.0


class Client:
    """A connection to Kaggle, or to the loopback server `endpoint`. Opens nothing before the first call."""

    def __init__(
        self,
        endpoint: str | None = None,
        *,
        clock: Clock | None = None,
        read_seconds: float = transport.READ_SECONDS,
    ) -> None:
        self.endpoint = endpoint
        self.web = endpoint or WEB  # address of the pages that a person looks at
        self.explained = partial(transport.explained, host=self.web)
        self._api = f"{endpoint}/api" if endpoint else API
        self.clock = clock or Clock()
        self._credentials: Credentials | None = None
        self._user = ""
        self._known_until = -1.0
        self._session = transport.session(local=self.is_local, read_seconds=read_seconds)
        self._links = transport.session(local=self.is_local, read_seconds=read_seconds)
        self._session.headers["User-Agent"] = "kaggle-submission-kit"
        # A redirect would send the body, and perhaps a token in it, to another host.
        self._session.get_redirect_target = lambda _: None  # type: ignore[method-assign, assignment]

    @property
    def credentials(self) -> Credentials:
        """Who asks; raises CredentialsInvalid where there is nobody."""
        if self._credentials is None:
            self._credentials = next(credentials.candidates(local=self.is_local))
        return self._credentials

    @property
    def is_local(self) -> bool:
        """Whether this is a rehearsal on this machine."""
        return self.endpoint is not None

    def user(self) -> str:
        """Return whose credentials these are; a token's owner is asked for once."""
        self._user = self._user or self.credentials.user
        if not self._user:
            self.patiently(self._settle)
        return self._user

    def call(self, method: str, *, needs: str = "", patient: bool = True, **fields: object) -> Untyped:
        """Call one API method and return the SDK's answer object; what the answer leaves out is its default.

        `needs` names the JSON key without which the answer says nothing. Unless `patient`, it tries once.
        """
        if not patient:
            return self._object(method, self._send(method, fields), needs)
        return self.patiently(lambda: self.call(method, needs=needs, patient=False, **fields))

    def pages(self, method: str, items: str, **fields: Untyped) -> list[Untyped]:
        """Return the answer of every page of a listing; a page that fails is asked for again alone."""
        pages: list[Untyped] = []
        tokens = [""]

        def attempt() -> Untyped:
            page = self.call(method, patient=False, page_size=PAGE_SIZE, page_token=tokens[-1], **fields)
            token = page.next_page_token
            if token and (token in tokens or not getattr(page, items) or len(pages) >= MOST_PAGES):
                raise Unsettled(f"Kaggle's answers to {method} repeat a page")
            return page

        while len(pages) < len(tokens):
            pages.append(self.patiently(attempt))
            if pages[-1].next_page_token:
                tokens.append(pages[-1].next_page_token)
        return pages

    def stream(self, method: str, **fields: object) -> requests.Response:
        """Call a method that answers with bytes and return the open response; close it. One attempt."""
        answer = self._send(method, fields)
        return self.link("GET", answer.headers["Location"]) if answer.is_redirect else answer

    def link(self, verb: str, url: str, **options: Untyped) -> requests.Response:
        """Open a link that carries its own permission and return the response; close it. One attempt."""
        with self.explained("a file's link"):
            try:
                return self._links.request(verb, url, stream=True, **options)
            except ValueError:
                raise KaggleError("Kaggle gives a link that is no address", hint="make doctor") from None

    def patiently(self, attempt: Callable[[], Result]) -> Result:
        """Return what `attempt` returns, tried again with growing pauses while it raises Unsettled."""
        for doublings in range(ATTEMPTS - 1):
            try:
                return attempt()
            except Unsettled as error:
                shortest, longest = BUSY_SECONDS if error.is_busy else (0.5, 1.0)
                pause = random.uniform(shortest, longest) * 2**doublings  # noqa: S311 - it guards nothing
                pause = min(error.retry_after_seconds or pause, LONGEST_PAUSE_SECONDS)
                if pause >= 2:
                    said = f"{error.message}; trying again in {pause:.0f} s"
                    print(said, file=sys.stderr, flush=True)
                self.clock.sleep(pause)
        return attempt()

    def _send(self, method: str, fields: Fields) -> requests.Response:
        """Return the unread response, once more with other credentials where Kaggle rejects or denies."""
        try:
            return self._post(method, fields)
        except Refused as refused:
            is_denied = refused.status == 403 and types(method)[0].startswith("kernels")
            if refused.status == 401:
                self._settle()
            elif not is_denied or self.clock.now() <= self._known_until:
                raise
            else:
                before = self.credentials
                with suppress(Unsettled):  # where even that gets no answer, Kaggle may well know who asks
                    self._settle()
                if self.credentials == before:
                    raise
        try:
            return self._post(method, fields)
        except Refused as refused:
            if refused.status != 401:
                raise
            raise credentials.rejected(self.credentials.origin) from None

    def _post(self, method: str, fields: Fields, *, sign: Sign | None = None) -> requests.Response:
        sign = sign or self._current().sign
        service, kind, _ = types(method)
        names = {field.field_name: field.json_name for field in kind._fields}
        request = kind.from_dict({names[name]: value for name, value in fields.items()})
        with self.explained(method):
            url = f"{self._api}/v1/{service}/{method}"
            return self._session.post(url, json=request.to_dict(), auth=sign, stream=True)

    def _object(self, method: str, response: requests.Response, needs: str = "") -> Untyped:
        """Return the typed object in a response; raises Unsettled for what is none."""
        if response.is_redirect:
            raise KaggleError(f"Kaggle sends {method} on to another address", hint="make doctor")
        try:
            with self.explained(method):
                payload = transport.json_of(transport.body(response))
            code, word, reason = transport.error_in(payload) or (0, "", "")
            answer = transport.typed(types(method)[2], payload) if code < 400 else None
        except transport.UNREADABLE as error:
            cause = one_line(f"{error}")[:100]
            raise Unsettled(f"Kaggle's answer to {method} cannot be read: {cause}") from None
        if code >= 400:
            raise transport.refused(code, word, reason, method)
        if needs and not payload.get(needs):
            raise Unsettled(f"Kaggle's answer to {method} lacks {needs!r}")
        return answer

    def _settle(self) -> None:
        """Take the first credentials that Kaggle knows, of the same origin once their owner is known."""
        for offered in credentials.candidates(local=self.is_local):
            if self._user and offered.origin != self.credentials.origin:
                continue
            owner = self._owner(offered)
            if not owner and offered.renewal:
                offered = self._renewed(offered)
                owner = self._owner(offered)
            if owner:
                self._credentials, self._user = offered, self._user or owner
                self._known_until = self.clock.now() + PROOF_SECONDS
                return
        raise credentials.rejected(self.credentials.origin)

    def _owner(self, asker: Credentials) -> str:
        """Return whose credentials these are, empty where Kaggle does not know them."""
        with suppress(Refused):
            if not asker.token:
                self._post("GetAcceleratorQuotaStatistics", {}, sign=asker.sign).close()
                return asker.user
            told = self._post("IntrospectToken", {"token": asker.token}, sign=asker.sign)
            answer = self._object("IntrospectToken", told)
            return str(answer.username) if answer.active else ""
        return ""

    def _current(self) -> Credentials:
        """Return the credentials, renewed where they soon end."""
        if self.credentials.expires_at - self.clock.wall() < EARLY_SECONDS:
            self._credentials = self._renewed(self.credentials)
        return self.credentials

    def _renewed(self, login: Credentials) -> Credentials:
        """Return a log-in through the browser with another token; its file stays as it is."""
        fields = {"refresh_token": login.renewal, "api_version": "API_VERSION_V1"}
        try:
            response = self._post("GenerateAccessToken", fields, sign=lambda unsigned: unsigned)
            answer = self._object("GenerateAccessToken", response, needs="token")
        except Refused:
            text = "the log-in through the browser has expired"
            raise CredentialsInvalid(text, hint="kaggle auth login") from None
        token = credentials.clean(answer.token, "the token that Kaggle gives")
        lasts = max(answer.expires_in, 2 * EARLY_SECONDS)
        return replace(login, token=token, expires_at=self.clock.wall() + lasts)


def connect(*, known: bool = True) -> Client:
    """Return a client for Kaggle or the loopback server; raises CredentialsInvalid unless not `known`."""
    endpoint = environment.kaggle_endpoint()
    if endpoint:
        host, _, port = endpoint.removeprefix("http://").rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), transport.CONNECT_SECONDS).close()
        except ConnectionRefusedError:
            text = f"{host}:{port} refuses the connection, that Kaggle is gone"
            hint = "make kaggle, or unset KIT_KAGGLE_ENDPOINT KAGGLE_API_TOKEN"
            raise KaggleError(text, hint=hint) from None
    client = Client(endpoint)
    if known:
        _ = client.credentials
    return client


def types(method: str) -> tuple[str, Untyped, Untyped]:
    """Return the service of a method, and the SDK's types of what it is asked and what it transport."""
    for service in _SERVICES:
        package, name = service.split(".")
        snake = re.sub("(?<=[a-z])(?=[A-Z])", "_", name).lower()
        module = import_module(f"kagglesdk.{package}.types.{snake}")
        for prefix in ("Api", ""):
            if asked := getattr(module, f"{prefix}{method}Request", None):
                bare = getattr(module, f"{prefix}{method.removeprefix('Get')}", None)
                return service, asked, getattr(module, f"{prefix}{method}Response", bare)
    raise AttributeError(f"kagglesdk has no method {method!r}")
