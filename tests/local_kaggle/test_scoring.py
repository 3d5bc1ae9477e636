"""Submissions are scored by macro F1, or refused with a reason."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from local_kaggle import scoring

SOLUTION = "ID,label\na,Positive\nb,Negative\nc,Neutral\n"


@given(st.lists(st.tuples(st.sampled_from("xyz"), st.sampled_from("xyzw")), min_size=1, max_size=30))
def test_macro_f1_is_scikit_learns(pairs: list[tuple[str, str]]) -> None:
    """Any number of labels, also ones that only the prediction knows."""
    truth = {str(n): pair[0] for n, pair in enumerate(pairs)}
    predicted = {str(n): pair[1] for n, pair in enumerate(pairs)}
    expected = f1_score(list(truth.values()), list(predicted.values()), average="macro")
    assert scoring.macro_f1(truth, predicted) == pytest.approx(expected)


@pytest.mark.parametrize(
    "text",
    [
        "ID,label\nc,Neutral\nb,Negative\na,Positive\n",
        "\ufeffID,label\r\na,Positive\r\nb,Negative\r\nc,Neutral\r\n",
        'note,label,ID\nx,"Positive",a\ny,Negative,b\nz,Neutral,c\n',
    ],
    ids=["other-order", "bom-and-crlf", "more-columns"],
)
def test_rows_are_joined_by_id(tmp_path: Path, text: str) -> None:
    """Order of rows and columns, line ends and a byte order mark do not matter."""
    (tmp_path / "solution.csv").write_text(SOLUTION)
    (tmp_path / "submission.csv").write_text(text, encoding="utf-8", newline="")
    assert scoring.score(tmp_path / "submission.csv", tmp_path / "solution.csv") == 1.0


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "Unable to find required column 'ID'"),
        (b"<!DOCTYPE html><html></html>", "Unable to find required column 'ID'"),
        (b"ID,answer\na,Positive\n", "Unable to find required column 'label'"),
        (b"ID,label\na,Positive\n", "must have 3 rows"),
        (b"ID,label\na,Positive\nb,Negative\nc,Neutral\nd,Neutral\n", "must have 3 rows"),
        (b"ID,label\na,Positive\na,Positive\nc,Neutral\n", "'a' in the key column 'ID' has already .*Line 3"),
        (b"ID,label\na,Positive\nb,Negative\nz,Neutral\n", "'z' in the key column 'ID' is unknown"),
        (b"ID,label\na,Positive\nb,\nc,Neutral\n", "Null values .*Line 3"),
        (b"ID,label\na,Positive\nb\nc,Neutral\n", "Null values .*Line 3"),
        (b"ID,label\na,\xff\n", "not a csv in UTF-8"),
    ],
)
def test_a_malformed_file_says_what_is_wrong(tmp_path: Path, content: bytes, reason: str) -> None:
    """An error page, missing or invented ids, duplicates and blanks are all told apart."""
    (tmp_path / "solution.csv").write_text(SOLUTION)
    (tmp_path / "submission.csv").write_bytes(content)
    with pytest.raises(scoring.SubmissionMalformed, match=reason):
        scoring.score(tmp_path / "submission.csv", tmp_path / "solution.csv")
