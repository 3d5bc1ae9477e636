"""Bring the bytes behind a link into a file: an error page or half a file never gets its name.

A transfer that breaks off goes on where it stopped. It lists nothing and knows no run.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import BinaryIO

import requests

from kit.errors import KitError
from kit.files import sha256_of
from kit.outputs import Output
from kit.remote.wire import answers
from kit.remote.wire.client import Client
from kit.remote.wire.transport import KaggleError, Refused, Unsettled

PIECE_BYTES = 1 << 18
SPARE_BYTES = 50_000_000
"""Room that a transfer leaves on the disk."""
LARGEST_BYTES = 20 * 10**9
"""Kaggle keeps no more of a session's working folder; bound of a file whose size nobody proves."""
WINDOW_SECONDS = 60.0
SLOWEST_BYTES = 1 << 16
"""Fewer bytes within a window are given up, and a series of attempts that gains fewer is the last one."""
TELL_SECONDS = 5.0

Open = Callable[[dict[str, str]], requests.Response]
"""Sends one request with these headers and returns the open response."""


class LinkStale(KaggleError):
    """A link gives a page or an error where a file is due; a new listing may give a link that works."""


class _Part:
    """An unfinished file and what a server must still agree to before it is continued."""

    def __init__(self, path: Path, expected: Output | None) -> None:
        self.path = path
        self.validator = ""
        # Without a hash to hold it against, a beginning that an earlier command left is of unknown origin.
        if expected is None:
            path.unlink(missing_ok=True)

    @property
    def size(self) -> int:
        try:
            return self.path.stat().st_size
        except FileNotFoundError:
            return 0

    def headers(self) -> dict[str, str]:
        # Packed on the way, a body would have another length than the file.
        headers = {"Accept-Encoding": "identity"}
        if size := self.size:
            headers |= {"Range": f"bytes={size}-"}
            headers |= {"If-Range": self.validator} if self.validator else {}
        return headers

    def forget(self) -> None:
        self.path.unlink(missing_ok=True)
        self.validator = ""


def fetch(
    client: Client,
    open_link: Open,
    path: Path,
    *,
    part: Path,
    expected: Output | None = None,
    limit: int = LARGEST_BYTES,
    tell: Callable[[str], None] = lambda _: None,
) -> Output:
    """Write what a link gives to `part`, prove it, rename it to `path`, and return what it holds.

    `expected` is what the kernel wrote; without it no more than `limit` bytes are taken. A broken transfer is
    continued as long as it gains ground. Raises Unsettled where it does not or has other bytes, LinkStale for
    a web page, Refused for a link that is refused, KitError for a disk that refuses.
    """
    unfinished = _Part(part, expected)

    def attempt() -> Output:
        return _attempt(client, open_link, path, unfinished, expected, limit, tell)

    while True:
        before = unfinished.size
        try:
            return client.patiently(attempt)
        except Unsettled:
            if unfinished.size - before < SLOWEST_BYTES:
                raise


def read(client: Client, url: str, what: str) -> bytes:
    """Return the few bytes behind a link; raises as `fetch` does."""

    def attempt() -> bytes:
        answer = client.link("GET", url, headers={"Accept-Encoding": "identity"})
        try:
            with client.explained(what):
                body = answers.body(answer)
        except ValueError as error:
            raise Unsettled(f"{what} cannot be read: {error}") from None
        if is_page(body):
            raise LinkStale(f"{what}: Kaggle sends a web page in its place", hint="make pull")
        return body

    return client.patiently(attempt)


def pieces(client: Client, answer: requests.Response, what: str, *, unpack: bool = True) -> Iterator[bytes]:
    """Yield a body as it arrives; raises Unsettled where it breaks off."""
    with client.explained(what):
        while piece := answer.raw.read1(PIECE_BYTES, decode_content=unpack):
            yield piece


def require_space(folder: Path, wanted: int) -> None:
    """Raise KitError where the disk of `folder` has no room for `wanted` bytes and some to spare."""
    free = shutil.disk_usage(folder).free
    if free < wanted + SPARE_BYTES:
        raise KitError(f"{folder}: {wanted:,} bytes are to come, {free:,} are free", hint="df -h")


