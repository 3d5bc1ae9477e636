"""Whatever the bytes of a submission, it is judged, soon, and no defect is lost."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.review.checks.facts import Facts
from kit.review.checks.problems import MESSAGE, WARNINGS, Verdict
from kit.review.checks.validate import check


def codes(report: Verdict) -> set[str]:
    return {problem.code for problem in report.problems}


HOSTILE = [
    (b"0" * 131_000 + b"x,Positive", "id_unknown"),
    (f"r3,N{chr(0x301) + chr(0x323)}".encode() + "\u0301\u0323".encode() * 32_000, "label_unknown"),
    (b"N" + "\u0301\u0323".encode() * 32_000 + b",Positive", "id_unknown"),
    (b"x" * 50_000_000 + b",Positive", "long_line"),
    (b'"' + b'",' * 5_000_000, "long_line"),
]


@pytest.mark.parametrize(("line", "code"), HOSTILE, ids=["zeros", "label", "id", "long line", "quotes"])
def test_hostile_lines_take_no_time(facts: Facts, line: bytes, code: str) -> None:
    """Reading is linear, and a message stays short whatever the line holds."""
    started = time.process_time()
    report, _ = check(b"ID,label\n" + line + b"\nr2,Positive\n", facts)
    assert time.process_time() - started < 15
    assert code in codes(report)
    assert all(len(problem.message) <= MESSAGE for problem in report.problems)
    assert len(str(report.as_json())) < 20_000


NAMES = st.lists(
    st.text(st.characters(exclude_categories=["Cc"], include_characters="\n\t", codec="utf-8"), min_size=1),
    min_size=2,
    unique=True,
)
"""A file of many control characters is told to be a binary one instead."""


def as_csv(pairs: list[tuple[str, str]]) -> bytes:
    lines = [
        f'"{name}",{label}' for name, label in ((name.replace('"', '""'), label) for name, label in pairs)
    ]
    return "".join(f"{line}\n" for line in ["ID,label", *lines]).encode()


@given(NAMES, st.data())
def test_any_valid_frame_passes_and_each_change_is_found(
    facts: Facts, names: list[str], data: st.DataObject
) -> None:
    """Whatever the ids: the full file has no error; a dropped, doubled or altered cell has its code."""
    asked = Facts(facts.columns, facts.labels, names)
    pairs = [(name, data.draw(st.sampled_from(facts.labels))) for name in names]
    report, _ = check(as_csv(pairs), asked)
    assert report.valid, report.problems
    at = data.draw(st.integers(0, len(pairs) - 1))
    dropped = codes(check(as_csv([*pairs[:at], *pairs[at + 1 :]]), asked)[0])
    assert {"row_count", "id_missing"} <= dropped
    doubled = codes(check(as_csv([*pairs, pairs[at]]), asked)[0])
    assert {"row_count", "id_duplicate"} <= doubled
    letters = st.text(st.characters(exclude_categories=["Cc"], exclude_characters='",', codec="utf-8"))
    altered = data.draw(letters.filter(lambda text: text not in facts.labels))
    changed = check(as_csv([*pairs[:at], (pairs[at][0], altered), *pairs[at + 1 :]]), asked)[0]
    assert any(code.startswith("label_") for code in codes(changed) - WARNINGS)
    stranger = data.draw(letters.filter(lambda text: text not in names))
    changed = check(as_csv([*pairs[:at], (stranger, pairs[at][1]), *pairs[at + 1 :]]), asked)[0]
    assert codes(changed) & {"id_unknown", "id_retyped", "id_blank"}


FRAGMENTS = st.lists(
    st.sampled_from(
        [b"ID", b"label", b",", b"\n", b'"', b"r1", b"r2", b"Positive", b"Neg", b"\0", b"\xff", b";", b" "]
    )
    | st.binary(max_size=4),
    max_size=40,
).map(b"".join)


@given(st.one_of(st.binary(), FRAGMENTS, FRAGMENTS.map(lambda data: b"ID,label\n" + data)))
def test_any_bytes_are_judged(facts: Facts, data: bytes) -> None:
    """Random bytes are reported on, never raise, and are never valid."""
    report, _ = check(data, facts)
    assert not report.valid
    report.as_json()
