"""Find every reason why Kaggle would refuse a submission or, worse, score something that was not meant.

One pass finds all of them, by the settings of the run that wrote the file; it mends nothing.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from kit.config import Competition
from kit.review import record, results
from kit.review.checks import answers, completions, csv_reader, facts, ids
from kit.review.checks.csv_reader import Table
from kit.review.checks.facts import Facts
from kit.review.checks.problems import Problem, Verdict
from kit.review.record import Run

Places = Callable[[str], Sequence[Path]]  # gives the folders that may hold a competition's files, by its slug


def validate(
    run: Path | None,
    places: Places,
    competition: Competition,
    *,
    submission: Path | None = None,
    test: Path | None = None,
) -> Verdict:
    """Judge the submission of a run by the run's own settings; `competition` is for where there are none.

    `submission` and `test` take the place of the run's. Raises InputInvalid where it cannot be judged: no
    test.csv, or not the one that the run answered.
    """
    asked = record.read(Run, run / "run.json") if run else Run()
    if run and "competition" in asked.config:
        competition = record.read_competition(run / "run.json", asked.config)
    path = submission or (run or Path()) / "submission.csv"
    if test is None:  # the one that the run answered, or the competition's; rehearsals have theirs elsewhere
        folders = places(competition.slug)
        there = [folder for folder in folders if (folder / "test.csv").is_file()]
        test = (results.data_folder(asked.test_sha256, there) or (there or folders)[0]) / "test.csv"
    known = facts.gather(competition, test, asked=asked, submission=path)
    try:
        verdict, table = check(path.read_bytes(), known)
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror} (try: make dry-run, or make pull)"
        verdict, table = Verdict(0, [Problem("file_missing", message)]), None
    verdict = replace(verdict, path=path)
    predictions = path.with_name("predictions.csv")
    if not run or not predictions.is_file():
        return verdict
    read = completions.read(predictions)
    reread = completions.reparse(read, competition.labels, competition.synonyms)
    written = [replace(one, label=competition.written(one.label)) for one in read]
    problems = [*verdict.problems, *completions.check(written, reread, table)]
    return replace(verdict, problems=problems, completions=reread)


def check(data: bytes, known: Facts) -> tuple[Verdict, Table | None]:
    """Return everything that is wrong with a submission's bytes, and the table that was read from them."""
    table, problems = csv_reader.read(data, known)
    problems += known.notes
    if table is None:
        return Verdict(0, problems), None
    if table.row_count != len(known.ids):
        message = f"{table.row_count} rows, but {len(known.ids)} ids to answer"
        problems.append(Problem("row_count", message, abs(table.row_count - len(known.ids))))
    problems += [*ids.check(table, known), *answers.check(table, known)]
    return Verdict(table.row_count, problems), table
