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
LARGEST_COUNT = 2**53
UPDATE_SECONDS = {True: 0.2, False: 30.0}  # of a line without an end, on a terminal and elsewhere
_RANK = re.compile(r"\[(rank ?\d+|card ?\d+)\]:? ?")  # torchrun's and the kit's own marks of a process
_ONE = r"Traceback \(most recent call last\):\n(?:[ \t].*\n)*\S.*(?:\n[ \t].*)*"
_BETWEEN = r"(?:During handling of the above exception|The above exception was the direct cause).*"
_CHAINED = re.compile(rf"^{_ONE}(?:\n+{_BETWEEN}\n+{_ONE})*", re.MULTILINE)
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


def last_words(lines: list[str]) -> list[str]:
    """Return the last traceback of each rank that left one, the unmarked at last; else the last lines."""
    by_rank: dict[str, list[str]] = {}
    for line in lines:
        mark = _RANK.match(line)
        by_rank.setdefault(mark[1] if mark else "", []).append(line[mark.end() :] if mark else line)
    words: list[str] = []
    for rank in sorted(by_rank, key=lambda rank: (rank == "", rank)):
        if found := _CHAINED.findall("\n".join(by_rank[rank])):
            text = _BUNDLED.sub(r'File "\1"', found[-1])
            words += [f"--- {rank or 'main process'} ---", *text.split("\n")]
    noise = Noise()
    own = [progress.show(line) for line in lines if not noise.hides(line)]
    return words or ["--- the last lines of the log ---", *own[-20:]]


class RunFailed(KitError):
    """A session ended in another way than success."""

    def __init__(self, run: Run, status: Status, lines: list[str]) -> None:
        super().__init__(f"{run.name} ended as {status}", hint=f"{run.url}, or make pull RUN={run.name}")
        self.last_words = last_words(lines)


class Screen:
    """A context that shows lines; bars are drawn with rich where stdout is a terminal."""

    def __init__(self, *, is_terminal: bool | None = None) -> None:
        self._is_terminal = sys.stdout.isatty() if is_terminal is None else is_terminal
        self._bars = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=30),
            disable=not self._is_terminal,
        )
        self._task_by_name: dict[str, TaskID] = {}
        self._tenth_by_name: dict[str, int] = {}
        self._noise = Noise()
        self._updated = 0.0

    def __enter__(self) -> Self:
        progress.never_fail(sys.stdout, sys.stderr)
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def on_line(self, stream: str, line: str) -> None:
        """Show one line of the log; without a terminal, what counts up is shown a tenth at a time."""
        found = progress.event(line) or {"event": ""}
        kind = found["event"]
        if self._noise.hides(line) or kind == "measure":
            return
        done, whole = (found.get(name) for name in _COUNTS.get(kind, ("", "")))
        if not (isinstance(done, int) and isinstance(whole, int) and 0 <= done <= whole <= LARGEST_COUNT):
            self._print(stream, progress.show(line))
            return
        name, tenth = f"{kind} {found.get('member', '')}", 10 * done // max(whole, 1)
        if self._is_terminal:
            self._draw(progress.sentence(found), name, done, whole)
        elif tenth > self._tenth_by_name.get(name, -1):
            self._print(stream, progress.show(line))
        self._tenth_by_name[name] = tenth

    def on_update(self, stream: str, text: str) -> None:
        """Show what a progress bar of the run says by now."""
        if time.monotonic() - self._updated < UPDATE_SECONDS[self._is_terminal]:
            return
        self._updated = time.monotonic()
        if self._is_terminal:
            self._draw(progress.visible(text[:200]), f"update {stream}", 0, 1)
        else:
            self._print(stream, progress.visible(text))

    def _print(self, stream: str, text: str) -> None:
        if self._is_terminal:
            self._bars.console.print(text, markup=False, highlight=False, soft_wrap=True)
        else:
            print(text, file=sys.stderr if stream == "stderr" else sys.stdout, flush=True)

    def _draw(self, words: str, name: str, done: int, whole: int) -> None:
        if name not in self._task_by_name:
            self._task_by_name[name] = self._bars.add_task("", total=whole)
        self._bars.update(self._task_by_name[name], completed=done, total=whole, description=words)
