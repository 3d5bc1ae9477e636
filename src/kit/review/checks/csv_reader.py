"""Read a submission that may be broken in any way, and say how it is broken as a csv.

It goes on reading behind each defect, so that one pass finds them all. What ids and labels mean is for
`validate` to say.
"""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from kit.review.checks.facts import Facts
from kit.review.checks.problems import Problem, Spot, problems_of
from kit.task import csv_file

INVISIBLE = re.compile(
    r"[\x00-\x1f\x7f\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufe00-\ufe0f\ufeff]"
)
"""Control characters and marks without width."""
_DELIMITERS = {";": "semicolons", "\t": "tabs", "|": "bars", ":": "colons", " ": "blanks"}
UNDECODED = re.compile("[\udc80-\udcff]")
"""Bytes that were not UTF-8, as surrogateescape keeps them."""
LONGEST_LINE = 131_072
"""Characters; what is longer is cut, unless the test has such ids."""


@dataclass
class Table:
    """A submission as far as it could be read. `ids`, `labels` and `numbers` run in parallel."""

    header: list[str]
    """Fields of the first line; empty where that is a row."""
    places: tuple[int, int]
    """Where the id and the label stand in a record."""
    width: int
    """Fields that a record should have."""
    lines: list[str]
    """Every line of the file without its end."""
    first_row: int
    """The line, from 1, behind the header."""
    is_whole: bool
    """Whether the last line has its end."""
    ids: list[str] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    """The line, from 1, of each row."""
    others: list[tuple[list[str], int]] = field(default_factory=list)
    """Fields and line of the rows that do not have `width` fields or whose label was cut off."""
    headers: list[int] = field(default_factory=list)
    """Lines of headers that stand among the rows."""
    quoted: list[int] = field(default_factory=list)
    """Lines with a stray quote; they are read without their quotes."""

    @property
    def row_count(self) -> int:
        """Rows of any shape, the header not among them."""
        return len(self.ids) + len(self.others)


def read(data: bytes, facts: Facts) -> tuple[Table | None, list[Problem]]:
    """Return the table and the defects of its form; no table where there are no columns to speak of."""
    if not data.removeprefix(codecs.BOM_UTF8).lstrip():
        return None, [Problem("file_empty", f"{len(data)} bytes and no row")]
    foreign = csv_file.foreign_format(data)
    if foreign:
        code = "utf16" if foreign.startswith("UTF-16") else "not_csv"
        return None, [Problem(code, f"not a csv but {foreign}, it begins {data[:40]!r}")]
    text, problems = _decode(data)
    lines = text.split("\n")
    is_whole = not lines[-1]
    if is_whole:
        lines.pop()
    problems += _cut_lines(lines, facts)
    start = next((number for number, line in enumerate(lines) if line), 0)
    delimiter, delimiter_problems = _delimiter(lines[start], facts)
    header, is_clean = split(lines[start], delimiter)
    if not is_clean:
        spot = Spot(start + 1, value=lines[start])
        problems += problems_of(
            "open_quote", lambda _: "a quote in the header that opens or closes no field", [spot]
        )
    places, named, header_problems = _header(header, start + 1, facts)
    problems += delimiter_problems + header_problems
    if places is None:
        return None, problems
    table = Table(header if named else [], places, len(header), lines, start + named + 1, is_whole)
    table.quoted += [] if is_clean else [start + 1]
    problems += _fill(table, delimiter, facts)
    return table, problems


def _decode(data: bytes) -> tuple[str, list[Problem]]:
    """Return the text with LF line ends, free of BOM and NUL, and what was amiss."""
    problems = []
    if data.startswith(codecs.BOM_UTF8):
        data = data.removeprefix(codecs.BOM_UTF8)
        problems.append(Problem("bom", "the file begins with a byte order mark"))
    if b"\0" in data:
        spots = [Spot(line) for line, text in enumerate(data.split(b"\n"), 1) if b"\0" in text]
        problems += problems_of("nul_byte", lambda _: "a NUL byte", spots)
        data = data.replace(b"\0", b"")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        byte, at = data[error.start : error.start + 1], error.start
        text = data.decode("utf-8", "surrogateescape")
        spots = [
            Spot(line, value=part) for line, part in enumerate(text.split("\n"), 1) if UNDECODED.search(part)
        ]
        problems += problems_of("not_utf8", lambda _: f"byte {byte!r} at offset {at} is not UTF-8", spots)
    if "\r" in text:
        count = text.count("\r")
        text = text.replace("\r\n", "\n").replace("\r", "\n")
        problems.append(Problem("crlf", f"{count} lines end in CR or CRLF instead of LF", count))
    return text, problems


