"""Read labelled and unlabelled rows from a csv, and draw from them evenly.

Everything is read as text and nothing is repaired: a defect is refused with its file, line, column and value.
"""

from __future__ import annotations

import csv
import difflib
import io
import random
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from kit.errors import InputInvalid

if TYPE_CHECKING:
    from pandas import DataFrame

    from kit.config import Competition

UTF8_BOM = b"\xef\xbb\xbf"

_FOREIGN_STARTS = {
    b"\x1f\x8b": "a gzip file",
    b"PK\x03\x04": "a zip archive or an Excel workbook",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"PAR1": "a Parquet file",
    b"%PDF": "a PDF",
    b"\xff\xfe": "UTF-16 text",
    b"\xfe\xff": "UTF-16 text",
}


def foreign_format(data: bytes) -> str | None:
    """Name the format of bytes that are no csv, or return None; a broken csv is not foreign."""
    for start, name in _FOREIGN_STARTS.items():
        if data.startswith(start):
            return name
    head = data[:4096].removeprefix(UTF8_BOM).lstrip()
    if head.startswith((b"{", b"[")):
        return "JSON"
    if head.startswith(b"<"):
        return "an HTML or XML page"
    for half in (data[:64:2], data[1:64:2]):
        if len(half) >= 4 and half.count(0) > 0.8 * len(half):
            return "UTF-16 text"
    control = sum(byte < 32 and byte not in b"\t\n\r" for byte in head)
    return "a binary file" if control > 0.1 * len(head) else None


def read(path: Path, competition: Competition, *, labelled: bool) -> DataFrame:
    """Return columns id, text, then language and label where they apply: all text, in file order, RangeIndex.

    Raises InputInvalid at the first defect. `"NA"`, `"null"` and `"None"` are text like any other.
    """
    import pandas as pd

    wanted = {"id": competition.id, "text": competition.text}
    if competition.language:
        wanted["language"] = competition.language
    if labelled:
        wanted["label"] = competition.label
    lines = records(path)
    _, header = next(lines, (0, []))
    position_by_column = positions(path, header, wanted.values())
    columns: dict[str, list[str]] = {name: [] for name in wanted}
    line_by_id: dict[str, int] = {}
    for line, fields in lines:
        if len(fields) != len(header):
            raise InputInvalid(
                f"{path}:{line}: {len(fields)} fields under a header of {len(header)}: {_short(fields)}",
                hint="make data",
            )
        row = {name: fields[position_by_column[column]] for name, column in wanted.items()}
        _check(path, line, row, competition, line_by_id)
        line_by_id[row["id"]] = line
        for name, value in row.items():
            columns[name].append(value)
    if not line_by_id:
        raise InputInvalid(f"{path}: a header and no rows", hint="make data")
    return pd.DataFrame(columns)


def records(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the line on which each record starts, and its fields; the header is the first.

    Blank lines are skipped. Raises InputInvalid where the file is missing, no csv or not UTF-8.
    """
    reader = csv.reader(io.StringIO(_decode(path), newline=""), strict=True)
    line = 1
    try:
        for fields in reader:
            if fields:
                yield line, fields
            line = reader.line_num + 1
    except csv.Error as error:
        raise InputInvalid(f"{path}:{line}: not a csv: {error}", hint="make data") from None


def _decode(path: Path) -> str:
    try:
        data = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise InputInvalid(f"{path} is missing", hint="make data") from None
    except OSError as error:
        raise InputInvalid(f"{path} cannot be read: {error.strerror}", hint="make data") from None
    foreign = foreign_format(data)
    if foreign:
        raise InputInvalid(f"{path} is not a csv but {foreign}: {data[:40]!r}", hint="make data")
    try:
        return data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        byte = data[error.start : error.start + 1]
        raise InputInvalid(
            f"{path}:{line}: not UTF-8: byte {byte!r} at offset {error.start}", hint="save it as UTF-8"
        ) from None


def positions(path: Path, header: Sequence[str], wanted: Iterable[str]) -> dict[str, int]:
    """Return where each column stands; raises InputInvalid where a wanted one is missing or doubled."""
    found = {column: index for index, column in enumerate(header)}
    if not header:
        raise InputInvalid(f"{path} is empty", hint="make data")
    for column in wanted:
        if column not in found:
            folded = {name.strip().casefold(): name for name in header}
            near = difflib.get_close_matches(column.casefold(), folded, n=1)
            guess = f"; did you mean {folded[near[0]]!r}?" if near else ""
            raise InputInvalid(
                f"{path}:1: no column {column!r}; there are {', '.join(map(repr, header))}{guess}",
                hint="name the columns in kit.toml, [competition]",
            )
        if header.count(column) > 1:
            raise InputInvalid(f"{path}:1: column {column!r} stands there twice", hint="make data")
    return found


def _check(
    path: Path, line: int, row: dict[str, str], competition: Competition, line_by_id: dict[str, int]
) -> None:
    """Raise InputInvalid where one row breaks the competition's facts."""

    def refuse(column: str, what: str) -> NoReturn:
        raise InputInvalid(f"{path}:{line}: column {column!r}: {what}", hint=f"mend line {line}")

    name = row["id"]
    if not name.strip():
        refuse(competition.id, f"empty id {name!r}")
    if name in line_by_id:
        refuse(competition.id, f"id {name!r} stands on line {line_by_id[name]} already")
    if not row["text"].strip():
        refuse(competition.text, f"empty sentence {row['text']!r} of id {name!r}")
    if "label" in row and row["label"] not in competition.labels:
        allowed = ", ".join(map(repr, competition.labels))
        refuse(competition.label, f"label {row['label']!r} of id {name!r} is not one of {allowed}")


def _short(fields: Sequence[str]) -> str:
    text = repr(",".join(fields))
    return text if len(text) <= 80 else f"{text[:77]}..."


def sample(frame: DataFrame, count: int, seed: int) -> DataFrame:
    """Return `count` rows in file order, as even over labels and languages as the rows allow.

    A count of 0, or of at least every row, returns the frame unchanged.
    """
    if count <= 0 or count >= len(frame):
        return frame
    generator = random.Random(seed)  # noqa: S311 - a reproducible draw, not a secret
    groups = _groups(frame)
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
    chosen: list[int] = []
    while len(chosen) < count:
        for group in order:
            if groups.get(group) and len(chosen) < count:
                chosen.append(groups[group].pop())
    return frame.iloc[sorted(chosen)].reset_index(drop=True)


def split(frame: DataFrame, holdout_share: float, seed: int) -> tuple[DataFrame, DataFrame]:
    """Return (train, held-out), each in file order, stratified by label and within it by language.

    Languages too small for their share take turns, so that the label's share still holds. Each label with
    two rows or more stands on both sides. Raises InputInvalid where no label has two rows.
    """
    generator = random.Random(seed)  # noqa: S311 - a reproducible draw, not a secret
    groups = _groups(frame)
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


def _groups(frame: DataFrame) -> dict[tuple[str, str], list[int]]:
    """Return the positions of the rows by label and language; a column that is absent counts as one value."""
    nothing = [""] * len(frame)
    labels = frame["label"].tolist() if "label" in frame else nothing
    languages = frame["language"].tolist() if "language" in frame else nothing
    groups: dict[tuple[str, str], list[int]] = defaultdict(list)
    for position, key in enumerate(zip(labels, languages, strict=True)):
        groups[key].append(position)
    return dict(groups)
