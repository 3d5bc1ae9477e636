"""What each request of the local Kaggle means: API methods, links, uploads and log streams.

It answers what routes knows and records everything else as unknown, with a 501.
"""

import base64
import hashlib
import json
import re
from pathlib import Path

from local_kaggle.connection import Connection
from local_kaggle.routes import ROUTES, answer
from local_kaggle.routes.answers import LogOf, read
from local_kaggle.state import Refused, Version

_LOG_STREAM = "/api/v1/kernels/logs/stream/"
_NEEDS_NO_LOGIN = "security.OAuthService/IntrospectToken"
_EXPIRED_PAGE = b"<!DOCTYPE html><html><body><h1>404</h1>We can't find that page.</body></html>"
_EXPIRED_XML = b"<?xml version='1.0' encoding='UTF-8'?><Error><Code>ExpiredToken</Code></Error>"
_HTML, _XML = {"Content-Type": "text/html"}, {"Content-Type": "application/xml"}
_EVENTS = {"Content-Type": "text/event-stream"}


class Handler(Connection):
    """One connection's requests."""

    def answer(self, path: str) -> None:
        method = path.removeprefix("/api/v1/")
        if self.command == "POST" and method in ROUTES:
            self._call(method)
        elif self.command == "GET" and path.startswith(_LOG_STREAM) and path.count("/") == 7:
            owner, slug = path.removeprefix(_LOG_STREAM).split("/")
            self.body = json.dumps({"userName": owner, "kernelSlug": slug}).encode()
            self._call("kernels.KernelsApiService/GetKernelSessionLogsStream")
        elif self.command == "GET" and path.startswith(("/kf/", "/signed/")):
            self._link(path)
        elif self.command == "PUT" and path.startswith("/upload/"):
            self._upload(path.removeprefix("/upload/"))
        else:
            self.unknown()

    def _call(self, key: str) -> None:
        """Answer one API method."""
        self._log_in(key)
        asked = request = read(self.body)
        for fault in self.faults:
            request = fault.edit_request(request) if fault.edit_request else request
        result = answer(key, self.server.state, self.server.sessions, dict(request))
        self.work_is_done()
        if isinstance(result, str):
            self.send(302, b"", {"Location": result})
        elif isinstance(result, LogOf):
            self._log(result)
        else:
            for fault in self.faults:
                result = fault.edit_answer(asked, result) if fault.edit_answer else result
            self.send(200, self.edited(json.dumps(result).encode()))

    def _log_in(self, key: str) -> None:
        """Apply faults, the limit of quick calls and the login."""
        self.strike(key.rpartition("/")[2])
        if self.server.is_throttled():
            raise Refused(429, "Too many requests")
        settings = self.server.state.settings
        unkind = settings.profile.forbids_bad_bearer
        kind, _, credentials = self.headers.get("Authorization", "").partition(" ")
        login = base64.b64encode(f"{settings.user}:{settings.token}".encode()).decode()
        accepted = [("Bearer", settings.token)]
        if not (unkind and settings.token.startswith("KGAT")):
            accepted.append(("Basic", login))
        if key == _NEEDS_NO_LOGIN or (kind, credentials) in accepted:
            return
        if kind == "Bearer" and unkind and key.startswith("kernels.") and not key.endswith("Statistics"):
            raise Refused(403, "Permission 'kernels.get' was denied")
        raise Refused(401, "Unauthenticated")

    def _link(self, path: str) -> None:
        """Serve a link that carries its own permission: an output's first address, or the signed file."""
        first = path.startswith("/kf/")
        self.strike("output" if first else "signed")
        file = self.server.state.linked(path, self.query)
        if file is None:
            self.send(*((404, _EXPIRED_PAGE, _HTML) if first else (403, _EXPIRED_XML, _XML)))
        elif first:
            target = self.server.state.signed(f"/signed/kernels/{path.removeprefix('/kf/')}", file)
            self.send(302, b"", {"Location": target})
        elif file.is_file():
            self._send_file(file)
        else:
            self.send(404, _EXPIRED_XML, _XML)

    def _send_file(self, file: Path) -> None:
        """Send a file, or the rest of it that a Range header asks for."""
        body = self.edited(file.read_bytes())
        self.work_is_done()
        headers = {
            "Content-Type": "application/octet-stream",
            "Last-Modified": self.date_time_string(int(file.stat().st_mtime)),
            "ETag": f'"{hashlib.sha256(body).hexdigest()[:32]}"',
            "Accept-Ranges": "bytes",
        }
        wanted = re.fullmatch(r"bytes=(\d{1,15})-", self.headers.get("Range", ""))
        current = self.headers.get("If-Range", headers["ETag"]) in (headers["ETag"], headers["Last-Modified"])
        if not wanted or not current or any(fault.ignore_range for fault in self.faults):
            self.send(200, body, headers)
        elif int(wanted[1]) >= len(body):
            self.send(416, b"", {"Content-Range": f"bytes */{len(body)}"})
        else:
            headers["Content-Range"] = f"bytes {wanted[1]}-{len(body) - 1}/{len(body)}"
            self.send(206, body[int(wanted[1]) :], headers)

    def _upload(self, token: str) -> None:
        """Take the bytes of a submission, from the start or from where an earlier attempt was cut."""
        self.strike("upload")
        state = self.server.state
        if token not in state.uploads:
            raise Refused(404, "This upload does not exist or has expired.")
        path, total = state.upload_path(token), state.uploads[token][1]
        part = re.fullmatch(r"bytes (\*|(\d{1,15})-\d{1,15})/\d{1,15}", self.headers.get("Content-Range", ""))
        if "Content-Range" in self.headers and not part:
            raise Refused(400, "The Content-Range makes no sense.")
        if not part or part[2]:
            kept = path.read_bytes()[: int(part[2])] if part else b""
            path.write_bytes(kept + self.body)
        self.work_is_done()
        received = path.stat().st_size
        so_far = {"Range": f"bytes=0-{received - 1}"} if received else {}
        self.send(*((200, b"{}") if received == total else (308, b"", so_far)))

    def _log(self, log: LogOf) -> None:
        """Send the log of a session: as it grows, or at once as an array when the session has ended."""
        state, version = self.server.state, log.version
        queued = state.settings.profile.queued_log
        if queued == "wait":
            with state.changed:
                state.changed.wait_for(lambda: version.status != "QUEUED" or state.closing, log.wait_seconds)
        if version.is_terminal:
            self.send(200, self.edited(state.published_log(version).encode()))
        elif version.status != "QUEUED":
            self._stream(version)
        elif queued in ("empty", "end"):
            self.send(200, b"data: END_OF_LOG\n\n" if queued == "end" else b"", _EVENTS)
        elif queued == "429":
            raise Refused(429, "Too many requests")
        else:
            raise Refused(404, "The session has no logs yet.")

    def _stream(self, version: Version) -> None:
        """Send events as they come, until END_OF_LOG, the armed cut or a long silence."""
        state = self.server.state
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        cuts = [fault.cut_after_events for fault in self.faults if fault.cut_after_events is not None]
        cut_after = min(cuts, default=1 << 30)
        sent = 0

        def has_news() -> bool:
            unread = len(state.log(version)) > sent and not state.settings.profile.silent_log
            return unread or version.is_terminal or state.closing

        while sent != cut_after:
            with state.changed:
                news = state.changed.wait_for(has_news, state.settings.stream_idle_seconds)
                ended, chunks = version.is_terminal, state.log(version)[sent:]
            if not news or state.closing:
                break
            for chunk in chunks[: cut_after - sent]:
                self._send_chunk(f"data: {json.dumps(chunk)}\n\n")
                sent += 1
            if ended and sent != cut_after:
                self._send_chunk("data: END_OF_LOG\n\n")
                self.wfile.write(b"0\r\n\r\n")
                return
        self.reset()

    def _send_chunk(self, text: str) -> None:
        body = text.encode()
        self.wfile.write(f"{len(body):x}\r\n".encode() + body + b"\r\n")
        self.wfile.flush()
