"""Read a competition's files, suggest its settings, and write them into kit.toml and kernel-metadata.json.

It fetches nothing (data.py does) and suggests only what the files show; the rest it leaves as it was.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kit.bundle import metadata
from kit.config import Config
from kit.errors import InputInvalid
from kit.remote import runs
from kit.task import csv_file

MOST_LABELS = 50
MOST_LANGUAGES = 200
_LANGUAGE_NAME = re.compile(r"lang|locale", re.IGNORECASE)
_LANGUAGE_CODE = re.compile(r"[a-z]{2,3}([-_][A-Za-z]{2,4})?")

Table = list[dict[str, str]]


@dataclass(frozen=True)
class Suggestion:
    """What the files show of a competition, in the words of kit.toml."""

    slug: str
    id: str
    text: str
    label: str
    language: str
    """Empty where no column looks like one."""
    labels: tuple[str, ...]


def suggest(folder: Path, slug: str) -> Suggestion:
    """Return the settings that train.csv, test.csv and the sample submission in `folder` show.

    Raises InputInvalid where they do not show an id, a text and a label column.
    """
    train, test = _read(folder / "train.csv"), _read(folder / "test.csv")
    samples = sorted(path for path in folder.glob("*.csv") if "sample" in path.name.lower())
    sample = _read(samples[0]) if samples else []
    shared = [column for column in train[0] if column in test[0]]
    id_column = _id_column(shared, test, sample, folder)
    label = _label_column(train, test, sample, folder)
    labels = Counter(row[label] for row in train)
    if not 2 <= len(labels) <= MOST_LABELS:
        raise InputInvalid(
            f"{folder / 'train.csv'}: column {label!r} has {len(labels)} values, not 2 to {MOST_LABELS}",
            hint="name the label column in kit.toml",
        )
    rest = [column for column in shared if column not in (id_column, label)]
    language = next((column for column in rest if _is_language(column, train)), "")
    texts = [column for column in rest if column != language]
    if not texts:
        raise InputInvalid(f"{folder}: no column is left for the text of {', '.join(map(repr, shared))}")
    text = max(texts, key=lambda column: sum(len(row[column]) for row in train))
    order = sorted(labels, key=lambda name: (-labels[name], name))
    return Suggestion(slug, id_column, text, label, language, tuple(order))


def write_settings(suggestion: Suggestion, path: Path, *, metric: str = "") -> None:
    """Put a suggestion into kit.toml, keeping its comments and everything else that still holds."""
    import tomlkit

    try:
        document: Any = (
            tomlkit.parse(path.read_text(encoding="utf-8")) if path.is_file() else tomlkit.document()
        )
    except (ValueError, OSError) as error:
        raise InputInvalid(f"{path}: {error}", hint="mend that line, or git checkout kit.toml") from None
    competition = document.setdefault("competition", tomlkit.table())
    for name in ("slug", "id", "text", "label", "language"):
        competition[name] = getattr(suggestion, name)
    competition["labels"] = list(suggestion.labels)
    if metric:
        competition["metric"] = metric
    synonyms = competition.get("synonyms", {})
    for label in [label for label in synonyms if label not in suggestion.labels]:
        del synonyms[label]
    if not synonyms:
        competition.pop("synonyms", None)
    document.setdefault("kernel", tomlkit.table())["title"] = _title(suggestion.slug)
    _replace(path, tomlkit.dumps(document))


def write_metadata(config: Config, path: Path) -> None:
    """Make kernel-metadata.json the template of this competition's full run; a push fills in the owner."""
    kept = runs.read_json(path)
    told = metadata.build(config, template=path)
    told["code_file"] = kept.get("code_file", f"build/{config.preset}/kernel.py")
    _replace(path, json.dumps(told, indent=2) + "\n")


def _read(path: Path) -> Table:
    """Return a csv's rows as text; raises InputInvalid for anything else."""
    try:
        data = path.read_bytes()
        foreign = csv_file.foreign_format(data)
        if foreign:
            raise InputInvalid(f"{path} is not a csv but {foreign}", hint="make data")
        table = list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline=""), strict=True))
    except FileNotFoundError:
        raise InputInvalid(f"{path} is missing", hint="make data") from None
    except (csv.Error, UnicodeDecodeError) as error:
        raise InputInvalid(f"{path} is not a csv in UTF-8: {error}", hint="make data") from None
    if not table:
        raise InputInvalid(f"{path} holds no rows", hint="make data")
    return [{name: value or "" for name, value in row.items() if name} for row in table]


def _id_column(shared: Sequence[str], test: Table, sample: Table, folder: Path) -> str:
    """Return the column that names the rows: the sample's if it has one, else the first without repeats."""
    unique = [column for column in shared if len({row[column] for row in test}) == len(test)]
    named = [column for column in unique if sample and column in sample[0]]
    likely = [column for column in unique if column.lower() == "id" or column.lower().endswith("id")]
    for columns in (named, likely, unique):
        if columns:
            return columns[0]
    raise InputInvalid(f"{folder}: no column of train.csv and test.csv names each row", hint="see kit.toml")


def _label_column(train: Table, test: Table, sample: Table, folder: Path) -> str:
    """Return the column that test.csv lacks: the sample's, or else the one with the fewest values."""
    missing = [column for column in train[0] if column not in test[0]]
    named = [column for column in missing if sample and column in sample[0]]
    if not missing:
        raise InputInvalid(f"{folder}: test.csv has every column of train.csv, so none is the label")
    return min(named or missing, key=lambda column: len({row[column] for row in train}))


def _is_language(column: str, train: Table) -> bool:
    values = {row[column] for row in train}
    if len(values) > min(MOST_LANGUAGES, max(2, len(train) // 2)):
        return False
    return bool(_LANGUAGE_NAME.search(column)) or all(_LANGUAGE_CODE.fullmatch(value) for value in values)


def _title(slug: str) -> str:
    """Return a title of five letters at least, with room for a preset's name behind it."""
    words = slug.replace("-", " ").title()
    return words[: metadata.LONGEST_TITLE - 15].strip() if len(words) >= 5 else f"{words} Kernel"


def _replace(path: Path, text: str) -> None:
    beside = path.with_name(path.name + ".part")
    beside.write_text(text, encoding="utf-8")
    beside.replace(path)
