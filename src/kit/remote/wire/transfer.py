"""Bring the bytes behind a link into a file: an error page or half a file never gets its name.

It lists nothing and knows no run.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import requests

from kit.errors import KitError
from kit.remote.wire.client import Client
from kit.remote.wire.transport import KaggleError, Unsettled

CHUNK_BYTES = 1 << 20


class LinkStale(KaggleError):
    """A link gives a page or an error where a file is due; a new listing may give a link that works."""


@dataclass(frozen=True)
class Fetched:
    """What a file holds."""

    size: int
    sha256: str


def save(client: Client, answer: requests.Response, path: Path, *, part: Path, size: int | None) -> Fetched:
    """Write the body of an open response to `part`, check it, rename it to `path`, and close the response.

    `size` is what the listing says, None where it says nothing. Raises Unsettled for a body that breaks off
    or has another size, LinkStale for a web page, KitError for a disk that refuses.
    """
    digest, received = hashlib.sha256(), 0
    announced = answer.headers.get("Content-Length")
    with closing(answer), client.explained(path.name):
        if _is_page(answer) and path.suffix not in (".html", ".htm"):
            raise LinkStale(f"{path.name}: Kaggle sends a web page in its place", hint="make pull")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with part.open("wb") as file:
                for chunk in answer.iter_content(CHUNK_BYTES):
                    file.write(chunk)
                    digest.update(chunk)
                    received += len(chunk)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            if isinstance(error, requests.RequestException):
                raise
            raise KitError(f"{path} cannot be written: {error.strerror}", hint="df -h") from error
    for expected, source in ((announced, "the answer's header"), (size, "the listing")):
        if expected is not None and int(expected) != received:
            raise Unsettled(f"{path.name} came with {received:,} bytes, {source} says {int(expected):,}")
    part.replace(path)
    return Fetched(received, digest.hexdigest())


def inside(folder: Path, name: str) -> Path:
    """Return the path of an output's name below `folder`; raises KitError for one that would leave it."""
    if "\\" in name or "\0" in name or any(part in ("", ".", "..") for part in name.split("/")):
        raise KitError(
            f"Kaggle lists a file {name!r}, which would leave the run's folder",
            hint="the version's page on Kaggle",
        )
    return folder / name


def require_space(folder: Path, wanted: int) -> None:
    """Raise KitError where the disk of `folder` has no room for `wanted` bytes and a tenth more."""
    import shutil

    free = shutil.disk_usage(folder).free
    if free < wanted * 1.1:
        raise KitError(f"{folder}: {wanted:,} bytes are to come, {free:,} are free", hint="df -h")


def _is_page(answer: requests.Response) -> bool:
    return answer.headers.get("Content-Type", "").partition(";")[0].strip() in (
        "text/html",
        "application/xhtml+xml",
    )
