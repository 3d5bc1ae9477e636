"""Put two runs side by side: their figures, their settings, and what differs on the rows that both held out.

It reads no folder and changes nothing; which run is better is said with how sure that is.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy
from rich.table import Table

from kit.review import results, tables
from kit.review.baselines import Beside
from kit.review.record import Judged
from kit.review.results import Results
from kit.task import metrics, sums

if TYPE_CHECKING:
    from pandas import DataFrame

EXAMPLES = 20


class Difference(NamedTuple):
    """One figure of two runs on the same rows; `interval` is of `second - first`."""

    first: float
    second: float
    interval: list[float]
    better_share: float  # share of the resamples in which the second run is strictly better


class Compared(NamedTuple):
    """Two runs on the `rows` that both held out; without any, `differences` and `changed` are empty."""

    rows: int
    differences: dict[str, Difference]
    changed: DataFrame
    """`id, language, label, first, second` of the held-out rows that the two label differently."""
    test_rows: int
    test_changed: int


def compare(first: Results, second: Results) -> Compared:
    """Return what differs between the answers of two runs. Raises InputInvalid as `shared_held_out` does."""
    one, other = results.shared_held_out([first, second])
    labels, metric = first.competition.labels, first.competition.metric
    changed = one[["id", "language", "label"]].assign(first=one["predicted"], second=other["predicted"])
    changed = changed[changed["first"] != changed["second"]].reset_index(drop=True)
    here, there = results.joined([first.predictions, second.predictions])
    return Compared(
        rows=len(one),
        differences=paired(one, other, labels, metric) if len(one) else {},
        changed=changed,
        test_rows=len(here),
        test_changed=int((here["label"] != there["label"]).sum()),
    )


def paired(one: DataFrame, other: DataFrame, labels: tuple[str, ...], metric: str) -> dict[str, Difference]:
    """Return each figure of two aligned held-out tables with the paired bootstrap of the difference.

    Both runs are scored on the same resamples, so what makes a row hard for both cancels out. Figures of
    probabilities are there where both runs have probabilities.
    """
    shares = [results.probabilities(table, labels) for table in (one, other)]
    has_shares = all(share is not None for share in shares)
    sides = [
        sums.tally(
            list(table["label"]), list(table["predicted"]), labels, probability=share if has_shares else None
        )
        for table, share in zip((one, other), shares, strict=True)
    ]
    width = sides[0].shape[1]
    drawn = sums.resample(numpy.hstack(sides))
    estimates = [metrics.figures(side.sum(axis=0), labels) for side in sides]
    resampled = [metrics.figures(part, labels) for part in (drawn[:, :width], drawn[:, width:])]
    found = {}
    for name in metrics.shown(metric):
        if name in estimates[0]:
            gaps = resampled[1][name] - resampled[0][name]
            better = gaps > 0 if metrics.METRICS[name].higher_is_better else gaps < 0
            first, second = (float(side[name]) for side in estimates)
            found[name] = Difference(first, second, sums.interval(gaps), float(better.mean()))
    return found


def settings_that_differ(first: Results, second: Results) -> list[tuple[str, str, str]]:
    """Return the dotted name and both values, as JSON, of each setting that is not the same in both runs."""
    one, other = (
        {name: json.dumps(value, ensure_ascii=False) for name, value in run.run.settings.items()}
        for run in (first, second)
    )
    told = ((name, one.get(name, "–"), other.get(name, "–")) for name in one | other)
    return [(name, here, there) for name, here, there in told if here != there]


def show(first: Results, second: Results, compared: Compared, beside: Beside) -> None:
    """Print all of it, with the baselines on the shared rows and the sentences that are at hand."""
    out = tables.console()
    out.print(f"[bold]a[/] {tables.sentence(first.name)}\n[bold]b[/] {tables.sentence(second.name)}")
    out.print(_own_figures([first, second]))
    if differing := settings_that_differ(first, second):
        out.print(_words("settings that differ", ["", "a", "b"], differing))
    else:
        out.print("the settings are the same")
    if compared.rows:
        out.print(_differences(compared, beside.rivals))
        tables.warn_of_few(out, compared.rows)
        if "log_loss" not in compared.differences:
            out.print("a run read its answers out of texts, so there are no probabilities to compare")
        count = len(compared.changed)
        out.print(f"{count} of {compared.rows} held-out rows have another label in b")
        if count:
            changed = compared.changed.head(EXAMPLES).to_numpy()
            rows = [(*row, beside.text_by_id.get(row[0], "")) for row in changed]
            titles = ["id", "language", "truth", "a", "b", "sentence"]
            out.print(
                _words("", titles, rows, f"the first {EXAMPLES} of {count}" if count > EXAMPLES else "")
            )
    elif without := [run.name for run in (first, second) if run.oof.empty]:
        name = tables.sentence(without[0])
        out.print(f"{name} kept no held-out rows (oof.csv), so nothing can be paired")
    else:
        out.print("the runs share no held-out rows, so their figures are not of the same rows")
    if compared.test_rows:
        out.print(f"{compared.test_changed} of {compared.test_rows} test rows have another label in b")
    else:
        out.print("the runs answered no test row in common")


def _own_figures(runs: Sequence[Results]) -> Table:
    table = tables.table("each on its own held-out rows, with 95 % intervals", "", "a", "b")
    judged = [run.held_out for run in runs]
    table.add_row("rows", *(str(one.rows or "–") for one in judged))
    tables.add_figures(table, judged, runs[0].competition.metric)
    table.add_row("share of train seen", *(tables.figure(run.run.share_of_train_seen) for run in runs))
    table.add_row("leaderboard", *(tables.figure(run.submission.public_score) for run in runs))
    return table


def _differences(compared: Compared, baselines: Mapping[str, Judged]) -> Table:
    title = f"on the {compared.rows} rows that both held out, with the paired bootstrap"
    table = tables.table(title, "", "a", "b", "b - a", "b better", *baselines)
    for name, found in compared.differences.items():
        gap = tables.figure(found.second - found.first, found.interval, signed=True)
        rivals = (tables.figure(one.figures.get(name)) for one in baselines.values())
        sides = (tables.figure(found.first), tables.figure(found.second))
        table.add_row(metrics.METRICS[name].title, *sides, gap, f"{found.better_share:.0%}", *rivals)
    return table


def _words(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]], caption: str = "") -> Table:
    """Return a table whose cells are foreign text."""
    table = tables.table(title, *columns, words=len(columns))
    table.caption = caption or None
    for row in rows:
        table.add_row(*map(tables.sentence, row))
    return table
