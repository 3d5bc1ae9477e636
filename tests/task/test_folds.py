"""Folds are even over labels and languages, and can keep nearly alike sentences together."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pandas import DataFrame

from kit.errors import InputInvalid
from kit.task import folds


def _frame(rows: list[tuple[str, str]]) -> DataFrame:
    return DataFrame(
        {
            "id": [f"r{number}" for number in range(len(rows))],
            "text": [f"sentence {number}" for number in range(len(rows))],
            "label": [label for label, _ in rows],
            "language": [language for _, language in rows],
        }
    )


@given(
    st.lists(
        st.tuples(st.sampled_from(["Positive", "Negative"]), st.sampled_from(["hi", "ta", "ur"])),
        min_size=12,
        max_size=120,
    ),
    st.integers(2, 5),
    st.integers(0, 9),
)
def test_the_folds_of_every_label_differ_by_one_row_at_most(
    rows: list[tuple[str, str]], count: int, seed: int
) -> None:
    """So do those of a label within a language."""
    labels = Counter(label for label, _ in rows)
    if min(labels.values()) < count:
        with pytest.raises(InputInvalid, match="too few"):
            folds.folds(_frame(rows), count, seed)
        return
    found = folds.folds(_frame(rows), count, seed)
    for group in (lambda row: row[0], lambda row: row):
        sizes: dict[object, Counter[int]] = {}
        for row, fold in zip(rows, found, strict=True):
            sizes.setdefault(group(row), Counter(dict.fromkeys(range(count), 0)))[fold] += 1
        assert all(max(size.values()) - min(size.values()) <= 1 for size in sizes.values())


def test_folds_depend_on_the_seed_alone() -> None:
    """The same rows and seed give the same folds, another seed others."""
    frame = _frame([(label, "hi") for label in ("Positive", "Negative") for _ in range(20)])
    assert folds.folds(frame, 4, 1) == folds.folds(frame, 4, 1)
    assert folds.folds(frame, 4, 1) != folds.folds(frame, 4, 2)


def test_nearly_alike_sentences_share_a_fold_when_asked() -> None:
    """A review that was posted twice is no fair question to a model that saw the first one."""
    told = "the hotel room was clean and the staff helped us with the luggage every single day number"
    texts = [f"{told} {number}" for number in range(6)] + [
        f"{'abcdefghij'[number]} different" * 3 for number in range(10)
    ]
    frame = _frame([("Positive" if number % 2 else "Negative", "en") for number in range(16)])
    frame["text"] = texts
    frame.loc[:5, "label"] = "Positive"
    found = folds.folds(frame, 2, 3, group_duplicates=True)
    assert len(set(found[:6])) == 1
    assert len(set(found)) == 2