def _cut_lines(lines: list[str], facts: Facts) -> list[Problem]:
    """Cut the lines that are longer than any row can be, and name them."""
    too_long = [at for at, line in enumerate(lines) if len(line) > LONGEST_LINE]
    most = LONGEST_LINE + max(map(len, facts.ids), default=0) if too_long else 0
    spots = [Spot(at + 1, value=lines[at]) for at in too_long if len(lines[at]) > most]
    for spot in spots:
        lines[(spot.line or 1) - 1] = (spot.value or "")[:LONGEST_LINE]
    return problems_of("long_line", lambda spot: f"more than {most:,} characters: {spot.value!r}", spots)


def _delimiter(line: str, facts: Facts) -> tuple[str, list[Problem]]:
    """Return what separates the fields of the first line, and a problem where it is not a comma."""
    if "," in line:
        return ",", []
    for delimiter in _DELIMITERS:
        fields = [plain(part) for part in line.split(delimiter)]
        expected = {plain(name) for name in (facts.id, facts.label, *facts.labels)}
        if len(fields) > 1 and expected & set(fields):
            name = _DELIMITERS[delimiter]
            message = f"line 1: fields are separated by {name} instead of commas: {line[:80]!r}"
            return delimiter, [Problem("wrong_delimiter", message, 1, (Spot(1, value=line),))]
    return ",", []


def _header(
    header: Sequence[str], line: int, facts: Facts
) -> tuple[tuple[int, int] | None, bool, list[Problem]]:
    """Return where id and label stand, whether the line names columns at all, and what is amiss with it."""
    expected = [facts.id, facts.label]
    if list(header) == expected:
        return (0, 1), True, []
    if list(header) == expected[::-1] and facts.label_first:
        return (1, 0), True, []
    shown = Spot(line, value=",".join(header))

    def wrong(code: str, what: str) -> Problem:
        return Problem(code, f"line {line}: {what}; expected {','.join(expected)!r}", 1, (shown,))

    if _is_row(header, facts):
        return (0, 1), False, [wrong("header_missing", f"the file begins with a row, {shown.value!r}")]
    problems = []
    folded = [plain(name) for name in header]
    places: list[int | None] = []
    for name in expected:
        same = [at for at, other in enumerate(folded) if other == plain(name)]
        exact = [at for at in same if header[at] == name]
        if len(same) > 1:
            problems.append(wrong("header_duplicate", f"column {name!r} is there {len(same)} times"))
        elif same and not exact:
            other = header[same[0]]
            is_blank = _visible(other) == _visible(name)
            code = "header_blanks" if is_blank else "header_case"
            problems.append(wrong(code, f"column {other!r} should be {name!r}"))
        places.append(exact[0] if exact else same[0] if same else None)
    spare = [at for at, name in enumerate(folded) if name not in {plain(name) for name in expected}]
    index = [at for at in spare if at == 0 and folded[at] in ("", "index", "unnamed:0")]
    if index and len(header) > 2:
        problems.append(wrong("index_column", f"the first column {header[0]!r} is an index"))
        spare.remove(0)
    for order, name in enumerate(expected):
        if places[order] is None and spare:
            at = order if order in spare else spare[0]
            spare.remove(at)
            places[order] = at
            problems.append(wrong("header_renamed", f"column {header[at]!r} should be {name!r}"))
        elif places[order] is None:
            problems.append(wrong("column_missing", f"no column {name!r} in {shown.value!r}"))
    if spare:
        names = ", ".join(repr(header[at]) for at in spare)
        problems.append(wrong("extra_column", f"{len(spare)} columns too many: {names}"))
    id_at, label_at = places
    if id_at is None or label_at is None:
        return None, True, problems
    if (id_at > label_at) is not facts.label_first and not any(p.code == "index_column" for p in problems):
        problems.append(wrong("column_order", "the columns are the other way round, which Kaggle takes too"))
    return (id_at, label_at), True, problems


def _is_row(fields: Sequence[str], facts: Facts) -> bool:
    if len(fields) != 2:
        return False
    folded = {plain(label) for label in facts.labels}
    return plain(fields[1]) in folded or (fields[0] in set(facts.ids) and fields[1] != facts.label)


def plain(name: str) -> str:
    """Return a column's name without blanks, invisible marks, quotes and case."""
    return _visible(name).casefold().strip("\"'")


