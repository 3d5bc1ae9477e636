"""Say what a run was and how it went: settings, origin, members, time line, how answers were read.

Where run.json or metrics.json lack something, as those of a run that failed do, the log's events replace it.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from kit.config import Config, schema_names
from kit.outputs import LOG_NAME, MADE
from kit.review import record
from kit.review.record import Member, Push, Step
from kit.review.report.charts import STAGES
from kit.review.results import SCORED, Results
from kit.task.parse import Unparsed, parse

MEMBERS = 60  # members that the page shows; of more, as a long sweep has, the rest is in run.json
VALUE_LIMIT = 160  # characters of a setting that the page shows


class Span(NamedTuple):
    """One stage of one lane of the time line; seconds since the kernel began."""

    stage: str
    start: float
    end: float


def histories(run: Results) -> tuple[list[tuple[list[Step], Member]], int]:
    """Return steps and record of the first members, in the order of run.json, and how many there are."""
    members = {member.name: member for member in run.run.members}
    logged: dict[str, list[object]] = {}
    for event in record.events(run.folder / LOG_NAME):
        if event["event"] == "step" and "member" in event:
            logged.setdefault(str(event["member"]), []).append(event)
    names = list(dict.fromkeys([*members, *run.history, *logged]))
    shown = []
    for name in names[:MEMBERS]:
        told = run.history.get(name) or logged.get(name, [])
        steps = [Step.model_validate(one) for one in told if isinstance(one, dict)]
        shown.append(([one for one in steps if one.step is not None], members.get(name, Member(name=name))))
    return shown, len(names)


def spans(run: Results) -> tuple[dict[str, list[Span]], float]:
    """Return the stages of each lane, one behind another as run.json has them, and the last end."""
    lanes = {"kernel": _laid(STAGES[:2], 0.0, run.run.timings)}
    begun = lanes["kernel"][-1].end if lanes["kernel"] else 0.0
    for member in sorted(run.run.members[:MEMBERS], key=lambda one: one.slot):
        lane = lanes.setdefault(lane_name(run, member.slot), [])
        lane += _laid(STAGES[2:], lane[-1].end if lane else begun, member.timings)
    return lanes, max((span.end for lane in lanes.values() for span in lane), default=0.0)


def lane_name(run: Results, slot: int) -> str:
    """Return what a slot of the schedule is called."""
    kind, ranks = "card" if run.run.cards else "CPU", run.run.ranks
    return f"{kind} {slot}" if ranks == 1 else f"{kind}s 0–{ranks - 1}"


def answers(run: Results) -> list[tuple[str, int, int, Counter[str]]]:
    """Return which rows, how many of them were scored and how many read, and why texts were refused."""
    told = []
    for kind, table in (("held-out rows", run.oof), ("test rows", run.predictions)):
        if len(table):
            scored, refused = table[table["source"].isin(SCORED)], Counter[str]()
            for text in scored["completion"] if run.run.settings.get("predict.mode") == "generate" else ():
                outcome = parse(text, run.competition.labels, run.competition.synonyms)
                # An average over members may be scored although the text kept here reads well.
                refused[outcome.reason if isinstance(outcome, Unparsed) else "another member's"] += 1
            told.append((kind, len(scored), len(table) - len(scored), refused))
    return told


def differences(run: Results) -> list[tuple[str, str, str, str]]:
    """Return name, value, default and meaning of each setting that is not the kit's default."""
    defaults = Config(preset="", competition=run.competition).model_dump(mode="json")
    ours, theirs = run.run.settings, record.flat(defaults)
    meanings = schema_names()
    return [
        (name, _shown(ours[name]), _shown(theirs.get(name)), meanings.get(name, ""))
        for name in ours
        if name != "preset" and not name.startswith("competition.") and ours[name] != theirs.get(name)
    ]


def blend_of(run: Results) -> str:
    """Return the runs that a blend was made of, each with its weight."""
    parts = record.read(Push, run.folder / MADE).members
    return ", ".join(f"{one.run} ({one.weight:.3g})" for one in parts)


def _laid(stages: Sequence[str], at: float, timings: Mapping[str, float]) -> list[Span]:
    """Return the stages one behind the other from `at` on."""
    laid = []
    for stage in stages:
        if (seconds := timings.get(stage, 0.0)) > 0:
            laid.append(Span(stage, at, at + seconds))
            at += seconds
    return laid


def _shown(value: object) -> str:
    if value is None:
        return "–"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= VALUE_LIMIT else f"{text[:VALUE_LIMIT]}…"
