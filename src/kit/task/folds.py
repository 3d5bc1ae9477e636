"""Deal labelled rows out to folds, even over labels and languages, nearly alike sentences together if asked.

Chooses rows; trains and reads nothing.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from kit.errors import InputInvalid

if TYPE_CHECKING:
    from pandas import DataFrame

ALIKE = 0.8
"""Cosine of two sentences' character n-grams from which on one is a near-duplicate of the other."""
CHUNK = 2_000
"""Rows compared with all others at once."""


def folds(frame: DataFrame, count: int, seed: int, *, group_duplicates: bool = False) -> list[int]:
    """Return each row's fold, 0 to `count` - 1, in file order.

    Without grouping the folds of each label, and of each language within it, differ by one row at most.
    Raises InputInvalid where a label has fewer rows, or with grouping fewer groups, than there are folds.
    """
    groups = near_duplicates(frame["text"].tolist()) if group_duplicates else list(range(len(frame)))
    rows_by_group: dict[int, list[int]] = defaultdict(list)
    for position, group in enumerate(groups):
        rows_by_group[group].append(position)
    generator = random.Random(seed)  # noqa: S311 - a reproducible draw, not a secret
    labels = frame["label"].tolist()
    languages = frame["language"].tolist() if "language" in frame else [""] * len(frame)
    by_stratum: dict[tuple[str, str], list[list[int]]] = defaultdict(list)
    for rows in rows_by_group.values():
        by_stratum[labels[rows[0]], languages[rows[0]]].append(rows)
    fold_of = [0] * len(frame)
    for label in sorted({label for label, _ in by_stratum}):
        order = list(range(count))
        generator.shuffle(order)
        turn = 0
        for key in sorted(key for key in by_stratum if key[0] == label):
            stratum = by_stratum[key]
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
