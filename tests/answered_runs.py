"""Write the folder of a run from a few answers that a test spells out, with no more in it than it needs."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LABELS = ("Positive", "Negative")


@dataclass(frozen=True)
class Answer:
    """One row: the probability of the first of two labels, and for a held-out row its truth."""

    id: str
    share: float
    truth: str = ""
    fold: str = ""
    language: str = "hi"
    source: str = "score"


def answers(
    shares: Sequence[float], truth: str = "", *, start: int = 0, source: str = "score"
) -> list[Answer]:
    """Return rows `r0`, `r1`, … ; `truth` has one letter a row, P or N."""
    names = {"P": "Positive", "N": "Negative"}
    return [
        Answer(f"r{start + at}", share, names[truth[at]] if truth else "", source=source)
        for at, share in enumerate(shares)
    ]


def write(
    folder: Path,
    *,
    test: Sequence[Answer] = (),
    held_out: Sequence[Answer] | None = None,
    labels: Sequence[str] = LABELS,
    settings: dict[str, Any] | None = None,
    push: dict[str, Any] | None = None,
    judged: dict[str, Any] | None = None,
    **record: Any,
) -> Path:
    """Write run.json, metrics.json and the tables of the answers; `record` adds to run.json."""
    folder.mkdir(parents=True)
    competition = {
        "slug": "reviews", "id": "ID", "text": "sentence", "label": "label", "language": "language",
        "labels": list(labels),
    }  # fmt: skip
    config = {"preset": "tiny", "seed": 42, "competition": competition, "evaluate": {"mode": "holdout"}}
    config |= settings or {}
    told = {"schema": 1, "bundle_hash": "b" * 64, "config": config, "cards": [], "ended": "complete"}
    dump(folder / "run.json", told | record)
    dump(folder / "metrics.json", {"schema": 1, "metric": "macro_f1", "held_out": judged, "history": {}})
    if push is not None:
        dump(folder / "push.json", {"schema": 1, "config": config, **push})
    if test:
        _write_csv(folder / "predictions.csv", test, labels, ["id", "language", "label", "source"])
    if held_out is not None:
        columns = ["id", "language", "fold", "label", "predicted", "source"]
        _write_csv(folder / "oof.csv", held_out, labels, columns)
    return folder


def dump(path: Path, value: object) -> None:
    """Write JSON."""
    path.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")


def _write_csv(path: Path, rows: Sequence[Answer], labels: Sequence[str], columns: Sequence[str]) -> None:
    names = [*columns, *(f"probability_{label}" for label in labels), "completion"]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(names)
        for row in rows:
            likeliest = labels[0] if row.share >= 0.5 else labels[1]
            told = {
                "id": row.id, "language": row.language, "fold": row.fold, "source": row.source,
                "label": row.truth if "predicted" in columns else likeliest, "predicted": likeliest,
            }  # fmt: skip
            shares = [f"{row.share:.6f}", f"{1 - row.share:.6f}"]
            writer.writerow([*(told[name] for name in columns), *shares, ""])
