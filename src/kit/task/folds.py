"""Deal labelled rows out to folds, even over labels and languages, nearly alike sentences together if asked.

It also finds test rows that are nearly like a training row. Chooses rows; trains and reads nothing.
"""

from __future__ import annotations

import random
import re
import unicodedata
from bisect import bisect
from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from kit.errors import InputInvalid
from kit.task.rows import groups_of

if TYPE_CHECKING:
    from pandas import DataFrame

ALIKE = 0.8  # cosine of two sentences' character n-grams from which on one is a near-duplicate of the other
CHUNK = 2_000  # rows compared with all others at once
DIFFERENT = 0.2
"""The largest share of its letters, in one stretch, by which a text may differ from another like it."""


def folds(frame: DataFrame, count: int, seed: int, *, group_duplicates: bool = False) -> list[int]:
    """Return each row's fold, 0 to `count` - 1, in file order.

    Without grouping the folds of each label, and of each language within it, differ by one row at most.
    Raises InputInvalid where a label has fewer rows, or with grouping fewer groups, than there are folds.
    """
    groups = near_duplicates(frame["text"].tolist()) if group_duplicates else list(range(len(frame)))
    rows_by_group: dict[int, list[int]] = defaultdict(list)
    for position, group in enumerate(groups):
        rows_by_group[group].append(position)
    alike_rows = list(rows_by_group.values())
    strata = groups_of(frame.iloc[[rows[0] for rows in alike_rows]])
    generator = random.Random(seed)  # noqa: S311 - a reproducible draw, not a secret
    fold_of = [0] * len(frame)
    for label in sorted({label for label, _ in strata}):
        order = list(range(count))
        generator.shuffle(order)
        turn = 0
        for key in sorted(key for key in strata if key[0] == label):
            stratum = [alike_rows[at] for at in strata[key]]
            generator.shuffle(stratum)
            # The largest first: the small ones behind them even out what they leave uneven.
            for rows in sorted(stratum, key=len, reverse=True):
                for position in rows:
                    fold_of[position] = order[turn % count]
                turn += 1
        if turn < count:
            what = "groups of nearly alike rows" if group_duplicates else "rows"
            raise InputInvalid(
                f"label {label!r} has {turn} {what}, too few for {count} folds",
                hint=(f"SET=evaluate.folds={turn}, or " if turn > 1 else "") + "SET=evaluate.mode=holdout",
            )
    return fold_of


def near_duplicates(texts: Sequence[str]) -> list[int]:
    """Return a number for the group of each text; texts that are nearly alike share one."""
    from scipy.sparse import vstack  # type: ignore[import-untyped]
    from scipy.sparse.csgraph import connected_components  # type: ignore[import-untyped]
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectors = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 5), lowercase=True).fit_transform(texts)
    starts = range(0, len(texts), CHUNK)
    alike = vstack([vectors[start : start + CHUNK] @ vectors.T >= ALIKE for start in starts])
    groups: list[int] = connected_components(alike, directed=False)[1].tolist()
    return groups


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
