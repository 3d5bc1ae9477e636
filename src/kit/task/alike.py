"""Find the test rows that stand in the training file almost as they are: a model may remember their answers.

Folds of nearly alike training rows are the business of folds.py.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect
from collections.abc import Sequence

DIFFERENT = 0.2
"""The largest share of its letters, in one stretch, by which a text may differ from another like it."""


def alike(texts: Sequence[str], known: Sequence[str]) -> dict[int, int]:
    """Return the positions of the texts that one of `known` is like, and of that one; case and signs aside.

    Compares neighbours in the order of the alphabet, read from the front and from the back.
    """
    folded, others = [[_folded(text) for text in each] for each in (texts, known)]
    found: dict[int, int] = {}
    for turn in (1, -1):
        order = sorted(range(len(others)), key=lambda at: others[at][::turn])
        sorted_others = [others[at][::turn] for at in order]
        for at, text in enumerate(folded):
            place = bisect(sorted_others, text[::turn])
            for near in order[max(0, place - 1) : place + 1]:
                if at not in found and _difference(text, others[near]) <= DIFFERENT:
                    found[at] = near
    return found


def _folded(text: str) -> str:
    return " ".join(re.findall(r"\w+", unicodedata.normalize("NFKC", text).casefold()))


def _difference(text: str, other: str) -> float:
    shorter, longer = sorted((len(text), len(other)))
    same = _begins(text, other) + _begins(text[::-1], other[::-1])
    return 1 - min(same, shorter) / longer if longer else 1.0


def _begins(text: str, other: str) -> int:
    """Return how many letters two texts share at their beginning."""
    pairs = enumerate(zip(text, other, strict=False))
    return next((at for at, (one, two) in pairs if one != two), min(len(text), len(other)))
