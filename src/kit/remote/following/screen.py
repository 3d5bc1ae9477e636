"""Show a run's log: progress bars on a terminal, plain lines elsewhere. Decides nothing.

A rank's newest traceback is kept back while it may be what the run dies of, which is shown at the end.
"""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Any

from kit import progress
from kit.remote.following.tracebacks import Newest
from kit.remote.following.watch import RunFailed

_COUNTS = {"step": ("step", "steps"), "score": ("rows", "of"), "generate": ("rows", "of")}
"""What fills the bar of an event, and what it is full at."""
LARGEST_COUNT = 2**53
UPDATE_SECONDS = {True: 0.2, False: 30.0}
"""How often a line without an end is shown anew, on a terminal and elsewhere."""


class Screen:
    """A context that shows lines; bars are drawn with rich where stdout is a terminal."""

    def __init__(self, *, is_terminal: bool | None = None) -> None:
        self._is_terminal = sys.stdout.isatty() if is_terminal is None else is_terminal
        self._bars: Any = None
        # The bar of each count on a terminal, elsewhere the tenth that was shown last.
        self._shown_by_name: dict[str, Any] = {}
        self._newest = Newest()
        self._updated = 0.0

    def __enter__(self) -> Screen:
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
        """Show one line of the log; what came from stderr goes there.

        Without a terminal, what counts up is shown a tenth at a time.
        """
        found = progress.event(line)
        if found is not None and found["event"] != "end":
            self._show_tracebacks()  # the run goes on
        counted = None if found is None else _counted(found)
        if counted is None:
            for text in self._newest.feed(line):
                self._print(stream, progress.show(text))
        elif self._bars is not None and found is not None:
            self._draw(progress.sentence(found), *counted)
        elif self._is_further(*counted):
            self._print(stream, progress.show(line))

    def on_update(self, stream: str, text: str) -> None:
        """Show what a progress bar of the run says by now."""
        if time.monotonic() - self._updated < UPDATE_SECONDS[self._is_terminal]:
            return
        self._updated = time.monotonic()
        if self._bars is None:
            self._print(stream, progress.visible(text))
        else:
            self._draw(progress.visible(text[:200]), f"update {stream}", 0, 1)

    def _show_tracebacks(self) -> None:
        for text in self._newest.release():
            self._print("stderr", progress.visible(text))

    def _print(self, stream: str, text: str) -> None:
        if self._bars is None:
            print(text, file=sys.stderr if stream == "stderr" else sys.stdout, flush=True)
        else:
            self._bars.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def _is_further(self, name: str, done: int, whole: int) -> bool:
        """Tell whether a count has gone on by a tenth of the whole since it was last shown."""
        tenth = 10 * done // max(whole, 1)
        before = self._shown_by_name.get(name)
        self._shown_by_name[name] = tenth
        return before is None or tenth > before

    def _draw(self, words: str, name: str, done: int, whole: int) -> None:
        if name not in self._shown_by_name:
            self._shown_by_name[name] = self._bars.add_task("", total=whole)
        self._bars.update(self._shown_by_name[name], completed=done, total=whole, description=words)


def _counted(found: dict[str, Any]) -> tuple[str, int, int] | None:
    """Return what an event counts, how far it is and how far it goes; None for any other event."""
    done, whole = (found.get(name) for name in _COUNTS.get(found["event"], ("", "")))
    if not isinstance(done, int) or not isinstance(whole, int) or not 0 <= done <= whole <= LARGEST_COUNT:
        return None
    return f"{found['event']} {found.get('member', '')}", done, whole
