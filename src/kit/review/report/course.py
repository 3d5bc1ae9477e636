"""Say how a run went: each member's history, the time line of its stages, the memory, how answers were read.

Where run.json or metrics.json lack something, as those of a run that failed do, the log's events stand in.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kit.review.report.charts import STAGES, Span
from kit.review.results import Results
from kit.task.parse import Unparsed, parse

GIB = 2**30


@dataclass(frozen=True)
class Member:
    """One trained model. What the files do not tell is None or empty."""

    name: str
    history: Sequence[Mapping[str, Any]]
    memory: Sequence[tuple[float, float]]
    """Seconds since the kernel began, and bytes."""
    record: Mapping[str, Any]
    """Its entry in run.json."""

    @property
    def notes(self) -> list[str]:
        """What did not go as planned, and which point of a sweep this is."""
        stopped = self.record.get("stopped")
        said = [self.record.get("settings"), f"stopped by {stopped}" if stopped else ""]
        return [str(note) for note in [*said, *(self.record.get("notes") or [])] if note]

    @property
    def lost_step(self) -> float | None:
        """The first step whose loss was not a number."""
        lost = (step["step"] for step in self.history if not math.isfinite(_number(step.get("loss"))))
        return next(lost, None)

    @property
    def last_loss(self) -> float | None:
        """The loss of the last step."""
        return _number(self.history[-1].get("loss")) if self.history else None


def members(run: Results) -> list[Member]:
    """Return every member that the files tell of, in the order of run.json."""
    records = {_name(told): told for told in run.run.get("members") or []}
    histories = {_called(key): steps for key, steps in (run.metrics.get("history") or {}).items()}
    logged: dict[str, list[Mapping[str, Any]]] = {}
    for event in run.events:
        if "member" in event and event["event"] == "step":
            logged.setdefault(_called(event["member"]), []).append(event)
    before = _before_members(run)
    return [
        Member(
            name,
            histories.get(name) or logged.get(name, []),
            [
                (before + _number(event.get("seconds")), _number(event.get("memory_bytes")))
                for event in logged.get(name, [])
                if event.get("memory_bytes")
            ],
            records.get(name, {}),
        )
        for name in dict.fromkeys([*records, *histories, *logged])
    ]


def notes(run: Results) -> list[str]:
    """Return what a reader of the members' table must know of the run as a whole, one sentence each."""
    told = run.run
    said = [f"{note}." for note in told.get("notes") or []]
    trained = [_name(record) for record in told.get("members") or []]
    behind = told.get("answered_by") or trained
    if set(behind) != set(trained):
        said.append(f"The answers are those of {', '.join(behind)}.")
    failed = told.get("failed") or {}
    said += [f"Member {name} gave no answers: {reason}." for name, reason in failed.items()]
    if told.get("unreached"):
        said.append(f"Not reached in the time: {', '.join(told['unreached'])}.")
    return said


def spans(run: Results) -> tuple[list[str], list[Span]]:
    """Return the lanes of the time line and the stages on them.

    run.json keeps durations, so stages stand one behind the other, as they run on one card.
    """
    timings = run.run.get("timings") or {}
    by_slot: dict[int, list[Mapping[str, Any]]] = {}
    for told in run.run.get("members") or []:
        by_slot.setdefault(int(told.get("slot", 0)), []).append(told.get("timings") or {})
    lanes = ["kernel", *(lane_name(run, slot) for slot in sorted(by_slot))]
    found: list[Span] = []
    now = 0.0
    for stage in STAGES[:2]:
        now = _lay(found, 0, stage, now, timings)
    for lane, slot in enumerate(sorted(by_slot), start=1):
        at = now
        for member_timings in by_slot[slot]:
            for stage in STAGES[2:]:
                at = _lay(found, lane, stage, at, member_timings)
    return lanes, found


def lane_name(run: Results, slot: int) -> str:
    """Return what a slot of the schedule is called."""
    kind, ranks = "card" if run.run.get("cards") else "CPU", run.run.get("ranks") or 1
    return f"{kind} {slot}" if ranks == 1 else f"{kind}s 0–{ranks - 1}"


def stages(run: Results) -> list[tuple[int, str, float]]:
    """Return number, name and seconds of each stage that run.json tells of, the slowest member's."""
    timings = run.run.get("timings") or {}
    return [
        (number, stage, _number(timings[stage]))
        for number, stage in enumerate(STAGES, start=1)
        if stage in timings
    ]


def answers(run: Results) -> list[dict[str, Any]]:
    """Return how the labels of held-out and test rows came about: counts by source, and why text was refused.

    In generate mode a scored row is one whose text held no clear label.
    """
    found = []
    for kind, table in (("held-out rows", run.oof), ("test rows", run.predictions)):
        if table is None:
            continue
        scored = int((table["source"] == "score").sum())
        has_text = run.config.get("predict", {}).get("mode") == "generate"
        refused = Counter[str]()
        if has_text:
            for text in table.loc[table["source"] == "score", "completion"]:
                outcome = parse(text, run.labels, run.competition.synonyms)
                # An average over members may be scored although the text kept here reads well.
                refused[outcome.reason if isinstance(outcome, Unparsed) else "another member's"] += 1
        found.append(
            {
                "kind": kind,
                "rows": len(table),
                "scored": scored,
                "parsed": len(table) - scored,
                "refused": dict(refused.most_common()),
                "has_text": has_text,
            }
        )
    return found


def label_shares(run: Results) -> list[dict[str, Any]]:
    """Return each label's share of the held-out truth, of the held-out answers and of the test answers."""
    confusion = (run.held_out or {}).get("confusion") or []
    rows = sum(map(sum, confusion))
    test = None if run.predictions is None else run.predictions["label"]
    return [
        {
            "label": label,
            "truth": sum(confusion[place]) / rows if rows else None,
            "held_out": sum(line[place] for line in confusion) / rows if rows else None,
            "test": None if test is None else float((test == label).mean()),
        }
        for place, label in enumerate(run.labels)
    ]


def _lay(found: list[Span], lane: int, stage: str, at: float, timings: Mapping[str, Any]) -> float:
    end = at + max(0.0, _number(timings.get(stage)))  # a NaN counts as none
    if end > at:
        found.append(Span(lane, stage, at, end))
    return end


def _before_members(run: Results) -> float:
    timings = run.run.get("timings") or {}
    return sum(max(0.0, _number(timings.get(stage))) for stage in STAGES[:2])


def _name(told: Mapping[str, Any]) -> str:
    return _called(told.get("name", told.get("seed", "?")))


def _called(member: object) -> str:
    """Return a member's name; a bare seed is that of a run from before members had names."""
    return f"seed-{member}" if str(member).isdigit() else str(member)


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else math.nan
