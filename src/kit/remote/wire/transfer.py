"""Bring bytes from a link or to one; what breaks off goes on, no half a file and no page gets a name."""

import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import requests

from kit.errors import KitError
from kit.files import sha256_of
from kit.outputs import Output
from kit.remote.wire import transport
from kit.remote.wire.client import Client, Fields
from kit.remote.wire.transport import KaggleError, LinkStale, Refused, Unsettled

PIECE_BYTES = 1 << 18
SPARE_BYTES = 50_000_000  # room that a transfer leaves on the disk
LARGEST_BYTES = 20 * 10**9  # of a session's working folder: bound of a file whose size nobody proves
WINDOW_SECONDS = 60.0
SLOWEST_BYTES = 1 << 16
"""Fewer bytes within a window are given up, and a series of attempts that gains fewer is the last one."""
TELL_SECONDS = 5.0
PAGE = "Kaggle sends a web page in its place"


def read(client: Client, url: str, what: str) -> bytes:
    """Return the few bytes behind a link; raises as `fetch` does."""

    def attempt() -> bytes:
        body = whole(client, client.link("GET", url, headers={"Accept-Encoding": "identity"}), what)
        if is_page(body):
            raise LinkStale(f"{what}: {PAGE}", status=200)
        return body

    return client.patiently(attempt)


def whole(client: Client, answer: requests.Response, what: str, limit: int = transport.ANSWER_BYTES) -> bytes:
    """Return the body of an answer and close it; raises Unsettled where it cannot be read whole."""
    try:
        with client.explained(what):
            return transport.body(answer, limit)
    except ValueError as error:
        raise Unsettled(f"{what} cannot be read: {error}") from None


def upload(client: Client, method: str, path: Path, body: BinaryIO, **fields: str) -> str:
    """Bring a file's `body` to the address that `method` gives, and return the token of it."""
    size, changed = body.seek(0, 2), int(path.stat().st_mtime)
    asked: Fields = {**fields, "content_length": size, "last_modified_epoch_seconds": changed}
    started = client.call(method, needs="createUrl", **asked)
    send(client, started.create_url, body, size)
    return str(started.token)


def send(client: Client, url: str, body: BinaryIO, size: int) -> None:
    """Send the `size` bytes of `body`; what breaks off goes on where the server stopped."""

    def put(headers: dict[str, str], data: BinaryIO | None = None) -> int:
        """Put the rest of `data`, or only ask, and return where the server stopped."""
        answer = client.link("PUT", url, data=data, headers=headers, allow_redirects=False)
        if answer.status_code in (200, 201):
            return size
        if data is not None:
            raise Unsettled(f"the upload ended with status {answer.status_code}")
        stopped = answer.headers.get("Range", "").rpartition("-")[2]
        return int(stopped) + 1 if stopped.isdecimal() else 0

    def resume() -> None:
        start = put({"Content-Range": f"bytes */{size}"})
        if start < size:
            body.seek(start)
            put({"Content-Range": f"bytes {start}-{size - 1}/{size}"} if start else {}, body)

    try:
        body.seek(0)
        put({}, body)
    except Unsettled:
        client.patiently(resume)


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


def is_page(body: bytes) -> bool:
    """Tell a web page by its first words."""
    start = body[:1024].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    return start.startswith((b"<!doctype html", b"<html"))


