"""Serve the local Kaggle over HTTP on 127.0.0.1: authentication, links, uploads, log streams and faults.

It answers what routes.py knows and records everything else as unknown, with a 501. It accepts requests in
absolute form, so that it can stand behind HTTP_PROXY, but forwards nothing. It never listens elsewhere.
"""

from __future__ import annotations

import base64
import contextlib
import email.utils
import hashlib
import io
import json
import socket
import struct
import sys
import threading
import time
import traceback
import urllib.parse
import zipfile
from collections.abc import Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, ClassVar

from local_kaggle.faults import Fault, Faults
from local_kaggle.routes import ROUTES, Answer, LogOf, Redirect
from local_kaggle.sessions import Sessions
from local_kaggle.state import Refused, Settings, State

_LOG_STREAM = "/api/v1/kernels/logs/stream/"
_METHOD_ROUTE = {key: key.rpartition("/")[2] for key in ROUTES}
_NEEDS_NO_LOGIN = frozenset({"security.OAuthService/IntrospectToken"})
_EXPIRED_PAGE = b"<!DOCTYPE html><html><body><h1>404</h1>We can't find that page.</body></html>"
_EXPIRED_XML = b"<?xml version='1.0' encoding='UTF-8'?><Error><Code>ExpiredToken</Code></Error>"


