"""Show figures of runs on a terminal: one width, one way to write a figure, no sentence that can draw.

It computes nothing.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from kit.progress import one_line
from kit.review import results
from kit.review.record import Judged
from kit.task import metrics

WIDTH_OF_A_FILE = 140
SWEEP = "sweep.csv"


def console() -> Console:
    """Return a console of the terminal's width, or of a fixed one where the output goes to a file."""
    return Console(width=None if sys.stdout.isatty() else WIDTH_OF_A_FILE, highlight=False)


def table(title: str, *columns: str, words: int = 1) -> Table:
    """Return an empty table whose first `words` columns hold text that may wrap, and the others figures."""
    made = Table(title=title or None, box=box.SIMPLE, title_justify="left", caption_justify="left")
    for number, column in enumerate(columns):
        if number < words:
            made.add_column(column, overflow="fold")
        else:
            made.add_column(column, justify="right", no_wrap=True)
    return made


def add_figures(rows: Table, judged: Sequence[Judged], metric: str) -> None:
    """Add a row for each figure that any of `judged` has, the one that the competition ranks by first."""
    for name in metrics.shown(metric):
        if any(name in one.figures for one in judged):
            cells = (figure(one.figures.get(name), one.intervals.get(name)) for one in judged)
            rows.add_row(metrics.METRICS[name].title, *cells)


def figure(value: float | None, bounds: Sequence[float] | None = None, *, signed: bool = False) -> str:
    """Return `0.812 (0.79 to 0.84)`, or a dash for None."""
    if value is None:
        return "–"
    shown = f"{value:+.3f}" if signed else f"{value:.3f}"
    if not bounds:
        return shown
    low, high = (f"{bound:+.3f}" if signed else f"{bound:.3f}" for bound in bounds)
    return f"{shown} ({low} to {high})"


def sentence(text: object, most: int = 60) -> str:
    """Return foreign text as one short line without markup, control or direction characters."""
    words = one_line(str(text))
    return escape(words if len(words) <= most else f"{words[: most - 1]}…")


def warn_of_few(out: Console, rows: int) -> None:
    """Print the warning on figures of so few rows, where they are few."""
    if rows < results.FEW_ROWS:
        part = f"a difference of one row is {1 / rows:.1%}, so chance decides most of it"
        out.print(f"[bold]only {rows} rows[/]: {part}")


def show_sweep(folder: Path) -> None:
    """Print the points of the sweep in a run's folder; nothing where it was none."""
    path = folder / SWEEP
    if not path.is_file():
        return
    import pandas

    try:
        points = pandas.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        print(f"warning: {path} cannot be read: {' '.join(str(error).split())[:200]}")
        return
    for name in metrics.METRICS.keys() & points:
        points[name] = pandas.to_numeric(points[name], errors="coerce")
    named = [name for name in metrics.METRICS if name in points and points[name].notna().any()]
    titles = (metrics.METRICS[name].title for name in named)
    shown = table("the points of this sweep, the best first", "settings", "state", *titles, words=2)
    for point in points.to_dict("records"):
        words = (sentence(point.get(name, "–"), most=200) for name in ("settings", "state"))
        figures = (point[name] if point[name] == point[name] else None for name in named)
        shown.add_row(*words, *map(figure, figures))
    console().print(shown)
