"""Read the csv files that a competition brings, as text: any encoding, delimiter and way of quoting.

It knows no column by its meaning, and no value is changed.
"""

from __future__ import annotations

import codecs
import csv
import difflib
import io
import itertools
import re
import sys
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from kit.errors import InputInvalid

if TYPE_CHECKING:
    from _csv import Reader

DELIMITERS = (",", ";", "\t", "|")
CHUNK = 500  # records that are turned from rows into columns at once; more would wake the garbage collector
_FOREIGN_STARTS = {
    b"\x1f\x8b": "a gzip file",
    b"PK\x03\x04": "a zip archive or an Excel workbook",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"PAR1": "a Parquet file",
    b"%PDF": "a PDF",
}
_BACKSLASH_QUOTE = re.compile(r'(?<!\\)((?:\\\\)*)\\"')


@dataclass(frozen=True)
class Form:
    """How a csv is written."""

    encoding: str = "utf-8"
    delimiter: str = ","


def foreign_format(data: bytes) -> str | None:
    """Name the format of bytes that are no csv in UTF-8, or return None; a broken csv is not foreign."""
    for start, name in _FOREIGN_STARTS.items():
        if data.startswith(start):
            return name
    head = data[:4096].removeprefix(codecs.BOM_UTF8).lstrip()
    if _utf16(data):
        return "UTF-16 text"
    if head.startswith((b"{", b"[")):
        return "JSON"
    if head.startswith(b"<"):
        return "an HTML or XML page"
    control = sum(byte < 32 and byte not in b"\t\n\r" for byte in head)
    return "a binary file" if control > 0.1 * len(head) else None


def _utf16(data: bytes) -> str:
    """Return the kind of UTF-16 that the bytes are in, or nothing."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    for start, name in ((1, "utf-16-le"), (0, "utf-16-be")):
        half = data[start:64:2]
        if len(half) >= 4 and half.count(0) > 0.8 * len(half):
            return name
    return ""


def form_of(data: bytes) -> Form:
    """Return the form in which bytes read best; what is neither UTF-8 nor UTF-16 is taken for cp1252."""
    encoding = _utf16(data) or "utf-8"
    decoder = codecs.getincrementaldecoder(encoding)("replace")  # the end may be cut inside a character
    text = decoder.decode(data).removeprefix("\ufeff")
    damaged = text.count("\ufffd")
    if damaged and encoding == "utf-8" and damaged >= len(re.findall("[^\0-\x7f\ufffd]", text)):
        encoding = "cp1252"
        text = data.decode(encoding, "replace")
    line = next((line for line in io.StringIO(text) if line.strip()), "")
    return Form(encoding, max(DELIMITERS, key=line.count))


def read_bytes(path: Path) -> bytes:
    """Return a file's bytes, those of the csv inside where it is a zip. Raises InputInvalid."""
    try:
        data = path.read_bytes()
        if data.startswith(b"PK\x03\x04"):
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                inside = [one for one in archive.infolist() if one.filename.endswith((".csv", ".tsv"))]
                if len(inside) == 1 and inside[0].file_size < 2**31:
                    return archive.read(inside[0])
    except (FileNotFoundError, NotADirectoryError):
        raise InputInvalid(f"{path} is missing", hint="make data") from None
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputInvalid(f"{path} cannot be read: {reason}", hint="make data") from None
    return data


