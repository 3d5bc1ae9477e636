"""Say how a run did on rows that its models had not seen: remarks, labels, languages, lengths, rows to read.

It computes what the page shows and draws nothing.
"""

from __future__ import annotations

import itertools
import re
from bisect import bisect
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from kit.review import results
from kit.review.record import Judged
from kit.review.results import Results
from kit.task import languages, metrics

if TYPE_CHECKING:
    from pandas import DataFrame

GROUP_ROWS = 12
"""Fewest rows of a group of lengths."""
GROUPS = 7
SURE = 0.9
"""A wrong answer with this probability is called a confident mistake."""
PIECE, NEARER = 6, 1.2
"""Characters of a piece of text; ratio of two shares of such pieces from which the kind of rows explains."""
MISJUDGED = 0.03
"""Gap between mean probability and accuracy that is worth a remark."""


TAG_BY_CODE = {"bd": "brx", "zh": "zh-Hans"}
"""Where a data set's code is not the tag of BCP 47; a bare `zh` leaves the shapes of the characters open."""
SHOWN_ROWS = 30
TEXT_LIMIT = 600
"""Characters of a sentence that the page shows."""
COMPLETION_LIMIT = 200


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
    told: Judged
    accuracy: float
    low: float
    high: float


class Row(NamedTuple):
    """One held-out row to read."""

    id: str
    text: str | None
    """None where train.csv is not at hand."""
    length: int
    """Characters of the whole sentence, of which `text` may be the beginning."""
    tag: str
    language: str
    fold: str
    truth: str
    predicted: str
    probability: float | None
    """Of the predicted label; None where the label was read from text."""
    at_truth: float | None
    completion: str


def by_language(run: Results) -> list[Spoken]:
    """Return the languages, the weakest first; nothing where the rows name none."""
    spoken = []
    for code, one in run.held_out.per_language.items() if run.held_out else ():
        accuracy = one.figures.get("accuracy")
        if code and one.rows and accuracy is not None:
            bounds = one.intervals.get("accuracy", (accuracy, accuracy))
            spoken.append(Spoken(code, languages.name(code) or code, one, accuracy, *bounds))
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


def to_read(run: Results, text_by_id: Mapping[str, str]) -> tuple[list[Row], list[Row]]:
    """Return the wrong answers, those first that gave the truth the least, and the scored rows.

    Of these the least certain come first, and those that are shown among the wrong ones are left out.
    """
    rows = _rows(run, text_by_id)
    missed = [row for row in rows if row.truth != row.predicted]
    missed.sort(key=lambda row: (2.0 if row.at_truth is None else row.at_truth, row.id))
    shown = {row.id for row in missed[:SHOWN_ROWS]}
    scored = [row for row in rows if row.probability is not None and row.id not in shown]
    return missed, sorted(scored, key=lambda row: (row.probability, row.id))


def tag(language: str) -> str:
    """Return the value of HTML's `lang`, by which a browser chooses letters and fonts; empty for unknown."""
    if re.fullmatch(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*", language):
        return TAG_BY_CODE.get(language, language)
    spoken = languages.name(language)
    codes = [code for code, name in languages.NAME_BY_CODE.items() if name == spoken and spoken]
    return TAG_BY_CODE.get(codes[0], codes[0]) if codes else ""


def remarks(run: Results, baselines: Mapping[str, Judged], worded: tuple[float, float] | None) -> list[str]:
    """Return what a reader should know first, one sentence each; `worded` is what `wording` gives."""
    if run.held_out is None:
        return []
    said = [
        _against_baselines(run.metric, run.held_out, baselines),
        _against_leaderboard(run, run.held_out, worded),
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


def wording(oof: DataFrame, train: DataFrame, test: Sequence[str]) -> tuple[float, float]:
    """Return the mean share of the pieces of test texts, and of a fold, that other training texts have."""
    held = train["id"].isin(oof.loc[oof["fold"] == oof["fold"].iloc[0], "id"])
    learned = {piece for text in train.loc[~held, "text"] for piece in _pieces(text)}
    shares = [
        [len(own & learned) / len(own) for text in texts if (own := _pieces(text))]
        for texts in (test, train.loc[held, "text"])
    ]
    near, far = (sum(side) / len(side) if side else 0.0 for side in shares)
    return near, far


def _pieces(text: str) -> set[str]:
    return {text[at : at + PIECE] for at in range(len(text) - PIECE + 1)}


def _against_leaderboard(run: Results, judged: Judged, worded: tuple[float, float] | None) -> str:
    """Say why the public score and the held-out one differ: chance, how many rows, and of which kind."""
    score, bounds = run.submission.public_score, judged.intervals.get(run.metric)
    if score is None or run.metric not in judged.figures:
        return ""
    told = f"The leaderboard says {score:.3f}, the held-out rows {judged.figures[run.metric]:.3f}"
    if bounds and bounds[0] <= score <= bounds[1]:
        title = metrics.METRICS[run.metric].title
        return f"{told}: no more apart than {title} on {judged.rows:,} rows varies by chance."
    told += " ({:.3f} to {:.3f} on {:,} rows)".format(*bounds, judged.rows) if bounds else ""
    if judged.rows < results.FEW_ROWS:
        return f"{told}: {judged.rows} rows are too few to expect the same, so this shows no leak by itself."
    if worded and max(worded) > NEARER * min(worded):
        how = (
            "more like training rows than held-out rows are, so easier"
            if worded[0] > worded[1]
            else ("less like training rows than held-out rows are, so harder")
        )
        test, held = worded
        kind = (
            f"{test:.0%} of their pieces of {PIECE} characters stand there, {held:.0%} of the held-out rows’"
        )
        return f"{told}: test rows are worded {how}: {kind}."
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


def _rows(run: Results, text_by_id: Mapping[str, str]) -> list[Row]:
    found = []
    for told in run.oof.to_dict("records") if run.oof is not None else ():
        text = text_by_id.get(told["id"])
        is_scored = told["source"] != "parse"
        probability, at_truth = (told[f"probability_{told[name]}"] for name in ("predicted", "label"))
        found.append(
            Row(
                id=told["id"],
                text=None if text is None else text[:TEXT_LIMIT],
                length=len(text or ""),
                tag=tag(told["language"]),
                language=languages.name(told["language"]) or told["language"],
                fold=told["fold"],
                truth=told["label"],
                predicted=told["predicted"],
                probability=probability if is_scored else None,
                at_truth=at_truth if is_scored else None,
                completion=told["completion"][:COMPLETION_LIMIT],
            )
        )
    return found
