"""List the runs that lie below runs/: a scan of their folders, one table a competition, the best first.

It keeps no list of its own and changes nothing. A folder that cannot be read costs its own line.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from kit import progress
from kit.errors import InputInvalid
from kit.outputs import DRY_RUN, LOG_NAME
from kit.review import record, results, tables
from kit.review.record import Figures, Push, Run, Step, Submission
from kit.review.results import Results
from kit.task import metrics

REHEARSALS = "rehearsal"
MARKS = ("run.json", "push.json", DRY_RUN)
"""A folder with one of them is a run's; what lies inside it is the run's own."""
DEEPEST = 4
NOT_PULLED = "not pulled"
WIDE = 120
"""Columns from which a terminal shows where a run came from as well."""
TAIL = 65_536
"""Bytes at the end of a log in which its last event is looked for."""


@dataclass(frozen=True)
class Line:
    """One run, and when its newest record was written, in seconds since 1970."""

    name: str
    told: Results
    time: float

    @property
    def state(self) -> str:
        """How it ended, in a word."""
        return self.told.run.state[0]

    @property
    def figures(self) -> dict[str, float]:
        """Its held-out figures; empty where nothing was judged."""
        return self.told.held_out.figures if self.told.held_out else {}

    @property
    def gpu_minutes(self) -> float:
        """The minutes of GPU quota: the wall time of the session, once for any number of cards.

        From the log's last event and the install before it, else the sum of the stages; 0 on a CPU.
        """
        timings = self.told.run.timings
        if not self.told.run.cards:
            return 0.0
        ended = _last_event(self.told.folder / LOG_NAME)
        seconds = sum(timings.values()) if ended is None else ended + timings.get("install", 0.0)
        return round(seconds / 60, 1)


def scan(root: Path, *, rehearsals: bool = False) -> tuple[list[Line], list[str]]:
    """Return the runs below `root`, and what is wrong with those that cannot be read."""
    lines, broken = [], []
    for folder in _folders(root, rehearsals):
        name = folder.relative_to(root).as_posix()
        try:
            time = max((folder / mark).stat().st_mtime for mark in MARKS if (folder / mark).is_file())
            lines.append(Line(name, _tell(folder), time))
        except (InputInvalid, RecursionError) as error:
            broken.append(f"{name}: {error.message if isinstance(error, InputInvalid) else 'too deep'}")
    return lines, broken


def facts(line: Line) -> dict[str, object]:
    """Return what a program may want of a run, in plain values."""
    told, push = line.told, line.told.push or Push()
    return {
        "run": line.name,
        "competition": told.competition.slug,
        "state": line.state,
        "preset": told.run.config.get("preset", ""),
        "metric": told.metric,
        "held_out": line.figures,
        "rows": told.held_out.rows if told.held_out else 0,
        "public_score": told.submission.public_score,
        "gpu_minutes": line.gpu_minutes,
        "note": push.note,
        "commit": push.commit,
        "time": datetime.fromtimestamp(line.time).isoformat(timespec="seconds"),
    }


def show(lines: Sequence[Line]) -> None:
    """Print a table for each competition, that of the newest run last."""
    lines = sorted(lines, key=lambda one: one.time)
    newest = {one.told.competition.slug: one.time for one in lines}
    for slug in sorted(newest, key=newest.__getitem__):
        _show_one(slug, [one for one in lines if one.told.competition.slug == slug])


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


def _tell(folder: Path) -> Results:
    """Return what a run's files say; of one that left nothing, or nothing yet, what was asked."""
    if (folder / "run.json").is_file():
        return results.read(folder, whole=False)
    push = record.read_push(folder) or Push()
    ended = "failed" if (folder / DRY_RUN).is_file() else NOT_PULLED
    competition = record.read_competition(folder / "push.json", push.config)
    return Results(folder, competition, Run(ended=ended, config=push.config), Figures(), push, Submission())


def _show_one(slug: str, lines: list[Line]) -> None:
    out = tables.console()
    metric = lines[-1].told.metric  # of the newest: an older kit.toml may have named another
    lines = sorted(lines, key=lambda one: metrics.order(one.figures, metric))
    named = list(dict.fromkeys([metric, "log_loss"]))
    titles = [metrics.METRICS[name].title for name in named]
    titles = ["run", "rows", *titles, "to best", "leaderboard", "GPU min", "preset", "commit", "time"]
    shown = len(titles) if out.width >= WIDE else len(titles) - 3
    table = tables.table(f"{slug}, by held-out {metrics.METRICS[metric].title}", *titles[:shown])
    best = lines[0].figures.get(metric)
    for line in lines:
        told, push, own = line.told, line.told.push or Push(), line.figures.get(metric)
        state = "" if line.state == "complete" else f" ({line.state})"
        few = "?" if told.held_out and told.held_out.rows < results.FEW_ROWS else ""
        if few:
            table.caption = f"? fewer than {results.FEW_ROWS} held-out rows: chance decides most of it"
        cells = [
            tables.sentence(line.name + state + (f": {push.note}" if push.note else ""), most=200),
            f"{told.held_out.rows}{few}" if told.held_out else "–",
            *(tables.figure(line.figures.get(name)) for name in named),
            "" if line is lines[0] or own is None or best is None else tables.figure(own - best, signed=True),
            tables.figure(told.submission.public_score),
            "–" if line.state == NOT_PULLED else f"{line.gpu_minutes:.0f}",
            tables.sentence(told.run.config.get("preset", "")),
            tables.sentence(push.commit[:7] or "–") + ("*" if push.dirty else ""),
            f"{datetime.fromtimestamp(line.time):%Y-%m-%d %H:%M}",
        ]
        table.add_row(*cells[:shown])
    out.print(table)


def _last_event(path: Path) -> float | None:
    """Return the seconds of the log's last `end` event; None where there is none."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - TAIL))
            lines = file.read().decode("utf-8", errors="replace").split("\n")
    except OSError:
        return None
    ends = [event for line in lines if (event := progress.event(line)) and event["event"] == "end"]
    return Step.model_validate(ends[-1]).seconds if ends else None
