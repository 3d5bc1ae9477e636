"""A submission is joined by id, written whole, and refused where an id or a label does not fit."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from kit.config import Competition
from kit.errors import KitError
from kit.task import sample as sampling
from kit.task import submission

IDS = ["b", "a,1", "NA"]
LABELS = {"NA": "Negative", "a,1": "Negative", "b": "Positive"}


def predicted(labels: dict[str, str]) -> pd.DataFrame:
    return pd.DataFrame({"id": labels.keys(), "label": labels.values()})


def test_rows_follow_the_test_and_not_the_mapping(tmp_path: Path, competition: Competition) -> None:
    """The file holds the test's ids in the test's order, LF, UTF-8, no BOM, quoted where needed."""
    path = tmp_path / "out" / "submission.csv"
    submission.write(path, IDS, predicted(LABELS), competition)
    assert path.read_bytes() == b'ID,label\nb,Positive\n"a,1",Negative\nNA,Negative\n'
    assert list(path.parent.iterdir()) == [path]


def test_the_header_is_the_samples_or_the_settings(tmp_path: Path, competition: Competition) -> None:
    """In the sample's order; the settings go first, and may write another word for a label."""
    path = tmp_path / "sample_submission.csv"
    path.write_text("target,Row\n1,b\n0,a;1\n")
    given = sampling.read(path, ["b", "a;1"], competition)
    assert submission.columns(competition, given) == submission.Columns("Row", "target", label_first=True)
    named = competition.model_copy(
        update={"submission_id": "key", "submission_values": {"Positive": "1", "Negative": "0"}}
    )
    header = submission.columns(named, given)
    submission.write(tmp_path / "out.csv", IDS, predicted(LABELS), named, header)
    assert (tmp_path / "out.csv").read_text() == 'target,key\n1,b\n0,"a,1"\n0,NA\n'
    assert submission.columns(competition, None) == submission.Columns("ID", "label")


def test_rows_without_ids_take_none_from_a_longer_sample(tmp_path: Path, competition: Competition) -> None:
    """Though its values are the numbers of the rows: one that is not as long as the test is stale."""
    path = tmp_path / "sample_submission.csv"
    path.write_text("key,label\n0,Positive\n1,Negative\n1,Negative\n")
    given = sampling.read(path, ["0", "1"], competition.model_copy(update={"id": ""}))
    assert given is not None
    assert given.is_stale


SOFT = pd.DataFrame(
    {"id": ["q"], "label": ["b"], "probability_a": [0.2], "probability_b": [0.7], "probability_c": [0.1]}
)


@pytest.mark.parametrize(
    ("sample", "labels", "kind", "metric", "expected"),
    [
        ("id,y\nq,a\n", "abc", "label", "accuracy", "id,y\nq,b\n"),
        ("id,y\nq,0.5\n", "ab", "probability", "auc", "id,y\nq,0.700000000\n"),
        ("id,y\nq,0\n", "01", "probability", "auc", ""),
        (
            *("id,is_c,is_a,is_b\nq,1,0,0\n", "abc", "probabilities", "log_loss"),
            "id,is_c,is_a,is_b\nq,0.100000000,0.200000000,0.700000000\n",
        ),
        ("id,y\nq,c a b\n", "abc", "ranking", "map@2", "id,y\nq,b a\n"),
        ("id,toxic,rude\nq,1,0\n", "ab", "", "accuracy", ""),
    ],
)
def test_the_sample_says_what_a_row_gives(
    tmp_path: Path, sample: str, labels: str, kind: str, metric: str, expected: str
) -> None:
    """A label, a probability, one of each label in the sample's columns, or the likeliest in their order."""
    path = tmp_path / "sample_submission.csv"
    path.write_text(sample)
    own = Competition(slug="s", labels=tuple(labels), metric=metric)
    given = sampling.read(path, ["q"], own)
    assert given is not None
    asked, values = sampling.asks(given, own.labels, metric)
    assert asked == kind
    if expected:
        values |= {"a": "0", "b": "1"} if kind == "probability" else {}
        settings = {**own.model_dump(), "submission": kind, "submission_values": values}
        own = Competition.model_validate(settings)
        submission.write(tmp_path / "s.csv", ["q"], SOFT, own, submission.columns(own, given))
        assert (tmp_path / "s.csv").read_text() == expected
        assert sampling.disagreement(given, own) is None


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({"b": "Positive", "NA": "Negative"}, "1 test ids have no label, the first is 'a,1'"),
        ({**LABELS, "c": "Positive"}, "1 labels are for ids outside the test, the first is 'c'"),
        (
            {**LABELS, "b": "positive"},
            "1 labels are not one of 'Positive', 'Negative', the first is 'positive' of id 'b'",
        ),
    ],
)
def test_refusals_leave_the_old_file(
    tmp_path: Path, competition: Competition, labels: dict[str, str], message: str
) -> None:
    """A missing id, an extra id or an unknown label is named, and nothing is written over."""
    path = tmp_path / "submission.csv"
    path.write_text("before")
    with pytest.raises(KitError, match=message):
        submission.write(path, IDS, predicted(labels), competition)
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]