@dataclass
class Transfer:
    """A file that a link gives: written to `part`, continued where it broke off, proved, renamed to `path`.

    `expected` is what the kernel wrote; without it no more than `limit` bytes are taken.
    """

    client: Client
    open_link: Callable[[dict[str, str]], requests.Response]  # sends one request with these headers
    path: Path
    part: Path
    expected: Output | None = None
    limit: int = LARGEST_BYTES
    validator: str = ""

    @property
    def size(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def fetch(self) -> Output:
        """Return what came; raises Unsettled, Refused, and KitError where the disk refuses."""
        if self.expected is None:
            self.part.unlink(missing_ok=True)  # no hash tells where a beginning of an earlier command is from
        else:
            self.limit = self.expected.bytes
        while True:
            before = self.size
            try:
                return self.client.patiently(self._attempt)
            except Unsettled:
                if self.size - before < SLOWEST_BYTES:
                    raise

    def _attempt(self) -> Output:
        # Packed on the way, a body would have another length than the file.
        headers = {"Accept-Encoding": "identity"}
        if size := self.size:
            headers |= {"Range": f"bytes={size}-"} | ({"If-Range": self.validator} if self.validator else {})
        try:
            answer = self.open_link(headers)
        except Refused as refused:
            if refused.status != 416:
                raise
            raise self._afresh(Unsettled(f"{self.path.name} cannot be continued")) from None
        with closing(answer):
            start = self._start(answer)
            length = answer.headers.get("Content-Length", "")
            announced = int(length) if re.fullmatch("[0-9]{1,19}", length) else None
            # A file that is itself packed may be labelled so; then its own length is announced.
            is_its_length = self.expected is not None and announced == self.expected.bytes
            is_packed = "Content-Encoding" in answer.headers and not is_its_length
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                with self.part.open("ab" if start else "wb") as file:
                    self._copy(pieces(self.client, answer, self.path.name, unpack=is_packed), file, start)
            except OSError as error:
                text = f"{self.path} cannot be written: {error.strerror}"
                raise self._afresh(KitError(text, hint="df -h")) from error
            except Unsettled as error:
                # Where to go on is not known in unpacked bytes.
                raise self._afresh(error) if is_packed else error from None
        if self.size > self.limit and self.expected is None:
            text = f"{self.path.name} has more than {self.limit:,} bytes"
            raise self._afresh(KaggleError(text, hint="its page on Kaggle"))
        came = self.size - start
        if not is_packed and self.size <= self.limit and announced not in (None, came):
            raise Unsettled(f"{self.path.name} came with {came:,} of {announced:,} bytes")
        return self._proved()

    def _afresh(self, error: KitError) -> KitError:
        """Forget the part, and return the error to raise."""
        self.part.unlink(missing_ok=True)
        self.validator = ""
        return error

    def _start(self, answer: requests.Response) -> int:
        """Return where the body of an answer begins: where the part ends, or at the beginning."""
        if answer.status_code not in (200, 206):
            raise Unsettled(f"{self.path.name}: the link answers with status {answer.status_code}")
        start = self.size if answer.status_code == 206 else 0
        span = re.match(r"bytes ([0-9]{1,19})-", answer.headers.get("Content-Range", ""))
        if answer.status_code == 206 and (not start or span is None or int(span[1]) != start):
            raise self._afresh(Unsettled(f"{self.path.name}: another part of it came than was asked for"))
        etag = answer.headers.get("ETag", "")
        is_weak = not etag or etag.startswith("W/")
        self.validator = answer.headers.get("Last-Modified", "") if is_weak else etag
        return start

    def _copy(self, body: Iterator[bytes], file: BinaryIO, start: int) -> None:
        """Write a body, watching its length, its speed and the room on the disk."""
        now, name = self.client.clock.now, self.path.name
        begun = told = window = now()
        received = at_window = start
        for piece in body:
            if received + len(piece) > self.limit:
                # Enough to see that it is too long, and whether it is a web page.
                file.write(piece[: max(self.limit + 1, 1024) - received])
                return
            file.write(piece)
            received, moment = received + len(piece), now()
            if moment - told >= TELL_SECONDS:
                told, speed = moment, (received - start) / (moment - begun) / 1e6
                print(f"{name}: {received / 1e6:,.0f} MB at {speed:,.1f} MB/s")
                if shutil.disk_usage(file.name).free < SPARE_BYTES:
                    raise OSError(28, "No space left on device")
            if moment - window >= WINDOW_SECONDS:
                if (gained := received - at_window) < SLOWEST_BYTES:
                    raise Unsettled(f"{name} comes with {gained:,} bytes in {moment - window:.0f} s")
                window, at_window = moment, received

    def _proved(self) -> Output:
        """Give a whole part its name, or forget it."""
        holds, name = Output(self.size, sha256_of(self.part)), self.path.name
        if holds != self.expected:
            with self.part.open("rb") as file:
                looks_like_page = is_page(file.read(1024))
            may_be_page = self.expected is None and self.path.suffix.lower() in (".html", ".htm")
            if looks_like_page and not may_be_page:
                raise self._afresh(LinkStale(f"{name}: {PAGE}", status=200))
            if self.expected is not None:
                text = f"{name} came with {holds.bytes:,} bytes, not with what the kernel wrote"
                raise self._afresh(Unsettled(text))
        self.part.replace(self.path)
        return holds
