"""Rows are read as text, refused with file, line and column, and drawn evenly."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kit.config import Competition
from kit.errors import InputInvalid
from kit.task import rows

HEADER = b"ID,sentence,label,language\n"
ROW = b"r1,Good tea.,Positive,en\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "train.csv"


def test_everything_is_text(path: Path, competition: Competition) -> None:
    """NA, null, None, numbers and quoted line breaks stay the text that they are, in file order."""
    path.write_bytes(
        b"\xef\xbb\xbfsentence,language,extra,label,ID\r\n"
        b"NA,en,,Negative,001\r\nnull,null,,Positive,1\r\n"
        b'"None, ""so"" and\nso",NA,,Positive,1.0\r\n'
    )
    frame = rows.read(path, competition, labelled=True)
    assert frame.to_dict("list") == {
        "id": ["001", "1", "1.0"],
        "text": ["NA", "null", 'None, "so" and\nso'],
        "language": ["en", "null", "NA"],
        "label": ["Negative", "Positive", "Positive"],
    }
    assert frame.index.equals(pd.RangeIndex(3))
    assert all(type(value) is str for column in frame for value in frame[column])


def test_only_the_columns_that_apply(path: Path, competition: Competition) -> None:
    """Without labels or a language column the frame has id and text."""
    path.write_bytes(HEADER + ROW)
    without = competition.model_copy(update={"language": ""})
    assert list(rows.read(path, competition, labelled=False)) == ["id", "text", "language"]
    assert list(rows.read(path, without, labelled=False)) == ["id", "text"]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "train.csv is empty"),
        (HEADER, "a header and no rows"),
        (b"ID;sentence;label\nr1;x;Positive\n", "1: no column 'ID'; there are 'ID;sentence;label'"),
        (b"ID,sentance,label,language\n" + ROW, "no column 'sentence'.* did you mean 'sentance'"),
        (b"ID,Sentence,label,language\n" + ROW, "no column 'sentence'.* did you mean 'Sentence'"),
        (b"ID,ID,sentence,label,language\nr0," + ROW, "1: column 'ID' stands there twice"),
        (HEADER + ROW + b" ,x,Positive,en\n", "3: column 'ID': empty id ' '"),
        (HEADER + ROW + ROW, "3: column 'ID': id 'r1' stands on line 2 already"),
        (
            HEADER + b'r0,"two\nlines",Positive,en\n' + ROW + b"r2, ,Positive,en\n",
            "5: column 'sentence': empty",
        ),
        (
            HEADER + b"r1,x,positive,en\n",
            "2: column 'label': label 'positive' of id 'r1' .* 'Positive', 'Neg",
        ),
        (HEADER + ROW + b"r2,x,Positive\n", "3: 3 fields under a header of 4: 'r2,x,Positive'"),
        (HEADER + ROW + b'r2,"x,Positive,en\n', "3: not a csv: unexpected end"),
        (HEADER + b"r1,caf\xe9,Positive,en\n", r"2: not UTF-8: byte b'\\xe9' at offset 33"),
        ((HEADER + ROW).decode().encode("utf-16"), "is not a csv but UTF-16"),
        (b"<!doctype html><title>404</title>", "is not a csv but an HTML"),
        (b'{"code": 404}', "is not a csv but JSON"),
        (b"PK\x03\x04rest", "is not a csv but a zip"),
        (b"\x1f\x8brest", "is not a csv but a gzip"),
    ],
)
def test_defects_are_named_where_they_stand(
    path: Path, competition: Competition, data: bytes, message: str
) -> None:
    """Each defect is refused with the line, the column and the value."""
    path.write_bytes(data)
    with pytest.raises(InputInvalid, match=message):
        rows.read(path, competition, labelled=True)


def test_a_missing_file_names_the_command(path: Path, competition: Competition) -> None:
    """No file, or a folder in its place, says which and what to run."""
    with pytest.raises(InputInvalid, match=r"train.csv is missing \(try: make data\)"):
        rows.read(path, competition, labelled=True)
    with pytest.raises(InputInvalid, match="cannot be read"):
        rows.read(path.parent, competition, labelled=True)


@given(data=st.binary(max_size=400))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_random_bytes_are_read_or_refused(path: Path, competition: Competition, data: bytes) -> None:
    """Any bytes behind a good header are rows or an InputInvalid, never another error."""
    path.write_bytes(HEADER + data)
    try:
        frame = rows.read(path, competition, labelled=True)
    except InputInvalid:
        return
    assert len(frame)


FRAMES = st.lists(
    st.tuples(st.sampled_from(["Positive", "Negative"]), st.sampled_from(["hi", "ta", "ur"])),
    min_size=3,
    max_size=60,
).map(
    lambda pairs: pd.DataFrame(
        {
            "id": [str(number) for number in range(len(pairs))],
            "language": [language for _, language in pairs],
            "label": [label for label, _ in pairs],
        }
    )
)


@given(FRAMES, st.integers(1, 60), st.integers(0, 5))
def test_a_sample_is_even_and_in_order(frame: pd.DataFrame, count: int, seed: int) -> None:
    """A sample has the asked size, file order, and no group ahead of one that still had rows."""
    drawn = rows.sample(frame, count, seed)
    assert len(drawn) == min(count, len(frame))
    numbers = [int(name) for name in drawn["id"]]
    assert numbers == sorted(set(numbers))
    assert drawn.equals(rows.sample(frame, count, seed))
    there = Counter(zip(frame["label"], frame["language"], strict=True))
    taken = Counter(zip(drawn["label"], drawn["language"], strict=True))
    most = max(taken.values())
    assert all(taken[group] >= most - 1 for group in there if there[group] > taken[group])


def balanced(each: int) -> pd.DataFrame:
    pairs = [(label, f"l{code}") for code in range(13) for label in ("Positive", "Negative")] * each
    return pd.DataFrame(
        {
            "id": [str(number) for number in range(len(pairs))],
            "language": [language for _, language in pairs],
            "label": [label for label, _ in pairs],
        }
    )


def test_sixty_four_of_a_thousand_are_even_both_ways() -> None:
    """64 of 26 groups: labels within one row of each other, languages within one row of each other."""
    drawn = rows.sample(balanced(38), 64, 7)
    labels, languages = Counter(drawn["label"]), Counter(drawn["language"])
    assert max(labels.values()) - min(labels.values()) <= 1
    assert max(languages.values()) - min(languages.values()) <= 1


def test_a_count_of_nothing_is_everything() -> None:
    """0, the whole length and more return the frame itself."""
    frame = balanced(2)
    assert all(rows.sample(frame, count, 1) is frame for count in (0, len(frame), 9999))


@given(FRAMES, st.floats(0.05, 0.9), st.integers(0, 5))
def test_a_split_keeps_each_label_on_both_sides(frame: pd.DataFrame, share: float, seed: int) -> None:
    """The parts are disjoint, complete, ordered, repeatable, and each label has its share to within a row."""
    if max(Counter(frame["label"]).values()) < 2:
        return
    train, held = rows.split(frame, share, seed)
    numbers = [[int(name) for name in part["id"]] for part in (train, held)]
    assert sorted(numbers[0] + numbers[1]) == list(range(len(frame)))
    assert all(part == sorted(part) for part in numbers)
    assert held.equals(rows.split(frame, share, seed)[1])
    for label, size in Counter(frame["label"]).items():
        out = sum(held["label"] == label)
        assert out == (min(max(round(size * share), 1), size - 1) if size > 1 else 0)


def test_a_split_is_even_over_languages() -> None:
    """Of 988 rows a tenth is held out with 3 or 4 of each of the 26 groups, and another seed takes others."""
    frame = balanced(38)
    _, held = rows.split(frame, 0.1, 1)
    assert set(Counter(zip(held["label"], held["language"], strict=True)).values()) == {3, 4}
    assert not held.equals(rows.split(frame, 0.1, 2)[1])


def test_too_few_rows_to_hold_out() -> None:
    """One row of each label cannot be split, and the refusal says what to do."""
    frame = pd.DataFrame({"id": ["1", "2"], "label": ["Positive", "Negative"]})
    with pytest.raises(InputInvalid, match=r"2 rows are too few .*evaluate\.mode=none"):
        rows.split(frame, 0.5, 1)
