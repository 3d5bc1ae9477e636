"""What a submission is checked against comes from the test, the sample, the training rows and the run."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import pytest

from kit.config import Competition
from kit.errors import InputInvalid
from kit.review.checks import facts
from kit.review.checks.problems import WARNINGS
from kit.review.record import Run
from kit.task.submission import Columns

NAMES = {"id": "ID", "text": "sentence", "label": "label", "language": "language"}
COMPETITION = Competition(slug="reviews", labels=("Positive", "Negative"), **NAMES)
TEST = "ID,sentence,language\nb,NA,hi\na,x,ta\n1.0,x,hi\n"


def codes(gathered: facts.Facts) -> list[str]:
    return [problem.code for problem in gathered.notes]


@pytest.fixture
def test_csv(tmp_path: Path) -> Path:
    path = tmp_path / "test.csv"
    path.write_text(TEST)
    return path


def test_ids_are_the_tests(test_csv: Path) -> None:
    """Ids keep their text and order; the label set is the competition's."""
    gathered = facts.gather(COMPETITION, test_csv)
    assert (gathered.columns, gathered.labels) == (Columns("ID", "label"), ("Positive", "Negative"))
    assert gathered.ids == ["b", "a", "1.0"]
    assert codes(gathered) == ["no_sample"]


SAMPLE_ROWS = "a,Positive\nb,Negative\n1.0,Positive\n"


@pytest.mark.parametrize("name", ["sample_submission.csv", "SampleSubmission.csv", "gender.txt", "x.zip"])
def test_the_sample_is_known_by_its_ids(test_csv: Path, tmp_path: Path, name: str) -> None:
    """Whatever its name, zipped too, its header wins over the training data's, and the settings' over it."""
    if name == "x.zip":
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            archive.writestr("inside.csv", "row,sentiment\n" + SAMPLE_ROWS)
    else:
        (tmp_path / name).write_text("row,sentiment\n" + SAMPLE_ROWS)
    gathered = facts.gather(COMPETITION, test_csv)
    assert (gathered.columns, codes(gathered)) == (Columns("row", "sentiment"), [])
    named = COMPETITION.model_copy(update={"submission_id": "key", "submission_label": "mood"})
    assert facts.gather(named, test_csv).columns == Columns("key", "mood")


def test_the_sample_with_the_tests_ids_goes_first(test_csv: Path, tmp_path: Path) -> None:
    """Of two names the one whose ids are the test's; two that differ are asked about; a stale one is told."""
    (tmp_path / "sampleSubmission.csv").write_text("Id,Old\n7,Positive\n8,Positive\n")
    stale = facts.gather(COMPETITION, test_csv)
    assert (stale.columns.label, codes(stale)) == ("Old", ["stale_sample"])
    (tmp_path / "submission_format.csv").write_text("row,sentiment\n" + SAMPLE_ROWS)
    assert facts.gather(COMPETITION, test_csv).columns.label == "sentiment"
    (tmp_path / "sample_2.csv").write_text("row,mood\n" + SAMPLE_ROWS)
    with pytest.raises(InputInvalid, match=r"sample_2.csv \(row,mood\).*submission_label = 'mood'"):
        facts.gather(COMPETITION, test_csv)
    chosen = COMPETITION.model_copy(update={"submission_label": "sentiment"})
    assert facts.gather(chosen, test_csv).columns.label == "sentiment"


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ("Positive Negative Positive", []),
        ("  ", []),
        ("1 0 1", ["sample_values"]),
        ("0.5 0.5 0.5", ["sample_kind"]),
        ("positive negative positive", ["sample_values"]),
        ("good bad good", ["sample_values"]),
        ("Positive Neutral Negative", ["sample_unknown"]),
    ],
)
def test_the_samples_values_are_compared_with_the_labels(
    test_csv: Path, tmp_path: Path, values: str, code: list[str]
) -> None:
    """Another spelling, numbers or probabilities are said, with what to write into kit.toml."""
    rows = "".join(f"{name},{value}\n" for name, value in zip("ba1", values.split(" "), strict=True))
    (tmp_path / "sample_submission.csv").write_text("ID,label\n" + rows.replace("1,", "1.0,"))
    gathered = facts.gather(COMPETITION, test_csv)
    assert codes(gathered) == code
    assert all("(try: " in problem.message for problem in gathered.notes)


