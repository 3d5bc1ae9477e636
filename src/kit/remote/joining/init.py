"""Read a competition's files, suggest its settings, and write them into kit.toml and kernel-metadata.json.

It fetches nothing (data.py does) and suggests only what the files show; the rest it leaves as it was.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kit import files
from kit.bundle import metadata
from kit.config import Competition, Config, spelling_key
from kit.errors import InputInvalid
from kit.remote import runs
from kit.remote.joining import columns
from kit.remote.joining.columns import Choice, Column, Table
from kit.task import csv_file, sample
from kit.task.csv_file import Form
from kit.task.sample import Sample


@dataclass(frozen=True)
class Suggestion:
    """What the files show of a competition, in the words of kit.toml, and why."""

    slug: str
    id: str
    text: str | tuple[str, ...]
    label: str
    language: str
    """Empty where no column looks like one."""
    labels: tuple[str, ...]
    form: Form = field(default_factory=Form)
    columns: tuple[Column, ...] = ()
    choices: Mapping[str, Choice] = field(default_factory=dict)
    """By role."""
    submission: str = "label"
    """What the sample asks of a row, as the setting of that name."""
    values: Mapping[str, str] = field(default_factory=dict)
    """The column of each label, where the sample has one for each."""
    notes: tuple[str, ...] = ()
    """What is worth a look, each with what to write where it should be otherwise."""


WIDE = 400
"""Columns of a table that no terminal breaks."""
_OF_ONE = (
    *("kind", "rerun_minutes", "metric"),
    *("submission", "submission_id", "submission_label", "submission_values"),
)
"""Settings that say nothing of another competition."""


def decided(path: Path, slug: str) -> dict[str, Any]:
    """Return the [competition] table of kit.toml where it is about this competition, else nothing."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8")).get("competition", {})
    except (OSError, ValueError):
        return {}
    return table if isinstance(table, dict) and table.get("slug") == slug else {}


def suggest(folder: Path, slug: str, settings: Mapping[str, Any] | None = None) -> Suggestion:
    """Return the settings that train.csv, test.csv and the sample submission in `folder` show.

    What `settings` name goes first. Raises InputInvalid where the files show no id, text and label, or where
    two columns or files would do.
    """
    settings = settings or {}
    form = _form(folder, settings)
    train, test = columns.read(folder / "train.csv", form), columns.read(folder / "test.csv", form)
    looked = columns.look(train, test)
    sample_id, given = _sample(folder, test, looked, settings)
    choices = columns.choose(looked, slug, settings, {"id": sample_id, "label": given.label if given else ""})
    names = {role: choice.column for role, choice in choices.items()}
    texts = choices["text"].columns
    counts = Counter(label for label in train[names["label"]] if label.strip())
    labels, spelled = _labels(counts, None)
    asked, values = sample.asks(given, labels, settings.get("metric", "")) if given else ("label", {})
    if asked == "label":
        labels, spelled = _labels(counts, given)
    if given and not asked and not settings.get("submission_label"):
        raise InputInvalid(
            f"{given} wants {len(given.header) - 1} answers a row, which are not the labels",
            hint="a competition that asks for labels; or submission_label, where the sample misleads",
        )
    if len(labels) < 2:
        raise InputInvalid(f"column {names['label']!r} has one label, {labels[0]!r}", hint=columns.PAGE)
    notes = (*_notes(looked, choices, train, test), *spelled, *_sample_notes(given, labels, asked, form))
    return Suggestion(
        slug,
        id=names["id"],
        text=texts if len(texts) > 1 else names["text"],
        label=names["label"],
        language=names["language"],
        labels=labels,
        form=form,
        columns=tuple(looked),
        choices=choices,
        submission=asked or "label",
        values={label: name for label, name in values.items() if label != name},
        notes=notes,
    )


def _form(folder: Path, settings: Mapping[str, Any]) -> Form:
    """Return how both files are written; a file of plain ASCII is in every encoding."""
    bytes_by_name = {name: csv_file.read_bytes(folder / name) for name in ("train.csv", "test.csv")}
    for name, data in bytes_by_name.items():
        foreign = csv_file.foreign_format(data)
        if foreign and foreign != "UTF-16 text":
            raise InputInvalid(f"{folder / name} is not a csv but {foreign}", hint=columns.PAGE)
    forms = {name: csv_file.form_of(data) for name, data in bytes_by_name.items()}
    encodings = {forms[name].encoding: name for name, data in bytes_by_name.items() if not data.isascii()}
    wide = {name for name, form in forms.items() if len(csv_file.read(folder / name, form).header) > 1}
    delimiters = {form.delimiter: name for name, form in forms.items() if name in wide}
    for setting, options in (("encoding", encodings), ("delimiter", delimiters)):
        if len(options) > 1 and setting not in settings:
            shown = ", ".join(f"{name} {option!r}" for option, name in options.items())
            text = f"{folder}: the files differ in their {setting}: {shown}"
            raise InputInvalid(text, hint="write one of them anew")
    return Form(
        settings.get("encoding") or next(iter(encodings), "utf-8"),
        settings.get("delimiter") or next(iter(delimiters), ","),
    )


def _sample(
    folder: Path, test: Table, looked: list[Column], settings: Mapping[str, Any]
) -> tuple[str, Sample | None]:
    """Return the column of test.csv that holds the ids of a sample submission, and that sample."""
    header = {name: settings.get(name, "") for name in ("submission_id", "submission_label")}
    asked = Competition(slug="x", labels=("a", "b"), id="", **header)
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
    """Return one spelling of each label, the most frequent label first, and what was taken together."""
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
    return tuple(labels[key] for key in order), notes


