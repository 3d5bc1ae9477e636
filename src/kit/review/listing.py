"""List the runs that lie below runs/: a scan of their folders, one table a competition, the best first.

It keeps no list of its own and changes nothing. A folder that cannot be read costs its own line.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from kit.errors import InputInvalid
from kit.outputs import DRY_RUN, LOG_NAME
from kit.review import record, results, tables
from kit.review.record import Judged, Push, Run, Step
from kit.task import metrics

REHEARSALS = "rehearsal"
MARKS = ("run.json", "push.json", DRY_RUN)
"""A folder with one of them is a run's; what lies inside it is the run's own."""
NOT_PULLED = "not pulled"
WIDE = 120  # columns from which a terminal shows where a run came from as well
TAIL = 65_536  # bytes at the end of a log in which its last event is looked for


@dataclass(frozen=True)
class Line:
    """One run, as `make runs JSON=1` gives it; what its files do not tell is None, empty or 0."""

    run: str
    competition: str
    state: str  # how it ended, in a word
    preset: object
    metric: str
    held_out: Mapping[str, float]
    rows: int  # held-out ones
    public_score: float | None
    gpu_minutes: float
    note: str
    commit: str
    dirty: bool
    time: str  # when its newest record was written


def scan(root: Path, *, rehearsals: bool = False) -> tuple[list[Line], list[str]]:
    """Return the runs below `root`, and what is wrong with those that cannot be read."""
    lines, broken = [], []
    for folder in _folders(root, rehearsals):
        name = folder.relative_to(root).as_posix()
        try:
            lines.append(_line(name, folder))
        except (InputInvalid, RecursionError) as error:
            broken.append(f"{name}: {error.message if isinstance(error, InputInvalid) else 'too deep'}")
    return lines, broken


def show(lines: Sequence[Line]) -> None:
    """Print a table for each competition, that of the newest run last."""
    lines = sorted(lines, key=lambda one: one.time)
    newest = {one.competition: one.time for one in lines}
    for slug in sorted(newest, key=newest.__getitem__):
        _show_one(slug, [one for one in lines if one.competition == slug])


def _folders(root: Path, rehearsals: bool) -> Iterator[Path]:
    """Yield the folders of runs, by name; a link and what lies inside a run's folder are no runs."""
    marked = {path.parent for mark in MARKS for path in root.rglob(mark)} - {root}
    for folder in sorted(marked):
        parts = folder.relative_to(root).parts
        is_hidden = any(part.startswith(".") for part in parts) or (parts[0] == REHEARSALS and not rehearsals)
        if not is_hidden and marked.isdisjoint(folder.parents):
            yield folder


def _line(name: str, folder: Path) -> Line:
    """Return what a run's files say; of one that left nothing, or nothing yet, what was asked."""
    if (folder / "run.json").is_file():
        told = results.read(folder, whole=False)
        run, push, judged = told.run, told.push or Push(), told.held_out
        competition, score = told.competition, told.submission.public_score
    else:
        push, judged, score = record.read_push(folder) or Push(), Judged(), None
        ended = "failed" if (folder / DRY_RUN).is_file() else NOT_PULLED
        run = Run(ended=ended, config=push.config)
        competition = record.read_competition(folder / "push.json", push.config)
    written = max((folder / mark).stat().st_mtime for mark in MARKS if (folder / mark).is_file())
    return Line(
        run=name,
        competition=competition.slug,
        state=run.state[0],
        preset=run.config.get("preset", ""),
        metric=competition.metric,
        held_out=judged.figures,
        rows=judged.rows,
        public_score=score,
        gpu_minutes=_gpu_minutes(run, folder / LOG_NAME),
        note=push.note,
        commit=push.commit,
        dirty=push.dirty,
        time=datetime.fromtimestamp(written).isoformat(timespec="seconds"),
    )


def _show_one(slug: str, lines: list[Line]) -> None:
    out = tables.console()
    metric = lines[-1].metric  # of the newest: an older kit.toml may have named another
    lines = sorted(lines, key=lambda one: metrics.order(one.held_out, metric))
    named = list(dict.fromkeys([metric, "log_loss"]))
    titles = [metrics.METRICS[name].title for name in named]
    titles = ["run", "rows", *titles, "to best", "leaderboard", "GPU min", "preset", "commit", "time"]
    shown = len(titles) if out.width >= WIDE else len(titles) - 3
    table = tables.table(f"{slug}, by held-out {metrics.METRICS[metric].title}", *titles[:shown])
    best = lines[0].held_out.get(metric)
    for line in lines:
        own = line.held_out.get(metric)
        state = "" if line.state == "complete" else f" ({line.state})"
        few = "?" if 0 < line.rows < results.FEW_ROWS else ""
        if few:
            table.caption = f"? fewer than {results.FEW_ROWS} held-out rows: chance decides most of it"
        cells = [
            tables.sentence(line.run + state + (f": {line.note}" if line.note else ""), most=200),
            f"{line.rows}{few}" if line.rows else "–",
            *(tables.figure(line.held_out.get(name)) for name in named),
            "" if line is lines[0] or own is None or best is None else tables.figure(own - best, signed=True),
            tables.figure(line.public_score),
            "–" if line.state == NOT_PULLED else f"{line.gpu_minutes:.0f}",
            tables.sentence(line.preset),
            tables.sentence(line.commit[:7] or "–") + ("*" if line.dirty else ""),
            line.time[:16].replace("T", " "),
        ]
        table.add_row(*cells[:shown])
    out.print(table)


def _gpu_minutes(run: Run, log: Path) -> float:
    """Return the minutes of GPU quota, once for any number of cards: by the log's end, else all stages."""
    if not run.cards:
        return 0.0
    ended = [event for event in record.events(log, TAIL) if event["event"] == "end"]
    told = Step.model_validate(ended[-1]).seconds if ended else None
    seconds = sum(run.timings.values()) if told is None else told + run.timings.get("install", 0.0)
    return round(seconds / 60, 1)
