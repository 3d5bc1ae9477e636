"""Say how a run did on rows that its models had not seen: figures, labels, languages, lengths.

It computes what the page shows and draws nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kit.review import results
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
    macro_f1: float
    log_loss: float | None


def figures(run: Results) -> list[Figure]:
    """Return the headline figures, the one that the competition ranks by first."""
    held_out = run.held_out or {}
    ranked = run.metrics.get("metric", run.competition.metric)
    names = [name for name in metrics.shown(ranked) if held_out.get(name) is not None]
    bounds = held_out.get("intervals", {})
    return [
        Figure(
            metrics.METRICS[name].title,
            metrics.METRICS[name].meaning + ("; the competition ranks by it" if name == ranked else ""),
            value=f"{held_out[name]:.3f}",
            interval="{:.3f} to {:.3f}".format(*bounds[name]) if bounds.get(name) else "",
            is_ranked=name == ranked,
        )
        for name in names
    ]


def by_language(run: Results) -> list[Language]:
    """Return the languages, the weakest first; nothing where the rows name none."""
    found = []
    for code, told in ((run.held_out or {}).get("per_language") or {}).items():
        if not code:
            continue
        low, high = told.get("intervals", {}).get("accuracy", (told["accuracy"], told["accuracy"]))
        found.append(
            Language(
                code, languages.name(code) or code, told["rows"], told["accuracy"], low, high,
                told["macro_f1"], told.get("log_loss"),
            )
        )  # fmt: skip
    return sorted(found, key=lambda one: (one.accuracy, one.code))


def by_label(run: Results) -> list[dict[str, Any]]:
    """Return each label's row of the confusion matrix, recall, precision and F1, None where undefined."""
    confusion = (run.held_out or {}).get("confusion") or []
    found = []
    for place, label in enumerate(run.labels[: len(confusion)]):
        hits, rows = confusion[place][place], sum(confusion[place])
        answers = sum(line[place] for line in confusion)
        found.append(
            {
                "label": label,
                "cells": [
                    {"count": count, "share": count / rows if rows else 0.0, "is_hit": at == place}
                    for at, count in enumerate(confusion[place])
                ],
                "rows": rows,
                "recall": hits / rows if rows else None,
                "precision": hits / answers if answers else None,
                "f1": 2 * hits / (rows + answers) if rows + answers else None,
            }
        )
    return found


def chosen(run: Results, *, test: bool = False) -> dict[bool, list[float]]:
    """Return the probability of each chosen label, of right (True) and wrong (False) answers.

    Answers of test rows all stand under True. Nothing where any label was read from text: the few rows that
    were scored then are those that gave no clear text.
    """
    table = run.predictions if test else run.oof
    found: dict[bool, list[float]] = {True: [], False: []}
    shares = None if table is None else results.probabilities(table, run.labels)
    if table is None or shares is None:
        return found
    guessed = table["label" if test else "predicted"]
    for guess, truth, row in zip(guessed, table["label"], shares, strict=True):
        found[guess == truth].append(float(row[run.labels.index(guess)]))
    return found


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


def remarks(run: Results, baselines: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return what a reader should know first, one sentence each, in order of weight."""
    held_out = run.held_out
    if not held_out:
        return []
    said = [_against_baselines(run, held_out, baselines), _weakest(held_out, by_language(run))]
    said += _sureness(chosen(run))
    return [sentence for sentence in said if sentence]


def _against_baselines(
    run: Results, held_out: Mapping[str, Any], baselines: Mapping[str, Mapping[str, Any]]
) -> str:
    metric = run.metrics.get("metric", run.competition.metric)
    rivals = {name: told[metric] for name, told in baselines.items() if metric in told}
    bounds = held_out.get("intervals", {}).get(metric)
    if not rivals or not bounds:
        return ""
    best = min(rivals, key=lambda name: metrics.order(baselines[name], metric))
    told = f"{metrics.METRICS[metric].title} of the best, {best}, is {rivals[best]:.3f}"
    low, high = bounds if metrics.METRICS[metric].higher_is_better else (-bounds[1], -bounds[0])
    rival = rivals[best] if metrics.METRICS[metric].higher_is_better else -rivals[best]
    if low > rival:
        return f"Its whole interval is better than every baseline; {told}."
    if high < rival:
        return f"Its whole interval is worse than a baseline; {told}."
    return f"{held_out['rows']:,} rows cannot tell it from the baselines; {told}, inside its interval."


def _weakest(held_out: Mapping[str, Any], spoken: Sequence[Language]) -> str:
    if len(spoken) < 2:
        return ""
    weak = [one for one in spoken if one.high < held_out["accuracy"]]
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
