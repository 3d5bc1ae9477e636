"""Say which columns of train.csv and test.csv are the id, the label, the language and the text, and why."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from kit.errors import InputInvalid
from kit.task import csv_file, languages

MOST_LABELS = 50
MOST_LANGUAGES = 200
CLEARLY_LONGER = 3.0  # how many times longer one column of sentences must be to be taken without asking
PAGE = "the competition's data page"
_ID_NAME = re.compile(r"(?i:^id$|[_\W]id$|^index$)|[a-z]I[dD]$|^[a-z]*id$")
_LANGUAGE_NAME = re.compile(r"lang|locale", re.IGNORECASE)
_WHOLE = re.compile(r"[+-]?\d+(\.0*)?")
_NUMBER = re.compile(r"[+-]?\d*\.?\d+(e[+-]?\d+)?", re.IGNORECASE)
_ID_KINDS = ("whole number", "word")
_YES_NO = frozenset(("yes", "no", "y", "n", "true", "false", "t", "f"))
Table = dict[str, list[str]]


@dataclass(frozen=True)
class Column:
    """What one column holds. Figures are of train.csv, of test.csv where only that has it."""

    name: str
    kind: str
    distinct: int
    blank: int
    length: float  # mean number of characters of a value
    example: str
    variety: float
    """Different values by rows, of test.csv where it has the column; 1 where no value comes twice."""
    in_train: bool
    in_test: bool  # whether test.csv has it with any value

    @property
    def is_asked(self) -> bool:
        return self.in_train and not self.in_test and self.kind != "blank"


@dataclass(frozen=True)
class Choice:
    """The column that was taken for a role, several of text, or none; and why."""

    columns: tuple[str, ...]
    why: str

    @property
    def column(self) -> str:
        """The first one, or nothing."""
        return next(iter(self.columns), "")


_KINDS: tuple[tuple[str, Callable[[Sequence[str]], bool]], ...] = (
    ("blank", lambda values: not values),
    ("whole number", lambda values: all(map(_WHOLE.fullmatch, values))),
    ("fraction", lambda values: all(map(_NUMBER.fullmatch, values))),
    ("yes/no", lambda values: {value.casefold() for value in values} <= _YES_NO),
    ("language", lambda values: len(values) <= MOST_LANGUAGES and all(map(languages.name, values))),
    ("text", lambda values: fmean(" " in value for value in values) > 0.5 or fmean(map(len, values)) >= 30),
)
"""What the distinct values of a column can be, the first that fits; else words."""

ROLES = ("id", "label", "language", "text")


def _signs(role: str, column: Column, given: str) -> dict[str, bool]:
    """Return what may tell that a column has a role, the surest first; the sample names `given` for it."""
    name, kind = column.name, column.kind
    is_shared, says_id = column.in_train and column.in_test, bool(_ID_NAME.search(name))
    is_set = column.is_asked and 2 <= column.distinct <= MOST_LABELS and kind != "fraction"
    is_code = kind in ("language", "word") and column.distinct <= MOST_LANGUAGES
    hardly_twice = "its name says so and hardly any value comes twice"
    return {
        "id": {
            "the sample submission has its values": name == given,
            "its name says so": column.in_test and name.casefold() == "id",
            hardly_twice: column.in_test and says_id and column.variety > 0.9,
            "no value comes twice": column.in_test and column.variety == 1.0 and kind in _ID_KINDS,
        },
        "label": {
            "the sample submission has it": is_set and name == given,
            "test.csv lacks it, and it has few values": is_set,
        },
        "language": {
            "its values are languages": is_shared and kind == "language" and column.distinct > 1,
            "its name says so": is_shared and is_code and bool(_LANGUAGE_NAME.search(name)),
        },
        "text": {
            "it holds sentences": is_shared and kind == "text",
            "it holds words": is_shared and kind == "word",
            "no other is left": is_shared and kind != "blank",
        },
    }[role]


def read(path: Path, form: csv_file.Form) -> Table:
    """Return the columns of a csv as text, a row's missing fields as blank. Raises InputInvalid."""
    sheet = csv_file.read(path, form)
    table, _ = sheet.columns(csv_file.names(sheet.header))
    if not any(table.values()):
        raise InputInvalid(f"{path} holds no rows", hint=PAGE)
    return table


