"""A Hugging Face on this machine: it serves one snapshot the way `snapshot_download` asks for it."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

COMMIT = "0" * 40


@contextmanager
def serve(name: str, folder: Path, hangs: int = 0) -> Iterator[tuple[str, list[str]]]:
    """Serve `folder` as model `name`; give the address, for HF_ENDPOINT, and the paths asked for so far.

    So many answers that carry weights stop in the middle until the server ends.
    """
    asked: list[str] = []
    left, ended = [hangs], threading.Event()

    class Handler(BaseHTTPRequestHandler):
        """Knows one model and answers 404 to everything else."""

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            asked.append(f"{self.command} {path}")
            prefix = f"/{name}/resolve/"
            if path.startswith(f"/api/models/{name}/tree/"):
                listed = [
                    {"type": "file", "path": each.name, "size": each.stat().st_size, "oid": "1"}
                    for each in sorted(folder.iterdir())
                ]
                self._send(200, json.dumps(listed).encode(), "application/json")
            elif path.startswith(f"/api/models/{name}"):
                files = [{"rfilename": each.name} for each in sorted(folder.iterdir())]
                told = {"_id": "1", "id": name, "modelId": name, "sha": COMMIT, "siblings": files}
                self._send(200, json.dumps(told).encode(), "application/json")
            elif path.startswith(prefix) and (folder / path.split("/")[-1]).is_file():
                self._send(200, (folder / path.split("/")[-1]).read_bytes(), "application/octet-stream")
            else:
                self._send(404, b"{}", "application/json")

        def do_HEAD(self) -> None:
            self.do_GET()

        def _send(self, status: int, body: bytes, kind: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("ETag", f'"{hashlib.sha256(body).hexdigest()}"')
            self.end_headers()
            if self.command != "GET":
                return
            if left[0] and self.path.endswith(".safetensors"):
                left[0] -= 1
                self.wfile.write(body[: len(body) // 2])
                ended.wait()
            else:
                self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - http.server's name
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        ended.set()
        server.shutdown()
        server.server_close()
        thread.join()
