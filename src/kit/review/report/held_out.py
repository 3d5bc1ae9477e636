"""Say how a run did on rows that its models had not seen: remarks, labels, languages, lengths, rows to read.

It computes what the page shows and draws nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from kit.review import results
from kit.review.record import Judged
from kit.review.results import Results
from kit.task import languages, metrics

if TYPE_CHECKING:
    from pandas import DataFrame

    from kit.review.baselines import Beside

OURS = "this run"  # how the run is called beside the baselines
GROUP_ROWS = 12  # fewest rows of a group of lengths
GROUPS = 7
SURE = 0.9  # a wrong answer with this probability is called a confident mistake
PIECE, NEARER = 6, 1.2
"""Characters of a piece of text; ratio of two shares of such pieces from which the kind of rows explains."""
MISJUDGED = 0.03  # gap between mean probability and accuracy that is worth a remark
SHOWN_ROWS = 30
TEXT_LIMIT = 600  # characters of a sentence that the page shows
COMPLETION_LIMIT = 200


def by_language(run: Results) -> list[tuple[str, Judged]]:
    """Return code and figures of the languages, the weakest first; nothing where the rows name none."""
    told = run.held_out.per_language.items()
    spoken = [(code, one) for code, one in told if code and one.rows and "accuracy" in one.figures]
    return sorted(spoken, key=lambda one: (one[1].figures["accuracy"], one[0]))


def ranked(run: Results, rivals: Mapping[str, Judged]) -> list[tuple[str, Judged]]:
    """Return name and figures of this run and its rivals, the best first."""
    all_of_them = {OURS: run.held_out, **rivals}
    return sorted(all_of_them.items(), key=lambda one: metrics.order(one[1].figures, run.competition.metric))


def by_label(run: Results) -> list[tuple[str, tuple[int, ...], list[float | None]]]:
    """Return each label's row of the confusion matrix, and precision, recall and F1 where defined."""
    confusion = run.held_out.confusion
    columns = [sum(side) for side in zip(*confusion, strict=True)]
    found = []
    for place, (label, counts) in enumerate(zip(run.competition.labels, confusion, strict=False)):
        hits, rows, answers = counts[place], sum(counts), columns[place]
        parts = ((hits, answers), (hits, rows), (2 * hits, rows + answers))
        found.append((label, counts, [part / whole if whole else None for part, whole in parts]))
    return found


def chosen(run: Results) -> tuple[list[float], list[float], list[float]]:
    """Return the probability of each chosen label: of right, of wrong and of test answers.

    Nothing where any label was read from text: the few rows that were scored then are those that gave no
    clear text.
    """
    sides: list[list[float]] = []
    for table, answer in ((run.oof, "predicted"), (run.predictions, "label")):
        shares = results.probabilities(table, run.competition.labels)
        if shares is None:
            sides += [[], []]
            continue
        places = table[answer].map(run.competition.labels.index).to_numpy(int)
        own, is_right = shares[range(len(places)), places], (table[answer] == table["label"]).to_numpy()
        sides += [own[is_right].tolist(), own[~is_right].tolist()]
    return sides[0], sides[1], sides[2]


