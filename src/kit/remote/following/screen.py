"""Show a run's log, bars on a terminal and lines elsewhere, without noise, and what a failed run died of."""

import re
import sys
import time
from typing import Self

from rich.progress import BarColumn, Progress, TaskID, TextColumn

from kit import progress
from kit.errors import KitError
from kit.remote.runs import Run
from kit.remote.wire.session import Status

# What fills the bar of an event, and what it is full at.
_COUNTS = {"step": ("step", "steps"), "score": ("rows", "of"), "generate": ("rows", "of")}
MEASURED_ROWS = 16  # a member scores so many rows before its training, only to know how fast that is
LARGEST_COUNT = 2**53
UPDATE_SECONDS = {True: 0.2, False: 30.0}  # of a line without an end, on a terminal and elsewhere
_RANK = re.compile(r"\[(rank ?\d+|card ?\d+)\]:? ?")  # torchrun's and the kit's own marks of a process
_HEAD = "Traceback (most recent call last):"
_BETWEEN = ("During handling of the above exception", "The above exception was the direct cause")
# A file of the bundle, which was unpacked to a folder that nobody knows.
_BUNDLED = re.compile(r'File "/[^"]*?/(src/kit/[^"]+|kernel/(?:main|prepare)\.py)"')
_NOISE = re.compile(  # of making a page of a finished script, and of libraries about speed-ups
    r"\[NbConvertApp\]|Writing \d+ bytes to \S*__results__\.html"
    r"|\S*/(?:mistune|nbconvert)\S*:\d+: \w*Warning:"
    r"|.{0,80}Failed to load CPU \w+ from |.{0,80}Unable to register cu\w+ factory"
    r"|WARNING: All log messages before absl::InitializeLog"
)


class Noise:
    """Tell the lines that say nothing of the run, with the line that a warning quotes."""

    def __init__(self) -> None:
        self._may_quote = False

    def hides(self, line: str) -> bool:
        is_noise = _NOISE.match(line[:400]) is not None
        is_quoted = self._may_quote and line[:1] in (" ", "\t")
        self._may_quote = is_noise
        return is_noise or is_quoted


class Newest:
    """Keep the newest traceback of each rank apart, a chained one as one; the unmarked rank is ""."""

    def __init__(self) -> None:
        self.by_rank: dict[str, list[str]] = {}
        self._behind: dict[str, list[str] | None] = {}
        """By rank, what follows its exception and may join it to another; None before, absent afterwards."""

    def feed(self, line: str) -> list[str]:
        """Return the lines of which is known now that they are no part of a rank's newest traceback."""
        mark = _RANK.match(line)
        rank, text = (mark[1], line[mark.end() :]) if mark else ("", line)
        behind = self._behind.get(rank, [])
        if text == _HEAD:
            earlier = [*self.by_rank.pop(rank, []), *(behind or [])]
            is_chained = any(words in between for between in behind or [] for words in _BETWEEN)
            self.by_rank[rank] = [*(earlier if is_chained else []), line]
            self._behind[rank] = None
            return [] if is_chained else earlier
        if rank not in self._behind:
            return [line]
        if text[:1] in (" ", "\t") or behind is None:
            self.by_rank[rank].append(_BUNDLED.sub(r'File "\1"', line))
            if text[:1] not in (" ", "\t"):
                self._behind[rank] = []
            return []
        if not text or text.startswith(_BETWEEN):
            behind.append(line)
            return []
        del self._behind[rank]
        return [*behind, line]

    def release(self) -> list[str]:
        """Return what was kept apart, and forget it."""
        kept = [line for lines in self.by_rank.values() for line in lines]
        kept += [line for behind in self._behind.values() for line in behind or []]
        self.by_rank.clear()
        self._behind.clear()
        return kept


