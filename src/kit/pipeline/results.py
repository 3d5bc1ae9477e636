"""Turn what the members said into the files that a run leaves: answers, figures, and of a sweep its table.

Scores, averages and writes; run.json is `kit.pipeline.run`'s.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kit.config import Config, point
from kit.pipeline import answers, events, plan
from kit.pipeline.answers import Answers, giving_way, write_first
from kit.task import metrics, submission
from kit.task.submission import Columns

if TYPE_CHECKING:
    from pandas import DataFrame

SCHEMA = 1
Figures = dict[str, object]


def write(
    config: Config,
    members: Sequence[Answers],
    train: DataFrame,
    test: DataFrame,
    working: Path,
    columns: Columns,
    failed: Collection[str] = (),
) -> list[Answers]:
    """Write submission.csv, predictions.csv, oof.csv and metrics.json; return the members behind them.

    Of a sweep those are the members of the best point, and sweep.csv has a row for every point; `failed` are
    the names of members that gave no answers. On a full disk adapters give way; the submission comes first.
    """
    chosen = list(members)
    tables: dict[str, DataFrame] = {}
    if config.run.grid:
        number, chosen, tables["sweep.csv"] = _sweep(config, members, train, failed)
        config = point(config, config.run.grid[number])
    predicted = answers.predictions(config, chosen, plan.keys(test, "test"), test)
    report: Figures = {"schema": SCHEMA, "metric": config.competition.metric, "held_out": None}
    judged = _judged(config, chosen, train)
    if judged is not None:
        tables["oof.csv"] = judged
        report["held_out"] = figures = _figures(config, judged)
        shown = dict.fromkeys(("rows", "accuracy", "macro_f1", "log_loss", config.competition.metric))
        events.emit("held_out", **{name: figures.get(name) for name in shown})
    path, ids = working / "submission.csv", test["id"].tolist()
    giving_way(working, lambda: submission.write(path, ids, predicted, config.competition, columns))
    report["test"] = {
        "rows": len(predicted),
        "labels": predicted["label"].value_counts().to_dict(),
        "sources": predicted["source"].value_counts().to_dict(),
    }
    report["history"] = {member.name: member.trained.history for member in chosen}
    for name, table in [("predictions.csv", predicted), *tables.items()]:
        write_first(working / name, answers.csv_text(table), working)
    text = json.dumps(report, ensure_ascii=False, indent=1, default=float) + "\n"
    write_first(working / "metrics.json", text, working)
    return chosen


def _judged(config: Config, members: Sequence[Answers], train: DataFrame) -> DataFrame | None:
    """Return oof.csv: every training row that a member answered without having seen it, with the truth."""
    fold_by_key = {key: member.fold for member in reversed(members) for key in member.keys}
    every = plan.keys(train, "train")
    held_out = train[[key in fold_by_key for key in every]].reset_index(drop=True)
    if not len(held_out):
        return None
    keys = plan.keys(held_out, "train")
    table = answers.predictions(config, members, keys, held_out)
    folds = [fold_by_key[key] for key in keys]
    table.insert(2, "fold", ["" if fold is None else str(fold) for fold in folds])
    table.insert(4, "predicted", table["label"])
    table["label"] = held_out["label"].tolist()
    return table


def _figures(config: Config, judged: DataFrame) -> Figures:
    return metrics.evaluate(
        judged["label"].tolist(),
        judged["predicted"].tolist(),
        config.competition.labels,
        probability=answers.probabilities(judged, config),
        language=judged["language"].tolist() if config.competition.language else None,
    )


def _sweep(
    config: Config, members: Sequence[Answers], train: DataFrame, failed: Collection[str]
) -> tuple[int, list[Answers], DataFrame]:
    """Return the best point's number and members, and sweep.csv, the best point first.

    Best is by the competition's metric, then by log loss. Points that failed or were not reached come last,
    with that state.
    """
    from pandas import DataFrame

    rows: list[tuple[tuple[bool, bool, float, float], Figures]] = []
    for number, text in enumerate(config.run.grid):
        own = [member for member in members if member.point == number]
        has_failed = any(name.startswith(f"point-{number}-") for name in failed)
        state = "done" if own else "failed" if has_failed else "skipped"
        judged = _judged(point(config, text), own, train) if own else None
        figures: Figures = {} if judged is None else _figures(point(config, text), judged)
        seconds = round(sum(sum(member.timings.values()) for member in own), 1)
        shown = [name for name in ("rows", *metrics.shown(config.competition.metric)) if name in figures]
        row: Figures = {"point": number, "settings": text, "state": state}
        row |= {name: figures[name] for name in shown} | {"members": len(own), "seconds": seconds}
        rows.append(((not own, *metrics.order(figures, config.competition.metric)), row))
    best = min(range(len(rows)), key=lambda number: rows[number][0])
    table = DataFrame([row for _, row in sorted(rows, key=lambda each: each[0])])
    events.emit("sweep", points=len(rows), best=config.run.grid[best], log_loss=rows[best][1].get("log_loss"))
    return best, [member for member in members if member.point == best], table
