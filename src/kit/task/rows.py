"""Read labelled and unlabelled rows from a csv, and draw from them evenly.

Everything is read as text. Every test row is kept, whatever it holds; a training row that cannot teach is
left out. Both are counted by reason.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from kit.errors import InputInvalid
from kit.task import csv_file

if TYPE_CHECKING:
    from pandas import DataFrame

    from kit.config import Competition

RESPELLED = "label in another spelling"
Columns = dict[str, list[str]]


@dataclass(frozen=True)
class Left:
    """How many rows of a file were left out, and how many are odd but kept, by reason."""

    out: dict[str, int] = field(default_factory=dict)
    odd: dict[str, int] = field(default_factory=dict)
    first: dict[str, str] = field(default_factory=dict)
    """By reason, the line and the values of the first such row."""

    def __bool__(self) -> bool:
        return bool(self.out or self.odd)

    def __str__(self) -> str:
        parts = [
            f"{sum(counts.values()):,} {what} ({', '.join(f'{n:,} {why}' for why, n in counts.items())})"
            for what, counts in (("left out", self.out), ("odd but kept", self.odd))
            if counts
        ]
        return ", ".join(parts) or "every row is taken"


def read(path: Path, competition: Competition, *, labelled: bool) -> tuple[DataFrame, Left]:
    """Return columns id, text, then language and label where they apply: all text, in file order, RangeIndex.

    Rows without an id column are numbered from 0. Raises InputInvalid where the file is no csv, lacks a
    column or holds no row of use. `"NA"`, `"null"` and `"None"` are text like any other.
    """
    import pandas as pd

    columns, left = scan(path, competition, labelled=labelled)
    return pd.DataFrame(columns), left


def scan(path: Path, competition: Competition, *, labelled: bool, text: bool = True) -> tuple[Columns, Left]:
    """Return what `read` does as lists, without pandas; without `text`, no sentences."""
    sheet = csv_file.read(path, csv_file.Form(competition.encoding, competition.delimiter))
    wanted = _wanted(competition, csv_file.names(sheet.header), labelled=labelled, text=text)
    by_column, uneven = sheet.columns(wanted.values())
    columns = {name: by_column[column] for name, column in wanted.items()}
    count = len(next(iter(columns.values()), ()))
    if not count:
        raise InputInvalid(f"{path}: a header and no rows", hint="make data")
    if "id" not in columns:
        columns = {"id": [str(number) for number in range(count)], **columns}
    if "text" not in columns and text:
        columns = {"id": columns["id"], "text": _joined(columns, competition.texts), **columns}
    if labelled:
        columns["id"] = [name if name.strip() else f"row {at}" for at, name in enumerate(columns["id"])]
    meant = {label: competition.spelling_of(label) for label in set(columns.get("label", ()))}
    marks = _marks(columns, meant, uneven)
    out = {at for at, why in marks.items() if (labelled and why != RESPELLED) or why == "doubled id"}
    left = Left()
    for at, why in sorted(marks.items()):
        counts = left.out if at in out else left.odd
        counts[why] = counts.get(why, 0) + 1
        if why not in left.first:
            values = repr(",".join(own[at][:80] for own in columns.values()))
            left.first[why] = f"line {sheet.line_of(at)}: {values[:80]}"
    if len(out) == count:
        what = f"{path}: no row is of use, {left}; {' '.join(left.first.values())}"
        raise InputInvalid(what, hint="mend kit.toml")
    if labelled:
        columns["label"] = [meant[label] or label for label in columns["label"]]
    if out:
        kept = [at for at in range(count) if at not in out]
        columns = {name: [values[at] for at in kept] for name, values in columns.items()}
    return columns, left


def _wanted(competition: Competition, header: Sequence[str], *, labelled: bool, text: bool) -> dict[str, str]:
    """Return the columns to read by role: no training id and, without texts, no language must be there."""
    names = competition.texts
    text_roles = {"text": names[0]} if len(names) == 1 else {f"text_{name}": name for name in names}
    column_by_role = {
        "id": competition.id,
        **(text_roles if text or not competition.id else {}),
        "language": competition.language,
        "label": competition.label if labelled else "",
    }
    optional = {"id" if labelled else "", "" if text else "language"}
    return {
        role: column
        for role, column in column_by_role.items()
        if column and (column in header or role not in optional)
    }


def _joined(columns: Columns, names: Sequence[str]) -> list[str]:
    """Return each row's texts as one, each under its column's name; blank where all are."""
    rows = zip(*(columns[f"text_{name}"] for name in names), strict=True)
    return [
        "\n".join(f"{name}: {text}" for name, text in zip(names, row, strict=True))
        if "".join(row).strip()
        else ""
        for row in rows
    ]


def _marks(columns: Columns, meant: Mapping[str, str], uneven: Sequence[int]) -> dict[int, str]:
    """Return by its position why a row is not like the others, the weightiest reason alone."""
    labels, ids = list(enumerate(columns.get("label", ()))), columns["id"]
    named = list(enumerate(ids)) if len(set(ids)) < len(ids) else []
    first = {name: at for at, name in reversed(named)}
    places_by_reason = {
        "another number of fields": uneven,
        "no label": [at for at, label in labels if not label.strip()],
        "unknown label": [at for at, label in labels if not meant[label]],
        "blank text": [at for at, text in enumerate(columns.get("text", ())) if not text.strip()],
        "doubled id": [at for at, name in named if first[name] != at],
        RESPELLED: [at for at, label in labels if meant[label] != label],
    }
    return {at: why for why, places in reversed(places_by_reason.items()) for at in places}


def sample(frame: DataFrame, count: int, seed: int) -> DataFrame:
    """Return `count` rows, all for 0, in file order, as even over labels and languages as the rows allow."""
    if count <= 0 or count >= len(frame):
        return frame
    generator = random.Random(seed)  # noqa: S311 - a reproducible draw, not a secret
    groups = groups_of(frame)
    labels = sorted({label for label, _ in groups})
    languages = sorted({language for _, language in groups})
    generator.shuffle(labels)
    generator.shuffle(languages)
    for positions in groups.values():
        generator.shuffle(positions)
    # One row of each group in turn, on diagonals of the label x language table: wherever the draw stops,
    # neither a label nor a language is more than one turn ahead.
    order = [
        (labels[(index + shift) % len(labels)], language)
        for shift in range(len(labels))
        for index, language in enumerate(languages)
    ]
    turns = itertools.zip_longest(*(reversed(groups.get(group, [])) for group in order))
    chosen = [at for turn in turns for at in turn if at is not None][:count]
    return frame.iloc[sorted(chosen)].reset_index(drop=True)


def split(frame: DataFrame, holdout_share: float, seed: int) -> tuple[DataFrame, DataFrame]:
    """Return (train, held-out), each in file order, stratified by label and within it by language.

    Languages too small for their share take turns, so that the label's share still holds. Each label with
    two rows or more stands on both sides. Raises InputInvalid where no label has two rows.
    """
    generator = random.Random(seed)  # noqa: S311 - a reproducible draw, not a secret
    groups = groups_of(frame)
    held: list[int] = []
    for label in sorted({label for label, _ in groups}):
        parts = [groups[key] for key in sorted(groups) if key[0] == label]
        for positions in parts:
            generator.shuffle(positions)
        generator.shuffle(parts)
        size = sum(map(len, parts))
        take = min(max(round(size * holdout_share), 1), size - 1)
        quotas = [take * len(positions) / size for positions in parts]
        counts = [int(quota) for quota in quotas]
        largest_rest = sorted(range(len(parts)), key=lambda index: counts[index] - quotas[index])
        for index in largest_rest[: take - sum(counts)]:
            counts[index] += 1
        for positions, number in zip(parts, counts, strict=True):
            held.extend(positions[:number])
    if not held:
        raise InputInvalid(
            f"{len(frame)} rows are too few to hold any out", hint='SET="evaluate.mode=none", or more rows'
        )
    kept = sorted(set(range(len(frame))) - set(held))
    return frame.iloc[kept].reset_index(drop=True), frame.iloc[sorted(held)].reset_index(drop=True)


def groups_of(frame: DataFrame) -> dict[tuple[str, str], list[int]]:
    """Return the positions of the rows by label and language; a column that is absent counts as one value."""
    whole = frame.assign(**{name: "" for name in ("label", "language") if name not in frame})
    grouped = whole.reset_index(drop=True).groupby(["label", "language"], sort=False)
    return {(str(label), str(language)): own.index.tolist() for (label, language), own in grouped}
