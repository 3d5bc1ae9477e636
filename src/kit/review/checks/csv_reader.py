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
from kit.review.checks.problems import Problem, Spot, cut, problems_of
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
    delimiter = _delimiter(lines[start], facts)
    header, is_clean = _split(lines[start], delimiter)
    first = [Spot(start + 1, value=lines[start])]
    if not is_clean:
        problems += problems_of("open_quote", "a quote in the header that opens or closes no field", first)
    if delimiter != ",":
        words = "fields are separated by {name} instead of commas: {value!r}"
        problems += problems_of("wrong_delimiter", words, first, name=_DELIMITERS[delimiter])
    places, is_row, header_problems = _header(header, start + 1, facts)
    problems += header_problems
    if places is None:
        return None, problems
    table = Table([] if is_row else header, places, len(header), lines, start + 2 - is_row, is_whole)
    return table, problems + _fill(table, delimiter, facts)


def _decode(data: bytes) -> tuple[str, list[Problem]]:
    """Return the text with LF line ends, free of BOM and NUL, and what was amiss."""
    problems = []
    if data.startswith(codecs.BOM_UTF8):
        data = data.removeprefix(codecs.BOM_UTF8)
        problems.append(Problem("bom", "the file begins with a byte order mark"))
    if b"\0" in data:
        nul = [Spot(line) for line, text in enumerate(data.split(b"\n"), 1) if b"\0" in text]
        problems += problems_of("nul_byte", "a NUL byte", nul)
        data = data.replace(b"\0", b"")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        text = data.decode("utf-8", "surrogateescape")
        odd = [
            Spot(line, value=part) for line, part in enumerate(text.split("\n"), 1) if UNDECODED.search(part)
        ]
        told = {"byte": data[error.start : error.start + 1], "at": error.start}
        problems += problems_of("not_utf8", "byte {byte!r} at offset {at} is not UTF-8", odd, **told)
    if count := text.count("\r"):
        text = text.replace("\r\n", "\n").replace("\r", "\n")
        problems.append(Problem("crlf", f"{count} lines end in CR or CRLF instead of LF", count))
    return text, problems


def _cut_lines(lines: list[str], facts: Facts) -> list[Problem]:
    """Cut the lines that are longer than any row can be, and name them."""
    too_long = [at for at, line in enumerate(lines) if len(line) > LONGEST_LINE]
    most = LONGEST_LINE + max(map(len, facts.ids), default=0) if too_long else 0
    spots = []
    for at in too_long:
        if len(lines[at]) > most:
            lines[at] = lines[at][:LONGEST_LINE]
            spots.append(Spot(at + 1, value=lines[at]))
    return problems_of("long_line", "more than {most:,} characters: {value!r}", spots, most=most)


def _delimiter(line: str, facts: Facts) -> str:
    """Return what separates the fields of the first line: a comma, unless another sign gives known names."""
    expected = {plain(name) for name in (facts.id, facts.label, *facts.labels)}
    for delimiter in _DELIMITERS if "," not in line else ():
        fields = line.split(delimiter)
        if len(fields) > 1 and expected.intersection(map(plain, fields)):
            return delimiter
    return ","


def _header(
    header: Sequence[str], line: int, facts: Facts
) -> tuple[tuple[int, int] | None, bool, list[Problem]]:
    """Return where id and label stand, whether the line is a row instead, and what is amiss with it."""
    expected = [facts.id, facts.label]
    problems: list[Problem] = []
    shown = Spot(line, value=",".join(header))

    def wrong(code: str, what: str) -> None:
        words = f"line {line}: {what}; expected {','.join(expected)!r}"
        problems.append(Problem(code, words, 1, (Spot(line, value=cut(shown.value)),)))

    if sorted(header) != sorted(expected) and _is_row(header, facts):
        wrong("header_missing", f"the file begins with a row, {shown.value!r}")
        return (0, 1), True, problems
    folded = [plain(name) for name in header]
    places: list[int | None] = []
    for name in expected:
        same = [at for at, other in enumerate(folded) if other == plain(name)]
        exact = [at for at in same if header[at] == name]
        if len(same) > 1:
            wrong("header_duplicate", f"column {name!r} is there {len(same)} times")
        elif same and not exact:
            other = header[same[0]]
            code = "header_blanks" if _visible(other) == _visible(name) else "header_case"
            wrong(code, f"column {other!r} should be {name!r}")
        places.append(next(iter(exact or same), None))
    spare = [at for at, name in enumerate(folded) if name not in map(plain, expected)]
    has_index = len(header) > 2 and 0 in spare and folded[0] in ("", "index", "unnamed:0")
    if has_index:
        wrong("index_column", f"the first column {header[0]!r} is an index")
        spare.remove(0)
    for order, name in enumerate(expected):
        if places[order] is None and spare:
            at = places[order] = order if order in spare else spare[0]
            spare.remove(at)
            wrong("header_renamed", f"column {header[at]!r} should be {name!r}")
        elif places[order] is None:
            wrong("column_missing", f"no column {name!r} in {shown.value!r}")
    if spare:
        names = ", ".join(repr(header[at]) for at in spare)
        wrong("extra_column", f"{len(spare)} columns too many: {names}")
    id_at, label_at = places
    if id_at is None or label_at is None:
        return None, False, problems
    if (id_at > label_at) is not facts.label_first and not has_index:
        wrong("column_order", "the columns are the other way round, which Kaggle takes too")
    return (id_at, label_at), False, problems


