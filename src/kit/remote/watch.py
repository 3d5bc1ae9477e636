"""Follow one version's session to its end: the live log line by line, then how it ended.

It draws nothing (screen.py does) and fetches no file (pull.py does). Stopping it leaves the session running.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import requests

from kit import progress
from kit.errors import KitError
from kit.remote import tracebacks
from kit.remote.runs import Run
from kit.remote.wire import session
from kit.remote.wire.client import Client
from kit.remote.wire.session import Status
from kit.remote.wire.transport import Refused, Unsettled

POLL_SECONDS = 5.0
STUCK_SECONDS = 300.0
"""Longest that Kaggle may say RUNNING after the kernel said that it has ended."""
SILENCE_SECONDS = 900.0
"""Longest time without any answer from Kaggle."""
QUEUE_SECONDS = 30
"""How long Kaggle may hold a request for a log that has not begun; below the read time limit."""
SO_FAR_SECONDS = 5.0
"""Silence after which a log that is still written counts as read."""
END_OF_LOG = "END_OF_LOG"

_SOON_OVER = ("CANCEL_REQUESTED", "NEW_SCRIPT")
"""States that should not last: a cancelled session that lingers, a version for which none was started."""

Chunk = dict[str, Any]
OnLine = Callable[[str, str], None]
"""Takes the stream's name and one line of the log, without its line end."""


@dataclass(frozen=True)
class Finished:
    """A session that ran to its end and succeeded."""

    status: Status
    lines: int


class RunFailed(KitError):
    """A session ended in another way than success; `tracebacks` holds the last one of every rank."""

    def __init__(self, run: Run, status: Status, lines: list[str]) -> None:
        super().__init__(f"{run.name} ended as {status}", hint=f"{run.url}, or make pull RUN={run.name}")
        self.run = run
        self.status = status
        self.tracebacks = tracebacks.last(lines)
        self.last_lines = lines[-20:]


class StillRunning(KitError):
    """Watching ended before the session did."""


def watch(client: Client, run: Run, deadline_seconds: float, on_line: OnLine) -> Finished:
    """Call `on_line` for every line of the log, once and in order, until the session ends.

    Raises RunFailed when it ends without success and StillRunning at the deadline, when it is stuck, or when
    Kaggle falls silent; the session goes on in these three cases.
    """
    log = _Log(on_line)
    now, started = client.clock.now, client.clock.now()
    heard = started
    stalled: float | None = None
    stands = Status("unknown")
    while True:
        try:
            log.follow(client, run, until=started + deadline_seconds)
            stands = session.status(client, run)
            heard = now()
        except Unsettled as error:
            if now() - heard > SILENCE_SECONDS:
                silence = f"no answer from Kaggle for {now() - heard:.0f} s ({error.message})"
                raise _unwatched(run, silence) from None
        if stands.has_ended:
            log.finish(client, run)
            if stands.has_succeeded:
                return Finished(stands, len(log.lines))
            raise RunFailed(run, stands, log.lines)
        if not (log.said_end or stands.name in _SOON_OVER):
            stalled = None
        elif stalled is None:
            stalled = now()
        elif now() - stalled > STUCK_SECONDS:
            raise StillRunning(
                f"{run.name} is stuck: over for {now() - stalled:.0f} s, and Kaggle still says {stands}",
                hint=f"{run.url}; make stop RUN={run.name} deletes it, which stops the clock",
            )
        if now() - started > deadline_seconds:
            raise _unwatched(run, f"{run.name} is still {stands} after {deadline_seconds:.0f} s")
        client.clock.sleep(POLL_SECONDS)


def log_so_far(client: Client, run: Run) -> list[str]:
    """Return the lines that a session has written until now, without waiting for more."""
    log = _Log(lambda *_: None)
    log.follow(client.hasty(SO_FAR_SECONDS), run, until=client.clock.now() + 3 * SO_FAR_SECONDS)
    return log.lines


def _unwatched(run: Run, what: str) -> StillRunning:
    return StillRunning(f"{what}; the run goes on", hint=f"make watch RUN={run.name}")


class _Log:
    """The log so far. Every connection sends it from the start, cut to chunks in another way perhaps."""

    def __init__(self, on_line: OnLine) -> None:
        self.lines: list[str] = []
        self.said_end = False
        """Whether the kernel has told that its run is over."""
        self._is_whole = False
        self._on_line = on_line
        self._joined = progress.Lines()
        self._characters: dict[str, int] = {}

    def follow(self, client: Client, run: Run, until: float) -> None:
        """Read the log until it ends, breaks, or `until` passes; what was seen before is not told again."""
        if self._is_whole:
            return
        wait = {"wait_for_logs_url_seconds": QUEUE_SECONDS}
        try:
            with closing(client.stream("GetKernelSessionLogsStream", **wait, **run.pinned)) as answer:
                self._is_whole = self._take(_chunks(client, answer), lambda: client.clock.now() > until)
        except (Unsettled, Refused):
            # Not there yet, cut, or not served at all: the status tells whether to come back.
            return

    def finish(self, client: Client, run: Run) -> None:
        """Tell the rest of an ended session's log, where the stream fails from the listing of its output."""
        self.follow(client, run, until=client.clock.now() + STUCK_SECONDS)
        if not self._is_whole:
            answer = client.call("ListKernelSessionOutput", page_size=1, **run.pinned)
            self._take(_stored(answer.log or "[]"), lambda: False)
        for line in self._joined.end():
            self._tell("stdout", line)

    def _take(self, chunks: Iterable[Chunk | None], is_late: Callable[[], bool]) -> bool:
        """Tell the lines that these chunks complete; True if they went on to the end of the log."""
        skip = dict(self._characters)
        for chunk in chunks:
            if chunk is None:
                return True
            stream, text = str(chunk.get("stream_name", "stdout")), str(chunk.get("data", ""))
            seen = min(skip.get(stream, 0), len(text))
            skip[stream] = skip.get(stream, 0) - seen
            self._characters[stream] = self._characters.get(stream, 0) + len(text) - seen
            for line in self._joined.feed(stream, text[seen:]):
                self._tell(stream, line)
            if is_late():
                break
        return False

    def _tell(self, stream: str, line: str) -> None:
        self.lines.append(line)
        found = progress.event(line)
        self.said_end = self.said_end or (found is not None and found["event"] == "end")
        self._on_line(stream, line)


def _chunks(client: Client, answer: requests.Response) -> Iterator[Chunk | None]:
    """Yield the log's chunks as they come, and None at its end; raises Unsettled where it is cut."""
    from sseclient import SSEClient

    if "text/event-stream" not in answer.headers.get("Content-Type", ""):
        with client.explained("the log"):
            yield from _stored(answer.content)
        yield None
        return
    with client.explained("the log"):
        # A larger chunk would hold events back until it is full.
        for event in SSEClient(answer.iter_content(chunk_size=1)).events():
            if event.data == END_OF_LOG:
                yield None
                return
            chunk = _parsed(event.data)
            if chunk is None:
                return
            yield chunk


def _stored(body: str | bytes) -> Iterator[Chunk]:
    """Yield the chunks of an ended session's log, which is a JSON array."""
    found = _parsed(body)
    if not isinstance(found, list):
        raise Unsettled("Kaggle answers a log with something else")
    yield from (chunk for chunk in found if isinstance(chunk, dict))


def _parsed(text: str | bytes) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None
