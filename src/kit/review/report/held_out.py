"""Say how a run did on rows that its models had not seen: figures, labels, languages, lengths.

It computes what the page shows and draws nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kit.review import results
from kit.review.record import Judged
from kit.review.results import Results
from kit.task import languages, metrics

GROUP_ROWS = 12
"""Fewest rows of a group of lengths."""
GROUPS = 7
SURE = 0.9
"""A wrong answer with this probability is called a confident mistake."""
MISJUDGED = 0.03
"""Gap between mean probability and accuracy that is worth a remark."""


@dataclass(frozen=True)
class Figure:
    """One headline figure, written out."""

    name: str
    meaning: str
    value: str
    interval: str
    is_ranked: bool
    """Whether the competition ranks by it."""


@dataclass(frozen=True)
class Language:
    """How the rows of one language went; `low` and `high` bound the accuracy."""

    code: str
    name: str
    rows: int
    accuracy: float
    low: float
    high: float
    macro_f1: float | None
    log_loss: float | None


@dataclass(frozen=True)
class Cell:
    """One cell of the confusion matrix; `share` is of its row."""

    count: int
    share: float
    is_hit: bool


@dataclass(frozen=True)
class Label:
    """How the rows of one label went; None where a figure is undefined."""

    label: str
    cells: Sequence[Cell]
    rows: int
    recall: float | None
    precision: float | None
    f1: float | None


def figures(run: Results) -> list[Figure]:
    """Return the headline figures, the one that the competition ranks by first."""
    if run.held_out is None:
        return []
    told, bounds = run.held_out.figures, run.held_out.intervals
    return [
        Figure(
            metrics.METRICS[name].title,
            metrics.METRICS[name].meaning
            + ("; runs are ranked by it (competition.metric)" if name == run.metric else ""),
            value=f"{told[name]:.3f}",
            interval="{:.3f} to {:.3f}".format(*bounds[name]) if name in bounds else "",
            is_ranked=name == run.metric,
        )
        for name in metrics.shown(run.metric)
        if name in told
    ]


def by_language(run: Results) -> list[Language]:
    """Return the languages, the weakest first; nothing where the rows name none."""
    spoken = []
    for code, one in run.held_out.per_language.items() if run.held_out else ():
        if code and one.rows and one.accuracy is not None:
            low, high = one.intervals.get("accuracy", (one.accuracy, one.accuracy))
            name = languages.name(code) or code
            spoken.append(Language(code, name, one.rows, one.accuracy, low, high, one.macro_f1, one.log_loss))
    return sorted(spoken, key=lambda one: (one.accuracy, one.code))


def by_label(run: Results) -> list[Label]:
    """Return each label's row of the confusion matrix, recall, precision and F1."""
    confusion = run.held_out.confusion if run.held_out else ()
    rows = []
    for place, label in enumerate(run.labels[: len(confusion)]):
        hits, count = confusion[place][place], sum(confusion[place])
        answers = sum(line[place] for line in confusion)
        rows.append(
            Label(
                label,
                [
                    Cell(one, one / count if count else 0.0, at == place)
                    for at, one in enumerate(confusion[place])
                ],
                count,
                recall=hits / count if count else None,
                precision=hits / answers if answers else None,
                f1=2 * hits / (count + answers) if count + answers else None,
            )
        )
    return rows


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
    return grouped(
        sorted(
            (len(text_by_id[name]), guess != truth) for name, guess, truth in answers if name in text_by_id
        )
    )


def grouped(measured: Sequence[tuple[int, bool]]) -> list[tuple[int, int, int, int]]:
    """Return (shortest, longest, rows, errors) of sorted (length, is_error); one length stays in one group.

    Nothing where there are too few rows for a single group.
    """
    count = min(GROUPS, len(measured) // GROUP_ROWS)
    groups: list[list[tuple[int, bool]]] = []
    for place, one in enumerate(measured if count else ()):
        is_due = place * count // len(measured) >= len(groups)
        if is_due and not (groups and groups[-1][-1][0] == one[0]):
            groups.append([])
        groups[-1].append(one)
    return [
        (group[0][0], group[-1][0], len(group), sum(is_error for _, is_error in group)) for group in groups
    ]


def remarks(run: Results, baselines: Mapping[str, Judged]) -> list[str]:
    """Return what a reader should know first, one sentence each, in order of weight."""
    judged = run.held_out
    if judged is None:
        return []
    said = [
        _against_baselines(run.metric, judged, baselines),
        _against_leaderboard(run, judged),
        _weakest(judged, by_language(run)),
        *_sureness(chosen(run)),
    ]
    return [sentence for sentence in said if sentence]


def _against_baselines(metric: str, judged: Judged, baselines: Mapping[str, Judged]) -> str:
    rivals = {name: one.figures for name, one in baselines.items() if metric in one.figures}
    if not rivals or metric not in judged.intervals:
        return ""
    best = min(rivals, key=lambda name: metrics.order(rivals[name], metric))
    sign = 1 if metrics.METRICS[metric].higher_is_better else -1
    low, high = sorted(sign * end for end in judged.intervals[metric])
    told = f"{metrics.METRICS[metric].title} of the best, {best}, is {rivals[best][metric]:.3f}"
    if low > sign * rivals[best][metric]:
        return f"Its whole interval is better than every baseline; {told}."
    if high < sign * rivals[best][metric]:
        return f"Its whole interval is worse than a baseline; {told}."
    return f"{judged.rows:,} rows cannot tell it from the baselines; {told}, inside its interval."


def _against_leaderboard(run: Results, judged: Judged) -> str:
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


def _weakest(judged: Judged, spoken: Sequence[Language]) -> str:
    if len(spoken) < 2:
        return ""
    weak = [one for one in spoken if one.high < judged.figures.get("accuracy", 0.0)]
    if weak:
        named = ", ".join(f"{one.name} ({one.accuracy:.0%} of {one.rows})" for one in weak[:4])
        return f"Weak languages, their whole interval below the accuracy over all: {named}."
    one = spoken[0]
    named = f"{one.name} is lowest, {one.accuracy:.0%} of {one.rows} rows"
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
    sure = sum(probability >= SURE for probability in wrong)
    if sure:
        said.append(
            f"{sure:,} of {len(wrong):,} mistakes were made with a probability of {SURE:.0%} or more."
        )
    return said
