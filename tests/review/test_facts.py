"""What a submission is checked against comes from the test, the sample, the training rows and the run."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from kit.config import Competition
from kit.errors import InputInvalid
from kit.review.checks import facts

COMPETITION = Competition(
    slug="reviews",
    id="ID",
    text="sentence",
    label="label",
    language="language",
    labels=("Positive", "Negative"),
)
TEST = "ID,sentence,language\nb,NA,hi\na,x,ta\n1.0,x,hi\n"


@pytest.fixture
def test_csv(tmp_path: Path) -> Path:
    path = tmp_path / "test.csv"
    path.write_text(TEST)
    return path


def test_ids_and_languages_are_the_tests(test_csv: Path) -> None:
    """Ids keep their text and order; the label set is the competition's, or the caller's."""
    gathered = facts.gather(COMPETITION, test_csv)
    assert (gathered.id, gathered.label, gathered.labels) == ("ID", "label", ("Positive", "Negative"))
    assert (gathered.ids, gathered.languages) == (["b", "a", "1.0"], ["hi", "ta", "hi"])
    assert (gathered.left_out, gathered.sample_is_stale) == (0, False)
    assert facts.gather(COMPETITION, test_csv, labels=["A", "B"]).labels == ("A", "B")


def test_a_test_without_languages_will_do(test_csv: Path) -> None:
    """A language column that the test lacks, or that the settings do not name, is left out."""
    test_csv.write_text("ID,sentence\nb,x\n")
    assert facts.gather(COMPETITION, test_csv).languages == ()


def test_the_sample_names_the_columns(test_csv: Path, tmp_path: Path) -> None:
    """A sample_submission's header wins over the settings, and its ids show whether it is stale."""
    sample = tmp_path / "sample_submission.csv"
    sample.write_text("row,sentiment\na,Positive\nb,Positive\n1.0,Positive\n")
    gathered = facts.gather(COMPETITION, test_csv, sample=sample)
    assert (gathered.id, gathered.label, gathered.sample_is_stale) == ("row", "sentiment", False)
    sample.write_text("row,sentiment\n1,Positive\n2,Positive\n")
    assert facts.gather(COMPETITION, test_csv, sample=sample).sample_is_stale
    sample.write_text("row,sentiment,more\n1,Positive,x\n")
    with pytest.raises(InputInvalid, match="3 columns"):
        facts.gather(COMPETITION, test_csv, sample=sample)


def test_training_rows_are_counted_by_language_and_label(test_csv: Path, tmp_path: Path) -> None:
    """train.csv gives a count for each language and label."""
    train = tmp_path / "train.csv"
    train.write_text("ID,sentence,label,language\n1,x,Positive,hi\n2,x,Positive,hi\n3,x,Negative,ta\n")
    gathered = facts.gather(COMPETITION, test_csv, train=train)
    assert gathered.training == {("hi", "Positive"): 2, ("ta", "Negative"): 1}


def test_the_run_says_which_rows_were_asked_for(test_csv: Path, tmp_path: Path) -> None:
    """Ids of run.json narrow the test's, in the test's order; the file must be the one that was answered."""
    record = {"test_sha256": hashlib.sha256(TEST.encode()).hexdigest(), "test_ids": ["1.0", "b"]}
    (tmp_path / "run.json").write_text(json.dumps(record))
    asked = facts.asked_of(tmp_path)
    gathered = facts.gather(COMPETITION, test_csv, asked=asked)
    assert (gathered.ids, gathered.languages, gathered.left_out) == (["b", "1.0"], ["hi", "hi"], 1)
    test_csv.write_text(TEST + "c,x,hi\n")
    with pytest.raises(
        InputInvalid, match=r"is not the file that the run answered: its sha256 is .* make data"
    ):
        facts.gather(COMPETITION, test_csv, asked=asked)


def test_asked_rows_come_in_the_tests_order(test_csv: Path) -> None:
    """The order of run.json's list does not matter, nor how a set would order it."""
    test_csv.write_text("ID,sentence\n" + "".join(f"{number},x\n" for number in range(20)))
    asked = facts.Asked(test_ids=("16", "1", "8"))
    assert facts.gather(COMPETITION, test_csv, asked=asked).ids == ["1", "8", "16"]


def test_a_run_without_a_record_asks_for_everything(tmp_path: Path) -> None:
    """No run.json means that nothing narrows the test."""
    assert facts.asked_of(tmp_path) == facts.Asked()


@pytest.mark.parametrize("text", ["{", "[]", '{"test_ids": [1]}', '{"test_sha256": 1}', "\x00"])
def test_a_malformed_record_is_refused(tmp_path: Path, text: str) -> None:
    """A run.json that is no object of the right types is named."""
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(InputInvalid, match=r"run\.json"):
        facts.asked_of(tmp_path)


@pytest.mark.parametrize("asked", [facts.Asked(test_ids=("zz",)), facts.Asked(test_ids=())])
def test_a_record_of_other_rows_is_refused(test_csv: Path, asked: facts.Asked) -> None:
    """Ids that the test does not have, or none at all, cannot be checked."""
    with pytest.raises(InputInvalid, match=r"run\.json"):
        facts.gather(COMPETITION, test_csv, asked=asked)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("ID,sentence\n", "no rows"),
        ("id,sentence\nx,y\n", "no column 'ID'; .* did you mean 'id'"),
        ("ID,sentence\nx,y\nx,z\n", "id 'x' stands there twice"),
        ("ID,sentence\nx\n", ":2: 1 fields"),
    ],
)
def test_a_malformed_test_is_refused(test_csv: Path, text: str, message: str) -> None:
    """A test file that cannot be relied on is named with its defect."""
    test_csv.write_text(text)
    with pytest.raises(InputInvalid, match=message):
        facts.gather(COMPETITION, test_csv)
