"""Gather what a submission is checked against: the test's ids, the columns, the labels, the training labels.

It reads the competition's files and a run's run.json, and judges nothing in the submission.
"""

from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kit import files
from kit.config import Competition
from kit.errors import InputInvalid
from kit.review.checks.problems import Problem
from kit.review.record import Run
from kit.task import rows, sample
from kit.task.submission import Columns, columns


@dataclass(frozen=True)
class Facts:
    """What a good submission holds. Ids are exact text, in the order of test.csv."""

    columns: Columns
    labels: tuple[str, ...]  # every label as the submission must spell it
    ids: Sequence[str]  # the test ids that must be answered
    kind: str = "label"  # what a row gives, as `competition.submission` has it
    places: int = 1  # how many labels a ranking may name
    languages: Mapping[str, str] = field(default_factory=dict)  # by id, where the competition names them
    training: Mapping[str, Counter[str]] = field(default_factory=dict)
    """Labels of train.csv, if at hand, as `by_language` counts them."""
    notes: Sequence[Problem] = ()  # what the files beside the submission give reason to say


def gather(
    competition: Competition, test: Path, *, asked: Run | None = None, submission: Path | None = None
) -> Facts:
    """Return the facts; a sample and train.csv are looked for beside `test`; `submission` is no sample.

    Raises InputInvalid where the test is missing or malformed, or is not the one that the run answered.
    """
    asked = asked or Run()
    own, _ = rows.scan(test, competition, labelled=False, text=False)
    if asked.test_sha256 and (sha256 := files.sha256_of(test)) != asked.test_sha256:
        was, wanted = (one[:12] for one in (sha256, asked.test_sha256))
        words = f"{test} is not the file that the run answered: its sha256 is {was}…, run.json has {wanted}…"
        raise InputInvalid(words, hint="make data, or --test with the file of that run")
    ids: Sequence[str] = own["id"]
    given = sample.find(test, ids, competition, besides=submission)
    if given and not competition.id and not given.is_stale:
        ids = given.ids
    kept = _kept(test, ids, asked)
    notes = []
    if len(kept) < len(ids):
        out = len(ids) - len(kept)
        words = f"the run was asked for {len(kept)} of {len(ids)} test rows and left {out} out on purpose"
        notes.append(Problem("partial_run", f"{words}; Kaggle will refuse this file", out))
    if given is None:
        words = "no sample submission beside test.csv says which header and values Kaggle wants"
        notes.append(Problem("no_sample", f"{words} (try: make data)"))
    elif given.is_stale:
        words = f"the ids of {given.path.name} are not those of test.csv, which was used"
        notes.append(Problem("stale_sample", words))
    for name, left in asked.left.items():
        notes.append(Problem(f"{name}_rows", f"{name}.csv, as the run read it: {left}"))
    if given and (objection := sample.disagreement(given, competition)):
        code, words, hint = objection
        notes.append(Problem(code, f"{words} (try: {hint})"))
    written = tuple(map(competition.written, competition.labels))
    training, languages = by_language((), ()), own.get("language", ())
    try:
        if (train := test.with_name("train.csv")).is_file():
            learned, _ = rows.scan(train, competition, labelled=True, text=False)
            spoken = learned.get("language", [""] * len(learned["label"]))
            answers = zip(spoken, map(competition.written, learned["label"]), strict=True)
            training = by_language(answers, written)
    except InputInvalid as error:
        notes.append(Problem("train_unread", f"the label counts were not compared: {error}"))
    return Facts(
        columns=asked.submission if given is None and asked.submission else columns(competition, given),
        labels=written,
        ids=kept,
        kind=competition.submission,
        places=competition.places,
        languages=dict(zip(ids, languages, strict=False)) if len(training) > 1 else {},
        training=training,
        notes=notes,
    )


def by_language(answers: Iterable[tuple[str, str]], labels: Container[str]) -> dict[str, Counter[str]]:
    """Count the `labels` in pairs of language and label: of all rows under "", and of each language."""
    counts: dict[str, Counter[str]] = {"": Counter()}
    for (code, label), count in Counter(answers).items():
        for group in {"", code} if label in labels else ():
            counts.setdefault(group, Counter())[label] += count
    return counts


def _kept(test: Path, ids: Sequence[str], asked: Run) -> Sequence[str]:
    """Return the ids of the test rows that were asked for."""
    if asked.test_ids is None or list(asked.test_ids) == ids:
        return ids
    wanted = set(asked.test_ids)
    if foreign := wanted.difference(ids):
        words = f"{len(foreign)} test_ids of run.json are not in {test}, the first is {min(foreign)!r}"
        raise InputInvalid(words, hint="make data")
    if not wanted:
        raise InputInvalid("run.json says that the run was asked for no test row", hint="make pull")
    return [name for name in ids if name in wanted]
