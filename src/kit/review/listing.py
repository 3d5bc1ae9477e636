"""List the runs that lie below runs/: a scan of their folders, one table a competition, the best first.

It keeps no list of its own and changes nothing. A folder that cannot be read costs its own line.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from kit import progress
from kit.errors import InputInvalid
from kit.outputs import DRY_RUN, LOG_NAME
from kit.review import record, results, tables
from kit.review.record import Judged, Push, Run, Submission
from kit.task import metrics

REHEARSALS = "rehearsal"
MARKS = ("run.json", "push.json", DRY_RUN)
"""A folder with one of them is a run's; what lies inside it is the run's own."""
DEEPEST = 4
WIDE = 120
"""Columns from which a terminal shows where a run came from as well."""
TAIL = 65_536
"""Bytes at the end of a log in which its last event is looked for."""


@dataclass(frozen=True)
class Line:
    """One run: what it is, how it did, what it cost."""

    name: str
    competition: str
    metric: str
    state: str
    held_out: Judged | None
    score: float | None
    gpu_minutes: float | None
    push: Push
    preset: str
    time: float
    """When its newest record was written, in seconds since 1970."""

    @property
    def figures(self) -> dict[str, float]:
        """Its held-out figures; empty where nothing was judged."""
        return self.held_out.figures if self.held_out else {}


def scan(root: Path, *, rehearsals: bool = False) -> tuple[list[Line], list[str]]:
    """Return the runs below `root`, and what is wrong with those that cannot be read."""
    lines, broken = [], []
    for folder in _folders(root, rehearsals):
        name = folder.relative_to(root).as_posix()
        try:
            lines.append(_line(folder, name))
        except (InputInvalid, RecursionError) as error:
            broken.append(f"{name}: {error.message if isinstance(error, InputInvalid) else 'too deep'}")
    return lines, broken


def show(lines: list[Line]) -> None:
    """Print a table for each competition, that of the newest run last."""
    out = tables.console()
    newest = {one.competition: one.time for one in sorted(lines, key=lambda one: one.time)}
    for slug in sorted(newest, key=newest.__getitem__):
        own = (one for one in lines if one.competition == slug)
        _show_one(out.width, slug, sorted(own, key=lambda one: one.time))


def gpu_minutes(folder: Path, run: Run) -> float:
    """Return the minutes of GPU quota: the wall time of the session, once for any number of cards.

    From the log's last event and the install before it, else the sum of the stages; 0 on a CPU.
    """
    if not run.cards:
        return 0.0
    ended = _last_event(folder / LOG_NAME)
    seconds = sum(run.timings.values()) if ended is None else ended + run.timings.get("install", 0.0)
    return round(seconds / 60, 1)


def _folders(root: Path, rehearsals: bool) -> Iterator[Path]:
    for text, inside, names in os.walk(root):
        folder = Path(text)
        inside.sort()
        if folder != root and any(mark in names for mark in MARKS):
            inside.clear()
            yield folder
        elif len(folder.relative_to(root).parts) >= DEEPEST:
            inside.clear()
        elif folder == root and not rehearsals:
            inside[:] = [name for name in inside if name != REHEARSALS]
        inside[:] = [name for name in inside if not name.startswith(".")]


def _line(folder: Path, name: str) -> Line:
    time = max((folder / mark).stat().st_mtime for mark in MARKS if (folder / mark).is_file())
    push = record.read_push(folder)
    if (folder / "run.json").is_file():
        told = results.tell(folder)
        run, competition, held_out = told.run, told.competition, told.held_out
        state, minutes = run.state[0], gpu_minutes(folder, run)
    else:  # pushed and not at home yet, or a dry run that left nothing
        run = Run(config=record.table(push.get("config")))
        competition = record.read_competition(folder / "push.json", run.config)
        held_out, state, minutes = None, "failed" if (folder / DRY_RUN).is_file() else "not pulled", None
    return Line(
        name,
        competition.slug,
        competition.metric,
        state,
        held_out,
        Submission.model_validate(record.read_object(folder / "submission.json")).public_score,
        minutes,
        Push.model_validate(push),
        str(run.config.get("preset", "")),
        time,
    )


def _show_one(width: int, slug: str, lines: list[Line]) -> None:
    metric = lines[-1].metric  # of the newest: an older kit.toml may have named another
    lines = sorted(lines, key=lambda one: metrics.order(one.figures, metric))
    named = list(dict.fromkeys([metric, "log_loss"]))
    titles = [metrics.METRICS[name].title for name in named]
    titles = ["run", "rows", *titles, "to best", "leaderboard", "GPU min", "preset", "commit", "time"]
    shown = len(titles) if width >= WIDE else len(titles) - 3
    table = tables.table(f"{slug}, by held-out {metrics.METRICS[metric].title}", *titles[:shown])
    best = lines[0].figures.get(metric)
    for line in lines:
        own = line.figures.get(metric)
        few = "?" if line.held_out and line.held_out.rows < results.FEW_ROWS else ""
        state = "" if line.state == "complete" else f" ({line.state})"
        cells = [
            tables.sentence(line.name + state + (f": {line.push.note}" if line.push.note else ""), most=200),
            f"{line.held_out.rows}{few}" if line.held_out else "–",
            *(tables.figure(line.figures.get(name)) for name in named),
            "" if line is lines[0] or own is None or best is None else tables.figure(own - best, signed=True),
            tables.figure(line.score),
            "–" if line.gpu_minutes is None else f"{line.gpu_minutes:.0f}",
            tables.sentence(line.preset),
            tables.sentence(line.push.commit[:7] or "–") + ("*" if line.push.dirty else ""),
            f"{datetime.fromtimestamp(line.time):%Y-%m-%d %H:%M}",
        ]
        if few:
            table.caption = f"? fewer than {results.FEW_ROWS} held-out rows: chance decides most of it"
        table.add_row(*cells[:shown])
    tables.console().print(table)


def _last_event(path: Path) -> float | None:
    """Return the seconds of the log's last `end` event; None where there is none."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - TAIL))
            lines = file.read().decode("utf-8", errors="replace").split("\n")
    except OSError:
        return None
    ends = [event for line in lines if (event := progress.event(line)) and event["event"] == "end"]
    return record.number(ends[-1].get("seconds")) if ends else None
