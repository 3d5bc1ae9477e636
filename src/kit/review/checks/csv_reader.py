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
"""Characters; what is longer is cut."""


@dataclass
class Table:
    """A submission as far as it could be read. `ids`, `labels` and `numbers` run in parallel."""

    places: tuple[int, int]
    """Where the id and the label stand in a record."""
    ids: list[str] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    """The line, from 1, of each row."""
    others: list[tuple[list[str], int]] = field(default_factory=list)
    """Fields and line of the rows that are not as wide as the header or whose label was cut off."""

    @property
    def row_count(self) -> int:
        """Rows of any shape, the header not among them."""
        return len(self.ids) + len(self.others)


def read(data: bytes, facts: Facts) -> tuple[Table | None, list[Problem]]:
    """Return the table and the defects of its form; no table where there are no columns to speak of."""
    if not data.removeprefix(codecs.BOM_UTF8).lstrip():
        return None, [Problem("file_empty", f"{len(data)} bytes and no row")]
    if foreign := csv_file.foreign_format(data):
        code = "utf16" if foreign.startswith("UTF-16") else "not_csv"
        return None, [Problem(code, f"not a csv but {foreign}, it begins {data[:40]!r}")]
    text, problems = _decode(data)
    lines = text.removesuffix("\n").split("\n")
    too_long = [Spot(at, value=line) for at, line in enumerate(lines, 1) if len(line) > LONGEST_LINE]
    if too_long:
        lines = [line[:LONGEST_LINE] for line in lines]
        problems += problems_of("long_line", f"more than {LONGEST_LINE:,} characters: {{value!r}}", too_long)
    start = next((at for at, line in enumerate(lines) if line), 0)
    first = [Spot(start + 1, value=lines[start])]
    delimiter = _delimiter(lines[start], facts)
    header, is_clean = _split(lines[start], delimiter)
    if not is_clean:
        problems += problems_of("open_quote", "a quote in the header that opens or closes no field", first)
    if delimiter != ",":
        words = "fields are separated by {name} instead of commas: {value!r}"
        problems += problems_of("wrong_delimiter", words, first, name=_DELIMITERS[delimiter])
    if sorted(header) != sorted((facts.id, facts.label)) and _is_row(header, facts):
        words = "the file begins with a row, {value!r}; expected {expected!r}"
        problems += problems_of("header_missing", words, first, expected=f"{facts.id},{facts.label}")
        table, header = Table((0, 1)), [facts.id, facts.label]
    else:
        places, defects = _header(header, start + 1, facts)
        problems += defects
        if places is None:
            return None, problems
        table, start = Table(places), start + 1
    is_whole = text.endswith("\n")
    return table, problems + _fill(table, lines, start, header, delimiter, facts, is_whole=is_whole)


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


def _delimiter(line: str, facts: Facts) -> str:
    """Return what separates the fields of the first line: a comma, unless another sign gives known names."""
    expected = {_plain(name) for name in (facts.id, facts.label, *facts.labels)}
    for delimiter in _DELIMITERS if "," not in line else ():
        fields = line.split(delimiter)
        if len(fields) > 1 and expected.intersection(map(_plain, fields)):
            return delimiter
    return ","


def _header(header: Sequence[str], line: int, facts: Facts) -> tuple[tuple[int, int] | None, list[Problem]]:
    """Return where id and label stand, and what is amiss with their names and order."""
    expected = [facts.id, facts.label]
    problems: list[Problem] = []
    shown = [Spot(line, value=",".join(header))]

    def wrong(code: str, what: str) -> None:
        words = "{what}; expected {expected!r}"
        problems.extend(problems_of(code, words, shown, what=what, expected=",".join(expected)))

    folded = [_plain(name) for name in header]
    places: list[int | None] = []
    for name in expected:
        same = [at for at, other in enumerate(folded) if other == _plain(name)]
        exact = [at for at in same if header[at] == name]
        if len(same) > 1:
            wrong("header_duplicate", f"column {name!r} is there {len(same)} times")
        elif same and not exact:
            other = header[same[0]]
            code = "header_blanks" if _visible(other) == _visible(name) else "header_case"
            wrong(code, f"column {other!r} should be {name!r}")
        places.append(next(iter(exact or same), None))
    spare = [at for at, name in enumerate(folded) if name not in map(_plain, expected)]
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
            wrong("column_missing", f"no column {name!r} in {shown[0].value!r}")
    if spare:
        names = ", ".join(repr(header[at]) for at in spare)
        wrong("extra_column", f"{len(spare)} columns too many: {names}")
    id_at, label_at = places
    if id_at is None or label_at is None:
        return None, problems
    if (id_at > label_at) is not facts.label_first and not has_index:
        wrong("column_order", "the columns are the other way round, which Kaggle takes too")
    return (id_at, label_at), problems


def _is_row(fields: Sequence[str], facts: Facts) -> bool:
    if len(fields) != 2:
        return False
    is_label = _plain(fields[1]) in {_plain(label) for label in facts.labels}
    return is_label or (fields[0] in set(facts.ids) and fields[1] != facts.label)


def _plain(name: str) -> str:
    """Return a column's name without blanks, invisible marks, quotes and case."""
    return _visible(name).casefold().strip("\"'")


def _visible(name: str) -> str:
    return "".join(INVISIBLE.sub("", name).split())


def _fill(
    table: Table,
    lines: Sequence[str],
    start: int,
    header: Sequence[str],
    delimiter: str,
    facts: Facts,
    *,
    is_whole: bool,
) -> list[Problem]:
    """Read the rows into the table, and return what is amiss with their form and the file's end."""
    id_at, label_at = table.places
    multi_line = frozenset(name for name in facts.ids if "\n" in name)
    quoted: list[Spot] = []
    repeated: list[Spot] = []
    for number, fields in _records(lines, start, delimiter, multi_line, quoted):
        if fields == header:
            repeated.append(Spot(number, value=",".join(fields)))
        elif len(fields) == len(header):
            table.numbers.append(number)
            table.ids.append(fields[id_at])
            table.labels.append(fields[label_at])
        elif lines[number - 1].strip():  # pandas drops a line of blanks too
            table.others.append((fields, number))
    cut_at = _cut_line(table, len(header), facts) if not is_whole else None
    cut = [Spot(cut_at, value=lines[cut_at - 1])] if cut_at else []
    ragged = [
        Spot(number, fields[id_at] if id_at < len(fields) else None, delimiter.join(fields))
        for fields, number in table.others
        if number != cut_at
    ]
    quoted = [spot for spot in quoted if spot.line != cut_at]
    return [
        *problems_of("header_repeated", "the header {value!r} once more", repeated),
        *problems_of("cut_last_line", "the file ends inside {value!r}", cut),
        *problems_of("ragged_row", f"{{value!r}} is not {len(header)} fields", ragged),
        *problems_of("open_quote", "a quote in {value!r} that opens or closes no field", quoted),
    ]


def _cut_line(table: Table, width: int, facts: Facts) -> int | None:
    """Return the number of the last line where the file stops inside it, and set its label aside."""
    last_other = table.others[-1][1] if table.others else 0
    if not table.numbers or table.numbers[-1] < last_other:
        return last_other if table.others and len(table.others[-1][0]) < width else None
    label, number = table.labels[-1], table.numbers[-1]
    if label in facts.labels or not any(name.startswith(label) for name in facts.labels):
        return None
    if label:
        fields = [""] * width
        fields[table.places[0]] = table.ids.pop()
        table.others.append((fields, table.numbers.pop()))
        table.labels.pop()
    return number


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
