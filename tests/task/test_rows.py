"""Rows are read as text in any form, left out and counted where they cannot teach, and drawn evenly."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kit.config import Competition
from kit.errors import InputInvalid
from kit.task import csv_file, rows

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
    frame, left = rows.read(path, competition, labelled=True)
    assert not left
    assert frame.to_dict("list") == {
        "id": ["001", "1", "1.0"],
        "text": ["NA", "null", 'None, "so" and\nso'],
        "language": ["en", "null", "NA"],
        "label": ["Negative", "Positive", "Positive"],
    }
    assert frame.index.equals(pd.RangeIndex(3))
    assert all(type(value) is str for column in frame for value in frame[column])


def test_several_texts_are_read_one_by_one_and_together(path: Path, competition: Competition) -> None:
    """A row is blank where all of them are."""
    path.write_bytes(b"ID,a,b,label\n1,x,,Positive\n2,,,Negative\n3,y,z,Negative\n")
    several = competition.model_copy(update={"text": ("a", "b"), "language": ""})
    frame, left = rows.read(path, several, labelled=True)
    assert frame["text"].tolist() == ["a: x\nb: ", "a: y\nb: z"]
    assert (frame["text_b"].tolist(), left.out) == (["", "z"], {"blank text": 1})
    with pytest.raises(InputInvalid, match="no column 'c'"):
        rows.read(path, several.model_copy(update={"text": ("a", "c")}), labelled=True)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "train.csv is empty"),
        (HEADER, "a header and no rows"),
        (b"ID;sentence;label\nr1;x;Positive\n", r"no column 'sentence'.*delimiter = ';' in kit.toml"),
        (b"ID,sentance,label,language\n" + ROW, "no column 'sentence'.* did you mean 'sentance'"),
        (b"ID,Sentence,label,language\n" + ROW, "no column 'sentence'.* did you mean 'Sentence'"),
        (b"ID,ID,sentence,label,language\nr0," + ROW, "1: column 'ID' is there twice"),
        (HEADER + b"r1,x,Neutral,en\n", "no row is of use, .*1 unknown label.*line 2: 'r1,x,en,Neutral'"),
        (HEADER + b'r1,"a,b",Positive,en\n' + b'r2,"x,Positive,en\n', "3: not a csv: unexpected end"),
        (HEADER + b"r1,caf\xe9,Positive,en\n", r"2: not UTF-8: byte b'\\xe9' at offset 33.*cp1252"),
        ((HEADER + ROW).decode().encode("utf-16"), 'UTF-16 text.*encoding = "utf-16"'),
        (b"<!doctype html><title>404</title>", "is not a csv but an HTML"),
        (b'{"code": 404}', "is not a csv but JSON"),
        (b"PK\x03\x04rest", "cannot be read: File is not a zip"),
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


ODD = [
    (b"r2, ,Positive,en\n", "blank text"),
    (b"r2,x,Neutral,en\n", "unknown label"),
    (b"r2,x,,en\n", "no label"),
    (b"r1,x,Positive,en\n", "doubled id"),
    (b"r2,x,Positive\n", "another number of fields"),
    (b"r2,x,Positive,en,more\n", "another number of fields"),
]


@pytest.mark.parametrize(("line", "reason"), ODD)
def test_a_training_row_that_cannot_teach_is_left_out(
    path: Path, competition: Competition, line: bytes, reason: str
) -> None:
    """It is counted under its reason with its line; the others are read."""
    path.write_bytes(HEADER + ROW + line + b"r3,y,Negative,en\n")
    frame, left = rows.read(path, competition, labelled=True)
    assert frame["id"].tolist() == ["r1", "r3"]
    assert (left.out, left.odd) == ({reason: 1}, {})
    assert left.first[reason].startswith("line 3: ")


@pytest.mark.parametrize(("line", "reason"), [odd for odd in ODD if odd[1] != "doubled id"][-2:] + ODD[:1])
def test_every_test_row_is_kept(path: Path, competition: Competition, line: bytes, reason: str) -> None:
    """Blank, short and long rows are asked like any other, and counted; an id is asked once."""
    path.write_bytes(HEADER + ROW + line + ROW)
    frame, left = rows.read(path, competition, labelled=False)
    assert frame["id"].tolist() == ["r1", "r2"]
    assert (left.out, left.odd) == ({"doubled id": 1}, {reason: 1})


def test_a_label_is_known_in_any_spelling(path: Path, competition: Competition) -> None:
    """Case, blanks, `_` and the Unicode form of a training label are put right, and counted."""
    labels = ("Très bien", "1")
    odd = ["tr\u00e8s_bien ", "Tre\u0300s bien", "1.0", "Très bien"]
    lines = "".join(f"r{at},x,{label},en\n" for at, label in enumerate(odd))
    path.write_bytes(HEADER + lines.encode())
    frame, left = rows.read(path, competition.model_copy(update={"labels": labels}), labelled=True)
    assert frame["label"].tolist() == ["Très bien", "Très bien", "1", "Très bien"]
    assert (left.out, left.odd) == ({}, {rows.RESPELLED: 3})
    assert Competition(slug="s", labels=("-1", "0", "1")).spelling_of(" 1.0") == "1"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_any_form_is_found_and_read(
    path: Path, competition: Competition, encoding: str, delimiter: str
) -> None:
    """The form that is found is the one that the settings then read, whatever the sentences hold."""
    table = [("ID", "sentence", "label", "language"), ("r1", "café, olé; a|b", "Positive", "fr")]
    with path.open("w", encoding=encoding, newline="") as file:
        csv.writer(file, delimiter=delimiter).writerows(table * 1 + [("r2", "né", "Negative", "fr")] * 3)
    form = csv_file.form_of(path.read_bytes())
    assert (form.encoding, form.delimiter) == (encoding.replace("-sig", ""), delimiter)
    changed = competition.model_copy(update={"encoding": form.encoding, "delimiter": form.delimiter})
    frame, _ = rows.read(path, changed, labelled=True)
    assert frame["text"].tolist() == ["café, olé; a|b", "né"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r'"say \"hi, you\" now"', 'say "hi, you" now'),
        ('"say ""hi, you"" now"', 'say "hi, you" now'),
        ('"hi" she said', '"hi" she said'),
        ('"hi she said', '"hi she said'),
        ("x" * 200_000, "x" * 200_000),
    ],
)
def test_quotes_are_read_as_they_were_written(
    path: Path, competition: Competition, text: str, expected: str
) -> None:
    """Doubled, behind a backslash, or without a meaning; and a field may have any length."""
    path.write_text(HEADER.decode() + f"r1,{text},Positive,en\nr2,x,Negative,en\n")
    assert rows.read(path, competition, labelled=True)[0]["text"].tolist() == [expected, "x"]


def test_rows_without_ids_are_numbered(path: Path, competition: Competition) -> None:
    """Where train.csv has no such column, and where the settings name none."""
    path.write_bytes(b"sentence,label,language\nx,Positive,en\ny,Negative,en\n")
    assert rows.read(path, competition, labelled=True)[0]["id"].tolist() == ["0", "1"]
    unnamed = competition.model_copy(update={"id": ""})
    assert rows.read(path, unnamed, labelled=False)[0]["id"].tolist() == ["0", "1"]
    with pytest.raises(InputInvalid, match="no column 'ID'"):
        rows.read(path, competition, labelled=False)


def test_a_missing_file_names_the_command(path: Path, competition: Competition) -> None:
    """No file, or a folder in its place, says which and what to run."""
    with pytest.raises(InputInvalid, match=r"train.csv is missing \(try: make data\)"):
        rows.read(path, competition, labelled=True)
    with pytest.raises(InputInvalid, match="cannot be read"):
        rows.read(path.parent, competition, labelled=True)


@given(data=st.binary(max_size=400))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_random_bytes_are_read_or_refused(path: Path, competition: Competition, data: bytes) -> None:
    """Whatever bytes stand behind a good header are rows or an InputInvalid, never another error."""
    path.write_bytes(HEADER + data)
    try:
        frame, _ = rows.read(path, competition, labelled=True)
    except InputInvalid:
        return
    assert len(frame)


def frame_of(pairs: list[tuple[str, str]]) -> pd.DataFrame:
    """Return a row for each label and language."""
    names = [str(number) for number in range(len(pairs))]
    return pd.DataFrame(pairs, columns=["label", "language"]).assign(id=names)


PAIRS = st.tuples(st.sampled_from(["Positive", "Negative"]), st.sampled_from(["hi", "ta", "ur"]))
FRAMES = st.lists(PAIRS, min_size=3, max_size=60).map(frame_of)


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
    frame = frame_of([(label, f"l{code}") for code in range(13) for label in ("Positive", "Negative")] * 38)
    _, held = rows.split(frame, 0.1, 1)
    assert set(Counter(zip(held["label"], held["language"], strict=True)).values()) == {3, 4}
    assert not held.equals(rows.split(frame, 0.1, 2)[1])


def test_too_few_rows_to_hold_out() -> None:
    """One row of each label cannot be split, and the refusal says what to do."""
    frame = pd.DataFrame({"id": ["1", "2"], "label": ["Positive", "Negative"]})
    with pytest.raises(InputInvalid, match=r"2 rows are too few .*evaluate\.mode=none"):
        rows.split(frame, 0.5, 1)
