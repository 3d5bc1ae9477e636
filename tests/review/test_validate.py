"""Every defect of a submission is found under its own code, all of them in one pass."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import pytest

from kit.config import resolve
from kit.fetch.inputs import SAMPLE
from kit.review.checks.facts import Facts
from kit.review.checks.problems import WARNINGS, Verdict
from kit.review.checks.validate import check, validate

Lines = list[str]


def joined(lines: Lines) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def codes(report: Verdict) -> set[str]:
    return {problem.code for problem in report.problems}


def asking(facts: Facts, ids: Sequence[str], labels: tuple[str, ...] = ()) -> Facts:
    """Return facts of other ids, without training rows."""
    return Facts(facts.columns, labels or facts.labels, ids)


def line(number: int, text: str) -> Callable[[Lines], bytes]:
    """Put `text` in place of a line, counted from 1."""
    return lambda lines: joined([*lines[: number - 1], text, *lines[number:]])


# The good file's line 3 is `r2,Positive`, line 4 `r3,Negative`.
MUTATIONS: list[tuple[str, set[str], Callable[[Lines], bytes]]] = [
    ("as it is", set(), joined),
    ("all quoted", set(), lambda lines: joined(['"' + row.replace(",", '","') + '"' for row in lines])),
    ("no final newline", set(), lambda lines: joined(lines)[:-1]),
    ("blank lines", set(), lambda lines: joined([*lines[:5], "", *lines[5:], "", ""])),
    ("nothing", {"file_empty"}, lambda _: b""),
    ("blanks only", {"file_empty"}, lambda _: b"\xef\xbb\xbf \r\n\n"),
    ("html", {"not_csv"}, lambda _: b"<!DOCTYPE html><html><title>404</title></html>"),
    ("json", {"not_csv"}, lambda _: b'{"code": 403, "message": "Permission denied"}'),
    ("gzip", {"not_csv"}, lambda lines: gzip.compress(joined(lines))),
    ("excel", {"not_csv"}, lambda _: b"PK\x03\x04\x14\x00\x06\x00[Content_Types].xml"),
    ("binary", {"not_csv"}, lambda _: random.Random(1).randbytes(5000)),
    ("png", {"not_csv"}, lambda _: b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\1\0\0\0\1\0\x08\6\0\0\0"),
    ("latin-1 label", {"not_utf8", "label_unknown"}, lambda lines: joined(lines).replace(
        b"r3,Negative", b"r3,N\xe9gatif"
    )),
    ("utf-16", {"utf16"}, lambda lines: joined(lines).decode().encode("utf-16")),
    ("utf-16 without a mark", {"utf16"}, lambda lines: joined(lines).decode().encode("utf-16-le")),
    ("nul", {"nul_byte"}, lambda lines: joined(lines).replace(b"r3,Neg", b"r3,\0Neg")),
    ("no header", {"header_missing"}, lambda lines: joined(lines[1:])),
    ("renamed column", {"header"}, line(1, "ID,sentiment")),
    ("header with blanks", {"header"}, line(1, "ID, label")),
    ("doubled column", {"header"}, lambda lines: joined(
        [f"{row},{row.split(',')[1]}" for row in lines]
    )),
    ("header further down", {"row_count", "id_unknown", "label_unknown"}, lambda lines: joined(
        [*lines[:9], lines[0], *lines[9:]]
    )),
    ("extra column", {"header"}, lambda lines: joined([f"{row},x" for row in lines])),
    ("other order", {"column_order"}, lambda lines: joined(
        [",".join(row.split(",")[::-1]) for row in lines]
    )),
    ("index", {"header"}, lambda lines: joined(
        [f",{lines[0]}", *(f"{at},{row}" for at, row in enumerate(lines[1:]))]
    )),
    ("one column", {"header"}, lambda lines: joined([row.split(",")[0] for row in lines])),
    ("too many fields", {"ragged_row"}, line(4, "r3,Negative,0.98")),
    ("too few fields", {"ragged_row"}, line(4, "r3")),
    ("open quote", {"open_quote"}, line(4, 'r3,"Negative')),
    ("open quote before a quoted field", {"open_quote"}, lambda lines: line(4, 'r3,"Negative')(
        [*lines[:9], 'r9,"Positive"', *lines[10:]]
    )),
    ("open quote in the last line", {"open_quote"}, line(41, 'r40,"Negative')),
    ("quote inside a field", {"open_quote"}, line(4, 'r3,"Neg"ative')),
    ("semicolons", {"wrong_delimiter"}, lambda lines: joined(lines).replace(b",", b";")),
    ("tabs", {"wrong_delimiter"}, lambda lines: joined(lines).replace(b",", b"\t")),
    ("a row too few", {"row_count", "id_missing"}, lambda lines: joined([*lines[:4], *lines[5:]])),
    ("a row too many", {"row_count", "id_unknown"}, lambda lines: joined([*lines, "r41,Positive"])),
    ("a row twice", {"row_count", "id_duplicate"}, lambda lines: joined([*lines, lines[3]])),
    ("one id in place of another", {"id_duplicate", "id_missing"}, line(4, "r2,Negative")),
    ("unknown id", {"id_unknown", "id_missing"}, line(4, "x9,Negative")),
    ("blank id", {"id_blank", "id_missing"}, line(4, " ,Negative")),
    ("id with blanks", {"id_retyped"}, line(4, " r3,Negative")),
    ("id with an invisible mark", {"id_retyped"}, line(4, "r\u200b3,Negative")),
    ("re-cased id", {"id_retyped"}, line(4, "R3,Negative")),
    ("blank label", {"label_blank"}, line(4, "r3,")),
    ("label of blanks", {"label_blank"}, line(4, "r3,\u00a0\u200b")),
    ("nan", {"label_nan"}, line(4, "r3,NaN")),
    ("N/A", {"label_nan"}, line(4, "r3,N/A")),
    ("None", {"label_nan"}, line(4, "r3,None")),
    ("unknown label", {"label_unknown"}, line(4, "r3,Neutral")),
    ("part of a label", {"label_unknown"}, line(4, "r3,Neg")),
    ("label in small letters", {"label_spelling"}, line(4, "r3,negative")),
    ("label with blanks", {"label_spelling"}, line(4, "r3, Negative")),
    ("code", {"label_unknown"}, line(4, "r3,0")),
    ("cyrillic letters", {"label_unknown"}, line(4, "r3,N\u0435g\u0430tive")),
    ("accent", {"label_unknown"}, line(4, "r3,Nega\u0301tive")),
    ("wide letters", {"label_spelling"}, line(4, "r3,\uff2eegative")),
    ("digit for a letter", {"label_unknown"}, line(4, "r3,Negat1ve")),
    ("zero-width space", {"label_spelling"}, line(4, "r3,Nega\u200btive")),
    ("cut in the label", {"label_unknown"}, lambda lines: joined(lines)[:-4]),
    ("cut in the id", {"ragged_row", "id_missing"}, lambda lines: joined(lines)[:-11]),
    ("cut behind the comma", {"label_blank"}, lambda lines: joined(lines)[:-9]),
    ("cut in a quoted label", {"label_unknown", "open_quote"}, lambda lines: line(
        41, 'r40,"Nega'
    )(lines)[:-1]),
    ("byte order mark", {"bom"}, lambda lines: b"\xef\xbb\xbf" + joined(lines)),
    ("crlf", {"crlf"}, lambda lines: joined(lines).replace(b"\n", b"\r\n")),
    ("cr", {"crlf"}, lambda lines: joined(lines).replace(b"\n", b"\r")),
    ("backwards", {"order"}, lambda lines: joined([lines[0], *lines[:0:-1]])),
    ("one label", {"constant_label", "label_shift", "language_label_shift"}, lambda lines: joined(
        [row.replace("Negative", "Positive") for row in lines]
    )),
    ("one label for each language", {"language_label_shift"}, lambda lines: joined(
        [lines[0], *(f"r{at},{'Positive' if at % 2 else 'Negative'}" for at in range(1, 41))]
    )),
]  # fmt: skip


@pytest.mark.parametrize(
    ("expected", "mutate"), [row[1:] for row in MUTATIONS], ids=[row[0] for row in MUTATIONS]
)
def test_each_defect_has_its_code(
    facts: Facts, rows: Lines, expected: set[str], mutate: Callable[[Lines], bytes]
) -> None:
    """One defect gives its code and no other, and only warnings leave the file valid."""
    report, _ = check(mutate(list(rows)), facts)
    assert codes(report) == expected
    assert report.valid == (expected <= WARNINGS)


@pytest.mark.parametrize(
    ("test_ids", "rename"),
    [
        (["1", "2", "30"], lambda name: f"{name}.0"),
        (["1", "2", "30"], lambda name: f"00{name}"),
        (["1", "2", "30"], lambda name: f"{name} "),
        (["001", "002", "030"], lambda name: name.lstrip("0")),
        (["1000", "1234567"], lambda name: f'"{int(name):,}"'),
        (["1000", "1234567"], lambda name: f'"{int(name):,}.0"'),
        (["1.5", "2.5"], lambda name: f"'{name}'"),
    ],
)
def test_ids_are_exact_text(facts: Facts, test_ids: list[str], rename: Callable[[str], str]) -> None:
    """A number written another way is a re-typed id, named with the id that was meant, and nothing else."""
    asked = asking(facts, ids=test_ids)

    def answered(ids: Iterable[str]) -> Verdict:
        lines = [f"{name},{facts.labels[at % 2]}" for at, name in enumerate(ids)]
        return check(joined(["ID,label", *lines]), asked)[0]

    assert answered(test_ids).problems == []
    report = answered(map(rename, test_ids))
    assert codes(report) == {"id_retyped"}
    assert report.problems[0].count == len(test_ids)
    assert f"is {test_ids[0]!r} in test.csv" in report.problems[0].message


def test_all_problems_come_in_one_pass(facts: Facts, rows: Lines) -> None:
    """A file with a dozen defects gets a dozen codes, each with line, id and value."""
    rows = [*rows]
    rows[0] = "id, label"
    rows[2:10] = ["r2,positive", "r3, Negative", "x,Neutral", "r5,", 'r6,"Positive', "r7", "r7,1", "r1,NaN"]
    data = b"\xef\xbb\xbf" + joined(rows)[:-3].replace(b"\n", b"\r\n")
    report, _ = check(data, facts)
    assert codes(report) == {
        *("bom", "crlf", "header", "ragged_row", "open_quote", "id_unknown", "id_duplicate", "id_missing"),
        *("label_blank", "label_nan", "label_unknown", "label_spelling"),
    }
    told = {
        "code": "label_spelling",
        "message": "line 3: label 'positive' of id 'r2' is not exactly 'Positive'",
        "count": 2,
        "examples": [
            {"line": 3, "id": "r2", "value": "positive"},
            {"line": 4, "id": "r3", "value": " Negative"},
        ],
    }
    assert told in json.loads(json.dumps(report.as_json()))["errors"]


def test_a_problem_counts_all_and_shows_five(facts: Facts, rows: Lines) -> None:
    """Forty unknown labels are one problem of forty with five examples."""
    report, _ = check(joined(rows).replace(b"Positive", b"Neutral").replace(b"Negative", b"Neutral"), facts)
    (problem,) = report.problems
    assert (problem.code, problem.count, len(problem.examples)) == ("label_unknown", 40, 5)


@pytest.mark.parametrize(
    ("label", "told"),
    [
        ("N\u0435gative".encode(), r"label 'N\u0435gative' of id 'r3' is not exactly 'Negative'"),
        ("Nega\u200btive".encode(), r"label 'Nega\u200btive' of id 'r3' is not exactly 'Negative'"),
        ("शायद".encode(), "label 'शायद' of id 'r3' is none of 'Positive', 'Negative'"),
        (b"\xffNegative", r"byte b'\xff' at offset 36 is not UTF-8"),
    ],
)
def test_what_looks_like_a_label_is_shown_in_ascii(
    facts: Facts, rows: Lines, label: bytes, told: str
) -> None:
    """Beside the label that is meant, so that the difference can be seen; other words stay as they are."""
    report, _ = check(joined(rows).replace(b"r3,Negative", b"r3," + label), facts)
    assert report.problems[0].message == f"line 4: {told}"


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    """No file, or a folder, is invalid under its own code."""
    for path in (tmp_path / "none.csv", tmp_path):
        report = validate(None, lambda _: [SAMPLE], resolve("t4x2").competition, submission=path)
        assert {problem.code for problem in report.errors} == {"file_missing"}


OTHER_ID, OTHER_SPELLING = {"id_unknown", "id_missing"}, {"label_spelling"}


@pytest.mark.parametrize(
    ("ids", "labels", "rows", "found"),
    [
        (["a,b", 'c "d"', "e\nf"], (), '"a,b",Positive\n"c ""d""",Negative\n"e\nf",Positive', set()),
        (["a,b", 'c "d"', "e\nf"], (), '"a,b",Positive\n"c ""d""",Negative\n"e\ng",Positive', OTHER_ID),
        (["1", "01"], (), "1.0,Positive\n01,Negative", OTHER_ID),
        (["1", "2"], ("0", "very good"), "1,0\n2,very good", set()),
        (["1", "2"], ("0", "very good"), "1,0\n2,Very Good", OTHER_SPELLING),
    ],
    ids=["as text over lines", "another text", "a number of two ids", "any labels", "their spelling"],
)
def test_any_ids_and_labels_work(
    facts: Facts, ids: list[str], labels: tuple[str, ...], rows: str, found: set[str]
) -> None:
    """Numbers, words with blanks, commas, quotes and line ends need no code of their own."""
    asked = asking(facts, ids, labels)
    assert codes(check(f"ID,label\n{rows}\n".encode(), asked)[0]) == found
