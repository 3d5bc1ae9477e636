"""Folds are even over labels and languages, and can keep nearly alike sentences together, found quickly."""

from __future__ import annotations

import random
import time
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pandas import DataFrame

from kit.errors import InputInvalid
from kit.task import folds


def _frame(rows: list[tuple[str, str]]) -> DataFrame:
    names = [str(number) for number in range(len(rows))]
    return DataFrame(rows, columns=["label", "language"]).assign(id=names, text=names)


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
        f"{letter} different" * 3 for letter in "abcdefghij"
    ]
    labels = ["Positive"] * 6 + ["Negative", "Positive"] * 5
    frame = _frame([(label, "en") for label in labels]).assign(text=texts)
    found = folds.folds(frame, 2, 3, group_duplicates=True)
    assert len(set(found[:6])) == 1
    assert len(set(found)) == 2


@pytest.mark.parametrize(
    ("text", "known", "is_alike"),
    [
        ("It WORKS, really well!", "it works — really well", True),
        ("The battery died after two days of use.", "The battery died after two weeks of use.", True),
        ("A fine day, and this phone is a joy to use", "A fine day, and this phone is a joy", True),
        ("Really, the battery died after two weeks", "the battery died after two weeks", True),
        ("完全に満足しています、また買います", "完全に満足しています、また買いたい", True),
        ("The battery died after two days of use.", "The screen cracked on the first day of use.", False),
        ("good", "bad", False),
        ("...", "!!!", False),
    ],
)
def test_texts_are_alike_but_for_one_stretch(text: str, known: str, is_alike: bool) -> None:
    """Case, signs and blanks do not count; more than a fifth of the letters does."""
    assert folds.alike([text], ["another text", known, "zebra"]) == ({0: 1} if is_alike else {})


def test_ten_thousand_rows_are_compared_in_seconds() -> None:
    """A change anywhere in the text is found."""
    draw = random.Random(1)
    words = ["".join(draw.choices("abcdefghijklmnopqrstuvwxyz", k=draw.randint(2, 9))) for _ in range(5000)]
    known = [" ".join(draw.choices(words, k=draw.randint(12, 30))) for _ in range(10_000)]
    texts = [known[at] for at in range(200)] + [" ".join(draw.choices(words, k=20)) for _ in range(9_800)]
    for at in range(200):
        changed = texts[at].split()
        changed[at % len(changed)] = "xx"
        texts[at] = " ".join(changed)
    started = time.process_time()
    found = folds.alike(texts, known)
    assert time.process_time() - started < 20  # all pairs would take minutes
    assert {at for at, near in found.items() if at == near} >= set(range(198))
