"""Suggest a competition's settings from its files, and write them into kit.toml and kernel-metadata.json."""

import json
import re
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tomlkit
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table as Drawn

from kit import files
from kit.bundle import metadata
from kit.config import Competition, Config, load, spelling_key
from kit.errors import InputInvalid
from kit.progress import one_line
from kit.remote.joining import columns
from kit.remote.joining.columns import Choice, Column, Table
from kit.task import csv_file, sample
from kit.task.csv_file import Form
from kit.task.sample import Sample

Settings = dict[str, Any]  # a table of kit.toml


@dataclass(frozen=True)
class Suggestion:
    """What the files show of a competition, and why."""

    settings: Settings  # in the words of kit.toml
    columns: tuple[Column, ...] = ()
    choices: Mapping[str, Choice] = field(default_factory=dict)  # by role
    notes: tuple[str, ...] = ()  # what is worth a look, each with what to write where it should be otherwise


WIDE = 400  # columns of a table that no terminal breaks
_USUAL: Settings = {"encoding": "utf-8", "delimiter": ",", "submission": "label", "metric": "", "kind": "csv"}
_OF_ONE = (
    *("kind", "rerun_minutes", "metric"),
    *("submission", "submission_id", "submission_label", "submission_values"),
)
"""Settings that say nothing of another competition."""
_READ_BY = ("encoding", "delimiter", "submission_id", "submission_label")
"""Settings by which the files are read."""


def decided(path: Path, slug: str) -> Settings:
    """Return the [competition] table of kit.toml where it is about this competition, else nothing."""
    with suppress(OSError, ValueError):
        table = tomllib.loads(path.read_text(encoding="utf-8")).get("competition", {})
        if isinstance(table, dict) and table.get("slug") == slug:
            return table
    return {}


def suggest(folder: Path, slug: str, settings: Mapping[str, Any] = {}) -> Suggestion:
    """Return what the files in `folder` show, after what `settings` name; raises InputInvalid."""
    named = {name: settings[name] for name in _READ_BY if settings.get(name)}
    told = {"preset": "", "competition": {"slug": slug, "labels": ["a", "b"], "id": "", **named}}
    read_by = load(told, where="kit.toml").competition
    form = _form(folder, settings)
    train, test = columns.read(folder / "train.csv", form), columns.read(folder / "test.csv", form)
    looked = columns.look(train, test)
    sample_id, given = _sample(folder, test, looked, read_by.model_copy(update={"encoding": form.encoding}))
    choices = columns.choose(looked, slug, settings, {"id": sample_id, "label": given.label if given else ""})
    names = {role: choice.column for role, choice in choices.items()}
    texts = choices["text"].columns
    counts = Counter(label for label in train[names["label"]] if label.strip())
    labels, spelled = _labels(counts, None)
    asked, values = sample.asks(given, labels, settings.get("metric", "")) if given else ("label", {})
    if asked == "label":
        labels, spelled = _labels(counts, given)
    if given and not asked and not settings.get("submission_label"):
        hint = "a competition that asks for labels; or submission_label, where the sample misleads"
        text = f"{given} wants {len(given.header) - 1} answers a row, which are not the labels"
        raise InputInvalid(text, hint=hint)
    if {*settings.get("labels", ())} == {*labels}:
        labels = tuple(settings["labels"])  # in the user's order
    if len(labels) < 2:
        raise InputInvalid(f"column {names['label']!r} has one label, {labels[0]!r}", hint=columns.PAGE)
    shown: Settings = {"slug": slug, **vars(form), **names, "labels": labels, "submission": asked or "label"}
    shown["text"] = texts if len(texts) > 1 else names["text"]
    if other := {label: name for label, name in values.items() if label != name}:
        shown["submission_values"] = other
    notes = (*_notes(looked, choices, train, test), *spelled, *_sample_notes(given, labels, asked, form))
    if settings.get("metric") == "qwk":
        notes += ("qwk takes the labels in their order: labels",)
    return Suggestion(shown, tuple(looked), choices, notes)


