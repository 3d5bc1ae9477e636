"""The parser reads what a careful reader reads, and nothing where that reader would hesitate."""

from __future__ import annotations

import csv
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.task.parse import REASONS, Unparsed, parse

LABELS = ("Positive", "Negative")
with (Path(__file__).parent / "completions.csv").open(encoding="utf-8", newline="") as file:
    COMPLETIONS = list(csv.DictReader(file))

PIECES = st.sampled_from(
    [
        *"#*_`'\"{}[]<|>:.,!?।，\n\t ",
        *("Positive", "negative", "Neg", "not ", "n't", "### ", "### Response:", "</s>", "<|eot_id|>"),
        *("सकारात्मक", "नहीं", "正面", "不", "非常", "é", "\u0301", "\u200b", "ﷺ", "\ud800", '"label": "'),
    ]
)
TEXTS = st.one_of(st.text(), st.lists(PIECES, max_size=30).map("".join))


def read_by_substring(text: str) -> str:
    """The reference solution's way: the first label found anywhere, else Positive."""
    return next((label for label in LABELS if label.lower() in text.lower()), "Positive")


def outcome(text: str, labels: tuple[str, ...] = LABELS, **synonyms: list[str]) -> str:
    parsed = parse(text, labels, synonyms)
    return parsed.reason if isinstance(parsed, Unparsed) else parsed


@pytest.mark.parametrize("row", COMPLETIONS, ids=lambda row: f"{row['language']}-{row['completion'][:24]!r}")
def test_reads_as_a_careful_reader_does(row: dict[str, str]) -> None:
    """Each completion of the table gets the label or the reason that a careful reader gives."""
    assert outcome(row["completion"]) == row["outcome"]


def test_the_table_is_broad() -> None:
    """The table holds 150 completions in the 13 languages of the task and five more, and every outcome."""
    assert len(COMPLETIONS) >= 150
    assert len({row["language"] for row in COMPLETIONS}) == 18
    assert {row["outcome"] for row in COMPLETIONS} == {*LABELS, *REASONS}


def test_reading_by_substring_is_wrong_where_it_matters() -> None:
    """The reference's parser labels every completion and is wrong on more than half of the table."""
    assert [read_by_substring(row["completion"]) for row in COMPLETIONS] == [
        row["reference"] for row in COMPLETIONS
    ]
    wrong = sum(row["reference"] != row["outcome"] for row in COMPLETIONS)
    assert wrong > len(COMPLETIONS) / 2


@given(TEXTS)
def test_total_and_inside_the_set(text: str) -> None:
    """Any text gives a label of the set or an Unparsed that holds the text and a known reason."""
    parsed = parse(text, LABELS)
    assert parsed in LABELS or (
        isinstance(parsed, Unparsed) and parsed.text == text and parsed.reason in REASONS
    )


@given(TEXTS)
def test_the_short_cut_changes_nothing(text: str) -> None:
    """A bare answer is read the same with a full stop, Markdown or an end token around it."""
    for label in LABELS:
        assert {
            parse(form, LABELS) for form in (label, f" {label}.", f"**{label}**", f"{label}</s>{text}")
        } == {label}


@given(st.text(alphabet=st.characters(exclude_characters="#<", exclude_categories=["Cs"])))
def test_what_follows_the_first_line_does_not_matter(prose: str) -> None:
    """A first line with one label decides, whatever prose stands below it."""
    assert parse(f"Sentiment: Negative\n{prose}", LABELS) == "Negative"


@given(
    st.sampled_from(LABELS),
    st.sampled_from(["not {}", "It isn't {}", "{}ly", "un{}", "{} or {other}", "{}s"]),
)
def test_never_flipped(label: str, form: str) -> None:
    """A denied, hedged or inflected label is Unparsed and never the other label."""
    other = next(name for name in LABELS if name != label)
    assert isinstance(parse(form.format(label.lower(), other=other), LABELS), Unparsed)


@pytest.mark.parametrize(
    ("text", "labels", "expected"),
    [
        ("Very  Positive", ("Positive", "Very Positive"), "Very Positive"),
        ("It is every positive thing", ("Positive", "Very Positive"), "Positive"),
        ("I like C++ most", ("C", "C++", "C#"), "C++"),
        ("C.", ("C", "C++", "C#"), "C"),
        ("not_entailment", ("entailment", "not_entailment"), "not_entailment"),
        ("1", ("0", "1"), "1"),
        ("10", ("0", "1"), "no-label"),
        ("spam", ("ham", "spam"), "spam"),
        ("ham or spam", ("ham", "spam"), "both-labels"),
        ("positive", ("positive", "negative"), "positive"),
        ("सकारात्मक", ("positive", "negative"), "positive"),
        ("这是体育新闻", ("体育", "财经"), "体育"),
    ],
)
def test_other_label_sets(text: str, labels: tuple[str, ...], expected: str) -> None:
    """Labels of several words, with marks, of digits or in Chinese need no code of their own."""
    assert outcome(text, labels) == expected


def test_synonyms_come_on_top() -> None:
    """A configured word is a label; one claimed by two labels is none."""
    assert outcome("Thumbs up!") == "no-label"
    assert outcome("Thumbs up!", Positive=["thumbs up"]) == "Positive"
    assert outcome("fine", Positive=["fine"], Negative=["Fine"]) == "both-labels"
    assert outcome("meh", Other=["meh"]) == "no-label"


@pytest.mark.parametrize(
    "text",
    [
        "the room is not so good and we say ok " * 270,
        "यह कमरा बहुत अच्छा नहीं था और हम " * 310,
        "这家酒店不错但是" * 1250,
        "a" + "\u0301\u0323" * 5000,
        "ﷺ" * 10_000,
        "# " * 5000,
        "[" * 10_000,
        '{"label":' * 1200,
        "positive " * 1200,
        " " * 9_999 + "x",
    ],
    ids=["prose", "hindi", "chinese", "marks", "ligatures", "hashes", "brackets", "json", "labels", "blanks"],
)
def test_time_is_linear(text: str) -> None:
    """Ten thousand characters take about a millisecond, and ten times as many about ten times as long."""

    def seconds(text: str) -> float:
        best = 1.0
        for _ in range(5):
            start = time.process_time()
            parse(text, LABELS)
            best = min(best, time.process_time() - start)
        return best

    short = seconds(text[:10_000])
    assert short < 0.02  # far above the aim of a millisecond: only a blow-up fails here
    assert seconds(text[:10_000] * 10) < 30 * short + 0.02
