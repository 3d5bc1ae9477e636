"""report.html says what the run's files say, and stands alone."""

from __future__ import annotations

import csv
import itertools
import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import made_run
import pandas
import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_page import Page

from kit.config import PROJECT_ROOT
from kit.review import results
from kit.review.report import charts, held_out, page
from kit.task import metrics

SECTIONS = [
    *("baselines", "confusion", "languages", "certainty", "length"),
    *("rows", "training", "time", "answers", "settings", "provenance"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, data: Path) -> Path:
    """A run of four folds on two cards, so every training row has its answer."""
    folds = [f"fold-{fold}" for fold in range(4)]
    return made_run.make(
        tmp_path_factory.mktemp("runs") / "sample-t4x2" / "v3", data, evaluate="folds", members=folds
    )


@pytest.fixture(scope="module")
def whole(folder: Path, data: Path) -> Page:
    return Page(page.write(folder, lambda _: [data]))


def _answers(folder: Path, name: str = "oof.csv") -> list[dict[str, str]]:
    return list(csv.DictReader((folder / name).open(encoding="utf-8", newline="")))


def test_a_whole_run_shows_every_chart_in_its_section(whole: Page) -> None:
    """Nothing is said to be missing where nothing is."""
    assert whole.charts == {
        *("figures", "baselines", "confusion", "languages", "reliability", "probabilities", "length"),
        *("loss", "learning-rate", "members", "time-line", "answers", "label-shares"),
    }
    assert [attributes["id"] for tag, attributes in whole.elements if tag == "section"] == SECTIONS
    assert not [tag for tag, attributes in whole.elements if attributes.get("class") == "none"]


def test_headline_figures_are_those_of_metrics_json(whole: Page, folder: Path) -> None:
    """With their intervals, the competition's metric first."""
    told = json.loads((folder / "metrics.json").read_text())["held_out"]
    for name in metrics.SHOWN:
        low, high = told["intervals"][name]
        assert f"{metrics.METRICS[name].title} {told[name]:.3f} {low:.3f} to {high:.3f}" in whole.says(
            "header"
        )
    assert whole.says("header").index("Macro F1") < whole.says("header").index("Accuracy")


SAYS = {
    "baselines": [rf"{name} 0\.\d{{3}}" for name in ("this run", "character n-grams", "majority class")],
    "header": [r"Macro F1 of the best, character n-grams, is 0\."],
    "settings": ["lora.r Rank. 32 16"],
    "provenance": [
        *("c" * 40 + " with uncommitted changes", "b" * 64, "Tesla T4, Tesla T4", r"torch 2\.11\.0\+cu128")
    ],
}


@pytest.mark.parametrize("section", SAYS)
def test_a_section_says_what_stands_in_the_files(whole: Page, section: str) -> None:
    """Both baselines on the same rows, the better one named above; a changed setting; code and machine."""
    for words in SAYS[section]:
        assert re.search(words, whole.says(section)), words


def test_the_confusion_matrix_counts_the_rows_of_oof_csv(whole: Page, folder: Path) -> None:
    """Truth by row, answer by column."""
    counts = Counter((row["label"], row["predicted"]) for row in _answers(folder))
    for truth in ("Positive", "Negative"):
        shown = " ".join(rf"{counts[truth, guess]}\d+%" for guess in ("Positive", "Negative"))
        assert re.search(rf"{truth} {shown}", whole.says("confusion"))


def test_labels_have_their_shares_of_truth_and_of_answers(whole: Page, folder: Path) -> None:
    """Of held-out rows and of test rows, so that a shift between them shows."""
    rows = _answers(folder)
    test = _answers(folder, "predictions.csv")
    for label in ("Positive", "Negative"):
        shares = [
            sum(row["label"] == label for row in rows) / len(rows),
            sum(row["predicted"] == label for row in rows) / len(rows),
            sum(row["label"] == label for row in test) / len(test),
        ]
        assert f"{label} {' '.join(f'{100 * share:.0f}%' for share in shares)}" in whole.says("answers")


def test_languages_come_weakest_first_with_their_counts(whole: Page, folder: Path) -> None:
    """By their English names, all eighteen."""
    rows: Counter[str] = Counter()
    hits: Counter[str] = Counter()
    for row in _answers(folder):
        rows[row["language"]] += 1
        hits[row["language"]] += row["label"] == row["predicted"]
    said = whole.says("languages")
    for code, count in rows.items():
        assert re.search(rf" {code} {count} {100 * hits[code] / count:.0f}% ", said), code
    assert said.index("Bodo bd") < said.index("English en")
    assert len(rows) == 18


def test_the_worst_missed_and_the_least_certain_rows_come_first(folder: Path) -> None:
    """By the probability of the truth, and of the answer; no row stands in both lists."""
    rows = {row["id"]: row for row in _answers(folder)}
    missed, shown = held_out.to_read(results.read(folder), {})
    truth = {name: float(row[f"probability_{row['label']}"]) for name, row in rows.items()}
    assert set(missed["id"]) == {name for name, row in rows.items() if row["label"] != row["predicted"]}
    assert [truth[name] for name in missed["id"]] == sorted(truth[name] for name in missed["id"])
    left = rows.keys() - set(missed["id"][: held_out.SHOWN_ROWS])
    given_by_id = {name: float(rows[name][f"probability_{rows[name]['predicted']}"]) for name in left}
    assert shown["id"].tolist() == sorted(left, key=lambda name: (given_by_id[name], name))


def test_thirty_rows_of_each_kind_are_shown_in_their_language(whole: Page, folder: Path, data: Path) -> None:
    """The sentence as train.csv has it, its direction left to the browser, its language named."""
    shown = [attributes for _, attributes in whole.elements if attributes.get("class") == "sentence"]
    assert len(shown) == 2 * held_out.SHOWN_ROWS
    assert {attributes["dir"] for attributes in shown} == {"auto"}
    assert {"bd", "as"} <= {attributes["lang"] for attributes in shown}
    text_by_id = {row["ID"]: row["sentence"] for row in _answers(data, "train.csv")}
    worst = held_out.to_read(results.read(folder), text_by_id)[0]["text"].iloc[0]
    assert " ".join(worst.split()) in whole.says("rows")


@pytest.mark.parametrize(
    ("language", "tag"),
    [("bd", "bd"), ("pt-BR", "pt-BR"), ("Tamil", ""), ("klingon", ""), ("", ""), ('en" onclick="', "")],
)
def test_a_language_becomes_a_tag_that_browsers_know(language: str, tag: str) -> None:
    """What is no language has no tag."""
    assert held_out.tag(language) == tag


def test_only_settings_that_differ_are_listed(whole: Page) -> None:
    """Each with its value, its default and its meaning."""
    names = re.findall(r"\b(?:[a-z]+\.[a-z_]+)\b", whole.says("settings"))
    assert {"lora.r", "train.learning_rate", "evaluate.mode", "kernel.title"} == set(names)


def test_the_page_needs_nothing_but_itself(whole: Page) -> None:
    """No script, no file, no address but the run's own page on Kaggle, and a policy that allows no other."""
    tags = {tag for tag, _ in whole.elements}
    assert not {"script", "link", "img", "iframe", "object", "base", "form"} & tags
    links = {str(named.get(key, "#")) for _, named in whole.elements for key in ("href", "src")}
    assert {link for link in links if not link.startswith("#")} == {made_run.PUSH["url"]}
    assert "@import" not in whole.source
    assert not re.search(r"url\((?!#)", whole.source)
    assert "default-src 'none'; style-src 'unsafe-inline'" in whole.source


def test_every_id_is_there_once_and_every_reference_leads_somewhere(whole: Page) -> None:
    """Four drawings on one page do not share their clips and markers."""
    ids = Counter(str(attributes["id"]) for _, attributes in whole.elements if "id" in attributes)
    assert set(ids.values()) == {1}
    values = [str(value) for _, attributes in whole.elements for value in attributes.values()]
    named = {
        *[value.removeprefix("#") for value in values if value.startswith("#")],
        *[name for value in values for name in re.findall(r"url\(#([\w-]+)\)", value)],
    }
    assert named <= set(ids)


def test_charts_keep_their_text_and_take_the_colours_of_the_page(whole: Page) -> None:
    """No colour of a drawing is fixed, and its words can be read, searched and copied."""
    drawn = re.findall(r"<svg.*?</svg>", whole.source, flags=re.DOTALL)
    assert len(drawn) == 4
    for drawing in drawn:
        assert not re.search(r"#[0-9a-fA-F]{6}", drawing)
        assert "var(--" in drawing
        assert "<style" not in drawing
    assert "optimizer step" in whole.says("training")
    defined = set(re.findall(r"--([a-z0-9-]+):", whole.source))
    assert set(charts.PAINT) <= defined


@given(st.lists(st.tuples(st.integers(0, 80), st.booleans()), max_size=150))
def test_groups_of_lengths_hold_every_row_once(rows: list[tuple[int, bool]]) -> None:
    """Sentences of one length stay together, so no two groups overlap."""
    told = [(str(at), "P", "N" if wrong else "P") for at, (_, wrong) in enumerate(rows)]
    oof = pandas.DataFrame(told, columns=["id", "label", "predicted"])
    groups = held_out.by_length(oof, {str(at): "x" * length for at, (length, _) in enumerate(rows)})
    assert sum(count for _, _, count, _ in groups) == (len(rows) if groups else 0)
    assert sum(errors for *_, errors in groups) == (sum(wrong for _, wrong in rows) if groups else 0)
    assert all(before[1] < after[0] for before, after in itertools.pairwise(groups))
    assert len(groups) <= held_out.GROUPS


def test_the_verb_prints_the_path_of_the_page(folder: Path, data: Path, whole: Page) -> None:
    """For a folder that is no pushed run as well; a page made later has the same bytes."""
    command = [sys.executable, str(PROJECT_ROOT / "scripts" / "report.py"), "--run", str(folder)]
    ended = subprocess.run(
        [*command, "--data", str(data)], capture_output=True, text=True, timeout=60, check=False
    )
    assert (ended.returncode, ended.stdout.strip()) == (0, str(folder / page.NAME)), ended.stderr
    assert (folder / page.NAME).read_text(encoding="utf-8") == whole.source
