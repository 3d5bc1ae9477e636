"""Test rows that a model may remember from training are found, quickly."""

from __future__ import annotations

import random
import time

import pytest

from kit.task.folds import alike


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
    assert alike([text], ["another text", known, "zebra"]) == ({0: 1} if is_alike else {})


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
    found = alike(texts, known)
    assert time.process_time() - started < 20  # all pairs would take minutes
    assert {at for at, near in found.items() if at == near} >= set(range(198))
