"""Show what a sweep found: its points, the best first. It judges nothing that sweep.csv does not say."""

from __future__ import annotations

from pathlib import Path

from kit.review import tables
from kit.task import metrics

NAME = "sweep.csv"


def show(folder: Path) -> None:
    """Print the points of the sweep in a run's folder; nothing where it was none."""
    path = folder / NAME
    if not path.is_file():
        return
    import pandas

    try:
        points = pandas.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        print(f"warning: {path} cannot be read: {' '.join(str(error).split())[:200]}")
        return
    named = [name for name in metrics.METRICS if name in points]
    points[named] = points[named].apply(pandas.to_numeric, errors="coerce")
    named = [name for name in named if points[name].notna().any()]
    titles = (metrics.METRICS[name].title for name in named)
    table = tables.table("the points of this sweep, the best first", "settings", "state", *titles, words=2)
    for point in points.to_dict("records"):
        words = (tables.sentence(point.get(name, "–"), most=200) for name in ("settings", "state"))
        figures = (point[name] if point[name] == point[name] else None for name in named)
        table.add_row(*words, *map(tables.figure, figures))
    tables.console().print(table)