def _form(folder: Path, settings: Mapping[str, Any]) -> Form:
    """Return how both files are written; a file of plain ASCII is in every encoding."""
    options: dict[str, dict[str, str]] = {"encoding": {}, "delimiter": {}}
    for name in ("train.csv", "test.csv"):
        data = csv_file.read_bytes(folder / name)
        foreign, form = csv_file.foreign_format(data), csv_file.form_of(data)
        if foreign and foreign != "UTF-16 text":
            raise InputInvalid(f"{folder / name} is not a csv but {foreign}", hint=columns.PAGE)
        if not data.isascii():
            options["encoding"][form.encoding] = name
        if len(csv_file.read(folder / name, form).header) > 1:
            options["delimiter"][form.delimiter] = name
    for setting, found in options.items():
        if len(found) > 1 and setting not in settings:
            shown = ", ".join(f"{name} {option!r}" for option, name in found.items())
            text = f"{folder}: the files differ in their {setting}: {shown}"
            raise InputInvalid(text, hint="write one of them anew")
    usual = vars(Form()).items()
    return Form(*(settings.get(name) or next(iter(options[name]), value) for name, value in usual))


def _sample(folder: Path, test: Table, looked: list[Column], asked: Competition) -> tuple[str, Sample | None]:
    """Return the column of test.csv that holds the ids of a sample submission, and that sample."""
    stale = None
    for column in looked:
        if column.name in test and column.kind != "text":
            named = asked.model_copy(update={"id": column.name})
            given = sample.find(folder / "test.csv", test[column.name], named)
            if given and not given.is_stale:
                return column.name, given
            stale = given or stale
    numbers = [str(number) for number in range(len(next(iter(test.values()))))]
    return "", sample.find(folder / "test.csv", numbers, asked) or stale


def _labels(counts: Counter[str], given: Sample | None) -> tuple[tuple[str, ...], list[str]]:
    """Return one spelling of each label, numbers in order or the most frequent first, and what is one."""
    spellings: dict[str, list[str]] = {}
    for label, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        spellings.setdefault(spelling_key(label), []).append(label)
    asked = {spelling_key(value): value for value in (given.values if given else ()) if value.strip()}
    plain = {key: own[0].strip() for key, own in spellings.items()}
    styles = (str, str.lower, str.upper, str.capitalize, lambda label: re.sub(r"(?<=\d)\.0+$", "", label))
    fits = [style for style in styles if set(asked.values()) <= set(map(style, plain.values()))]
    labels = {key: (fits or [str])[0](label) for key, label in plain.items()}
    labels |= {key: value for key, value in asked.items() if key in labels}
    notes = [
        f"{' and '.join(map(repr, own))} {'is' if len(own) == 1 else 'are'} read as {labels[key]!r}: labels"
        for key, own in spellings.items()
        if own != [labels[key]]
    ]
    order = sorted(labels, key=lambda key: (-sum(counts[own] for own in spellings[key]), labels[key]))
    with suppress(ValueError):
        order.sort(key=lambda key: float(labels[key]))
    return tuple(labels[key] for key in order), notes


def _notes(looked: list[Column], choices: Mapping[str, Choice], train: Table, test: Table) -> Iterator[str]:
    """Yield what the rows of the files are worth knowing for."""
    names = {role: choice.column for role, choice in choices.items()}
    taken = [name for choice in choices.values() for name in choice.columns]
    if unasked := [column.name for column in looked if column.name not in taken]:
        yield f"not asked: {', '.join(map(repr, unasked[:9]))}; another column of texts, or a list: text"
    if not names["id"]:
        yield "no column names the rows; they are numbered from 0, or as in the sample submission"
    elif names["id"] not in train:
        yield "train.csv has no such id; its rows are numbered"
    own_ids = test.get(names["id"], [])
    if twice := len(own_ids) - len(set(own_ids)):
        yield f"{twice} ids of test.csv come twice; each is answered once"
    for name, table, role, what in (
        ("train.csv", train, "label", "they are left out"),
        ("train.csv", train, "text", "they are left out"),
        ("test.csv", test, "text", "they are asked as they are"),
    ):
        if blank := sum(not value.strip() for value in table.get(names[role], ())):
            yield f"{blank} rows of {name} have a blank {role}; {what}"


