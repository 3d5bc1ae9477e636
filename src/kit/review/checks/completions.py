"""Read every raw completion of predictions.csv again with today's parser, and compare with the run's labels.

It changes no label: it shows where a better parser, or a human, would.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kit.errors import InputInvalid
from kit.review.checks.csv_reader import Table
from kit.review.checks.problems import Problem, Spot, problems_of
from kit.task import csv_file
from kit.task.parse import REASONS, Unparsed, parse

EXAMPLES = 20
LOW_CONFIDENCE = 0.6
"""A row whose likeliest label has a lower probability is called a low-confidence row."""
MANY = 0.1
"""Share of low-confidence rows above which they are worth a warning."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """One row of predictions.csv."""

    line: int
    id: str
    language: str
    label: str
    source: str
    completion: str
    confidence: float | None
    """Probability of the likeliest label, or None where the file has none."""


def read(path: Path) -> list[Prediction]:
    """Return the rows of predictions.csv. Raises InputInvalid."""
    records = csv_file.records(path)
    _, header = next(records, (0, []))
    at = csv_file.positions(path, header, ["id", "label", "completion"])
    probabilities = [place for name, place in at.items() if name.startswith("probability_")]
    predictions = []
    for line, fields in records:
        if len(fields) != len(header):
            raise InputInvalid(
                f"{path}:{line}: {len(fields)} fields under a header of {len(header)}", hint="make pull"
            )
        try:
            confidence = max((float(fields[place]) for place in probabilities), default=None)
        except ValueError as error:
            raise InputInvalid(f"{path}:{line}: {error}", hint="make pull") from None
        language, source = (fields[at[name]] if name in at else "" for name in ("language", "source"))
        label, completion = fields[at["label"]], fields[at["completion"]]
        predictions.append(
            Prediction(line, fields[at["id"]], language, label, source, completion, confidence)
        )
    return predictions


def reparse(
    predictions: Sequence[Prediction], labels: Sequence[str], synonyms: Mapping[str, Sequence[str]]
) -> dict[str, Any]:
    """Return counts of completions, parsed ones and reasons, the disagreements, and examples of both.

    A run that only scored wrote no completions; then there is nothing to parse.
    """
    spoken = [one for one in predictions if one.completion or one.source == "parse"]
    if spoken:
        spoken = list(predictions)
    reasons = Counter[str]()
    differing = []
    unread = []
    for one in spoken:
        outcome = parse(one.completion, labels, synonyms)
        if isinstance(outcome, Unparsed):
            reasons[outcome.reason] += 1
            unread.append((one, outcome.reason))
        elif outcome != one.label:
            differing.append((one, outcome))
    shown = (differing + unread)[:EXAMPLES]
    return {
        "rows": len(predictions),
        "completions": len(spoken),
        "parsed": len(spoken) - reasons.total(),
        "unparsed": {reason: reasons[reason] for reason in REASONS},
        "disagreements": len(differing),
        "examples": [
            {
                "id": one.id,
                "language": one.language,
                "label": one.label,
                "source": one.source,
                "today": outcome,
                "completion": one.completion[:200],
            }
            for one, outcome in shown
        ],
    }


def check(predictions: Sequence[Prediction], counts: Mapping[str, Any], table: Table | None) -> list[Problem]:
    """Return the warnings that predictions.csv gives reason for."""
    problems = []
    unsure = [
        Spot(one.line, one.id, f"{one.confidence:.3f}")
        for one in predictions
        if one.confidence is not None and not one.confidence >= LOW_CONFIDENCE
    ]
    if len(unsure) > MANY * len(predictions):
        what = f"{len(unsure)} of {len(predictions)} predictions have a probability below {LOW_CONFIDENCE}"
        problems += problems_of("low_confidence", lambda spot: f"{what}, the first is id {spot.id!r}", unsure)
    if counts["disagreements"]:
        first = counts["examples"][0]
        what = (
            f"today's parser reads {first['today']!r} for id {first['id']!r}, the run has {first['label']!r}"
        )
        problems.append(Problem("parser_differs", what, counts["disagreements"]))
    if table is not None:
        label_by_id = {one.id: one.label for one in predictions}
        differing = [
            Spot(number, name, label)
            for name, label, number in zip(table.ids, table.labels, table.numbers, strict=True)
            if label_by_id.get(name, label) != label
        ]
        problems += problems_of(
            "predictions_differ",
            lambda spot: (
                f"id {spot.id!r} is {spot.value!r}, in predictions.csv {label_by_id.get(spot.id or '')!r}"
            ),
            differing,
        )
    return problems


def table_lines(counts: Mapping[str, Any]) -> list[str]:
    """Return what a terminal shows of the re-parsed completions."""
    if not counts["completions"]:
        return [f"completions: none, the {counts['rows']} rows were scored"]
    lines = [f"completions    {counts['completions']:>8,}", f"  parsed       {counts['parsed']:>8,}"]
    lines += [f"  {reason:<12} {count:>8,}" for reason, count in counts["unparsed"].items() if count]
    lines.append(f"  disagreeing  {counts['disagreements']:>8,}  (today's parser against the run's label)")
    for one in counts["examples"]:
        lines.append(
            f"    {one['id']!r} {one['language']} {one['label']} ({one['source']}), today {one['today']}: "
            f"{one['completion']!r}"
        )
    return lines
