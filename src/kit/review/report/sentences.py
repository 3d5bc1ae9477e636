"""Choose the held-out rows worth reading, with their sentences: the worst missed and the least certain."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from kit.review import results
from kit.review.results import Results
from kit.task import languages

TAG_BY_CODE = {"bd": "brx", "zh": "zh-Hans"}
"""Where a data set's code is not the tag of BCP 47; a bare `zh` leaves the shapes of the characters open."""
SHOWN_ROWS = 30
TEXT_LIMIT = 600
"""Characters of a sentence that the page shows."""
COMPLETION_LIMIT = 200


@dataclass(frozen=True)
class Row:
    """One held-out row to read."""

    id: str
    text: str | None
    """None where train.csv is not at hand."""
    length: int
    """Characters of the whole sentence, of which `text` may be the beginning."""
    tag: str
    language: str
    fold: str
    truth: str
    predicted: str
    probability: float | None
    """Of the predicted label; None where the label was read from text."""
    at_truth: float | None
    completion: str

    @property
    def is_right(self) -> bool:
        """Whether the answer is the truth."""
        return self.truth == self.predicted


def missed(run: Results, text_by_id: Mapping[str, str]) -> list[Row]:
    """Return the wrong answers, those first that gave the truth the least."""
    wrong = [row for row in _rows(run, text_by_id) if not row.is_right]
    return sorted(wrong, key=lambda row: (row.at_truth if row.at_truth is not None else 2.0, row.id))


def uncertain(run: Results, text_by_id: Mapping[str, str]) -> list[Row]:
    """Return the scored rows, the least certain first, without those that `missed` shows already."""
    shown = {row.id for row in missed(run, text_by_id)[:SHOWN_ROWS]}
    scored = [row for row in _rows(run, text_by_id) if row.probability is not None and row.id not in shown]
    return sorted(scored, key=lambda row: (row.probability, row.id))


def tag(language: str) -> str:
    """Return the value of HTML's `lang`, by which a browser chooses letters and fonts; empty for unknown."""
    if re.fullmatch(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*", language):
        return TAG_BY_CODE.get(language, language)
    spoken = languages.name(language)
    codes = [code for code, name in languages.NAME_BY_CODE.items() if name == spoken and spoken]
    return TAG_BY_CODE.get(codes[0], codes[0]) if codes else ""


def _rows(run: Results, text_by_id: Mapping[str, str]) -> list[Row]:
    if run.oof is None:
        return []
    votes = results.votes(run.oof, run.labels)
    found = []
    for told, vote in zip(run.oof.to_dict("records"), votes, strict=True):
        text = text_by_id.get(told["id"])
        is_scored = told["source"] != "parse"
        shares = dict(zip(run.labels, map(float, vote), strict=True))
        found.append(
            Row(
                id=told["id"],
                text=None if text is None else text[:TEXT_LIMIT],
                length=len(text or ""),
                tag=tag(told["language"]),
                language=languages.name(told["language"]) or told["language"],
                fold=told["fold"],
                truth=told["label"],
                predicted=told["predicted"],
                probability=shares[told["predicted"]] if is_scored else None,
                at_truth=shares[told["label"]] if is_scored else None,
                completion=told["completion"][:COMPLETION_LIMIT],
            )
        )
    return found
