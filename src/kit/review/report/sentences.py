"""Choose the held-out rows worth reading, with their sentences: the worst missed and the least certain."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from kit.review.results import Results
from kit.task import languages

TAG_BY_CODE = {"bd": "brx", "zh": "zh-Hans"}
"""Where a data set's code is not the tag of BCP 47; a bare `zh` leaves the shapes of the characters open."""
SHOWN_ROWS = 30
TEXT_LIMIT = 600
"""Characters of a sentence that the page shows."""
COMPLETION_LIMIT = 200


class Row(NamedTuple):
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


def to_read(run: Results, text_by_id: Mapping[str, str]) -> tuple[list[Row], list[Row]]:
    """Return the wrong answers, those first that gave the truth the least, and the scored rows.

    Of these the least certain come first, and those that are shown among the wrong ones are left out.
    """
    rows = _rows(run, text_by_id)
    missed = [row for row in rows if row.truth != row.predicted]
    missed.sort(key=lambda row: (2.0 if row.at_truth is None else row.at_truth, row.id))
    shown = {row.id for row in missed[:SHOWN_ROWS]}
    scored = [row for row in rows if row.probability is not None and row.id not in shown]
    return missed, sorted(scored, key=lambda row: (row.probability, row.id))


def tag(language: str) -> str:
    """Return the value of HTML's `lang`, by which a browser chooses letters and fonts; empty for unknown."""
    if re.fullmatch(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*", language):
        return TAG_BY_CODE.get(language, language)
    spoken = languages.name(language)
    codes = [code for code, name in languages.NAME_BY_CODE.items() if name == spoken and spoken]
    return TAG_BY_CODE.get(codes[0], codes[0]) if codes else ""


def _rows(run: Results, text_by_id: Mapping[str, str]) -> list[Row]:
    found = []
    for told in run.oof.to_dict("records") if run.oof is not None else ():
        text = text_by_id.get(told["id"])
        is_scored = told["source"] != "parse"
        probability, at_truth = (told[f"probability_{told[name]}"] for name in ("predicted", "label"))
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
                probability=probability if is_scored else None,
                at_truth=at_truth if is_scored else None,
                completion=told["completion"][:COMPLETION_LIMIT],
            )
        )
    return found