def _is_row(fields: Sequence[str], facts: Facts) -> bool:
    if len(fields) != 2:
        return False
    is_label = plain(fields[1]) in {plain(label) for label in facts.labels}
    return is_label or (fields[0] in set(facts.ids) and fields[1] != facts.label)


def plain(name: str) -> str:
    """Return a column's name without blanks, invisible marks, quotes and case."""
    return _visible(name).casefold().strip("\"'")


def _visible(name: str) -> str:
    return "".join(INVISIBLE.sub("", name).split())


def _fill(table: Table, delimiter: str, facts: Facts) -> list[Problem]:
    """Read the rows into the table, and return what is amiss with their form."""
    id_at, label_at = table.places
    multi_line = frozenset(name for name in facts.ids if "\n" in name)
    quoted: list[Spot] = []
    for number, fields in _records(table.lines, table.first_row - 1, delimiter, multi_line, quoted):
        if len(fields) == table.width:
            table.numbers.append(number)
            table.ids.append(fields[id_at])
            table.labels.append(fields[label_at])
        elif table.lines[number - 1].strip():  # pandas drops a line of blanks too
            table.others.append((fields, number))
    problems = _drop_repeated_headers(table)
    cut_at = None if table.is_whole else _cut_line(table, facts)
    if cut_at is not None:
        last = [Spot(cut_at, value=table.lines[cut_at - 1])]
        problems += problems_of("cut_last_line", "the file ends inside {value!r}", last)
    ragged = [
        Spot(number, fields[id_at] if id_at < len(fields) else None, delimiter.join(fields))
        for fields, number in table.others
        if number != cut_at
    ]
    quoted = [spot for spot in quoted if spot.line != cut_at]
    return [
        *problems,
        *problems_of("ragged_row", "{value!r} is not {width} fields", ragged, width=table.width),
        *problems_of("open_quote", "a quote in {value!r} that opens or closes no field", quoted),
    ]


def _records(
    lines: Sequence[str], start: int, delimiter: str, multi_line: frozenset[str], quoted: list[Spot]
) -> Iterator[tuple[int, list[str]]]:
    """Yield line number and fields of each row; a line with a stray quote is noted in `quoted`, read without.

    A record of several lines is one only where the test has such an id: elsewhere a quote was left open.
    """
    ending = "\n" if multi_line else ""
    while start < len(lines):
        rest = (lines[at] + ending for at in range(start, len(lines)))
        reader = csv.reader(rest, delimiter=delimiter, strict=True)
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
        start += used + 1
        quoted.append(Spot(start, value=lines[start - 1]))
        yield start, _split(lines[start - 1], delimiter)[0]


def _split(line: str, delimiter: str) -> tuple[list[str], bool]:
    """Return one line's fields, and whether its quotes were in order; stray ones are dropped."""
    try:
        return next(csv.reader([line], delimiter=delimiter, strict=True), []), True
    except csv.Error:
        return line.replace('"', "").split(delimiter), False


def _drop_repeated_headers(table: Table) -> list[Problem]:
    """Take out the rows that say what the header says."""
    names = tuple(table.header[place] for place in table.places) if table.header else ("", "")
    if not table.header or names[0] not in set(table.ids):
        return []
    kept = [at for at, row in enumerate(zip(table.ids, table.labels, strict=True)) if row != names]
    repeated = sorted({*table.numbers} - {table.numbers[at] for at in kept})
    table.ids, table.labels = ([column[at] for at in kept] for column in (table.ids, table.labels))
    table.numbers = [table.numbers[at] for at in kept]
    spots = [Spot(number, value=",".join(names)) for number in repeated]
    return problems_of("header_repeated", "the header {value!r} once more", spots)


def _cut_line(table: Table, facts: Facts) -> int | None:
    """Return the number of the last line where the file stops inside it, and set its label aside."""
    last_other = table.others[-1][1] if table.others else 0
    if not table.numbers or table.numbers[-1] < last_other:
        return last_other if table.others and len(table.others[-1][0]) < table.width else None
    label, number = table.labels[-1], table.numbers[-1]
    if label in facts.labels or not any(name.startswith(label) for name in facts.labels):
        return None
    if label:
        fields = [""] * table.width
        fields[table.places[0]] = table.ids.pop()
        table.others.append((fields, table.numbers.pop()))
        table.labels.pop()
    return number