@dataclass(frozen=True)
class Sheet:
    """A csv of which the header is read."""

    path: Path
    text: str
    delimiter: str
    is_quoted: bool = True
    header: Sequence[str] = ()

    def records(self) -> Iterator[tuple[int, list[str]]]:
        """Yield line and fields of each record that is not blank, the header first. Raises InputInvalid."""
        reader, line = self._reader(), 1
        try:
            for fields in reader:
                if fields:
                    yield line, fields
                line = reader.line_num + 1
        except csv.Error as error:
            raise InputInvalid(f"{self.path}:{line}: not a csv: {error}", hint="make data") from None

    def columns(self, wanted: Iterable[str]) -> tuple[dict[str, list[str]], list[int]]:
        """Return columns by name, with blanks for lacking fields, and the positions of uneven records.

        Raises InputInvalid where a column is missing or doubled, or the text is no csv.
        """
        places = positions(self.path, self.header, wanted)
        columns: dict[str, list[str]] = {name: [] for name in wanted}
        width, count, uneven = len(self.header), -1, []
        reader = self._reader()
        try:
            while chunk := list(itertools.islice(reader, CHUNK)):
                chunk = chunk if all(chunk) else [fields for fields in chunk if fields]
                if set(map(len, chunk)) != {width}:
                    for at, fields in enumerate(chunk, count):
                        if len(fields) != width:
                            uneven.append(at)
                            fields.extend([""] * (width - len(fields)))
                for name, values in columns.items():
                    place = places[name]
                    values += [fields[place] for fields in chunk]
                count += len(chunk)
        except csv.Error:
            for _ in self.records():  # it names the line
                pass
        return {name: values[1:] for name, values in columns.items()}, uneven

    def line_of(self, position: int) -> int:
        """Return the line on which a record behind the header starts."""
        return next(itertools.islice(self.records(), position + 1, None))[0]

    def _reader(self) -> Reader:
        csv.field_size_limit(sys.maxsize)
        file = io.StringIO(self.text, newline="")
        if not self.is_quoted:
            return csv.reader(file, delimiter=self.delimiter, quoting=csv.QUOTE_NONE)
        return csv.reader(file, delimiter=self.delimiter, strict=True)


def read(path: Path, form: Form | None = None) -> Sheet:
    """Return a csv with its header; without a form it is one of ours, in UTF-8 with commas.

    Quotes may be doubled, have a backslash before them or mean nothing: the way in which all records are
    equally wide is taken. Raises InputInvalid where the file is missing, no csv or in another encoding.
    """
    form = form or Form()
    text = _decode(path, form)
    way = Sheet(path, text, form.delimiter)
    if '"' in text:
        ways = [way, replace(way, text=_BACKSLASH_QUOTE.sub(r'\1""', text)), replace(way, is_quoted=False)]
        way = next(filter(_is_even, ways), way)
    return replace(way, header=next(way.records(), (1, []))[1])


def _is_even(way: Sheet) -> bool:
    try:
        return len({len(fields) for _, fields in way.records()}) <= 1
    except InputInvalid:
        return False


def _decode(path: Path, form: Form) -> str:
    data = read_bytes(path)
    is_utf16 = form.encoding.startswith("utf-16")
    foreign = None if is_utf16 else foreign_format(data)
    if foreign and foreign != "UTF-16 text":
        raise InputInvalid(f"{path} is not a csv but {foreign}: {data[:40]!r}", hint="make data")
    try:
        if foreign:
            raise UnicodeDecodeError(form.encoding, data[:2], 0, 1, "UTF-16 text")
        return data.decode(form.encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        found = form_of(data)
        if form.encoding != "utf-8" or found.encoding == "utf-8":
            return data.decode(form.encoding, "replace").removeprefix("\ufeff")  # a few bytes are damaged
        line = data.count(b"\n", 0, error.start) + 1
        what = foreign or f"byte {data[error.start : error.start + 1]!r} at offset {error.start}"
        raise InputInvalid(
            f"{path}:{line}: not UTF-8: {what}",
            hint=f'encoding = "{found.encoding}" in kit.toml, [competition]',
        ) from None


def names(header: Sequence[str]) -> list[str]:
    """Return the names of a header's columns; one without a name gets the one that pandas gives it."""
    return [name if name.strip() else f"Unnamed: {at}" for at, name in enumerate(header)]


def positions(path: Path, header: Sequence[str], wanted: Iterable[str]) -> dict[str, int]:
    """Return the place of each column; raises InputInvalid where a wanted one is missing or doubled."""
    if not header:
        raise InputInvalid(f"{path} is empty", hint="make data")
    named = names(header)
    place_by_name = {column: index for index, column in enumerate(named)}
    for column in wanted:
        if column not in place_by_name:
            folded = {name.strip().casefold(): name for name in named}
            near = difflib.get_close_matches(column.casefold(), folded, n=1)
            guess = f"; did you mean {folded[near[0]]!r}?" if near else ""
            other = next((mark for mark in DELIMITERS[1:] if len(header) == 1 and mark in header[0]), "")
            raise InputInvalid(
                f"{path}:1: no column {column!r}; there are {', '.join(map(repr, named))}{guess}",
                hint=f"delimiter = {other!r} in kit.toml, [competition]"
                if other
                else "name the columns in kit.toml, [competition]",
            )
        if named.count(column) > 1:
            raise InputInvalid(f"{path}:1: column {column!r} is there twice", hint="make data")
    return place_by_name