def by_length(oof: DataFrame, text_by_id: Mapping[str, str]) -> list[tuple[int, int, int, int]]:
    """Return the shortest and longest sentence, the rows and the wrong ones of groups of about one size.

    The short sentences come first; one length stays in one group.
    """
    from pandas import qcut

    lengths = oof["id"].map({name: len(text) for name, text in text_by_id.items()})
    measured = oof.assign(length=lengths, wrong=oof["label"] != oof["predicted"])
    measured = measured[["length", "wrong"]].dropna().astype(int)
    if not (count := min(GROUPS, len(measured) // GROUP_ROWS)) or measured["length"].nunique() == 1:
        return []
    groups = measured.groupby(qcut(measured["length"], count, duplicates="drop"), observed=True)
    told = groups.agg({"length": ["min", "max"], "wrong": ["size", "sum"]})
    return [(low, high, rows, errors) for low, high, rows, errors in told.to_numpy().tolist()]


def to_read(run: Results, text_by_id: Mapping[str, str]) -> tuple[DataFrame, DataFrame]:
    """Return the wrong answers, those first that gave the truth the least, and the scored rows.

    Of these the least certain come first, and those that are shown among the wrong ones are left out. Beside
    the columns of oof.csv stand `text`, and the probabilities `at_answer` and `at_truth`, NaN where none is.
    """
    table = run.oof.assign(text=run.oof["id"].map(text_by_id))
    shares = results.votes(table, run.competition.labels)
    for name, label in (("at_answer", "predicted"), ("at_truth", "label")):
        places = table[label].map(run.competition.labels.index).to_numpy(int)
        table[name] = shares[range(len(table)), places]
        table.loc[table["source"] == "parse", name] = float("nan")
    missed = table[table["label"] != table["predicted"]].sort_values(["at_truth", "id"])
    others = table.drop(missed.index[:SHOWN_ROWS]).dropna(subset="at_answer")
    return missed, others.sort_values(["at_answer", "id"])


def tag(language: str) -> str:
    """Return the value of HTML's `lang`, by which a browser chooses letters and fonts; empty for unknown."""
    return language if re.fullmatch(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*", language) else ""


def remarks(run: Results, beside: Beside) -> list[str]:
    """Return what a reader should know first, one sentence each."""
    if not run.held_out.figures:
        return []
    said = [
        _against_baselines(run.held_out, ranked(run, beside.rivals), run.competition.metric),
        _against_leaderboard(run, run.held_out, beside),
        _weakest(run.held_out, by_language(run)),
        *_sureness(*chosen(run)[:2]),
    ]
    return [sentence for sentence in said if sentence]


def _against_baselines(judged: Judged, ranked: Sequence[tuple[str, Judged]], metric: str) -> str:
    rivals = [(name, one.figures[metric]) for name, one in ranked if name != OURS and metric in one.figures]
    if not rivals or metric not in judged.intervals:
        return ""
    (best, value), (low, high) = rivals[0], judged.intervals[metric]
    told = f"{metrics.METRICS[metric].title} of the best, {best}, is {value:.3f}"
    if low <= value <= high:
        return f"{judged.rows:,} rows cannot tell it from the baselines; {told}, inside its interval."
    is_better = (low > value) is metrics.METRICS[metric].higher_is_better
    return f"Its whole interval is {'better than every' if is_better else 'worse than a'} baseline; {told}."


def wording(oof: DataFrame, train: DataFrame, test: DataFrame) -> tuple[float, float]:
    """Return the mean share of the pieces of test texts, and of a fold, that other training texts have."""
    held = train["id"].isin(oof.loc[oof["fold"] == oof["fold"].iloc[0], "id"])
    learned = {piece for text in train.loc[~held, "text"] for piece in _pieces(text)}
    shares = [
        [len(own & learned) / len(own) for text in texts if (own := _pieces(text))]
        for texts in (test["text"], train.loc[held, "text"])
    ]
    near, far = (sum(side) / len(side) if side else 0.0 for side in shares)
    return near, far


def _pieces(text: str) -> set[str]:
    return {text[at : at + PIECE] for at in range(len(text) - PIECE + 1)}


def _against_leaderboard(run: Results, judged: Judged, beside: Beside) -> str:
    """Say why the public score and the held-out one differ: chance, how many rows, and of which kind."""
    metric, score = run.competition.metric, run.submission.public_score
    if score is None or metric not in judged.figures:
        return ""
    bounds = judged.intervals.get(metric)
    told = f"The leaderboard says {score:.3f}, the held-out rows {judged.figures[metric]:.3f}"
    if bounds and bounds[0] <= score <= bounds[1]:
        title = metrics.METRICS[metric].title
        return f"{told}: no more apart than {title} on {judged.rows:,} rows varies by chance."
    told += " ({:.3f} to {:.3f} on {:,} rows)".format(*bounds, judged.rows) if bounds else ""
    if judged.rows < results.FEW_ROWS:
        return f"{told}: {judged.rows} rows are too few to expect the same, so this shows no leak by itself."
    worded = wording(run.oof, *beside.files) if beside.files else (0.0, 0.0)
    if max(worded) <= NEARER * min(worded):
        return (
            f"{told}, outside its interval: look whether test rows differ from training rows, or repeat them."
        )
    more, kind = ("more", "easier") if worded[0] > worded[1] else ("less", "harder")
    told += f": test rows are worded {more} like training rows than held-out rows are, so {kind}"
    here, there = (f"{share:.0%}" for share in worded)
    return f"{told}: {here} of their pieces of {PIECE} characters stand there, {there} of the others’."


def _weakest(judged: Judged, spoken: Sequence[tuple[str, Judged]]) -> str:
    if len(spoken) < 2:
        return ""
    overall = judged.figures.get("accuracy", 0.0)
    told = [
        f"{languages.name(code) or code} ({one.figures['accuracy']:.0%} of {one.rows})"
        for code, one in spoken
    ]
    ends = [one.intervals.get("accuracy", (0.0, 1.0))[1] for _, one in spoken]
    if weak := [words for words, end in zip(told, ends, strict=True) if end < overall]:
        return f"Weak languages, their whole interval below the accuracy over all: {', '.join(weak[:4])}."
    return f"No language stands out as weak: {told[0]} is lowest, but its interval reaches the mean of all."


def _sureness(right: Sequence[float], wrong: Sequence[float]) -> list[str]:
    said = []
    if rows := len(right) + len(wrong):
        mean, accuracy = (sum(right) + sum(wrong)) / rows, len(right) / rows
        if abs(mean - accuracy) > MISJUDGED:
            how = "surer" if mean > accuracy else "less sure"
            said.append(f"It is {how} than it is right: {mean:.0%} sure on average, {accuracy:.0%} right.")
    if sure := sum(share >= SURE for share in wrong):
        said.append(
            f"{sure:,} of {len(wrong):,} mistakes were made with a probability of {SURE:.0%} or more."
        )
    return said