def _visible(name: str) -> str:
    return "".join(INVISIBLE.sub("", name).split())


def _fill(table: Table, delimiter: str, facts: Facts) -> list[Problem]:
    """Read the rows into the table, and return what is amiss with their form."""
    id_at, label_at = table.places
    width = table.width
    multi_line = frozenset(name for name in facts.ids if "\n" in name)
    quoted: list[Spot] = []
    for number, fields in _records(table.lines, table.first_row - 1, delimiter, multi_line, quoted):
        if len(fields) == width:
            table.numbers.append(number)
            table.ids.append(fields[id_at])
            table.labels.append(fields[label_at])
        elif table.lines[number - 1].strip():  # pandas drops a line of blanks too
            table.others.append((fields, number))
    table.quoted += [spot.line for spot in quoted if spot.line]
    problems = _drop_repeated_headers(table)
    cut = None if table.is_whole else _cut_line(table, facts)
    if cut is not None:
        text = table.lines[cut - 1]
        problems += problems_of(
            "cut_last_line", lambda _: f"the file ends inside {text!r}", [Spot(cut, value=text)]
        )
    ragged = [
        Spot(number, fields[id_at] if id_at < len(fields) else None, delimiter.join(fields))
        for fields, number in table.others
        if number != cut
    ]
    problems += problems_of("ragged_row", lambda spot: f"{spot.value!r} is not {width} fields", ragged)
    return problems + problems_of(
        "open_quote",
        lambda spot: f"a quote in {spot.value!r} that opens or closes no field",
        [spot for spot in quoted if spot.line != cut],
    )


def _records(
    lines: Sequence[str], start: int, delimiter: str, multi_line: frozenset[str], quoted: list[Spot]
) -> Iterator[tuple[int, list[str]]]:
    """Yield line number and fields of each row; a line with a stray quote is noted in `quoted`, read without.

    A record of several lines is one only where the test has such an id: elsewhere a quote was left open.
    """
    ending = "\n" if multi_line else ""
    while start < len(lines):
        reader = csv.reader(
            (lines[at] + ending for at in range(start, len(lines))), delimiter=delimiter, strict=True
        )
        used = 0
        try:
            for fields in reader:
                if reader.line_num - used > 1 and multi_line.isdisjoint(fields):
                    break
                if fields:
                    yield start + used + 1, fields
                used = reader.line_num
            else:
                return
        except csv.Error:
            pass  # an open quote: the line is noted as one
        broken = start + used
        quoted.append(Spot(broken + 1, value=lines[broken]))
        yield broken + 1, split(lines[broken], delimiter)[0]
        start = broken + 1


def split(line: str, delimiter: str) -> tuple[list[str], bool]:
    """Return one line's fields, and whether its quotes were in order; stray ones are dropped."""
    try:
        return next(csv.reader([line], delimiter=delimiter, strict=True), []), True
    except csv.Error:
        return line.replace('"', "").split(delimiter), False


def _drop_repeated_headers(table: Table) -> list[Problem]:
    """Take out the rows that say what the header says."""
    if not table.header:
        return []
    names = (table.header[table.places[0]], table.header[table.places[1]])
    if names[0] not in set(table.ids):
        return []
    repeated = {at for at, row in enumerate(zip(table.ids, table.labels, strict=True)) if row == names}
    spots = [Spot(table.numbers[at], value=",".join(names)) for at in sorted(repeated)]
    table.headers = [table.numbers[at] for at in sorted(repeated)]
    kept = [at for at in range(len(table.ids)) if at not in repeated]
    table.ids = [table.ids[at] for at in kept]
    table.labels = [table.labels[at] for at in kept]
    table.numbers = [table.numbers[at] for at in kept]
    return problems_of("header_repeated", lambda spot: f"the header {spot.value!r} once more", spots)


def _cut_line(table: Table, facts: Facts) -> int | None:
    """Return the number of the last line where the file stops inside it, and set its label aside."""
    last_other = table.others[-1][1] if table.others else 0
    if table.numbers and table.numbers[-1] > last_other:
        label, number = table.labels[-1], table.numbers[-1]
        if label in facts.labels or not any(name.startswith(label) for name in facts.labels):
            return None
        if label:
            fields = [""] * table.width
            fields[table.places[0]] = table.ids.pop()
            table.others.append((fields, table.numbers.pop()))
            table.labels.pop()
        return number
    return last_other if table.others and len(table.others[-1][0]) < table.width else None
