"""Read a submission that may be broken in any way, and say how it is broken as a csv.

It goes on reading behind each defect, so that one pass finds them all. What ids and answers mean is for
`validate` to say.
"""

import codecs
import csv
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from operator import itemgetter
from pathlib import Path

from kit.errors import InputInvalid
from kit.review.checks.facts import Facts
from kit.review.checks.problems import Problem, Spot, problems_of
from kit.task import csv_file

_INVISIBLE = re.compile(
    r"[\x00-\x1f\x7f\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufe00-\ufe0f\ufeff]"
)
"""Control characters and marks without width."""
_THOUSANDS = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?")
LONGEST = 1000  # characters of an id or a label up to which another spelling is looked for
LONGEST_LINE = 131_072  # characters; no submission has such a line


@dataclass
class Table:
    """A submission as far as it could be read; the first three run in parallel."""

    ids: list[str] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)  # the other columns of each row, apart by commas
    numbers: list[int] = field(default_factory=list)  # the line, from 1, of each row
    ragged: list[Spot] = field(default_factory=list)  # the rows that are not as wide as the header
    labels: list[str] = field(default_factory=list)
    """The label that each answer makes likeliest, or nothing, once the answers are checked."""

    @property
    def row_count(self) -> int:
        """Rows of any shape, the header not among them."""
        return len(self.ids) + len(self.ragged)


def key(text: str) -> str:
    """Return what all spellings share: no case, blanks, quotes, unseen marks, nor `1,000`, `01`, `1.0`."""
    if len(text) > LONGEST:
        return text
    text = _INVISIBLE.sub("", unicodedata.normalize("NFKC", text)).strip(" \"'").casefold()
    if _THOUSANDS.fullmatch(text):
        text = text.replace(",", "")
    whole, _, rest = text.partition(".")
    return whole.lstrip("0") or "0" if whole.isdecimal() and not rest.strip("0") else text


def read(data: bytes, facts: Facts) -> tuple[Table | None, list[Problem]]:
    """Return the table and the defects of its form; no table where there are no columns to speak of."""
    if not data.removeprefix(codecs.BOM_UTF8).lstrip():
        return None, [Problem("file_empty", f"{len(data)} bytes and no row")]
    if foreign := csv_file.foreign_format(data):
        code = "utf16" if foreign.startswith("UTF-16") else "not_csv"
        return None, [Problem(code, f"not a csv but {foreign}, it begins {data[:40]!r}")]
    text, problems = _decode(data)
    lines = text.removesuffix("\n").split("\n")
    if too_long := [Spot(at, value=line) for at, line in enumerate(lines, 1) if len(line) > LONGEST_LINE]:
        words = f"more than {LONGEST_LINE:,} characters: {{value!r}}"
        return None, problems + problems_of("long_line", words, too_long)
    start = next((at for at, line in enumerate(lines) if line), 0)
    first = [Spot(start + 1, value=lines[start])]
    delimiter = "," if "," in lines[start] else max(csv_file.DELIMITERS, key=lines[start].count)
    if delimiter != ",":
        words = "fields are separated by {delimiter!r} instead of commas: {value!r}"
        problems += problems_of("wrong_delimiter", words, first, delimiter=delimiter)
    header, is_clean = _split(lines[start], delimiter)
    wanted = facts.columns.header
    expected = ",".join(wanted)
    if _is_row(header, facts):
        words = "the file begins with a row, {value!r}; expected {expected!r}"
        problems += problems_of("header_missing", words, first, expected=expected)
        header, start = wanted, start - 1
    elif header != wanted:
        is_other_order = sorted(header) == sorted(wanted)
        code = "column_order" if is_other_order else "header"
        words = "the header is {value!r}; expected {expected!r}"
        words += ", though Kaggle takes its columns in any order" if is_other_order else ""
        problems += problems_of(code, words, first, expected=expected)
    if len(header) < len(wanted):
        return None, problems
    places = _places(header, wanted)
    table, stray = _fill(lines, start + 1, delimiter, facts, len(header), places)
    words = "a quote in {value!r} that opens or closes no field"
    problems += problems_of("open_quote", words, ([] if is_clean else first) + stray)
    return table, problems + problems_of(
        "ragged_row", f"{{value!r}} is not {len(header)} fields", table.ragged
    )


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
    text = data.decode("utf-8", "replace")
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        odd = [Spot(line, value=part) for line, part in enumerate(text.split("\n"), 1) if "\ufffd" in part]
        told = {"byte": data[error.start : error.start + 1], "at": error.start}
        problems += problems_of("not_utf8", "byte {byte!r} at offset {at} is not UTF-8", odd, **told)
    if count := text.count("\r"):
        text = text.replace("\r\n", "\n").replace("\r", "\n")
        problems.append(Problem("crlf", f"{count} lines end in CR or CRLF instead of LF", count))
    return text, problems


