"""Gather what a submission is checked against: the test's ids, the columns, the labels, the training labels.

It reads the competition's files and a run's run.json, and judges nothing in the submission.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kit import files
from kit.config import Competition
from kit.errors import InputInvalid
from kit.review.checks.problems import Problem
from kit.review.record import Run
from kit.task import rows, sample
from kit.task.sample import Sample
from kit.task.submission import columns


@dataclass(frozen=True)
class Facts:
    """What a good submission holds. Ids are exact text, in the order of test.csv."""

    id: str
    label: str
    """The names of the submission's columns."""
    labels: tuple[str, ...]
    """Every label as the submission must spell it."""
    ids: Sequence[str]
    """The test ids that must be answered."""
    languages: Sequence[str] = ()
    """Language of each of those, or empty."""
    label_first: bool = False
    """Whether the sample submission has the label before the id."""
    kind: str = "label"
    """What a row gives, as `competition.submission` has it."""
    probabilities: Sequence[str] = ()
    """The columns of a submission that has one for each label; `label` is all of them, apart by blanks."""
    places: int = 1
    """How many labels a ranking may name."""
    training: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Training rows by language and label; empty where train.csv is not at hand."""
    notes: tuple[Problem, ...] = ()
    """What the files beside the submission give reason to say."""


def gather(
    competition: Competition, test: Path, *, asked: Run | None = None, submission: Path | None = None
) -> Facts:
    """Return the facts; a sample and train.csv are looked for beside `test`; `submission` is no sample.

    Raises InputInvalid where the test is missing or malformed, or is not the one that the run answered.
    """
    asked = asked or Run()
    _check_test(test, asked)
    own, _ = rows.scan(test, competition, labelled=False, text=False)
    ids: Sequence[str] = own["id"]
    given = sample.find(test, ids, competition, besides=submission)
    if given and not competition.id and not given.is_stale:
        ids = given.ids
    kept = _kept(test, ids, asked)
    header = asked.submission if given is None and asked.submission else columns(competition, given)
    training, notes = _read_training(test.with_name("train.csv"), competition)
    notes += _notes(given, asked, len(ids), len(kept))
    if given and (objection := sample.disagreement(given, competition)):
        code, words, hint = objection
        notes.append(Problem(code, f"{words} (try: {hint})"))
    languages = own.get("language")
    return Facts(
        id=header.id,
        label=" ".join(header.probabilities) or header.label,
        kind=competition.submission,
        probabilities=header.probabilities,
        places=competition.places,
        label_first=header.label_first,
        labels=tuple(map(competition.written, competition.labels)),
        ids=[ids[at] for at in kept],
        languages=[languages[at] for at in kept] if languages else [],
        training=training,
        notes=tuple(notes),
    )


def _check_test(test: Path, asked: Run) -> None:
    try:
        sha256 = files.sha256_of(test) if asked.test_sha256 else ""
    except OSError as error:
        raise InputInvalid(f"{test} cannot be read: {error.strerror}", hint="make data") from None
    if sha256 != asked.test_sha256:
        was, wanted = (one[:12] for one in (sha256, asked.test_sha256))
        words = f"{test} is not the file that the run answered: its sha256 is {was}…, run.json has {wanted}…"
        raise InputInvalid(words, hint="make data, or --test with the file of that run")


def _notes(given: Sample | None, asked: Run, count: int, kept: int) -> list[Problem]:
    """Return what is worth saying before the submission is looked at."""
    notes = []
    if kept < count:
        words = f"the run was asked for {kept} of {count} test rows and left {count - kept} out on purpose"
        notes.append(Problem("partial_run", f"{words}; Kaggle will refuse this file", count - kept))
    if given is None:
        words = "no sample submission beside test.csv says which header and values Kaggle wants"
        notes.append(Problem("no_sample", f"{words} (try: make data)"))
    elif given.is_stale:
        words = f"the ids of {given.path.name} are not those of test.csv; test.csv was used"
        notes.append(Problem("stale_sample", words))
    read = "{}.csv, as the run read it: {}"
    return notes + [Problem(f"{name}_rows", read.format(name, left)) for name, left in asked.left.items()]


def _kept(test: Path, ids: Sequence[str], asked: Run) -> Sequence[int]:
    """Return the positions of the test rows that were asked for."""
    if asked.test_ids is None or list(asked.test_ids) == ids:
        return range(len(ids))
    wanted = set(asked.test_ids)
    if foreign := wanted.difference(ids):
        words = f"{len(foreign)} test_ids of run.json are not in {test}, the first is {min(foreign)!r}"
        raise InputInvalid(words, hint="make data")
    if not wanted:
        raise InputInvalid("run.json says that the run was asked for no test row", hint="make pull")
    return [at for at, name in enumerate(ids) if name in wanted]


def _read_training(path: Path, competition: Competition) -> tuple[Counter[tuple[str, str]], list[Problem]]:
    """Return the labels of train.csv as the submission writes them; what is wrong with it is only said."""
    if not path.is_file():
        return Counter(), []
    try:
        own, _ = rows.scan(path, competition, labelled=True, text=False)
    except InputInvalid as error:
        return Counter(), [Problem("train_unread", f"the label counts were not compared: {error}")]
    labels = map(competition.written, own["label"])
    return Counter(zip(own.get("language", [""] * len(own["label"])), labels, strict=True)), []