def _notes(looked: list[Column], choices: Mapping[str, Choice], train: Table, test: Table) -> Iterator[str]:
    """Yield what the rows of the files are worth knowing for."""
    names = {role: choice.column for role, choice in choices.items()}
    taken = [name for choice in choices.values() for name in choice.columns]
    unasked = [column.name for column in looked if column.name not in taken]
    own_ids = test.get(names["id"], [])
    facts = (
        (
            unasked,
            f"not asked: {', '.join(map(repr, unasked[:9]))}; another column of texts, or a list: text",
        ),
        (
            not names["id"],
            "no column names the rows; they are numbered from 0, or as in the sample submission",
        ),
        (names["id"] and names["id"] not in train, "train.csv has no such id; its rows are numbered"),
        (
            len(set(own_ids)) < len(own_ids),
            f"{len(own_ids) - len(set(own_ids))} ids of test.csv come twice; each is answered once",
        ),
        *(
            (number, f"{number} rows of {name} have a blank {role}; {what}")
            for name, table, role, what in (
                ("train.csv", train, "label", "they are left out"),
                ("train.csv", train, "text", "they are left out"),
                ("test.csv", test, "text", "they are asked as they are"),
            )
            if (number := sum(not value.strip() for value in table.get(names[role], ())))
        ),
    )
    return (note for applies, note in facts if applies)


def _sample_notes(given: Sample | None, labels: tuple[str, ...], asked: str, form: Form) -> Iterator[str]:
    if form.encoding != "utf-8":
        yield f"the files are read as {form.encoding}; where the examples look wrong: encoding"
    if given is None:
        yield "no sample submission is there; its header: submission_id, submission_label"
        return
    yield f"sample submission: {given}" + (", of other ids than test.csv's" if given.is_stale else "")
    if asked != "label":
        yield f"a row of it is {asked or 'something else'}: submission"
        return
    objection = sample.disagreement(given, Competition(slug="x", labels=labels))
    if objection:
        yield f"{objection[1]}: {objection[2]}"


def write_settings(suggestion: Suggestion, path: Path, *, metric: str = "", kind: str = "") -> None:
    """Put a suggestion into kit.toml, keeping its comments and everything else that still holds."""
    import tomlkit

    try:
        document: Any = tomlkit.parse(path.read_text(encoding="utf-8") if path.is_file() else "")
    except (ValueError, OSError) as error:
        raise InputInvalid(f"{path}: {error}", hint="mend that line, or git checkout kit.toml") from None
    competition = document.setdefault("competition", tomlkit.table())
    if competition.get("slug") != suggestion.slug:
        for name in _OF_ONE:
            competition.pop(name, None)
    for name in ("slug", "id", "text", "label", "language"):
        value = getattr(suggestion, name)
        competition[name] = value if isinstance(value, str) else list(value)
    competition["labels"] = list(suggestion.labels)
    for name, value, default in (
        ("encoding", suggestion.form.encoding, "utf-8"),
        ("delimiter", suggestion.form.delimiter, ","),
        ("submission", suggestion.submission, "label"),
        ("metric", metric, ""),
        ("kind", kind or competition.get("kind", "csv"), "csv"),
    ):
        if value != default:
            competition[name] = value
        elif default:
            competition.pop(name, None)
    if suggestion.values:
        competition["submission_values"] = dict(suggestion.values)
    for name in ("synonyms", "submission_values"):
        table = competition.get(name, {})
        for label in [label for label in table if label not in suggestion.labels]:
            del table[label]
        if not table:
            competition.pop(name, None)
    document.setdefault("kernel", tomlkit.table())["title"] = _title(suggestion.slug)
    files.write_whole(path, tomlkit.dumps(document))


def write_metadata(config: Config, path: Path) -> None:
    """Make kernel-metadata.json the template of this competition's full run; a push fills in the owner."""
    kept = runs.read_json(path)
    fresh = metadata.build(config, template=path)
    # What a preset attaches is no source of the user's own.
    fresh |= {name: kept.get(name, []) for name in fresh if name.endswith("_sources")}
    fresh["competition_sources"] = [config.competition.slug]
    fresh["code_file"] = kept.get("code_file", f"build/{config.preset}/kernel.py")
    files.write_whole(path, json.dumps(fresh, indent=2) + "\n")


def show(suggestion: Suggestion, *, is_terminal: bool) -> None:
    """Print the columns, what each was taken for and why, then what is worth a look."""
    from rich import box
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table as Drawn

    chosen = suggestion.choices.items()
    roles = {column: (role, choice.why) for role, choice in chosen for column in choice.columns}
    head = ("column", "type", "distinct", "blank", "example", "in test", "taken as", "why")

    def plain(text: str) -> str:  # a control character would reach the terminal
        return "".join(character if character.isprintable() else "?" for character in " ".join(text.split()))

    cells = [
        (
            *(plain(column.name), column.kind, f"{column.distinct:,}", f"{column.blank:,}"),
            *(plain(column.example[:30]), "yes" if column.in_test else "no"),
            *roles.get(column.name, ("", "")),
        )
        for column in suggestion.columns
    ]
    table = Drawn(*head, box=box.HEAVY_HEAD if is_terminal else None)
    for row in cells:
        table.add_row(*map(escape, row))
    Console(width=None if is_terminal else WIDE).print(table)
    print(f"labels: {', '.join(map(repr, suggestion.labels))}")
    for note in suggestion.notes:
        print(f"look: {plain(note)}")


def _title(slug: str) -> str:
    """Return a title of five letters at least, with room for a preset's name behind it."""
    words = slug.replace("-", " ").title()
    return words[: metadata.LONGEST_TITLE - 15].strip() if len(words) >= 5 else f"{words} Kernel"
