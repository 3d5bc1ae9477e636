"""Submissions are scored by macro F1, or refused with a reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from local_kaggle import scoring

SOLUTION = "ID,label\na,Positive\nb,Negative\nc,Neutral\n"


@pytest.mark.parametrize(
    ("metric", "solution", "submission", "expected"),
    [
        ("map@3", "id,best\n1,a\n2,b\n3,c\n4,d\n", "id,best\n4,a b c d\n3,a b c\n2,a a b\n1,a\n", 5 / 12),
        ("map@1", "id,best\n1,a\n2,b\n", "id,best\n1,a b\n2,a b\n", 0.5),
        ("macro_f1", "id,label\n1,a\n2,a\n3,b\n", "id,label\n1,a\n2,c\n3,b\n", (2 / 3 + 1 + 0) / 3),
        ("micro_f1", "id,label\n1,a\n2,a\n3,b\n", "id,label\n1,a\n2,c\n3,b\n", 2 / 3),
        ("weighted_f1", "id,label\n1,a\n2,a\n3,b\n", "id,label\n1,a\n2,c\n3,b\n", 7 / 9),
        ("mcc", "id,label\n1,a\n2,b\n", "id,label\n1,b\n2,a\n", -1.0),
        ("qwk", "id,score\n1,1\n2,2\n3,3\n", "id,score\n1,1\n2,2\n3,1\n", 0.0),
        ("qwk", "id,score\n1,1\n2,2\n3,10\n4,10\n", "id,score\n1,1\n2,2\n3,2\n4,10\n", 1 - 16 / 35.375),
        ("accuracy", "id,label,Usage\n1,a,Public\n2,b,Private\n", "id,label\n1,a\n2,a\n", 0.5),
        ("auc", "id,Usage,target\n1,Public,1\n2,Public,0\n", "id,target\n2,-3\n1,4.5\n", 1.0),
        ("log_loss", "id,a,b\n1,1,0\n", "id,b,a\n1,2,2\n", "must be probabilities"),
        ("log_loss", "id,a,b\n1,1,0\n", "id,b,a\n1,0,0\n", "must be probabilities"),
        ("log_loss", "id,a,b\n1,1,0\n", "id,b,a\n1,1,1\n", 0.6931471805599453),
        ("log_loss", "id,label\n1,a\n2,b\n", "id,b,a\n1,0.5,0.5\n2,0.5,0.5\n", 0.6931471805599453),
        ("log_loss", "id,target\n1,1\n2,0\n", "id,target\n1,0.5\n2,0.5\n", 0.6931471805599453),
        ("auc", "id,label\n1,x\n2,y\n3,z\n", "id,x,y,z\n1,3,0,1\n2,2,1,2\n3,1,2,0\n", (1 + 0.5 + 0) / 3),
        ("log_loss", "id,a,b\n1,1,0\n", "id,b,a\n1,x,1\n", "must be numeric"),
        ("auc", "id,target\n1,1\n2,0\n", "id,target\n1,nan\n2,0\n", "must be finite"),
        ("auc", "id,target\n1,1\n2,1\n", "id,target\n1,0\n2,0\n", "Only one class"),
        ("auc", "id,target\n1,1\n2,0\n", "id,other\n1,0\n2,0\n", "required column 'target'"),
        ("macro_f1", SOLUTION, "ID,label\nc,Neutral\nb,Negative\na,Positive\n", 1.0),
        ("macro_f1", SOLUTION, "\ufeffID,label\r\na,Positive\r\nb,Negative\r\nc,Neutral\r\n", 1.0),
        ("macro_f1", SOLUTION, 'note,label,ID\nx,"Positive",a\ny,Negative,b\nz,Neutral,c\n', 1.0),
    ],
)
def test_each_metric_reads_its_own_columns(
    tmp_path: Path, metric: str, solution: str, submission: str, expected: float | str
) -> None:
    """Labels in the second column, probabilities in all but `Usage`, joined by id.

    Order of rows and columns, line ends and a byte order mark do not matter.
    """
    (tmp_path / "solution.csv").write_text(solution)
    (tmp_path / "submission.csv").write_text(submission, encoding="utf-8", newline="")
    paths = tmp_path / "submission.csv", tmp_path / "solution.csv"
    if isinstance(expected, str):
        with pytest.raises(scoring.SubmissionMalformed, match=expected):
            scoring.score(*paths, metric)
    else:
        assert scoring.score(*paths, metric) == pytest.approx(expected)


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
