"""Turn what the members said into the files that a run leaves: answers, figures, and of a sweep its table.

Scores, averages and writes; run.json is `kit.pipeline.run`'s.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kit import files
from kit.config import Config, point
from kit.pipeline import events, merge, plan
from kit.pipeline.plan import Member
from kit.task import calibration, metrics, submission
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
        shown = ("rows", "accuracy", "macro_f1", "log_loss")
        events.emit("held_out", **{name: report["held_out"].get(name) for name in shown})
        if config.evaluate.calibrate:
            predicted, report["calibration"] = _calibrated(config, judged, predicted)
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


def _calibrated(
    config: Config, judged: DataFrame, predicted: DataFrame
) -> tuple[DataFrame, dict[str, Any] | None]:
    """Return the predictions under what the held-out rows ask for, and what that is; unchanged if nothing.

    Held-out figures stay those without it: it was chosen on them. Its own gains are cross-fitted.
    """
    labels = config.competition.labels
    known, asked = merge.probabilities(judged, config), merge.probabilities(predicted, config)
    if known is None or asked is None:
        return predicted, None
    folds = judged["fold"].tolist() if config.evaluate.mode == "folds" else None
    found = calibration.choose(known, judged["label"].tolist(), labels, folds, seed=config.seed)
    probabilities, positions = calibration.apply(found, asked)
    changed = predicted.copy()
    for index, label in enumerate(labels):
        changed[f"probability_{label}"] = probabilities[:, index]
    changed["label"] = [labels[position] for position in positions]
    return changed, dataclasses.asdict(found)


def _sweep(
    config: Config, members: Sequence[Answers], train: DataFrame, working: Path
) -> tuple[int, list[Answers]]:
    """Write sweep.csv, the best point first, and return that point's number and members.

    Best is the least log loss, or where texts are parsed the highest macro F1. Points that were not reached
    stand last, named as skipped.
    """
    from pandas import DataFrame

    rows = []
    for number, text in enumerate(config.run.grid):
        own = [member for member in members if member["point"] == number]
        row: dict[str, Any] = {"point": number, "settings": text, "state": "done" if own else "skipped"}
        judged = _judged(point(config, text), own, train) if own else None
        if judged is not None:
            found = _figures(point(config, text), judged)
            row |= {name: found.get(name) for name in ("rows", "log_loss", "macro_f1", "accuracy")}
        row["members"] = len(own)
        row["seconds"] = round(sum(sum(member["timings"].values()) for member in own), 1)
        rows.append(row)
    rows.sort(key=_worth)
    merge.write_csv(DataFrame(rows), working / "sweep.csv")
    events.emit("sweep", points=len(rows), best=rows[0]["settings"], log_loss=rows[0].get("log_loss"))
    best = rows[0]["point"]
    return best, [member for member in members if member["point"] == best]


def _worth(row: dict[str, Any]) -> tuple[bool, float, float]:
    loss, f1 = row.get("log_loss"), row.get("macro_f1")
    return (
        row["state"] == "skipped",
        float("inf") if loss is None else loss,
        0.0 if f1 is None else -f1,
    )


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
