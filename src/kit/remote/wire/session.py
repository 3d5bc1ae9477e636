"""Ask how the session of one version stands, what it left and what it logs; any answer is borne."""

import codecs
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import requests

from kit.outputs import MANIFEST
from kit.remote.runs import Run
from kit.remote.wire import transfer
from kit.remote.wire.client import Client
from kit.remote.wire.transport import CredentialsInvalid, KaggleError, Refused, Unsettled

ENDED = frozenset({"COMPLETE", "ERROR", "CANCEL_ACKNOWLEDGED"})  # states that never change again
_ON = frozenset({"QUEUED", "RUNNING", "CANCEL_REQUESTED", "NEW_SCRIPT"})
UNKNOWN = "UNKNOWN"
RECORD = "run.json"
LARGEST_LOG = 256 << 20  # bytes of one frame of a stream, and of a stored log


@dataclass(frozen=True)
class Status:
    """A session's state by the SDK's name, and why it failed, or is unknown, where Kaggle says so."""

    name: str
    failure: str = ""

    @property
    def has_ended(self) -> bool:
        return self.name in ENDED

    @property
    def has_succeeded(self) -> bool:
        return self.name == "COMPLETE"

    @property
    def is_known(self) -> bool:
        return self.name != UNKNOWN

    def __str__(self) -> str:
        word = "CANCELLED" if self.name == "CANCEL_ACKNOWLEDGED" else self.name
        return f"{word}: {self.failure}" if self.failure else word


@dataclass(frozen=True)
class Listing:
    """What Kaggle holds of a version now: links by name, and the log as it is stored."""

    links: dict[str, str]
    log: str

    @property
    def has_log(self) -> bool:
        return self.log.strip() not in ("", "[]")


def status(client: Client, run: Run, *, patient: bool = True) -> Status:
    """Return how this version stands: UNKNOWN, with the reason, where Kaggle does not say."""

    def ask(*, patient: bool, **fields: str) -> Status:
        answer = client.call("GetKernelSessionStatus", patient=patient, **fields)
        name = str(answer.status.name)
        if name not in ENDED | _ON:
            return Status(UNKNOWN, f"its state is {name!r}")
        return Status(name, answer.failure_message or "")

    try:
        try:
            return ask(patient=patient, **run.pinned)
        except Refused as refused:
            if refused.status not in (400, 404):
                raise
            # Some say that this call takes no version: then its answer is about the newest one.
            newest = {name: value for name, value in run.pinned.items() if name != "version_label"}
            found = ask(patient=False, **newest)
            kernel = client.call("GetKernel", needs="metadata", patient=False, **newest)
            is_meant = kernel.metadata.current_version_number == run.version
            return found if is_meant else Status(UNKNOWN, refused.message)
    except CredentialsInvalid:
        raise
    except KaggleError as error:
        return Status(UNKNOWN, error.message)


def outputs(client: Client, run: Run) -> Listing:
    """Return every output's newest link and the log; raises Refused and Unsettled."""
    pages = client.pages("ListKernelSessionOutput", "files", **run.pinned)
    files = [file for page in pages for file in page.files or () if file.file_name]
    return Listing({str(file.file_name): str(file.url) for file in files}, str(pages[0].log or ""))


def by_outputs(client: Client, run: Run) -> Status | None:
    """Return the end that the kernel wrote into its own outputs, None where they are not there."""
    links = outputs(client, run).links
    if RECORD not in links or MANIFEST not in links:
        return None
    record = _parsed(transfer.read(client, links[RECORD], RECORD).decode("utf-8", "replace"))
    told = record if isinstance(record, dict) else {}
    ended = str(told.get("ended", ""))
    if told.get("bundle_hash") != run.bundle_hash or not ended:
        return None
    return Status("COMPLETE") if ended == "complete" else Status("ERROR", ended)


class Chunk(NamedTuple):
    """Some text of one stream, cut anywhere."""

    stream: str
    text: str


def live(client: Client, answer: requests.Response) -> Iterator[Chunk | None]:
    """Yield the chunks of a log as they come, an empty one for any sign of life, and None at its end."""
    if "text/event-stream" not in answer.headers.get("Content-Type", ""):
        text = transfer.whole(client, answer, "the log", LARGEST_LOG).decode("utf-8", "replace")
        if text.strip() and not transfer.is_page(text[:1024].encode()):
            yield from stored(text)
            yield None
        return
    data: list[bytes] = []
    for line in _lines(client, answer):
        name, _, value = line.partition(b":")
        if name == b"data":
            data.append(value.removeprefix(b" "))
        if line or not data:
            yield Chunk("", "")
            continue
        text = b"\n".join(data).decode("utf-8", "replace")
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
    decoder = codecs.getincrementaldecoder("utf-16-le")
    decoders: dict[str, codecs.IncrementalDecoder] = defaultdict(lambda: decoder("replace"))
    for chunk in chunks:
        if chunk is not None:
            units = chunk.text.encode("utf-16-le", "surrogatepass")
            chunk = chunk._replace(text=decoders[chunk.stream].decode(units))
        yield chunk


def whole(log: str) -> str:
    """Return a stored log as one text."""
    return "".join(chunk.text for chunk in paired(stored(log)) if chunk is not None)


def _lines(client: Client, answer: requests.Response) -> Iterator[bytes]:
    """Yield the lines of a body as soon as they have come."""
    rest: list[bytes] = []
    size = 0
    for piece in transfer.pieces(client, answer, "the log"):
        *whole, last = piece.split(b"\n")
        for line in whole:
            yield b"".join((*rest, line)).rstrip(b"\r")
            rest.clear()
            size = 0
        rest.append(last)
        size += len(last)
        if size > LARGEST_LOG:
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
