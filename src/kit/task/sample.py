"""Find the sample submission by what it holds, and say what it asks for: header, ids, kind of values.

It decides nothing about labels: it says where they and the sample disagree.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from kit.config import Competition, spelling_key
from kit.errors import InputInvalid
from kit.task import csv_file

SUFFIXES = (".csv", ".tsv", ".txt", ".zip")
NOT_SAMPLES = ("train.csv", "test.csv", "solution.csv")
NAMED = re.compile(r"sample|submission", re.IGNORECASE)
_WHOLE = re.compile(r"[+-]?\d+")
_NUMBER = re.compile(r"[+-]?\d*\.?\d+(?:e[+-]?\d+)?", re.IGNORECASE)


@dataclass(frozen=True)
class Sample:
    """A sample submission."""

    path: Path
    header: tuple[str, ...]
    id_at: int  # place of the column that holds the test ids
    ids: Sequence[str]
    values: tuple[str, ...]  # the distinct values of the first other column, at most a thousand
    is_stale: bool  # whether its ids are not those of test.csv

    @property
    def id(self) -> str:
        """The name of the id column."""
        return self.header[self.id_at]

    @property
    def label(self) -> str:
        """The name of the first other column."""
        return self.header[1 - min(self.id_at, 1)]

    def __str__(self) -> str:
        return f"{self.path.name} ({','.join(self.header)})"


def could_be(name: str, size: int, test_size: int) -> bool:
    """Tell whether a file of this name and size may be a sample submission for a test.csv of `test_size`."""
    path = Path(name)
    is_given = path.name.removesuffix(".zip") in NOT_SAMPLES or len(path.parts) > 1
    return path.suffix.lower() in SUFFIXES and not is_given and size <= 2 * test_size + 2**20


def find(
    test: Path, ids: Sequence[str], competition: Competition, *, besides: Path | None = None
) -> Sample | None:
    """Return the sample submission beside `test`, or None where no file but `besides` could be one.

    A file with the test's ids goes before one that has only the name. Raises InputInvalid where two remain
    that ask for different columns.
    """
    size, other = test.stat().st_size, besides and besides.resolve()
    paths = [path for path in sorted(test.parent.iterdir()) if path.is_file() and path.resolve() != other]
    paths = [path for path in paths if could_be(path.name, path.stat().st_size, size)]
    found = [one for path in paths if (one := read(path, ids, competition))]
    found = [
        one for one in found if NAMED.search(one.path.name) or (len(one.header) == 2 and not one.is_stale)
    ]
    own_id, own_label = competition.submission_id, competition.submission_label
    rules: tuple[Callable[[Sample], bool], ...] = (
        lambda one: not one.is_stale,
        lambda one: bool(NAMED.search(one.path.name)),
        lambda one: len(one.header) == 2,
        lambda one: own_id in ("", one.id) and own_label in ("", one.label),
    )
    for rule in rules:
        found = [one for one in found if rule(one)] or found
    if len({(one.id, one.label, one.id_at) for one in found}) > 1:
        raise InputInvalid(
            f"{test.parent}: two files could be the sample submission: {found[0]} and {found[1]}",
            hint=f"submission_id = {found[0].id!r} and submission_label = {found[0].label!r} in kit.toml",
        )
    return found[0] if found else None


def read(path: Path, ids: Sequence[str], competition: Competition) -> Sample | None:
    """Return the file as a sample submission, or None where it has no two columns or no id by value or name.

    The id column is the one that holds the test's ids, else the one of that name, else the first.
    """
    try:
        form = csv_file.form_of(csv_file.read_bytes(path)[: 1 << 20])
        if form.encoding == "cp1252" and competition.encoding != "utf-8":  # a guess, and the user knows
            form = replace(form, encoding=competition.encoding)
        sheet = csv_file.read(path, form)
        by_name, _ = sheet.columns(csv_file.names(sheet.header))
    except InputInvalid:
        return None
    columns, header = list(by_name.values()), sheet.header
    if len(columns) < 2 or not columns[0]:
        return None
    exact = [at for at, own in enumerate(columns) if own == ids]  # as most samples have them
    if not exact and not competition.id:
        exact = [at for at, own in enumerate(columns) if len(set(own)) == len(own) == len(ids)]
    wanted = set() if exact else set(ids)
    shared = [len(wanted.intersection(own)) for own in columns]
    named = [name.casefold() == competition.id.casefold() for name in header]
    at = max(range(len(columns)), key=lambda at: (at in exact, shared[at], named[at], -at))
    if not (exact or shared[at] or named[at]):
        return None
    is_stale = not exact and (not competition.id or set(columns[at]) != wanted)
    values = dict.fromkeys(columns[1 - min(at, 1)])
    return Sample(path, tuple(header), at, columns[at], tuple(values)[:1000], is_stale)


def asks(sample: Sample, labels: Sequence[str], metric: str = "") -> tuple[str, dict[str, str]]:
    """Return the kind of submission and each label's own column; no kind for columns that are no label's."""
    others = [name for at, name in enumerate(sample.header) if at != sample.id_at]
    if len(others) > 1:
        ends = {name: f" {spelling_key(name)}" for name in others}
        own = {
            label: [name for name in others if ends[name].endswith(f" {spelling_key(label)}")]
            for label in labels
        }
        each = {label: names[0] for label, names in own.items() if len(names) == 1}
        is_each = len(others) == len(labels) == len(set(each.values()))
        return ("probabilities", each) if is_each else ("", {})
    keys = set(map(spelling_key, labels))
    values = [value.strip() for value in sample.values if value.strip()]
    words = [value.split() for value in values]
    if any(len(own) > 1 for own in words) and {spelling_key(word) for own in words for word in own} <= keys:
        return "ranking", {}
    strange = [value for value in values if value not in labels]
    is_soft = metric in ("auc", "log_loss") and len(labels) == 2 and _kind(values) != "words"
    if is_soft or (strange and _kind(strange) == "fractions" != _kind(labels)):
        is_own = [spelling_key(label) == spelling_key(sample.label) for label in labels]
        is_named = len(labels) == 2 and any(is_own)  # the column is called after the label that it is of
        return "probability", {
            label: "01"[own] for label, own in zip(labels, is_own, strict=True) if is_named
        }
    return "label", {}


def disagreement(sample: Sample, competition: Competition) -> tuple[str, str, str] | None:
    """Return a code, a sentence and a hint where the sample's values are not what a run would write."""
    if competition.submission_label:  # with that setting the user says that the sample shows examples only
        return None
    written = [competition.written(label) for label in competition.labels]
    example = f"submission_label = {sample.label!r} if those are only examples"
    asked, _ = asks(sample, written, competition.metric)
    if asked != competition.submission:
        mend = (
            f"submission = {asked!r}, or {example}, in kit.toml"
            if asked
            else "the competition's evaluation page"
        )
        what = f"{sample} asks for {asked or 'several columns'}, a run writes {competition.submission}"
        return "sample_kind", what, mend
    strange = [value for value in sample.values if value.strip() and value not in written]
    if not strange or asked != "label":
        return None
    labels, held = (", ".join(map(repr, values[:5])) for values in (written, strange))
    what = f"{sample.path.name} holds {held}; the labels are {labels}"
    is_spelling = spelling_key(strange[0]) in map(spelling_key, written)
    if is_spelling or _kind(strange) != _kind(written) or len(strange) == len(sample.values):
        other = f"submission_values = {{ {competition.labels[0]!r} = {strange[0]!r}, … }}"
        return "sample_values", what, f"{other}, or {example}, in kit.toml, [competition]"
    return "sample_unknown", what, "labels in kit.toml"


def _kind(values: Iterable[str]) -> str:
    values = [value.strip() for value in values]
    if all(map(_WHOLE.fullmatch, values)):
        return "whole numbers"
    return "fractions" if all(map(_NUMBER.fullmatch, values)) else "words"
