"""A repair mends what is mechanical, says what it did, and touches nothing else."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.review.checks import repair, validate
from kit.review.checks.facts import Facts
from kit.review.checks.problems import Verdict
from kit.review.checks.validate import check


def mend(data: bytes, facts: Facts) -> tuple[str, Counter[str], Verdict]:
    """Return the copy, the count of each change, and the report on the copy."""
    mended = repair.repair(*check(data, facts), facts)
    assert mended is not None
    text, changes = mended
    counts = Counter[str]()
    for change in changes:
        counts[change.code] += change.count
    return text, counts, check(text.encode(), facts)[0]


def joined(lines: list[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def test_every_mechanical_defect_is_mended_and_listed(facts: Facts, rows: list[str]) -> None:
    """BOM, CRLF, header, blanks, case and both orders are put right, and the copy is the good file."""
    wrong = ["Label , id", *(",".join(row.split(",")[::-1]) for row in rows[:0:-1])]
    wrong[5] = wrong[5].replace("tive", "tive ").replace("r36", " r36")
    wrong[6] = wrong[6].upper().replace("R", "r")
    text, changes, report = mend(b"\xef\xbb\xbf" + joined(wrong).replace(b"\n", b"\r\n"), facts)
    assert text.encode() == joined(rows)
    assert changes == {
        "bom": 1,
        "crlf": 41,
        "header": 2,
        "column_order": 1,
        "id_blanks": 1,
        "label": 2,
        "order": 40,
    }
    assert report.problems == []


@given(st.data())
def test_any_permutation_is_valid_after_it(facts: Facts, rows: list[str], data: st.DataObject) -> None:
    """Whatever the order of the rows, the copy is the good file."""
    shuffled = data.draw(st.permutations(rows[1:]))
    text, changes, report = mend(joined([rows[0], *shuffled]), facts)
    assert text.encode() == joined(rows)
    assert report.problems == []
    assert set(changes) == ({"order"} if shuffled != rows[1:] else set())


def test_a_good_file_is_copied_unchanged(facts: Facts, rows: list[str]) -> None:
    """Nothing to mend means the same bytes and an empty list."""
    text, changes, _ = mend(joined(rows), facts)
    assert (text.encode(), changes) == (joined(rows), {})


@pytest.mark.parametrize(
    "wrong", ["x1,Positive", "r9", 'r8,"Positive', "r7,Neutral", "r1,Positive", "r2,Positive,0.5"]
)
def test_there_is_no_copy_that_would_be_invalid(
    tmp_path: Path, facts: Facts, rows: list[str], wrong: str
) -> None:
    """One row that is not mechanical, and nothing is written, however much else could be mended."""
    path, out = tmp_path / "submission.csv", tmp_path / "out.csv"
    path.write_bytes(joined([rows[0].upper(), wrong, *rows[1:]]))
    assert not mended_copy(path, out, facts).fixed
    assert list(tmp_path.iterdir()) == [path]


def mended_copy(path: Path, out: Path, facts: Facts) -> Verdict:
    return validate._mended(*validate.judge(path, facts), facts, out)[0]


@pytest.mark.parametrize(
    ("data", "changes"),
    [
        (',id,label\n0,"r2",Positive\n\n1,r1,negative', {
            "index_column", "header", "quotes", "blank_lines", "last_line", "label", "order",
        }),
        ("ID,label\nr1,Ne\u0301gatif\nr2,Positive\n", None),
        ("ID,label\nr1,Negative\nID,label\nr2,Positive\n", {"header_repeated"}),
    ],
)  # fmt: skip
def test_every_change_is_listed(tmp_path: Path, facts: Facts, data: str, changes: set[str] | None) -> None:
    """An index column, quotes and blank lines that go are named like the rest."""
    path, out = tmp_path / "submission.csv", tmp_path / "out.csv"
    path.write_text(data)
    asked = replace(facts, ids=["r1", "r2"], languages=(), training=Counter())
    verdict = mended_copy(path, out, asked)
    assert verdict.fixed is (changes is not None)
    assert {change.code for change in verdict.changes or ()} == (changes or set())
    if changes:
        assert out.read_text() == "ID,label\nr1,Negative\nr2,Positive\n"


@pytest.mark.parametrize(
    ("labels", "written"),
    [
        (("0", "1"), "0.0 1.00"),
        (("N\u00e9gatif", "Positif"), "Ne\u0301gatif POSITIF"),
        (("Mixed_feelings", "ok"), "mixed\u00a0feelings ok"),
    ],
)
def test_a_label_in_another_spelling_is_mended(
    tmp_path: Path, facts: Facts, labels: tuple[str, str], written: str
) -> None:
    """Floats, Unicode forms, case and blanks mean one label each."""
    path, out = tmp_path / "submission.csv", tmp_path / "out.csv"
    first, second = written.split(" ")
    path.write_text(f"ID,label\nr1,{first}\nr2,{second}\n")
    asked = replace(facts, ids=["r1", "r2"], labels=labels, languages=(), training=Counter())
    assert mended_copy(path, out, asked).fixed
    assert out.read_text() == f"ID,label\nr1,{labels[0]}\nr2,{labels[1]}\n"


def test_a_label_with_two_meanings_stays(facts: Facts) -> None:
    """A case that could be either of two labels is not mended."""
    asked = replace(facts, ids=["1", "2"], labels=("US", "us", "uk"), languages=(), training=Counter())
    assert mend(b"ID,label\n1,Us\n2,UK\n", asked)[0] == "ID,label\n1,Us\n2,uk\n"


def test_a_cut_row_does_not_become_whole(facts: Facts, rows: list[str]) -> None:
    """A file that ends inside a row has no valid copy."""
    for cut in range(1, 13):
        made = repair.repair(*check(joined(rows)[:-1][:-cut], facts), facts)
        assert made is None or not check(made[0].encode(), facts)[0].valid


@pytest.mark.parametrize(
    "data",
    [b"", b"<html>", b"ID;label\nr1;Positive\n", b"ID,label\nr1,\xff\n", b"ID,label\nr\0001,Positive\n"],
)
def test_a_file_beyond_repair_gets_no_copy(facts: Facts, data: bytes) -> None:
    """Defects of the file as a whole leave nothing to copy."""
    assert repair.repair(*check(data, facts), facts) is None


def test_ids_with_line_ends_survive(facts: Facts) -> None:
    """An id of two lines is one row, with an extra column too."""
    asked = replace(facts, ids=["b", "a\n1"], languages=(), training=Counter())
    text, _, report = mend(b'ID,label\n"a\n1",positive\nb,Negative\n', asked)
    assert report.problems == []
    assert text == 'ID,label\nb,Negative\n"a\n1",Positive\n'


def test_a_broken_file_never_raises(facts: Facts, rows: list[str]) -> None:
    """A thousand damaged files are judged, and mended as far as they go, without an error."""
    generator = random.Random(5)
    good = joined(rows)
    for _ in range(1000):
        data = bytearray(good)
        for _ in range(generator.randint(1, 6)):
            at = generator.randrange(len(data))
            data[at : at + generator.randint(0, 9)] = generator.choice(
                [b"", b'"', b",", b"\n", b"\r", b"\0", b"\xff", b" ", b"ID,label\n", b"\xe2\x80\x8b"]
            )
        mended = repair.repair(*check(bytes(data), facts), facts)
        if mended:
            check(mended[0].encode(), facts)