def look(train: Table, test: Table) -> list[Column]:
    """Return what each column of the two files holds, in file order."""
    looked = []
    for name in {**train, **test}:
        values = train.get(name) or test[name]
        spoken = [value for value in values if value.strip()]
        distinct = list(dict.fromkeys(spoken))
        stripped = [value.strip() for value in distinct]
        rows = test.get(name, values)
        column = Column(
            name,
            next((kind for kind, fits in _KINDS if fits(stripped)), "word"),
            distinct=len(distinct),
            blank=len(values) - len(spoken),
            length=fmean(map(len, spoken or [""])),
            example=next(iter(distinct), ""),
            variety=len(set(rows)) / len(rows),
            in_train=name in train,
            in_test=any(value.strip() for value in test.get(name, ())),
        )
        looked.append(column)
    return looked


def choose(
    columns: Sequence[Column], slug: str, settings: Mapping[str, object], given: Mapping[str, str]
) -> dict[str, Choice]:
    """Return the column of each role: what `settings` name, what the sample has `given`, what is likely."""
    chosen: dict[str, Choice] = {}
    for role in ROLES:
        taken = {column for choice in chosen.values() for column in choice.columns}
        free = [column for column in columns if column.name not in taken]
        chosen[role] = _choose(role, free, given.get(role, ""), slug, settings.get(role))
    return chosen


def _choose(role: str, columns: Sequence[Column], given: str, slug: str, named: object) -> Choice:
    names = (named,) if isinstance(named, str) else tuple(named) if isinstance(named, list) else ()
    if names and {*names} <= {column.name for column in columns}:
        return Choice(names, "kit.toml names it")
    signs = {column: _signs(role, column, given) for column in columns}
    for why in next(iter(signs.values()), ()):
        could_be = [column for column in columns if signs[column][why]]
        if role == "text" and len(could_be) > 1:
            *_, second, longest = sorted(could_be, key=lambda column: column.length)
            if longest.length >= CLEARLY_LONGER * second.length:
                why = f"{why}, {longest.length:.0f} characters a row and {second.name!r} {second.length:.0f}"
                could_be = [longest]
            elif longest.kind == "text":
                why = f"{why}, one of {len(could_be)} texts"
                return Choice(tuple(column.name for column in could_be), why)
        if len(could_be) > 1:
            either = " or ".join(repr(column.name) for column in could_be[:6])
            write = f"kit.toml, [competition]: slug = {slug!r}, {role} = {could_be[0].name!r} or another"
            hint = f"{write}, then make init COMPETITION={slug}"
            raise InputInvalid(f"{len(could_be)} columns could be the {role}: {either}", hint=hint)
        if could_be:
            return Choice((could_be[0].name,), why)
    if role == "text":
        lone = [column for column in columns if column.in_train != column.in_test]
        told = (f"{column.name!r} is only in {'train' if column.in_train else 'test'}.csv" for column in lone)
        raise InputInvalid("; ".join(("no column is left for the text", *told)), hint=PAGE)
    if role == "label":
        raise _no_label(columns)
    return Choice((), "no column looks like one")


def _no_label(columns: Sequence[Column]) -> InputInvalid:
    """Return why no column is a set of labels."""
    column = next((column for column in columns if column.is_asked), None)
    if column is None:
        return InputInvalid("test.csv has every column of train.csv, so none is the label", hint=PAGE)
    what = f"{column.distinct} values, and a set of labels has 2 to {MOST_LABELS}"
    if column.kind == "fraction":
        what = f"fractions such as {column.example!r}: a number is asked there, no label"
    text = f"column {column.name!r}, which test.csv lacks, has {what}"
    return InputInvalid(text, hint="a competition that asks for labels")
