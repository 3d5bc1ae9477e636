"""Find every reason why Kaggle would refuse a submission or, worse, score something that was not meant.

One pass finds all of them. It mends nothing; that is `repair`'s.
"""

from __future__ import annotations

from pathlib import Path

from kit.review.checks import csv_reader, ids, labels, shares
from kit.review.checks.csv_reader import Table
from kit.review.checks.facts import Facts
from kit.review.checks.problems import Problem, Report


def validate(path: Path, facts: Facts) -> tuple[Report, Table | None]:
    """Return what `check` does for the file at `path`; a file that is not there is an error too."""
    try:
        data = path.read_bytes()
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror} (try: make dry-run, or make pull)"
        return Report(0, [Problem("file_missing", message)]), None
    return check(data, facts)


def check(data: bytes, facts: Facts) -> tuple[Report, Table | None]:
    """Return everything that is wrong with a submission's bytes, and the table that was read from them."""
    table, problems = csv_reader.read(data, facts)
    problems += _check_test(facts)
    if table is None:
        return Report(0, problems), None
    if table.row_count != len(facts.ids):
        message = f"{table.row_count} rows, but {len(facts.ids)} ids to answer"
        problems.append(Problem("row_count", message, abs(table.row_count - len(facts.ids))))
    problems += ids.check(table, facts)
    problems += labels.check(table, facts)
    problems += shares.check(table, facts)
    return Report(table.row_count, problems), table


def _check_test(facts: Facts) -> list[Problem]:
    """Return what the files beside the submission give reason to say."""
    problems = []
    if facts.left_out:
        message = (
            f"the run was asked for {len(facts.ids)} of {len(facts.ids) + facts.left_out} test rows and left "
            f"{facts.left_out} out on purpose; Kaggle will refuse this file"
        )
        problems.append(Problem("partial_run", message, facts.left_out))
    if facts.sample_is_stale:
        message = "the ids of sample_submission.csv are not those of test.csv; test.csv was used"
        problems.append(Problem("stale_sample", message))
    return problems
