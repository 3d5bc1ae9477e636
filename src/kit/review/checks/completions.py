"""Read every raw completion of predictions.csv again with today's parser, and compare with the run's labels.

It changes no label: it shows where a better parser, or a human, would.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from kit.review import record
from kit.review.checks.csv_reader import Table
from kit.review.checks.problems import Problem, Spot, problems_of
from kit.task.parse import REASONS, Unparsed, parse

EXAMPLES = 20


@dataclass(slots=True)
class Prediction:
    """One row of predictions.csv."""

    line: int
    id: str
    language: str
    label: str
    source: str
    completion: str
    today: str = ""  # what today's parser reads, or why it reads nothing, where that is not the label


@dataclass(frozen=True)
class Reread:
    """What today's parser makes of a run's completions."""

    rows: int
    completions: int
    parsed: int
    unparsed: dict[str, int]  # completions by the reason of their refusal
    disagreements: int
    examples: list[Prediction]

    def __str__(self) -> str:
        if not self.completions:
            return f"completions: none, the {self.rows} rows were scored"
        lines = [f"completions    {self.completions:>8,}", f"  parsed       {self.parsed:>8,}"]
        lines += [f"  {reason:<12} {count:>8,}" for reason, count in self.unparsed.items() if count]
        lines.append(f"  disagreeing  {self.disagreements:>8,}  (today's parser against the run's label)")
        lines += [
            f"    {one.id!r} {one.language} {one.label} ({one.source}), today {one.today}: {one.completion!r}"
            for one in self.examples
        ]
        return "\n".join(lines)


def read(path: Path) -> list[Prediction]:
    """Return the rows of predictions.csv. Raises InputInvalid."""
    names = ("id", "language", "label", "source", "completion")
    found = record.table_rows(path, ["id", "label", "completion"])
    return [Prediction(line, *(row.get(name, "") for name in names)) for line, row in found]


def reparse(
    predictions: Sequence[Prediction], labels: Sequence[str], synonyms: Mapping[str, Sequence[str]]
) -> Reread:
    """Return what today's parser makes of the completions; a run that only scored wrote none."""
    has_text = any(one.completion or one.source == "parse" for one in predictions)
    reasons = Counter[str]()
    differing, unread = [], []
    for one in predictions if has_text else ():
        outcome = parse(one.completion, labels, synonyms)
        if isinstance(outcome, Unparsed):
            reasons[outcome.reason] += 1
            unread.append(replace(one, today=outcome.reason))
        elif outcome != one.label:
            differing.append(replace(one, today=outcome))
    completions = len(predictions) if has_text else 0
    return Reread(
        rows=len(predictions),
        completions=completions,
        parsed=completions - reasons.total(),
        unparsed={reason: reasons[reason] for reason in REASONS},
        disagreements=len(differing),
        examples=[replace(one, completion=one.completion[:200]) for one in (differing + unread)[:EXAMPLES]],
    )


def check(predictions: Sequence[Prediction], counts: Reread, table: Table | None) -> list[Problem]:
    """Return the warnings that predictions.csv gives reason for."""
    problems = []
    if counts.disagreements:
        first = counts.examples[0]
        what = f"today's parser reads {first.today!r} for id {first.id!r}, the run has {first.label!r}"
        problems.append(Problem("parser_differs", what, counts.disagreements))
    if table is not None:
        label_by_id = {one.id: one.label for one in predictions}
        differing = [
            Spot(number, name, label)
            for name, label, number in zip(table.ids, table.labels, table.numbers, strict=True)
            if label and label_by_id.get(name, label) != label
        ]
        predicted = label_by_id[differing[0].id or ""] if differing else ""
        words = "id {id!r} is {value!r}, in predictions.csv {predicted!r}"
        problems += problems_of("predictions_differ", words, differing, predicted=predicted)
    return problems
