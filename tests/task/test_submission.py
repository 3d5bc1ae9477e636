"""A submission is joined by id, written whole, and refused where an id or a label does not fit."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from kit.config import Competition
from kit.errors import KitError
from kit.task import sample, submission

TEST = pd.DataFrame({"id": ["b", "a,1", "NA"]})
LABELS = {"NA": "Negative", "a,1": "Negative", "b": "Positive"}


def test_rows_follow_the_test_and_not_the_mapping(tmp_path: Path, competition: Competition) -> None:
    """The file holds the test's ids in the test's order, LF, UTF-8, no BOM, quoted where needed."""
    path = tmp_path / "out" / "submission.csv"
    submission.write(path, TEST, LABELS, competition)
    assert path.read_bytes() == b'ID,label\nb,Positive\n"a,1",Negative\nNA,Negative\n'
    assert list(path.parent.iterdir()) == [path]


def test_the_header_is_the_samples_or_the_settings(tmp_path: Path, competition: Competition) -> None:
    """In the sample's order; the settings go first, and may write another word for a label."""
    path = tmp_path / "sample_submission.csv"
    path.write_text("target,Row\n1,b\n0,a;1\n")
    given = sample.read(path, ["b", "a;1"], competition)
    assert submission.columns(competition, given) == submission.Columns("Row", "target", label_first=True)
    named = competition.model_copy(
        update={"submission_id": "key", "submission_values": {"Positive": "1", "Negative": "0"}}
    )
    header = submission.columns(named, given)
    submission.write(tmp_path / "out.csv", TEST, LABELS, named, header)
    assert (tmp_path / "out.csv").read_text() == 'target,key\n1,b\n0,"a,1"\n0,NA\n'
    assert submission.columns(competition, None) == submission.Columns("ID", "label")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": ("A", " ")}, "a label is blank"),
        ({"labels": ("A", "A")}, "'A' and 'A' are one label"),
        ({"labels": ("Mixed feelings", "mixed_feelings")}, "are one label"),
        ({"labels": ("\u00e9", "e\u0301")}, "are one label"),
        ({"labels": ("1", "1.0")}, "are one label"),
        ({"labels": ("A", "B"), "submission_values": {"C": "1"}}, "not each name is a label"),
        ({"labels": ("A", "B"), "submission_values": {"A": "B"}}, "two labels would be written alike"),
        ({"labels": ("A", "B"), "encoding": "utf-99"}, "Python knows no such encoding"),
    ],
)
def test_labels_that_could_be_mixed_up_are_refused(changes: dict[str, object], message: str) -> None:
    """Blank, doubled and nearly equal labels; -1 and 1 are two labels."""
    with pytest.raises(ValueError, match=message):
        Competition.model_validate({"slug": "s", **changes})
    assert Competition(slug="s", labels=("-1", "0", "1")).spelling_of(" 1.0") == "1"


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({"b": "Positive", "NA": "Negative"}, "1 test ids have no label, the first is 'a,1'"),
        ({**LABELS, "c": "Positive"}, "1 labels are for ids outside the test, the first is 'c'"),
        ({**LABELS, "b": "positive"}, "label 'positive' of id 'b' is not one of 'Positive', 'Negative'"),
    ],
)
def test_refusals_leave_the_old_file(
    tmp_path: Path, competition: Competition, labels: dict[str, str], message: str
) -> None:
    """A missing id, an extra id or an unknown label is named, and nothing is written over."""
    path = tmp_path / "submission.csv"
    path.write_text("before")
    with pytest.raises(KitError, match=message):
        submission.write(path, TEST, labels, competition)
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_the_users_error(competition: Competition) -> None:
    """A disk that refuses gives one line, not a traceback."""
    with pytest.raises(KitError, match="cannot be written"):
        submission.write(Path("/dev/null/submission.csv"), TEST, LABELS, competition)
