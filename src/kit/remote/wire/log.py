"""Read a session's log, live or as Kaggle stores it: whatever Kaggle sends is shown or passed over."""

import json
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import requests

from kit.remote.wire import transfer
from kit.remote.wire.client import Client
from kit.remote.wire.transport import Unsettled

LARGEST_BYTES = 256 << 20  # bound of one frame of a stream, and of a stored log


class Chunk(NamedTuple):
    """Some text of one stream, cut anywhere."""

    stream: str
    text: str


def live(client: Client, answer: requests.Response) -> Iterator[Chunk | None]:
    """Yield the chunks of a log as they come, an empty one for any sign of life, and None at its end."""
    if "text/event-stream" not in answer.headers.get("Content-Type", ""):
        text = _text([*_lines(client, answer, is_whole=True)])
        if text.strip() and not transfer.is_page(text[:1024].encode()):
            yield from stored(text)
            yield None
        return
    data: list[bytes] = []
    for line in _lines(client, answer, is_whole=False):
        name, _, value = line.partition(b":")
        if name == b"data":
            data.append(value.removeprefix(b" "))
        if line or not data:
            yield Chunk("", "")
            continue
        text = _text(data)
        data.clear()
        if text == "END_OF_LOG":
            yield None
            return
        yield _chunk(_parsed(text), text)


def stored(log: str) -> Iterator[Chunk]:
    """Yield the chunks of an ended session's log: a JSON array, or as plain text what is none."""
    found = _parsed(log)
    if isinstance(found, list):
        yield from (_chunk(entry, "") for entry in found)
    else:
        yield Chunk("stdout", log)


def paired(chunks: Iterable[Chunk | None]) -> Iterator[Chunk | None]:
    """Yield the chunks with letters whole that were cut in two; half a letter alone becomes a mark."""
    halves: dict[str, str] = {}
    for chunk in chunks:
        if chunk is None or not chunk.text or (chunk.text.isascii() and chunk.stream not in halves):
            yield chunk
            continue
        text = halves.pop(chunk.stream, "") + chunk.text
        if "\ud800" <= text[-1] <= "\udbff":
            halves[chunk.stream], text = text[-1], text[:-1]
        whole = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        yield Chunk(chunk.stream, whole)


def text(log: str) -> str:
    """Return a stored log as one text."""
    return "".join(chunk.text for chunk in paired(stored(log)) if chunk is not None)


def _lines(client: Client, answer: requests.Response, *, is_whole: bool) -> Iterator[bytes]:
    """Yield the lines of a body as soon as they have come, or all of it at once where `is_whole`."""
    rest: list[bytes] = []
    size = 0
    for piece in transfer.pieces(client, answer, "the log"):
        *whole, last = [piece] if is_whole else piece.split(b"\n")
        for line in whole:
            yield b"".join((*rest, line)).rstrip(b"\r")
            rest.clear()
            size = 0
        rest.append(last)
        size += len(last)
        if size > LARGEST_BYTES:
            raise Unsettled("Kaggle sends a log without an end")
    if size:
        yield b"".join(rest)


def _chunk(found: object, otherwise: str) -> Chunk:
    """Return what an entry of the log says, whatever its shape; `otherwise` where it is no entry."""
    if not isinstance(found, dict):
        return Chunk("stdout", found if isinstance(found, str) else otherwise)
    data = found.get("data", "")
    return Chunk(str(found.get("stream_name", "stdout")), data if isinstance(data, str) else json.dumps(data))


def _parsed(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _text(lines: list[bytes]) -> str:
    return b"\n".join(lines).decode("utf-8", "replace")