def _sample_notes(given: Sample | None, labels: tuple[str, ...], asked: str, form: Form) -> Iterator[str]:
    if form.encoding != "utf-8":
        yield f"the files are read as {form.encoding}; where the examples look wrong: encoding"
    if given is None:
        yield "no sample submission is there; its header: submission_id, submission_label"
        return
    yield f"sample submission: {given}" + (", of other ids than test.csv's" if given.is_stale else "")
    if asked != "label":
        yield f"a row of it is {asked or 'something else'}: submission"
    elif objection := sample.disagreement(given, Competition(slug="x", labels=labels)):
        yield f"{objection[1]}: {objection[2]}"


def write_settings(suggestion: Suggestion, path: Path, *, metric: str = "", kind: str = "") -> None:
    """Put a suggestion into kit.toml, keeping its comments and everything else that still holds."""
    try:
        document: Settings = tomlkit.parse(path.read_text(encoding="utf-8") if path.is_file() else "")
    except (ValueError, OSError) as error:
        raise InputInvalid(f"{path}: {error}", hint="mend that line, or git checkout kit.toml") from None
    competition = document.setdefault("competition", tomlkit.table())
    told = suggestion.settings
    if competition.get("slug") != told["slug"]:
        for name in _OF_ONE:
            competition.pop(name, None)
    for name, value in {**told, "metric": metric, "kind": kind or competition.get("kind", "csv")}.items():
        if value != _USUAL.get(name):
            competition[name] = list(value) if isinstance(value, tuple) else value
        elif value:
            competition.pop(name, None)
    for name in ("synonyms", "submission_values"):
        table = competition.get(name, {})
        for label in [label for label in table if label not in told["labels"]]:
            del table[label]
        if not table:
            competition.pop(name, None)
    words = told["slug"].replace("-", " ").title()  # with room for a preset's name, and five letters at least
    title = words[: metadata.LONGEST_TITLE - 15].strip() if len(words) >= 5 else f"{words} Kernel"
    document.setdefault("kernel", tomlkit.table())["title"] = title
    files.write_whole(path, tomlkit.dumps(document))


def write_metadata(config: Config, path: Path) -> None:
    """Make kernel-metadata.json the template of this competition's full run; a push fills in the owner."""
    kept, built = metadata.read(path), metadata.build(config, template=path)
    # What a preset attaches is no source of the user's own.
    own = {f"{kind}_sources": getattr(kept, f"{kind}_sources") for kind in ("dataset", "kernel", "model")}
    own |= {"competition_sources": [config.competition.slug]}
    own["code_file"] = kept.code_file or f"build/{config.preset}/kernel.py"
    fresh = built.model_copy(update=own).model_dump(exclude_none=True)
    files.write_whole(path, json.dumps(fresh, indent=2) + "\n")


def show(suggestion: Suggestion, *, is_terminal: bool) -> None:
    """Print the columns, what each was taken for and why, then what is worth a look."""
    chosen = suggestion.choices.items()
    roles = {column: (role, choice.why) for role, choice in chosen for column in choice.columns}
    head = ("column", "type", "distinct", "blank", "example", "in test", "taken as", "why")
    table = Drawn(*head, box=box.HEAVY_HEAD if is_terminal else None)
    for column in suggestion.columns:
        role, why = roles.get(column.name, ("", ""))
        figures = (column.kind, f"{column.distinct:,}", f"{column.blank:,}", one_line(column.example[:30]))
        cells = (one_line(column.name), *figures, "yes" if column.in_test else "no", role, why)
        table.add_row(*map(escape, cells))
    Console(width=None if is_terminal else WIDE).print(table)
    print(f"labels: {', '.join(map(repr, suggestion.settings['labels']))}")
    for note in suggestion.notes:
        print(f"look: {one_line(note)}")