class Server:
    """A running local Kaggle; `close` it, or use it as a context manager."""

    def __init__(self, state: State, port: int) -> None:
        self.state = state
        self.sessions = Sessions(state)
        self.faults = Faults()
        self.requests: list[str] = []
        """The routes of all requests, in order of arrival."""
        self.unknown_requests: list[str] = []
        self.crashes: list[str] = []
        """Tracebacks of requests that this server failed to answer."""
        handler = type("Handler", (_Handler,), {"kaggle": self})
        self._http = _Http(("127.0.0.1", port), handler)
        self._http.crashes = self.crashes
        state.base_url = self.url
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), name="local_kaggle")
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_port}"

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop serving and kill every session that still runs."""
        with self.state.changed:
            self.state.closing = True
            self.state.changed.notify_all()
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()
        self.sessions.close()


def start(root: Path, settings: Settings | None = None, *, port: int = 0) -> Server:
    """Start a local Kaggle that keeps its records below `root`; port 0 takes a free one."""
    return Server(State(root, settings or Settings()), port)


class _Http(ThreadingHTTPServer):
    crashes: list[str]

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - the base class's
        """Keep the traceback where a test finds it and a person sees it; a client that left is no crash."""
        if isinstance(sys.exc_info()[1], (ConnectionError, TimeoutError)):
            return
        self.crashes.append(traceback.format_exc())
        print(self.crashes[-1], file=sys.stderr)


class _Handler(BaseHTTPRequestHandler):
    """One connection. The class attribute `kaggle` is set for each server."""

    # Answers are small and written in parts: with Nagle's algorithm each waits 40 ms for the client.
    disable_nagle_algorithm = True

    kaggle: ClassVar[Server]
    protocol_version = "HTTP/1.1"
    # A dead client must not hold a thread for ever.
    timeout = 300
    _faults: Sequence[Fault] = ()
    _query: Mapping[str, str] = MappingProxyType({})
    _body = b""

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Say nothing; the test or the terminal belongs to the client."""

    def do_GET(self) -> None:
        self._handle()

    def do_POST(self) -> None:
        self._handle()

    def do_PUT(self) -> None:
        self._handle()

    def do_CONNECT(self) -> None:
        """Refuse what was meant for another host: this proxy forwards nothing."""
        self._unknown()

    do_HEAD = do_DELETE = do_PATCH = do_OPTIONS = do_CONNECT  # noqa: N815 - http.server dictates the names

    def _handle(self) -> None:
        url = urllib.parse.urlsplit(self.path)
        host = urllib.parse.urlsplit(f"//{url.netloc or self.headers.get('Host', '')}").hostname
        path = urllib.parse.unquote(url.path)
        self._query = dict(urllib.parse.parse_qsl(url.query))
        self._faults = []
        with contextlib.suppress(ConnectionError, TimeoutError):
            # Whole and early: what is left unread would be taken for the next request of this connection.
            self._body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if host not in ("127.0.0.1", "localhost"):
                self._unknown()
                return
            try:
                if self.command == "POST" and path.removeprefix("/api/v1/") in ROUTES:
                    self._call(path.removeprefix("/api/v1/"))
                elif self.command == "GET" and path.startswith(_LOG_STREAM) and path.count("/") == 7:
                    self._stream_newest(*path.removeprefix(_LOG_STREAM).split("/"))
                elif self.command == "GET" and path.startswith(("/kf/", "/signed/")):
                    self._link(path)
                elif self.command == "PUT" and path.startswith("/upload/"):
                    self._upload(path.removeprefix("/upload/"))
                else:
                    self._unknown()
            except Refused as refused:
                body = {"code": refused.status, "message": refused.message} if refused.message else None
                self._send(refused.status, json.dumps(body).encode() if body else b"")

    def _unknown(self) -> None:
        self.kaggle.unknown_requests.append(f"{self.command} {self.path}")
        self.close_connection = True
        self._send(501, json.dumps({"code": 501, "message": f"unknown request {self.path!r}"}).encode())

    def _call(self, key: str) -> None:
        """Answer one API method."""
        if self._strike(_METHOD_ROUTE[key]):
            return
        if key not in _NEEDS_NO_LOGIN:
            self._check_login()
        request_type, handler = ROUTES[key]
        asked: dict[str, Any] = json.loads(self._body or b"{}")
        request = asked
        for fault in self._faults:
            request = fault.edit_request(request) if fault.edit_request else request
        result = handler(self.kaggle.state, self.kaggle.sessions, request_type.from_dict(request))
        if self._is_lost():
            return
        if isinstance(result, Redirect):
            self._send(302, b"", {"Location": result.url})
        elif isinstance(result, LogOf):
            self._log(result)
        else:
            answer = result if isinstance(result, Answer) else Answer(result, {})
            payload = answer.body.to_dict() | dict(answer.always)
            for fault in self._faults:
                payload = fault.edit_answer(asked, payload) if fault.edit_answer else payload
            self._send(200, json.dumps(payload).encode())

    def _stream_newest(self, owner: str, slug: str) -> None:
        if self._strike("GetKernelSessionLogsStream"):
            return
        self._check_login()
        state = self.kaggle.state
        self._log(LogOf(state.version(state.settings.user, owner, slug), 60))

    def _check_login(self) -> None:
        settings = self.kaggle.state.settings
        kind, _, credentials = self.headers.get("Authorization", "").partition(" ")
        if kind == "Bearer" and credentials == settings.token:
            return
        expected = base64.b64encode(f"{settings.user}:{settings.token}".encode()).decode()
        if kind == "Basic" and credentials == expected:
            return
        raise Refused(401, "Unauthenticated")

    def _strike(self, route: str) -> bool:
        """Count the request and apply the faults that come before the work; True if it is answered."""
        self.kaggle.requests.append(route)
        self._faults = self.kaggle.faults.take(route)
        for fault in self._faults:
            time.sleep(fault.delay_seconds)
            if fault.drop == "before":
                self._reset()
                return True
            if fault.status:
                self._send(fault.status, fault.body, fault.headers)
                return True
        return False

    def _is_lost(self) -> bool:
        lost = any(fault.drop == "after" for fault in self._faults)
        if lost:
            self._reset()
        return lost

    def _reset(self) -> None:
        """Cut the connection so that the client sees a reset and not an orderly end."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def _send(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        kept = min((f.keep_bytes for f in self._faults if f.keep_bytes is not None), default=len(body))
        self.send_response(status)
        for name, value in ({"Content-Type": "application/json"} | dict(headers or {})).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:kept])
        # An orderly end, unlike a reset: what is missing shows in the announced length alone.
        self.close_connection = self.close_connection or kept < len(body)

    def _link(self, path: str) -> None:
        """Serve a link that carries its own permission: an output's first address, or the signed file."""
        first = path.startswith("/kf/")
        if self._strike("output" if first else "signed"):
            return
        state = self.kaggle.state
        html, xml = {"Content-Type": "text/html"}, {"Content-Type": "application/xml"}
        if not state.is_signed(path, self._query):
            self._send(*((404, _EXPIRED_PAGE, html) if first else (403, _EXPIRED_XML, xml)))
        elif first:
            target = state.signed(f"/signed/kernels/{path.removeprefix('/kf/')}")
            self._send(302, b"", {"Location": target})
        else:
            kind, _, rest = path.removeprefix("/signed/").partition("/")
            if kind == "bundles":
                self._send_file(_zipped(state.competition_folder), time.time())
                return
            if kind == "competitions":
                file = state.competition_folder / rest.partition("/")[2]
            else:
                owner, slug, number, name = rest.split("/", 3)
                file = state.root / "kernels" / owner / slug / f"v{number}" / "output" / name
            if file.is_file():
                self._send_file(file.read_bytes(), file.stat().st_mtime)
            else:
                self._send(404, _EXPIRED_XML, xml)

    def _send_file(self, body: bytes, modified: float) -> None:
        """Send a file, or the rest of it that a Range header asks for."""
        for fault in self._faults:
            body = fault.edit_body(body) if fault.edit_body else body
        if self._is_lost():
            return
        headers = {
            "Content-Type": "application/octet-stream",
            "Last-Modified": email.utils.formatdate(modified, usegmt=True),
            "ETag": f'"{hashlib.sha256(body).hexdigest()[:32]}"',
            "Accept-Ranges": "bytes",
        }
        unit, _, wanted = self.headers.get("Range", "").partition("=")
        start = wanted.removesuffix("-")
        current = self.headers.get("If-Range", headers["ETag"]) in (headers["ETag"], headers["Last-Modified"])
        if unit == "bytes" and start.isdecimal() and current:
            if int(start) >= len(body):
                self._send(416, b"", {"Content-Range": f"bytes */{len(body)}"})
                return
            headers["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
            self._send(206, body[int(start) :], headers)
        else:
            self._send(200, body, headers)

    def _upload(self, token: str) -> None:
        """Take the bytes of a submission, from the start or from where an earlier attempt was cut."""
        if self._strike("upload"):
            return
        state = self.kaggle.state
        if token not in state.uploads:
            raise Refused(404, "This upload does not exist or has expired.")
        path, total = state.upload_path(token), state.uploads[token][1]
        content_range = self.headers.get("Content-Range", "")
        start = content_range.removeprefix("bytes ").partition("-")[0]
        if not content_range.startswith("bytes */"):
            with path.open("r+b") as file:
                file.truncate(int(start) if start else 0)
                file.seek(0, io.SEEK_END)
                file.write(self._body)
        if self._is_lost():
            return
        received = path.stat().st_size
        if received == total:
            self._send(200, b"{}")
        else:
            self._send(308, b"", {"Range": f"bytes=0-{received - 1}"} if received else {})

    def _log(self, log: LogOf) -> None:
        """Send the log of a session: as it grows, or at once as an array when the session has ended."""
        state, version = self.kaggle.state, log.version
        with state.changed:
            state.changed.wait_for(lambda: version.status != "QUEUED" or state.closing, log.wait_seconds)
        if version.is_terminal:
            self._send(200, json.dumps(state.log(version)).encode())
            return
        if version.status == "QUEUED":
            raise Refused(404, "The session has no logs yet.")
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        cut_after = min(
            (f.cut_after_events for f in self._faults if f.cut_after_events is not None), default=-1
        )
        sent = 0
        while sent != cut_after:
            with state.changed:
                news = state.changed.wait_for(
                    lambda: len(state.log(version)) > sent or version.is_terminal or state.closing,  # noqa: B023
                    state.settings.stream_idle_seconds,
                )
                ended, chunks = version.is_terminal, state.log(version)[sent:]
            if not news or state.closing:
                break
            for chunk in chunks[: cut_after - sent if cut_after >= 0 else None]:
                self._send_chunk(f"data: {json.dumps(chunk)}\n\n")
                sent += 1
            if ended and sent != cut_after:
                self._send_chunk("data: END_OF_LOG\n\n")
                self.wfile.write(b"0\r\n\r\n")
                return
        self._reset()

    def _send_chunk(self, text: str) -> None:
        body = text.encode()
        self.wfile.write(f"{len(body):x}\r\n".encode() + body + b"\r\n")
        self.wfile.flush()


def _zipped(folder: Path) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.iterdir()):
            archive.write(path, path.name)
    return buffer.getvalue()
