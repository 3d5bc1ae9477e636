"""The raw completions of a run are read again at home, and what a better parser would change is shown."""

from __future__ import annotations

import csv
from pathlib import Path

from kit.review.checks import completions
from kit.review.checks.facts import Facts
from kit.review.checks.problems import WARNINGS
from kit.review.checks.validate import check

HEADER = ["id", "language", "label", "source", "probability_Positive", "probability_Negative", "completion"]


def written(folder: Path, *rows: list[str]) -> list[completions.Prediction]:
    """Return what is read of predictions.csv with these rows."""
    with (folder / "predictions.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([HEADER, *rows])
    return completions.read(folder / "predictions.csv")


def test_each_completion_is_counted_once(tmp_path: Path, facts: Facts) -> None:
    """Parsed ones, each reason and the disagreements are counted, and disagreements are shown first."""
    read = written(
        tmp_path,
        ["r1", "hi", "Positive", "parse", "1.0", "0.0", " Positive"],
        ["r2", "ta", "Positive", "score", "0.7", "0.3", "not positive"],
        ["r3", "hi", "Positive", "score", "0.7", "0.3", "नकारात्मक\n"],
        ["r4", "hi", "Positive", "score", "0.7", "0.3", ""],
    )
    counts = completions.reparse(read, facts.labels, {})
    assert (counts.rows, counts.completions, counts.parsed, counts.disagreements) == (4, 4, 2, 1)
    assert {reason: count for reason, count in counts.unparsed.items() if count} == {"negated": 1, "empty": 1}
    shown = [(one.id, one.today) for one in counts.examples]
    assert shown == [("r3", "Negative"), ("r2", "negated"), ("r4", "empty")]
    shown = str(counts)
    assert "disagreeing         1" in shown
    assert "'r3' hi Positive (score), today Negative: 'नकारात्मक\\n'" in shown


def test_configured_synonyms_are_read(tmp_path: Path, facts: Facts) -> None:
    """A word of kit.toml mends a completion that had no label."""
    read = written(tmp_path, ["r1", "hi", "Negative", "score", "0.4", "0.6", "thumbs down"])
    assert completions.reparse(read, facts.labels, {}).parsed == 0
    assert completions.reparse(read, facts.labels, {"Negative": ["thumbs down"]}).parsed == 1


def test_a_scored_run_has_nothing_to_read(tmp_path: Path, facts: Facts) -> None:
    """Rows that were only scored have no completion and are not called empty answers."""
    read = written(tmp_path, ["r1", "hi", "Negative", "score", "0.4", "0.6", ""])
    counts = completions.reparse(read, facts.labels, {})
    assert (counts.completions, counts.unparsed["empty"], counts.examples) == (0, 0, [])
    assert str(counts) == "completions: none, the 1 rows were scored"


def test_at_most_twenty_examples(tmp_path: Path, facts: Facts) -> None:
    """Thirty unread completions show twenty."""
    read = written(tmp_path, *([f"r{at}", "hi", "Positive", "score", "1", "0", "?"] for at in range(30)))
    assert len(completions.reparse(read, facts.labels, {}).examples) == 20


def test_warnings_of_the_predictions(tmp_path: Path, facts: Facts, rows: list[str]) -> None:
    """Another label than submitted, and another reading than the run's are warnings."""
    read = written(
        tmp_path,
        ["r1", "hi", "Negative", "score", "0.45", "0.55", ""],
        ["r2", "ta", "Positive", "parse", "1.0", "0.0", "Negative"],
    )
    report, table = check("".join(f"{row}\n" for row in rows).encode(), facts)
    assert report.valid
    problems = completions.check(read, completions.reparse(read, facts.labels, {}), table)
    assert {problem.code: problem.message for problem in problems} == {
        "parser_differs": "today's parser reads 'Negative' for id 'r2', the run has 'Positive'",
        "predictions_differ": "line 2: id 'r1' is 'Positive', in predictions.csv 'Negative'",
    }
    assert {problem.code for problem in problems} <= WARNINGS
