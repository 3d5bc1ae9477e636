"""Show what a sweep found: its points, the best first. It judges nothing that sweep.csv does not say."""

from __future__ import annotations

from pathlib import Path

from kit.review import record, tables
from kit.task import metrics

NAME = "sweep.csv"


def show(folder: Path) -> None:
    """Print the points of the sweep in a run's folder; nothing where it was none."""
    path = folder / NAME
    if not path.is_file():
        return
    import pandas

    try:
        points = pandas.read_csv(path, dtype=str, keep_default_na=False).to_dict("records")
    except (OSError, ValueError) as error:
        print(f"warning: {path} cannot be read: {' '.join(str(error).split())[:200]}")
        return
    named = [
        name
        for name in metrics.METRICS
        if any(record.number(point.get(name)) is not None for point in points)
    ]
    titles = (metrics.METRICS[name].title for name in named)
    table = tables.table("the points of this sweep, the best first", "settings", "state", *titles, words=2)
    for point in points:
        words = (tables.sentence(point.get(name, "–"), most=200) for name in ("settings", "state"))
        table.add_row(*words, *(tables.figure(record.number(point.get(name))) for name in named))
    tables.console().print(table)
