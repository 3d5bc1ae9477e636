"""Follow one version's session to its end: the live log line by line, then how it ended."""

from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import closing, suppress

from kit import progress
from kit.errors import NotYet
from kit.remote.following.screen import RunFailed
from kit.remote.pulling.published import LATE_SECONDS
from kit.remote.runs import Run
from kit.remote.wire import session
from kit.remote.wire.client import Client
from kit.remote.wire.transport import Refused, Unsettled

POLL_SECONDS = 5.0
LONGEST_PAUSE_SECONDS = 60.0  # quick connections in a row make Kaggle refuse all calls for a while
STUCK_SECONDS = 300.0  # longest that Kaggle may say RUNNING after the kernel said that it has ended
SILENCE_SECONDS = 900.0  # longest time without any answer from Kaggle that says something of this run
QUEUE_SECONDS = 30  # how long Kaggle may hold a request for a log; below the read time limit
LONG_QUEUE_SECONDS = 600.0  # how long a session is QUEUED before that is said, and said again
SO_FAR_SECONDS = 5.0  # silence after which a log that is still written counts as read
_SOON_OVER = ("CANCEL_REQUESTED", "NEW_SCRIPT")  # lingers after a cancel; no session was started

OnLine = Callable[[str, str], None]  # takes the stream's name and one line of the log, without its line end


def watch(
    client: Client, run: Run, deadline_seconds: float, on_line: OnLine, on_update: OnLine = lambda *_: None
) -> session.Status:
    """Call `on_line` for every line of the log, once and in order, until the session ends; return how."""
    seen, now, started = _Log(on_line, on_update), client.clock.now, client.clock.now()
    pause = POLL_SECONDS
    since: dict[str, float] = {}

    def lasts(what: str, holds: bool) -> float:
        """Return for how long this has been so."""
        if not holds:
            since.pop(what, None)
        return now() - since.setdefault(what, now()) if holds else 0.0

    while True:
        before = seen.length
        seen.follow(client, run, until=started + deadline_seconds)
        status = session.status(client, run, patient=False)
        answers = status.is_known
        if not answers:  # the outputs may tell
            with suppress(Refused, Unsettled):
                status, answers = session.by_outputs(client, run) or status, True
        if not status.is_known:
            on_update("stderr", f"Kaggle does not say how {run.name} is: {status.failure}")
        if (seconds := lasts("silent", not answers and seen.length == before)) > SILENCE_SECONDS:
            raise _unwatched(run, f"no word from Kaggle for {seconds:.0f} s ({status.failure})")
        if lasts("queued", status.name == "QUEUED") > LONG_QUEUE_SECONDS:
            since.pop("queued")
            is_named = run.config["kernel"].get("image", "default") != "default"
            other = f"make stop RUN={run.name} and {'another push' if is_named else 'one with an image'}"
            text = f"{run.name} is QUEUED, for {(now() - started) / 60:.0f} min. What has helped:"
            on_line("stderr", f"{text} fewer sessions, or {other} (kernel.image; make doctor shows one)")
        if status.has_ended:
            seen.finish(client, run, is_over=status.has_succeeded)
            if status.has_succeeded:
                return status
            raise RunFailed(run, status, seen.lines)
        is_over = status.is_known and (seen.said_end or status.name in _SOON_OVER)
        if (seconds := lasts("over", is_over)) > STUCK_SECONDS:
            text = f"{run.name} is stuck: over for {seconds:.0f} s, and Kaggle still says {status}"
            hint = f"{run.url}; make stop RUN={run.name} ends it, which stops the clock"
            raise NotYet(text, hint=hint)
        left = started + deadline_seconds - now()
        if left <= 0:
            raise _unwatched(run, f"{run.name} is still {status} after {deadline_seconds:.0f} s")
        pause = POLL_SECONDS if seen.length > before else min(pause * 1.5, LONGEST_PAUSE_SECONDS)
        client.clock.sleep(min(pause, left))


def log_so_far(client: Client, run: Run) -> list[str]:
    """Return the lines that a session has written until now, without waiting for more."""
    seen = _Log(lambda *_: None, lambda *_: None)
    brief = Client(client.endpoint, clock=client.clock, read_seconds=SO_FAR_SECONDS)
    seen.follow(brief, run, until=client.clock.now() + 3 * SO_FAR_SECONDS)
    return seen.lines


def _unwatched(run: Run, what: str) -> NotYet:
    how = "it ends with the Kaggle on this machine" if run.is_rehearsal else "the run goes on"
    hint = "make rehearse TIMEOUT=7200" if run.is_rehearsal else f"make watch RUN={run.name}"
    return NotYet(f"{what}; {how}", hint=hint)


class _Log:
    """The log so far. Every connection sends it from the start, cut to chunks in another way perhaps."""

    def __init__(self, on_line: OnLine, on_update: OnLine) -> None:
        self.lines: list[str] = []
        self.length = 0
        self.said_end = False  # whether the kernel has said that its run is over
        self._on_line, self._on_update = on_line, on_update
        self._joined = progress.Lines()
        self._characters: Counter[str] = Counter()

    def follow(self, client: Client, run: Run, until: float) -> bool:
        """Read the log until it ends, breaks, or `until` passes; True for its end. Nothing is shown twice."""
        wait = {"wait_for_logs_url_seconds": QUEUE_SECONDS}
        try:
            with closing(client.stream("GetKernelSessionLogsStream", **wait, **run.pinned)) as answer:
                return self._take(session.live(client, answer), lambda: client.clock.now() > until)
        except (Unsettled, Refused):
            # Not there yet, cut, or not served at all: the status says whether to come back.
            return False

    def finish(self, client: Client, run: Run, *, is_over: bool) -> None:
        """Show the rest of an ended session's log, which may come late; if `is_over`, its own end will do."""
        for _ in client.clock.rounds(LATE_SECONDS, longest=LONGEST_PAUSE_SECONDS):
            if self.follow(client, run, until=client.clock.now() + STUCK_SECONDS) and self.length:
                break
            with suppress(Refused, Unsettled):
                listed = session.outputs(client, run)
                self._take(session.stored(listed.log), lambda: False)
                if listed.has_log:
                    break
            if is_over and self.said_end:
                break
        for line in self._joined.end():
            self._show("stdout", line)

    def _take(self, chunks: Iterable[session.Chunk | None], is_late: Callable[[], bool]) -> bool:
        """Show the lines that these chunks complete; True if they went on to the end of the log."""
        skip = self._characters.copy()
        for chunk in session.paired(chunks):
            if chunk is None:
                return True
            stream = chunk.stream
            seen = min(skip[stream], len(chunk.text))
            skip[stream] -= seen
            new = chunk.text[seen:]
            self._characters[stream] += len(new)
            self.length += len(new)
            for line in self._joined.feed(stream, new):
                self._show(stream, line)
            if new and (update := self._joined.update(stream)):
                self._on_update(stream, update)
            if is_late():
                break
        return False

    def _show(self, stream: str, line: str) -> None:
        self.lines.append(line)
        found = progress.event(line)
        self.said_end = self.said_end or (found is not None and found["event"] == "end")
        self._on_line(stream, line)