def last_words(lines: list[str]) -> list[str]:
    """Return the last traceback of each rank that left one, the unmarked at last; else the last lines."""
    newest, noise = Newest(), Noise()
    for line in lines:
        newest.feed(line)
    if not newest.by_rank:
        own = [progress.show(line) for line in lines if not noise.hides(line)]
        return ["--- the last lines of the log ---", *own[-20:]]
    words = []
    for rank in sorted(newest.by_rank, key=lambda rank: (rank == "", rank)):
        text = (_RANK.sub("", line, count=1) for line in newest.by_rank[rank])
        words += [f"--- {rank or 'main process'} ---", *text]
    return words


class RunFailed(KitError):
    """A session ended in another way than success."""

    def __init__(self, run: Run, status: Status, lines: list[str]) -> None:
        super().__init__(f"{run.name} ended as {status}", hint=f"{run.url}, or make pull RUN={run.name}")
        self.last_words = last_words(lines)


class Screen:
    """A context that shows lines; bars are drawn with rich where stdout is a terminal."""

    def __init__(self, *, is_terminal: bool | None = None) -> None:
        self._is_terminal = sys.stdout.isatty() if is_terminal is None else is_terminal
        self._bars: Progress | None = None
        self._task_by_name: dict[str, TaskID] = {}
        self._tenth_by_name: dict[str, int] = {}
        self._newest, self._noise = Newest(), Noise()
        self._measured: list[tuple[str, str, dict[str, object]]] = []
        self._updated = 0.0

    def __enter__(self) -> Self:
        progress.never_fail(sys.stdout, sys.stderr)
        if self._is_terminal:
            self._bars = Progress(TextColumn("{task.description}", markup=False), BarColumn(bar_width=30))
            self._bars.start()
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if not isinstance(error, RunFailed):
            self._show_tracebacks()
        if self._bars is not None:
            self._bars.stop()

    def on_line(self, stream: str, line: str) -> None:
        """Show one line of the log; without a terminal, what counts up is shown a tenth at a time."""
        if self._noise.hides(line):
            return
        found = progress.event(line) or {"event": ""}
        kind = found["event"]
        if kind == "score" and found.get("of") in range(MEASURED_ROWS + 1):
            self._measured.append((stream, line, found))
            return
        if kind in ("train", "end"):
            held, self._measured = self._measured, []
            for each in held if kind == "end" else ():
                self._show(*each)
        if kind not in ("", "end"):
            self._show_tracebacks()  # the run goes on
        self._show(stream, line, found)

    def on_update(self, stream: str, text: str) -> None:
        """Show what a progress bar of the run says by now."""
        if time.monotonic() - self._updated < UPDATE_SECONDS[self._is_terminal]:
            return
        self._updated = time.monotonic()
        if self._bars is None:
            self._print(stream, progress.visible(text))
        else:
            self._draw(self._bars, progress.visible(text[:200]), f"update {stream}", 0, 1)

    def _show(self, stream: str, line: str, found: dict[str, object]) -> None:
        kind = str(found["event"])
        done, whole = (found.get(name) for name in _COUNTS.get(kind, ("", "")))
        if not (isinstance(done, int) and isinstance(whole, int) and 0 <= done <= whole <= LARGEST_COUNT):
            for text in self._newest.feed(line):
                self._print(stream, progress.show(text))
            return
        name, tenth = f"{kind} {found.get('member', '')}", 10 * done // max(whole, 1)
        if self._bars is not None:
            self._draw(self._bars, progress.sentence(found), name, done, whole)
        elif tenth > self._tenth_by_name.get(name, -1):
            self._print(stream, progress.show(line))
        self._tenth_by_name[name] = tenth

    def _show_tracebacks(self) -> None:
        for text in self._newest.release():
            self._print("stderr", progress.visible(text))

    def _print(self, stream: str, text: str) -> None:
        if self._bars is None:
            print(text, file=sys.stderr if stream == "stderr" else sys.stdout, flush=True)
        else:
            self._bars.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def _draw(self, bars: Progress, words: str, name: str, done: int, whole: int) -> None:
        if name not in self._task_by_name:
            self._task_by_name[name] = bars.add_task("", total=whole)
        bars.update(self._task_by_name[name], completed=done, total=whole, description=words)