def _attempt(
    client: Client,
    open_link: Open,
    path: Path,
    part: _Part,
    expected: Output | None,
    limit: int,
    tell: Callable[[str], None],
) -> Output:
    try:
        answer = open_link(part.headers())
    except Refused as refused:
        if refused.status != 416:
            raise
        part.forget()
        raise Unsettled(f"{path.name} cannot be continued") from None
    with closing(answer):
        start, announced = _start(answer, part), _announced(answer)
        # A file that is itself packed may be labelled so; then its own length is announced.
        is_packed = "Content-Encoding" in answer.headers and not (expected and announced == expected.bytes)
        body = pieces(client, answer, path.name, unpack=is_packed)
        limit = expected.bytes if expected else limit
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with part.path.open("ab" if start else "wb") as file:
                _copy(client, body, file, path.name, start=start, limit=limit, tell=tell)
        except OSError as error:
            part.forget()
            raise KitError(f"{path} cannot be written: {error.strerror}", hint="df -h") from error
        except Unsettled:
            if is_packed:  # where to go on is not known in unpacked bytes
                part.forget()
            raise
    if part.size > limit and expected is None:
        part.forget()
        raise KaggleError(f"{path.name} has more than {limit:,} bytes", hint="its page on Kaggle")
    if not is_packed and part.size <= limit and announced not in (None, part.size - start):
        raise Unsettled(f"{path.name} came with {part.size - start:,} of {announced:,} bytes")
    return _proved(path, part, expected)


def _start(answer: requests.Response, part: _Part) -> int:
    """Return where the body of an answer begins: where the part ends, or at the beginning."""
    if answer.status_code not in (200, 206):
        raise Unsettled(f"{part.path.name}: the link answers with status {answer.status_code}")
    start = part.size if answer.status_code == 206 else 0
    span = re.match(r"bytes ([0-9]{1,19})-", answer.headers.get("Content-Range", ""))
    if answer.status_code == 206 and (not start or span is None or int(span[1]) != start):
        part.forget()
        raise Unsettled(f"{part.path.name}: another part of the file came than was asked for")
    etag = answer.headers.get("ETag", "")
    part.validator = answer.headers.get("Last-Modified", "") if not etag or etag.startswith("W/") else etag
    return start


def _copy(
    client: Client,
    body: Iterator[bytes],
    file: BinaryIO,
    name: str,
    *,
    start: int,
    limit: int,
    tell: Callable[[str], None],
) -> None:
    """Write a body, watching its length, its speed and the room on the disk."""
    now = client.clock.now
    begun = told = window = now()
    received, at_window = start, start
    for piece in body:
        if received + len(piece) > limit:
            # Enough to see that it is too long, and whether it is a web page.
            file.write(piece[: max(limit + 1, 1024) - received])
            return
        file.write(piece)
        received += len(piece)
        moment = now()
        if moment - told >= TELL_SECONDS:
            told = moment
            speed = (received - start) / (moment - begun) / 1e6
            tell(f"{name}: {received / 1e6:,.0f} MB at {speed:,.1f} MB/s")
            if shutil.disk_usage(file.name).free < SPARE_BYTES:
                raise OSError(28, "No space left on device")
        if moment - window >= WINDOW_SECONDS:
            if received - at_window < SLOWEST_BYTES:
                raise Unsettled(
                    f"{name} comes with {received - at_window:,} bytes in {moment - window:.0f} s"
                )
            window, at_window = moment, received


def _proved(path: Path, part: _Part, expected: Output | None) -> Output:
    """Give a whole part its name, or forget it."""
    holds = Output(part.size, sha256_of(part.path))
    if holds != expected:
        with part.path.open("rb") as file:
            looks_like_page = is_page(file.read(1024))
        if looks_like_page and (expected is not None or path.suffix.lower() not in (".html", ".htm")):
            part.forget()
            raise LinkStale(f"{path.name}: Kaggle sends a web page in its place", hint="make pull")
        if expected is not None:
            part.forget()
            raise Unsettled(f"{path.name} came with {holds.bytes:,} bytes, not with what the kernel wrote")
    part.path.replace(path)
    return holds


def _announced(answer: requests.Response) -> int | None:
    """Return the length that an answer announces, None where it announces none that can be read."""
    length = answer.headers.get("Content-Length", "")
    return int(length) if re.fullmatch("[0-9]{1,19}", length) else None


def is_page(body: bytes) -> bool:
    """Tell a web page by its first words."""
    start = body[:1024].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    return start.startswith((b"<!doctype html", b"<html"))
