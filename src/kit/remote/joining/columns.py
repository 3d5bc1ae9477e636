"""Say which columns of train.csv and test.csv are the id, the label, the language and the text.

Each choice has its reason. Where two columns would do, it asks: kit.toml names the one that is meant.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kit.errors import InputInvalid
from kit.task import csv_file, languages
from kit.task.csv_file import Form

MOST_LABELS = 50
MOST_LANGUAGES = 200
CLEARLY_LONGER = 3.0
"""How many times longer one column of sentences must be to be taken without asking."""
PAGE = "the competition's data page"
_ID_NAME = re.compile(r"(?i:^id$|[_\W]id$|^index$)|[a-z]I[dD]$|^[a-z]*id$")
_LANGUAGE_NAME = re.compile(r"lang|locale", re.IGNORECASE)
_NUMBER = re.compile(r"[+-]?\d*\.?\d+(e[+-]?\d+)?", re.IGNORECASE)
_YES_NO = frozenset(("yes", "no", "y", "n", "true", "false", "t", "f"))
Table = dict[str, list[str]]


@dataclass(frozen=True)
class Column:
    """What one column holds. Figures are of train.csv, of test.csv where only that has it."""

    name: str
    kind: str
    distinct: int
    blank: int
    length: float
    """Mean number of characters of a value."""
    example: str
    variety: float
    """Different values by rows, of test.csv where it has the column; 1 where no value comes twice."""
    in_train: bool
    in_test: bool
    """Whether test.csv has it with any value."""

    @property
    def is_shared(self) -> bool:
        """Whether both files have it."""
        return self.in_train and self.in_test


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
    ("whole number", lambda values: all(re.fullmatch(r"[+-]?\d+(\.0*)?", value) for value in values)),
    (
        "fraction",
        lambda values: all(re.fullmatch(r"[+-]?\d*\.?\d+(e[+-]?\d+)?", value, re.I) for value in values),
    ),
    ("yes/no", lambda values: {value.casefold() for value in values} <= _YES_NO),
    ("language", lambda values: len(values) <= MOST_LANGUAGES and all(map(languages.name, values))),
    ("text", lambda values: sum(" " in value for value in values) * 2 > len(values) or _mean(values) >= 30),
)
"""What the distinct values of a column can be, the first that fits; else words."""


def read(path: Path, form: Form) -> Table:
    """Return the columns of a csv as text, a row's missing fields as blank. Raises InputInvalid."""
    sheet = csv_file.read(path, form)
    table, _ = sheet.columns(csv_file.names(sheet.header))
    if not any(table.values()):
        raise InputInvalid(f"{path} holds no rows", hint=PAGE)
    return table


def look(train: Table, test: Table) -> list[Column]:
    """Return what each column of the two files holds, in file order."""
    return [_column(name, train, test) for name in {**train, **test}]


def _column(name: str, train: Table, test: Table) -> Column:
    values = train.get(name) or test[name]
    spoken = [value for value in values if value.strip()]
    distinct = list(dict.fromkeys(spoken))
    stripped = [value.strip() for value in distinct]
    kind = next((kind for kind, fits in _KINDS if fits(stripped)), "word")
    in_test = any(value.strip() for value in test.get(name, ()))
    rows = test.get(name, values)
    return Column(
        name,
        kind,
        len(distinct),
        len(values) - len(spoken),
        _mean(spoken),
        distinct[0] if distinct else "",
        len(set(rows)) / len(rows),
        name in train,
        in_test,
    )


def choose(
    columns: Sequence[Column], slug: str, settings: Mapping[str, object], sample_id: str, sample_label: str
) -> dict[str, Choice]:
    """Return the column of each role; what `settings` name goes first, then what the sample shows.

    `sample_id` is the column of test.csv with the sample's ids, `sample_label` the sample's other header.
    """
    chosen: dict[str, Choice] = {}
    for role, rules in (
        ("id", _id_rules(sample_id)),
        ("label", _label_rules(sample_label)),
        ("language", _LANGUAGE_RULES),
        ("text", _TEXT_RULES),
    ):
        taken = {column for choice in chosen.values() for column in choice.columns}
        free = [column for column in columns if column.name not in taken]
        chosen[role] = _choose(role, free, rules, slug, settings)
    return chosen


