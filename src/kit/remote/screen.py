"""Show a run's log: progress bars on a terminal, plain lines elsewhere. Decides nothing and keeps nothing."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Any

from kit import progress

_COUNTS = {"step": ("step", "steps"), "score": ("rows", "of"), "generate": ("rows", "of")}
"""What fills the bar of an event, and what it is full at."""


class Screen:
    """A context that shows lines; bars are drawn with rich where stdout is a terminal."""

    def __init__(self, *, is_terminal: bool | None = None) -> None:
        self._is_terminal = sys.stdout.isatty() if is_terminal is None else is_terminal
        self._bars: Any = None
        # The bar of each count on a terminal, elsewhere the tenth that was shown last.
        self._shown_by_name: dict[str, Any] = {}

    def __enter__(self) -> Screen:
        if self._is_terminal:
            from rich.progress import BarColumn, Progress, TextColumn

            self._bars = Progress(TextColumn("{task.description}", markup=False), BarColumn(bar_width=30))
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bars is not None:
            self._bars.stop()

    def on_line(self, stream: str, line: str) -> None:
        """Show one line of the log; what came from stderr goes there.

        Without a terminal, what counts up is shown a tenth at a time.
        """
        found = progress.event(line)
        counted = None if found is None else _counted(found)
        if self._bars is None:
            if counted is None or self._is_further(*counted):
                print(progress.show(line), file=sys.stderr if stream == "stderr" else sys.stdout, flush=True)
        elif found is not None and counted is not None:
            self._draw(progress.sentence(found), *counted)
        else:
            self._bars.console.print(progress.show(line), markup=False, highlight=False, soft_wrap=True)

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
    if not isinstance(done, int) or not isinstance(whole, int):
        return None
    return f"{found['event']} {found.get('member', '')}", done, whole
