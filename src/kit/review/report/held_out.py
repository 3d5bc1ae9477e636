"""Say how a run did on rows that its models had not seen: labels, languages, lengths, and what to know first.

It computes what the page shows and draws nothing.
"""

from __future__ import annotations

import itertools
from bisect import bisect
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from kit.review import results
from kit.review.record import Judged, Language
from kit.review.results import Results
from kit.task import languages, metrics

GROUP_ROWS = 12
"""Fewest rows of a group of lengths."""
GROUPS = 7
SURE = 0.9
"""A wrong answer with this probability is called a confident mistake."""
MISJUDGED = 0.03
"""Gap between mean probability and accuracy that is worth a remark."""


class Label(NamedTuple):
    """How the rows of one label went; None where a figure is undefined."""

    label: str
    counts: Sequence[int]
    """Of its rows, by the label that was answered."""
    rows: int
    recall: float | None
    precision: float | None
    f1: float | None


class Spoken(NamedTuple):
    """How the rows of one language went; `low` and `high` bound the accuracy."""

    code: str
    name: str
    told: Language
    accuracy: float
    low: float
    high: float


def by_language(run: Results) -> list[Spoken]:
    """Return the languages, the weakest first; nothing where the rows name none."""
    spoken = []
    for code, one in run.held_out.per_language.items() if run.held_out else ():
        if code and one.rows and one.accuracy is not None:
            bounds = one.intervals.get("accuracy", (one.accuracy, one.accuracy))
            spoken.append(Spoken(code, languages.name(code) or code, one, one.accuracy, *bounds))
    return sorted(spoken, key=lambda one: (one.accuracy, one.code))


def by_label(run: Results) -> list[Label]:
    """Return each label's row of the confusion matrix, recall, precision and F1."""
    confusion = run.held_out.confusion if run.held_out else ()
    found = []
    for place, (label, counts) in enumerate(zip(run.labels, confusion, strict=False)):
        hits, rows, answers = counts[place], sum(counts), sum(line[place] for line in confusion)
        recall, precision, f1 = (
            part / whole if whole else None
            for part, whole in ((hits, rows), (hits, answers), (2 * hits, rows + answers))
        )
        found.append(Label(label, counts, rows, recall, precision, f1))
    return found


def chosen(run: Results, *, test: bool = False) -> dict[bool, list[float]]:
    """Return the probability of each chosen label, of right (True) and wrong (False) answers.

    Answers of test rows all stand under True. Nothing where any label was read from text: the few rows that
    were scored then are those that gave no clear text.
    """
    table = run.predictions if test else run.oof
    sureness: dict[bool, list[float]] = {True: [], False: []}
    shares = None if table is None else results.probabilities(table, run.labels)
    if table is None or shares is None:
        return sureness
    guessed = table["label" if test else "predicted"]
    for guess, truth, row in zip(guessed, table["label"], shares, strict=True):
        sureness[guess == truth].append(float(row[run.labels.index(guess)]))
    return sureness


def by_length(run: Results, text_by_id: Mapping[str, str]) -> list[tuple[int, int, int, int]]:
    """Return (shortest, longest, rows, errors) of groups of about equal size, the short sentences first."""
    if run.oof is None:
        return []
    answers = zip(run.oof["id"], run.oof["predicted"], run.oof["label"], strict=True)
    known = ((text_by_id.get(name), guess != truth) for name, guess, truth in answers)
    return grouped(sorted((len(text), is_error) for text, is_error in known if text is not None))


def grouped(measured: Sequence[tuple[int, bool]]) -> list[tuple[int, int, int, int]]:
    """Return (shortest, longest, rows, errors) of sorted (length, is_error); one length stays in one group.

    Nothing where there are too few rows for a single group.
    """
    count = min(GROUPS, len(measured) // GROUP_ROWS)
    if not count:
        return []
    edges = [measured[place * len(measured) // count][0] for place in range(1, count)]
    groups = [list(group) for _, group in itertools.groupby(measured, lambda one: bisect(edges, one[0]))]
    return [(group[0][0], group[-1][0], len(group), sum(wrong for _, wrong in group)) for group in groups]


def remarks(run: Results, baselines: Mapping[str, Judged]) -> list[str]:
    """Return what a reader should know first, one sentence each, in order of weight."""
    if run.held_out is None:
        return []
    said = [
        _against_baselines(run.metric, run.held_out, baselines),
        _against_leaderboard(run, run.held_out),
        _weakest(run.held_out, by_language(run)),
        *_sureness(chosen(run)),
    ]
    return [sentence for sentence in said if sentence]


def _against_baselines(metric: str, judged: Judged, baselines: Mapping[str, Judged]) -> str:
    rivals = {name: one.figures for name, one in baselines.items() if metric in one.figures}
    if not rivals or metric not in judged.intervals:
        return ""
    best = min(rivals, key=lambda name: metrics.order(rivals[name], metric))
    sign = 1 if metrics.METRICS[metric].higher_is_better else -1
    value = sign * rivals[best][metric]
    low, high = sorted(sign * end for end in judged.intervals[metric])
    told = f"{metrics.METRICS[metric].title} of the best, {best}, is {rivals[best][metric]:.3f}"
    if low > value:
        return f"Its whole interval is better than every baseline; {told}."
    if high < value:
        return f"Its whole interval is worse than a baseline; {told}."
    return f"{judged.rows:,} rows cannot tell it from the baselines; {told}, inside its interval."


def _against_leaderboard(run: Results, judged: Judged) -> str:
    """Say why the public score and the held-out one differ: the rows they are of, and chance."""
    score, bounds = run.submission.public_score, judged.intervals.get(run.metric)
    if score is None or run.metric not in judged.figures:
        return ""
    title = metrics.METRICS[run.metric].title
    told = f"The leaderboard says {score:.3f}, the held-out rows {judged.figures[run.metric]:.3f}"
    if bounds and bounds[0] <= score <= bounds[1]:
        return f"{told}: no more apart than {title} on {judged.rows:,} rows varies by chance."
    if judged.rows < results.FEW_ROWS:
        return f"{told}: {judged.rows} rows are too few to expect the same, so this shows no leak by itself."
    return f"{told}, outside its interval: look whether test rows differ from training rows, or repeat them."


def _weakest(judged: Judged, spoken: Sequence[Spoken]) -> str:
    if len(spoken) < 2:
        return ""
    weak = [one for one in spoken if one.high < judged.figures.get("accuracy", 0.0)]
    if weak:
        named = ", ".join(f"{one.name} ({one.accuracy:.0%} of {one.told.rows})" for one in weak[:4])
        return f"Weak languages, their whole interval below the accuracy over all: {named}."
    named = f"{spoken[0].name} is lowest, {spoken[0].accuracy:.0%} of {spoken[0].told.rows} rows"
    return f"No language stands out as weak: {named}, but its interval reaches the accuracy over all."


def _sureness(chosen: Mapping[bool, Sequence[float]]) -> list[str]:
    right, wrong = chosen[True], chosen[False]
    rows = len(right) + len(wrong)
    if not rows:
        return []
    mean, accuracy = (sum(right) + sum(wrong)) / rows, len(right) / rows
    said = []
    if abs(mean - accuracy) > MISJUDGED:
        how = "surer" if mean > accuracy else "less sure"
        said.append(f"It is {how} than it is right: {mean:.0%} sure on average, {accuracy:.0%} right.")
    if sure := sum(probability >= SURE for probability in wrong):
        said.append(
            f"{sure:,} of {len(wrong):,} mistakes were made with a probability of {SURE:.0%} or more."
        )
    return said