Rule = tuple[str, Callable[[Column], bool]]


def _choose(
    role: str, columns: Sequence[Column], rules: Iterable[Rule], slug: str, settings: Mapping[str, object]
) -> Choice:
    named = settings.get(role)
    names = (named,) if isinstance(named, str) else tuple(named) if isinstance(named, list) else ()
    if names and {*names} <= {column.name for column in columns}:
        return Choice(names, "kit.toml names it")
    for why, fits in rules:
        could_be = [column for column in columns if fits(column)]
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
            raise InputInvalid(
                f"{len(could_be)} columns could be the {role}: {either}",
                hint=f"kit.toml, [competition]: slug = {slug!r}, {role} = {could_be[0].name!r} or another, "
                f"then make init COMPETITION={slug}",
            )
        if could_be:
            return Choice((could_be[0].name,), why)
    if role == "text":
        raise InputInvalid("no column is left for the text", hint=PAGE)
    if role == "label":
        _refuse_label(columns)
    return Choice((), "no column looks like one")


def _id_rules(sample_id: str) -> list[Rule]:
    return [
        ("the sample submission has its values", lambda column: column.name == sample_id),
        ("its name says so", lambda column: column.in_test and column.name.casefold() == "id"),
        (
            "its name says so and hardly any value comes twice",
            lambda column: column.in_test and bool(_ID_NAME.search(column.name)) and column.variety > 0.9,
        ),
        (
            "no value comes twice",
            lambda column: (
                column.in_test and column.variety == 1.0 and column.kind in ("whole number", "word")
            ),
        ),
    ]


def _label_rules(sample_label: str) -> list[Rule]:
    def could_be(column: Column) -> bool:
        is_set = 2 <= column.distinct <= MOST_LABELS
        return column.in_train and not column.in_test and is_set and column.kind != "fraction"

    return [
        ("the sample submission has it", lambda column: column.name == sample_label and could_be(column)),
        ("test.csv lacks it, and it has few values", could_be),
    ]


_LANGUAGE_RULES: list[Rule] = [
    (
        "its values are languages",
        lambda column: column.is_shared and column.kind == "language" and column.distinct > 1,
    ),
    (
        "its name says so",
        lambda column: (
            column.is_shared
            and bool(_LANGUAGE_NAME.search(column.name))
            and column.kind in ("language", "word")
            and column.distinct <= MOST_LANGUAGES
        ),
    ),
]
_TEXT_RULES: list[Rule] = [
    ("it holds sentences", lambda column: column.is_shared and column.kind == "text"),
    ("it holds words", lambda column: column.is_shared and column.kind == "word"),
    ("no other is left", lambda column: column.is_shared and column.kind != "blank"),
]


def _refuse_label(columns: Sequence[Column]) -> None:
    """Say why no column is a set of labels."""
    missing = [
        column for column in columns if column.in_train and not column.in_test and column.kind != "blank"
    ]
    if not missing:
        raise InputInvalid("test.csv has every column of train.csv, so none is the label", hint=PAGE)
    column = missing[0]
    what = (
        f"{column.distinct} values, and a set of labels has 2 to {MOST_LABELS}"
        if column.kind != "fraction"
        else f"fractions such as {column.example!r}: a number is asked there, no label"
    )
    raise InputInvalid(
        f"column {column.name!r}, which test.csv lacks, has {what}", hint="a competition that asks for labels"
    )


def _mean(values: Sequence[str]) -> float:
    return sum(map(len, values)) / len(values) if values else 0.0
