"""A submission is joined by id, written whole, and refused where an id or a label does not fit."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from kit.config import Competition
from kit.errors import KitError
from kit.task import submission

TEST = pd.DataFrame({"id": ["b", "a,1", "NA"]})
LABELS = {"NA": "Negative", "a,1": "Negative", "b": "Positive"}


def test_rows_follow_the_test_and_not_the_mapping(tmp_path: Path, competition: Competition) -> None:
    """The file holds the test's ids in the test's order, LF, UTF-8, no BOM, quoted where needed."""
    path = tmp_path / "out" / "submission.csv"
    submission.write(path, TEST, LABELS, competition)
    assert path.read_bytes() == b'ID,label\nb,Positive\n"a,1",Negative\nNA,Negative\n'
    assert list(path.parent.iterdir()) == [path]


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