def _is_row(fields: Sequence[str], facts: Facts) -> bool:
    """Tell whether a first line without any of the columns' names holds an id or a label."""
    names = set(map(key, facts.columns.header))
    return names.isdisjoint(map(key, fields)) and not {*facts.ids, *facts.labels}.isdisjoint(fields)


def _places(header: Sequence[str], wanted: Sequence[str]) -> list[int]:
    """Return where each wanted column stands: under its name or a like one, else in the first column left."""
    keys = [key(name) for name in header]
    place_by_name: dict[str, int] = {}
    for name in wanted:
        if name in header or key(name) in keys:
            place_by_name[name] = header.index(name) if name in header else keys.index(key(name))
    left = (at for at in range(len(header)) if at not in place_by_name.values())
    return [place_by_name[name] if name in place_by_name else next(left) for name in wanted]


def _fill(
    lines: Sequence[str], start: int, delimiter: str, facts: Facts, width: int, places: Sequence[int]
) -> tuple[Table, list[Spot]]:
    """Return the rows from the line at `start` on, and the lines with a stray quote, read without it."""
    id_place = facts.columns.header.index(facts.columns.id)
    id_at, others = places[id_place], [at for order, at in enumerate(places) if order != id_place]
    answer = itemgetter(*others)
    answer_of = answer if len(others) == 1 else lambda fields: ",".join(answer(fields))

    def table_of(records: Iterable[tuple[int, list[str]]]) -> Table:
        table = Table()
        for number, fields in records:
            if len(fields) == width:
                table.numbers.append(number)
                table.ids.append(fields[id_at])
                table.answers.append(answer_of(fields))
            elif lines[number - 1].strip():  # pandas drops a line of blanks too
                name = fields[id_at] if id_at < len(fields) else None
                table.ragged.append(Spot(number, name, delimiter.join(fields)))
        return table

    try:
        if any("\n" in name for name in facts.ids):
            sheet = csv_file.Sheet(Path(), "\n".join(lines[start:]), delimiter)
            return table_of((start + line, fields) for line, fields in sheet.records()), []
        return table_of(_records(lines, start, delimiter)), []
    except (csv.Error, InputInvalid):
        single = [(at + 1, *_split(lines[at], delimiter)) for at in range(start, len(lines))]
        stray = [Spot(number, value=lines[number - 1]) for number, _, is_clean in single if not is_clean]
        return table_of((number, fields) for number, fields, _ in single), stray


def _records(lines: Sequence[str], start: int, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yield line and fields of each record; a stray quote, or a record over several lines, is a csv.Error."""
    reader = csv.reader(islice(lines, start, None), delimiter=delimiter, strict=True)
    number = start
    for number, fields in enumerate(reader, start + 1):
        yield number, fields
    if number < len(lines):
        raise csv.Error


def _split(line: str, delimiter: str) -> tuple[list[str], bool]:
    """Return one line's fields, and whether its quotes were in order; stray ones are dropped."""
    try:
        return next(csv.reader([line], delimiter=delimiter, strict=True), []), True
    except csv.Error:
        return line.replace('"', "").split(delimiter), False
