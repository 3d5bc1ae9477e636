"""Say how a run went: each member's history, the time line of its stages, the memory, how answers were read.

Where run.json or metrics.json lack something, as those of a run that failed do, the log's events replace it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kit.review import record
from kit.review.record import Member
from kit.review.report.charts import STAGES, Point, Span
from kit.review.results import Results
from kit.task.parse import Unparsed, parse
from kit.task.rows import Left

LANE_STAGES = 60
"""Stages of one lane that are drawn singly; of more, each stage is drawn as one."""


@dataclass(frozen=True)
class History:
    """One trained model, with its steps. What the files do not tell is None or empty."""

    name: str
    points: Sequence[Point]
    memory: Sequence[tuple[float, float]]
    """Seconds since the kernel began, and bytes."""
    member: Member

    @property
    def notes(self) -> list[str]:
        """What did not go as planned, and which point of a sweep this is."""
        stopped = f"stopped by {self.member.stopped}" if self.member.stopped else ""
        return [note for note in (self.member.settings, stopped, *self.member.notes) if note]

    @property
    def lost_step(self) -> float | None:
        """The first step whose loss was not a number."""
        return next((point.step for point in self.points if point.loss is None), None)

    @property
    def last(self) -> Point | None:
        """Its last step."""
        return self.points[-1] if self.points else None


@dataclass(frozen=True)
class Answers:
    """How the labels of some rows came about. In generate mode a scored row's text held no clear label."""

    kind: str
    rows: int
    scored: int
    parsed: int
    refused: Mapping[str, int]
    has_text: bool


@dataclass(frozen=True)
class LabelShares:
    """A label's share of the held-out truth, of the held-out answers and of the test answers."""

    label: str
    truth: float | None
    held_out: float | None
    test: float | None


def histories(run: Results, most: int) -> tuple[list[History], int]:
    """Return the first members that the files tell of, in the order of run.json, and how many there are."""
    members = {member.name: member for member in run.run.members}
    kept = run.metrics.history
    logged: dict[str, list[object]] = {}
    for event in run.events:
        if event["event"] == "step" and "member" in event:
            logged.setdefault(str(event["member"]), []).append(event)
    before = sum(max(0.0, run.run.timings.get(stage, 0.0)) for stage in STAGES[:2])
    names = list(dict.fromkeys([*members, *kept, *logged]))
    shown = [
        History(
            name,
            _points(record.items(kept.get(name)) or logged.get(name, [])),
            _memory(logged.get(name, []), before),
            members.get(name, Member(name=name)),
        )
        for name in names[:most]
    ]
    return shown, len(names)


def notes(run: Results) -> list[str]:
    """Return what a reader of the members' table must know of the run as a whole, one sentence each."""
    said = [f"{note}." for note in run.run.notes]
    trained = [member.name for member in run.run.members]
    behind = run.run.answered_by or trained
    if set(behind) != set(trained):
        said.append(f"The answers are those of {_some(behind)}.")
    if run.run.unreached:
        said.append(f"Not reached in the time: {_some(run.run.unreached)}.")
    said += [
        f"{name} failed and has no part in the answers: {reason}" for name, reason in run.run.failed.items()
    ]
    for file, left in run.run.left.items():
        counts = Left(_counts(record.table(left).get("out")), _counts(record.table(left).get("odd")))
        if counts:
            said.append(f"{file}: {counts}.")
    return said


def spans(run: Results, lanes_at_most: int = 16) -> tuple[list[str], list[Span]]:
    """Return the lanes of the time line and the stages on them.

    run.json keeps durations, so stages follow one another, as they run on one card.
    """
    by_slot: dict[int, list[dict[str, float]]] = {}
    for member in run.run.members:
        by_slot.setdefault(member.slot, []).append(member.timings)
    slots = sorted(by_slot)[:lanes_at_most]
    laid: list[Span] = []
    now = _lay(laid, 0, STAGES[:2], 0.0, run.run.timings)
    for lane, slot in enumerate(slots, start=1):
        timings = by_slot[slot]
        if len(timings) * len(STAGES[2:]) > LANE_STAGES:
            timings = [{stage: sum(one.get(stage, 0.0) for one in timings) for stage in STAGES}]
        at = now
        for one in timings:
            at = _lay(laid, lane, STAGES[2:], at, one)
    return ["kernel", *(lane_name(run, slot) for slot in slots)], laid


def lane_name(run: Results, slot: int) -> str:
    """Return what a slot of the schedule is called."""
    kind, ranks = "card" if run.run.cards else "CPU", run.run.ranks or 1
    return f"{kind} {slot}" if ranks == 1 else f"{kind}s 0–{ranks - 1}"


def stages(run: Results) -> list[tuple[int, str, float]]:
    """Return number, name and seconds of each stage that run.json tells of, the slowest member's."""
    timings = run.run.timings
    return [
        (number, stage, timings[stage]) for number, stage in enumerate(STAGES, start=1) if stage in timings
    ]


def answers(run: Results) -> list[Answers]:
    """Return how the labels of held-out and of test rows came about, and why texts were refused."""
    told = []
    has_text = run.run.settings.get("predict.mode") == "generate"
    for kind, table in (("held-out rows", run.oof), ("test rows", run.predictions)):
        if table is None:
            continue
        scored = int((table["source"] == "score").sum())
        refused = Counter[str]()
        for text in table.loc[table["source"] == "score", "completion"] if has_text else ():
            outcome = parse(text, run.labels, run.competition.synonyms)
            # An average over members may be scored although the text kept here reads well.
            refused[outcome.reason if isinstance(outcome, Unparsed) else "another member's"] += 1
        told.append(
            Answers(kind, len(table), scored, len(table) - scored, dict(refused.most_common()), has_text)
        )
    return told


def label_shares(run: Results) -> list[LabelShares]:
    """Return the shares of each label, None where there are no such rows."""
    confusion = run.held_out.confusion if run.held_out else ()
    rows = sum(map(sum, confusion))
    test = None if run.predictions is None else run.predictions["label"]
    return [
        LabelShares(
            label,
            truth=sum(confusion[place]) / rows if rows else None,
            held_out=sum(line[place] for line in confusion) / rows if rows else None,
            test=None if test is None else float((test == label).mean()),
        )
        for place, label in enumerate(run.labels[: len(confusion) or None])
    ]


def _lay(
    laid: list[Span], lane: int, stages: Sequence[str], at: float, timings: Mapping[str, float]
) -> float:
    for stage in stages:
        end = at + max(0.0, timings.get(stage, 0.0))
        if end > at:
            laid.append(Span(lane, stage, at, end))
        at = end
    return at


def _points(steps: Sequence[object]) -> list[Point]:
    told = (record.table(step) for step in steps)
    read = (Point(*(record.number(one.get(name)) for name in Point._fields)) for one in told)
    return [point for point in read if point.step is not None]


def _memory(steps: Sequence[object], before: float) -> list[tuple[float, float]]:
    told = (record.table(step) for step in steps)
    read = ((record.number(one.get("seconds")), record.number(one.get("memory_bytes"))) for one in told)
    return [(before + seconds, size) for seconds, size in read if seconds is not None and size]


def _counts(by_reason: object) -> dict[str, int]:
    return {why: int(record.number(count) or 0) for why, count in record.table(by_reason).items()}


def _some(names: Sequence[str], most: int = 12) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
