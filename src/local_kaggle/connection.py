"""One HTTP connection of the local Kaggle: read a request within bounds, send an answer with its faults.

What a request means is handler.py's business. A request from a web page, under another host's name, of
nonsensical length or too large is refused here, before anything is done.
"""

import contextlib
import json
import re
import socket
import struct
import time
import urllib.parse
from collections.abc import Mapping, Sequence
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, NoReturn

from local_kaggle.faults import Fault
from local_kaggle.state import Refused

if TYPE_CHECKING:
    from local_kaggle.server import Server

BODY_LIMIT_BYTES = 1 << 28


class Answered(Exception):
    """Nothing is left to do for this request: a fault has answered it."""


class Connection(BaseHTTPRequestHandler):
    """The transport below the handler."""

    # Answers are small and written in parts: with Nagle's algorithm each waits 40 ms for the client.
    disable_nagle_algorithm = True

    server: "Server"
    protocol_version = "HTTP/1.1"
    # A dead client must not hold a thread for ever.
    timeout = 60
    faults: Sequence[Fault]
    query: Mapping[str, str]
    body: bytes

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing; the test or the terminal belongs to the client."""

    def answer(self, path: str) -> None:
        """Answer a request that passed the doors; the handler says how."""
        raise NotImplementedError

    def do_GET(self) -> None:
        """Take a request of any method."""
        self.faults = []
        with contextlib.suppress(Answered, ConnectionError, TimeoutError):
            if self.server.state.closing:
                self.reset()
            try:
                # What is left unread would be taken for the next request of this connection.
                self.close_connection, reusable = True, self.close_connection
                path, host = self._target()
                self.body = self._read()
                self.close_connection = reusable
                if host in ("127.0.0.1", "localhost"):
                    self.answer(path)
                else:
                    self.unknown()
            except Refused as refused:
                self.refuse(refused)

    # http.server dictates the names. A proxy would forward CONNECT: this one forwards nothing.
    do_POST = do_PUT = do_CONNECT = do_HEAD = do_DELETE = do_PATCH = do_OPTIONS = do_GET  # noqa: N815

    def _target(self) -> tuple[str, str | None]:
        """Give path and host of the request; raises Refused for a web page's request and for nonsense."""
        if "Origin" in self.headers or "Sec-Fetch-Site" in self.headers:
            raise Refused(403, "Web pages are not served.")
        try:
            url = urllib.parse.urlsplit(self.path)
            host = urllib.parse.urlsplit(f"//{url.netloc or self.headers.get('Host', '')}").hostname
        except ValueError as error:
            raise Refused(400, "The address makes no sense.") from error
        path = urllib.parse.unquote(url.path)
        if not path.isprintable():
            raise Refused(400, "The address holds control characters.")
        self.query = dict(urllib.parse.parse_qsl(url.query))
        return path, host

    def _read(self) -> bytes:
        """Read the whole body, early: an answer may come before the work."""
        lengths = self.headers.get_all("Content-Length", ["0"])
        if "Transfer-Encoding" in self.headers:
            raise Refused(411, "A body needs its length.")
        if len(lengths) > 1 or not re.fullmatch(r"\d+", lengths[0], re.ASCII):
            raise Refused(400, "The length of the body makes no sense.")
        if len(lengths[0]) > 15 or int(lengths[0]) > BODY_LIMIT_BYTES:
            raise Refused(413, f"A body has at most {BODY_LIMIT_BYTES} bytes.")
        body = self.rfile.read(int(lengths[0]))
        if len(body) < int(lengths[0]):
            raise ConnectionAbortedError
        return body

    def unknown(self) -> None:
        self.server.unknown_requests.append(f"{self.command} {self.path}")
        self.close_connection = True
        self.refuse(Refused(501, f"unknown request {self.path!r}"))

    def refuse(self, refused: Refused) -> None:
        """Answer an error as the profile writes it."""
        flat: dict[str, object] = {"code": refused.status, "message": refused.message}
        body: dict[str, object] = {"error": flat | {"status": refused.reason}}
        if refused.status == 200:
            body = {"error": refused.message}
        elif not self.server.state.settings.profile.error_envelope:
            body = flat
        self.send(refused.status, json.dumps(body).encode() if refused.message else b"")

    def strike(self, route: str) -> None:
        """Count the request and apply the faults before its work; raises Answered where one answers."""
        self.server.requests.append(route)
        self.faults = self.server.faults.take(route)
        for fault in self.faults:
            time.sleep(fault.delay_seconds)
            if fault.drop == "before":
                self.reset()
            if fault.status:
                self.send(fault.status, fault.body)
                raise Answered

    def work_is_done(self) -> None:
        """Cut the connection where a fault loses the answer."""
        if any(fault.drop == "after" for fault in self.faults):
            self.reset()

    def reset(self) -> NoReturn:
        """Cut the connection so that the client sees a reset and not an orderly end."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        raise ConnectionAbortedError

    def edited(self, body: bytes) -> bytes:
        for fault in self.faults:
            body = fault.edit_body(body) if fault.edit_body else body
        return body

    def send(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        sent = {"Content-Type": "application/json", "Content-Length": str(len(body)), **(headers or {})}
        for fault in self.faults:
            sent |= fault.headers
        kept = min([len(body), *(f.keep_bytes for f in self.faults if f.keep_bytes is not None)])
        pace = max([0.0, *(fault.seconds_per_byte for fault in self.faults)])
        endless = any(fault.endless for fault in self.faults)
        if endless:
            del sent["Content-Length"]
        self.send_response(status)
        for name, value in sent.items():
            if value:
                self.send_header(name, value)
        self.end_headers()
        step = 1 if pace else max(kept, 1)
        for start in range(0, kept, step):
            self.wfile.write(body[start : min(start + step, kept)])
            time.sleep(pace)
        while endless and not self.server.state.closing:
            self.wfile.write(body)
        # An orderly end, unlike a reset: what is missing shows in the announced length alone.
        self.close_connection |= kept < len(body) or sent.get("Content-Length") != str(len(body))
