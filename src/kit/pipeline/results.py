"""Turn what the members said into the files that a run leaves: answers, figures, and of a sweep its table.

Scores, averages and writes; run.json is `kit.pipeline.run`'s.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kit import files
from kit.config import Config, point
from kit.pipeline import events, merge, plan
from kit.pipeline.plan import Member
from kit.task import metrics, submission
from kit.task.submission import Columns

if TYPE_CHECKING:
    from pandas import DataFrame

SCHEMA = 1
Answers = dict[str, Any]


def write(
    config: Config,
    members: Sequence[Answers],
    train: DataFrame,
    test: DataFrame,
    working: Path,
    columns: Columns,
) -> list[Answers]:
    """Write submission.csv, predictions.csv, oof.csv and metrics.json; return the members behind them.

    Of a sweep those are the members of the best point, and sweep.csv has a row for every point.
    """
    chosen = list(members)
    if config.run.grid:
        number, chosen = _sweep(config, members, train, working)
        config = point(config, config.run.grid[number])
    predicted = merge.predictions(config, chosen, plan.keys(test, "test"), test)
    report: dict[str, Any] = {"schema": SCHEMA, "metric": config.competition.metric}
    judged = _judged(config, chosen, train)
    report["held_out"] = None if judged is None else _figures(config, judged)
    if judged is not None:
        merge.write_csv(judged, working / "oof.csv")
        shown = dict.fromkeys(("rows", "accuracy", "macro_f1", "log_loss", config.competition.metric))
        events.emit("held_out", **{name: report["held_out"].get(name) for name in shown})
    submission.write(
        working / "submission.csv",
        test,
        dict(zip(predicted["id"], predicted["label"], strict=True)),
        config.competition,
        columns,
    )
    merge.write_csv(predicted, working / "predictions.csv")
    report["test"] = {
        "rows": len(predicted),
        "labels": predicted["label"].value_counts().to_dict(),
        "sources": predicted["source"].value_counts().to_dict(),
    }
    report["history"] = {member["name"]: member["history"] for member in chosen}
    files.write_whole(
        working / "metrics.json", json.dumps(report, ensure_ascii=False, indent=1, default=float) + "\n"
    )
    return chosen


def _judged(config: Config, members: Sequence[Answers], train: DataFrame) -> DataFrame | None:
    """Return oof.csv: every training row that a member answered without having seen it, with the truth."""
    known = merge.answered(members)
    every = plan.keys(train, "train")
    held_out = train[[key in known for key in every]].reset_index(drop=True)
    if not len(held_out):
        return None
    keys = plan.keys(held_out, "train")
    table = merge.predictions(config, members, keys, held_out)
    table.insert(2, "fold", [_fold(members, key) for key in keys])
    table.insert(4, "predicted", table["label"])
    table["label"] = held_out["label"].tolist()
    return table


def _fold(members: Sequence[Answers], key: str) -> str:
    """Return the fold that a row was held out in; empty where all members held out the same rows."""
    folds = [member["fold"] for member in members if key in member["probabilities"] | member["completions"]]
    return "" if folds[0] is None else str(folds[0])


def _figures(config: Config, judged: DataFrame) -> dict[str, Any]:
    return metrics.evaluate(
        judged["label"].tolist(),
        judged["predicted"].tolist(),
        config.competition.labels,
        probability=merge.probabilities(judged, config),
        language=judged["language"].tolist() if config.competition.language else None,
    )


def _sweep(
    config: Config, members: Sequence[Answers], train: DataFrame, working: Path
) -> tuple[int, list[Answers]]:
    """Write sweep.csv, the best point first, and return that point's number and members.

    Best is by the competition's metric, then by log loss. Points that were not reached stand last, named as
    skipped.
    """
    from pandas import DataFrame

    rows = []
    for number, text in enumerate(config.run.grid):
        own = [member for member in members if member["point"] == number]
        row: dict[str, Any] = {"point": number, "settings": text, "state": "done" if own else "skipped"}
        judged = _judged(point(config, text), own, train) if own else None
        if judged is not None:
            told = _figures(point(config, text), judged)
            row |= {name: told.get(name) for name in ("rows", *metrics.shown(config.competition.metric))}
        row["members"] = len(own)
        row["seconds"] = round(sum(sum(member["timings"].values()) for member in own), 1)
        rows.append(row)
    rows.sort(key=lambda row: (row["state"] == "skipped", *metrics.order(row, config.competition.metric)))
    merge.write_csv(DataFrame(rows), working / "sweep.csv")
    events.emit("sweep", points=len(rows), best=rows[0]["settings"], log_loss=rows[0].get("log_loss"))
    best = rows[0]["point"]
    return best, [member for member in members if member["point"] == best]


def member_record(member: Answers) -> dict[str, Any]:
    """Return what run.json tells of a member."""
    told = (
        *("name", "seed", "fold", "point", "settings", "slot", "step", "steps", "stopped", "notes"),
        *("layout", "train_tokens", "bins", "peak_memory_bytes", "timings"),
    )
    return {name: member[name] for name in told}


def unreached(members: Sequence[Member], done: Sequence[Answers]) -> list[str]:
    """Return the names of the members that the time did not reach."""
    names = {member["name"] for member in done}
    return [member.name for member in members if member.name not in names]
