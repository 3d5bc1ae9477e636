"""Show a run's log: progress bars on a terminal, plain lines elsewhere. Decides nothing.

Noise is left out, and a rank's newest traceback is kept back while it may be what the run dies of, which is
shown at the end. The log that a pull saves has all of it.
"""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

from kit import progress
from kit.remote.following.tracebacks import Newest, Noise
from kit.remote.following.watch import RunFailed

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_COUNTS = {"step": ("step", "steps"), "score": ("rows", "of"), "generate": ("rows", "of")}
"""What fills the bar of an event, and what it is full at."""
MEASURED_ROWS = 16  # A member scores so many rows before its training, only to know how fast that is
LARGEST_COUNT = 2**53
UPDATE_SECONDS = {True: 0.2, False: 30.0}
"""How often a line without an end is shown anew, on a terminal and elsewhere."""


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
            from rich.progress import BarColumn, Progress, TextColumn

            self._bars = Progress(TextColumn("{task.description}", markup=False), BarColumn(bar_width=30))
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
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
