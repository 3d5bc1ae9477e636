"""Show what a sweep found: its points, the best first. It judges nothing that sweep.csv does not say."""

from __future__ import annotations

from pathlib import Path

from kit.review import tables

NAME = "sweep.csv"


def show(folder: Path) -> None:
    """Print the points of the sweep in a run's folder; nothing where it was none."""
    path = folder / NAME
    if not path.is_file():
        return
    import pandas

    points = pandas.read_csv(path, dtype=str, keep_default_na=False)
    table = tables.table(
        "the points of this sweep", "settings", "state", "log loss", "macro F1", "accuracy", words=2
    )
    for _, point in points.iterrows():
        figures = [str(point.get(name, "")) for name in ("log_loss", "macro_f1", "accuracy")]
        table.add_row(
            str(point["settings"]),
            str(point["state"]),
            *(f"{float(figure):.3f}" if figure else "" for figure in figures),
        )
    tables.console().print(table)
