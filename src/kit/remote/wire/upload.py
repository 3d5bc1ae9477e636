"""Bring a file to the address that Kaggle gives for it; what breaks off goes on where the server stopped."""

from __future__ import annotations

from typing import BinaryIO

from kit.remote.wire.client import Client
from kit.remote.wire.transport import Unsettled

UPLOADED = (200, 201)


def upload(client: Client, url: str, body: BinaryIO, size: int) -> None:
    """Send the `size` bytes of `body`; raises Unsettled where no attempt brings them whole."""

    def put(headers: dict[str, str], data: BinaryIO | None = None) -> int:
        answer = client.link("PUT", url, data=data, headers=headers, allow_redirects=False)
        start = answer.headers.get("Range", "").rpartition("-")[2]
        if answer.status_code in UPLOADED:
            return size
        if data is not None:
            raise Unsettled(f"the upload ended with status {answer.status_code}")
        return int(start) + 1 if start.isdecimal() else 0

    def resume() -> None:
        start = put({"Content-Range": f"bytes */{size}"})
        if start < size:
            body.seek(start)
            put({"Content-Range": f"bytes {start}-{size - 1}/{size}"} if start else {}, body)

    try:
        put({}, body)
    except Unsettled:
        client.patiently(resume)