def test_a_label_may_be_written_as_another_word(test_csv: Path, tmp_path: Path) -> None:
    """submission_values maps what training says to what the sample wants, in the counts of training too."""
    (tmp_path / "sample_submission.csv").write_text("ID,label\na,0\nb,0\n1.0,0\n")
    train = "ID,sentence,label,language\n1,x,Positive,hi\n2,x,Positive,hi\n3,x,Negative,ta\n"
    (tmp_path / "train.csv").write_text(train)
    written = COMPETITION.model_copy(update={"submission_values": {"Positive": "1", "Negative": "0"}})
    gathered = facts.gather(written, test_csv)
    assert (gathered.labels, codes(gathered)) == (("1", "0"), [])
    assert gathered.training == {"": {"1": 2, "0": 1}, "hi": {"1": 2}, "ta": {"0": 1}}
    assert gathered.languages == {"b": "hi", "a": "ta", "1.0": "hi"}


def test_rows_without_ids_have_their_languages(test_csv: Path, tmp_path: Path) -> None:
    """Under the ids of the sample, which are those of the submission."""
    (tmp_path / "sample_submission.csv").write_text("row,label\nq,Positive\nr,Negative\ns,Positive\n")
    (tmp_path / "train.csv").write_text("sentence,label,language\nx,Positive,hi\nx,Negative,ta\n")
    gathered = facts.gather(COMPETITION.model_copy(update={"id": ""}), test_csv)
    assert gathered.languages == {"q": "hi", "r": "ta", "s": "hi"}


def test_the_submission_is_not_its_own_sample(test_csv: Path, tmp_path: Path) -> None:
    """A file that is judged beside test.csv says nothing about what is wanted, whatever its path is."""
    path = tmp_path / ".." / tmp_path.name / "submission.csv"
    path.write_text("row,sentiment\n" + SAMPLE_ROWS)
    gathered = facts.gather(COMPETITION, test_csv, submission=path)
    assert (gathered.columns.label, codes(gathered)) == ("label", ["no_sample"])


def test_a_broken_train_only_warns(test_csv: Path, tmp_path: Path) -> None:
    """It feeds warnings, so it cannot keep a submission back."""
    (tmp_path / "train.csv").write_text("<html>")
    gathered = facts.gather(COMPETITION, test_csv)
    assert "train_unread" in codes(gathered)
    assert set(codes(gathered)) <= WARNINGS


def test_the_run_says_which_rows_were_asked_for(test_csv: Path) -> None:
    """Ids of run.json narrow the test's, in the test's order; the file must be the one that was answered."""
    told = {"schema": 1, "test_sha256": hashlib.sha256(TEST.encode()).hexdigest(), "test_ids": ["1.0", "b"]}
    asked = Run.model_validate(told)
    gathered = facts.gather(COMPETITION, test_csv, asked=asked)
    assert gathered.ids == ["b", "1.0"]
    assert ("partial_run", 1) in [(problem.code, problem.count) for problem in gathered.notes]
    test_csv.write_text(TEST + "c,x,hi\n")
    with pytest.raises(
        InputInvalid, match=r"is not the file that the run answered: its sha256 is .* make data"
    ):
        facts.gather(COMPETITION, test_csv, asked=asked)


def test_what_the_run_left_out_is_in_the_verdict(test_csv: Path) -> None:
    """And the run's own columns hold where no sample is at home."""
    told = {
        "schema": 1,
        "left": {"train": {"out": {"blank text": 2}, "odd": {}, "first": {}}},
        "submission": {"id": "Row", "label": "mood", "label_first": True},
        "config": {"competition": {**COMPETITION.model_dump(), "labels": ["Good", "Bad"]}},
    }
    gathered = facts.gather(COMPETITION, test_csv, asked=Run.model_validate(told))
    assert gathered.columns == Columns("Row", "mood", label_first=True)
    said = {problem.code: problem.message for problem in gathered.notes}
    assert said["train_rows"].endswith("as the run read it: 2 left out (2 blank text)")


def test_asked_rows_come_in_the_tests_order(test_csv: Path) -> None:
    """The order of run.json's list does not matter, nor how a set would order it."""
    test_csv.write_text("ID,sentence\n" + "".join(f"{number},x\n" for number in range(20)))
    asked = Run(test_ids=("16", "1", "8"))
    assert facts.gather(COMPETITION, test_csv, asked=asked).ids == ["1", "8", "16"]


@pytest.mark.parametrize(
    ("told", "has"), [({"test_ids": ["zz"]}, ""), ({"test_ids": []}, ""), ({"test_sha256": 1}, " has 1")]
)
def test_a_record_of_other_rows_is_refused(test_csv: Path, told: dict[str, object], has: str) -> None:
    """Ids that the test does not have, or none at all, cannot be checked; nor is a damaged hash a leave."""
    with pytest.raises(InputInvalid, match=rf"run\.json{has}"):
        facts.gather(COMPETITION, test_csv, asked=Run.model_validate(told))
