"""report.html says what the run's files say, stands alone, and is sensible for every kind of run."""

from __future__ import annotations

import csv
import itertools
import json
import math
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import made_run
import pandas
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_run import Told

from kit.config import PROJECT_ROOT
from kit.errors import InputInvalid
from kit.review import results
from kit.review.report import charts, held_out, page
from kit.task import metrics

NO_ROWS = "This run kept no oof.csv, so its held-out rows cannot be told apart."
VOID = {"meta", "br", "use", "path", "link", "img", "hr"}
SECTIONS = [
    *("baselines", "confusion", "languages", "certainty", "length"),
    *("rows", "training", "time", "answers", "settings", "provenance"),
]


class Page(HTMLParser):
    """The elements of a page, the text of each section, and whether every element is closed."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.section = "header"
        self.texts: dict[str, str] = {}
        self.source = path.read_text(encoding="utf-8")
        self.feed(self.source)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag == "section":
            self.section = str(dict(attrs)["id"])
        if tag not in VOID:
            self.open.append(tag)
        if tag not in {"b", "strong", "span", "code"}:
            self.texts[self.section] = self.texts.get(self.section, "") + " "

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.texts[self.section] = self.texts.get(self.section, "") + data

    def says(self, section: str) -> str:
        """Return the text of a section, each run of white space as one space."""
        return " ".join(self.texts[section].split())

    @property
    def charts(self) -> set[str]:
        """Every chart and table of figures that is there."""
        return {str(named) for _, attributes in self.elements if (named := attributes.get("data-chart"))}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_run.data(tmp_path_factory.mktemp("data"))


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


def _answers(folder: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((folder / "oof.csv").open(encoding="utf-8", newline="")))


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


def test_the_run_stands_beside_both_baselines(whole: Page) -> None:
    """On the same rows, with the better one named above."""
    for name in ("this run", "character n-grams", "majority class"):
        assert re.search(rf"{name} 0\.\d{{3}}", whole.says("baselines")), name
    assert "Macro F1 of the best, character n-grams, is 0." in whole.says("header")


def test_the_confusion_matrix_counts_the_rows_of_oof_csv(whole: Page, folder: Path) -> None:
    """Truth by row, answer by column."""
    counts = Counter((row["label"], row["predicted"]) for row in _answers(folder))
    for truth in ("Positive", "Negative"):
        shown = " ".join(rf"{counts[truth, guess]}\d+%" for guess in ("Positive", "Negative"))
        assert re.search(rf"{truth} {shown}", whole.says("confusion"))


def test_labels_have_their_shares_of_truth_and_of_answers(whole: Page, folder: Path) -> None:
    """Of held-out rows and of test rows, so that a shift between them shows."""
    rows = _answers(folder)
    test = list(csv.DictReader((folder / "predictions.csv").open(encoding="utf-8", newline="")))
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


def test_the_worst_missed_row_comes_first(folder: Path, data: Path) -> None:
    """By the probability that it gave the truth."""
    rows = _answers(folder)
    wrong = {
        row["id"]: float(row[f"probability_{row['label']}"])
        for row in rows
        if row["label"] != row["predicted"]
    }
    shown = held_out.to_read(results.read(folder), {})[0]
    assert set(shown["id"]) == set(wrong)
    assert [wrong[name] for name in shown["id"]] == sorted(wrong.values())


def test_the_least_certain_row_comes_first(folder: Path) -> None:
    """By the probability of its own answer, right or wrong, and none that stands among the missed already."""
    given_by_id = {row["id"]: float(row[f"probability_{row['predicted']}"]) for row in _answers(folder)}
    missed, shown = held_out.to_read(results.read(folder), {})
    for name in missed["id"][: held_out.SHOWN_ROWS]:
        del given_by_id[name]
    assert shown["id"].tolist() == sorted(given_by_id, key=lambda name: (given_by_id[name], name))


def test_thirty_rows_of_each_kind_are_shown_in_their_language(whole: Page, folder: Path, data: Path) -> None:
    """The sentence as train.csv has it, its direction left to the browser, its language named."""
    shown = [attributes for _, attributes in whole.elements if attributes.get("class") == "sentence"]
    assert len(shown) == 2 * held_out.SHOWN_ROWS
    assert {attributes["dir"] for attributes in shown} == {"auto"}
    assert {"bd", "as"} <= {attributes["lang"] for attributes in shown}
    train = csv.DictReader((data / "train.csv").open(encoding="utf-8", newline=""))
    text_by_id = {row["ID"]: row["sentence"] for row in train}
    worst = held_out.to_read(results.read(folder), text_by_id)[0]["text"].iloc[0]
    assert " ".join(worst.split()) in whole.says("rows")


@pytest.mark.parametrize(
    ("language", "tag"),
    [*[("bd", "bd"), ("pt-BR", "pt-BR"), ("Tamil", ""), ("klingon", ""), ("", ""), ('en" onclick="', "")]],
)
def test_a_language_becomes_a_tag_that_browsers_know(language: str, tag: str) -> None:
    """What is no language has no tag."""
    assert held_out.tag(language) == tag


def test_only_settings_that_differ_are_listed(whole: Page) -> None:
    """Each with its value, its default and its meaning."""
    names = re.findall(r"\b(?:[a-z]+\.[a-z_]+)\b", whole.says("settings"))
    assert {"lora.r", "train.learning_rate", "evaluate.mode", "kernel.title"} == set(names)
    assert "lora.r Rank. 32 16" in whole.says("settings")


def test_provenance_names_code_and_machine(whole: Page) -> None:
    """Commit, bundle, cards and versions."""
    said = whole.says("provenance")
    for fact in (
        "c" * 40 + " with uncommitted changes",
        "b" * 64,
        "Tesla T4, Tesla T4",
        "torch 2.11.0+cu128",
    ):
        assert fact in said


def test_the_page_needs_nothing_but_itself(whole: Page) -> None:
    """No script, no file, no address but the run's own page on Kaggle, and a policy that allows no other."""
    assert not {"script", "link", "img", "iframe", "object", "base", "form"} & {
        tag for tag, _ in whole.elements
    }
    links = {
        str(attributes[key])
        for _, attributes in whole.elements
        for key in ("href", "src")
        if key in attributes
    }
    outside = {link for link in links if not link.startswith("#")}
    assert outside == {"https://www.kaggle.com/code/someone/sample-sentiment-t4x2"}
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


def test_the_same_run_gives_the_same_bytes(folder: Path, data: Path, whole: Page) -> None:
    """A page can be compared with one made later."""
    assert page.write(folder, lambda _: [data]).read_text(encoding="utf-8") == whole.source


HOSTILE = "</p><script>document.title='owned'</script><img src=x onerror=alert(1)> {{ 7 * 7 }} $x_1$"


def test_hostile_text_is_inert_wherever_it_stands(tmp_path: Path) -> None:
    """Sentences, labels, languages, completions, members, notes and the reason of the end are text."""
    data = made_run.data(tmp_path / "data", third=HOSTILE, ending=f" {HOSTILE}")
    for name in ("train.csv", "test.csv"):
        text = (data / name).read_text(encoding="utf-8")
        (data / name).write_text(re.sub(r",bd$", f",{HOSTILE}", text, flags=re.MULTILINE), encoding="utf-8")
    slug = HOSTILE.replace("/", "")
    folder = made_run.make(
        tmp_path / slug / "v1", data, labels=("Positive", "Negative", HOSTILE), mode="generate"
    )

    def spoil(record: Told) -> None:
        record["members"][0]["notes"] = [HOSTILE]
        record["versions"][HOSTILE] = record["cards"][0]["name"] = HOSTILE
        record["ended"] = f"failed: {HOSTILE}"

    _with("run.json", spoil)(folder)
    _with("push.json", lambda told: told.update(url="javascript:alert(1)", commit=HOSTILE))(folder)
    made = Page(page.write(folder, lambda _: [data]))
    assert not {"script", "img"} & {tag for tag, _ in made.elements}
    assert not [name for _, attributes in made.elements for name in attributes if name.startswith("on")]
    assert "javascript:" not in made.source
    for section in ("header", "confusion", "languages", "rows", "training", "answers", "provenance"):
        assert " ".join(HOSTILE.split()) in made.says(section), section


def _without(*names: str) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        for name in names:
            (folder / name).unlink()

    return spoil


def _with(name: str, change: Callable[[Told], object]) -> Callable[[Path], None]:
    """Let `change` alter what a JSON file of the run says."""

    def spoil(folder: Path) -> None:
        path = folder / name
        told = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {"schema": 1}
        change(told)
        path.write_text(json.dumps(told), encoding="utf-8")

    return spoil


def _other_rows(folder: Path) -> None:
    text = (folder / "oof.csv").read_text(encoding="utf-8")
    (folder / "oof.csv").write_text(text.replace("\ntr", "\nother", 1), encoding="utf-8")


def _failed_in_training(folder: Path) -> None:
    _without("metrics.json", "oof.csv", "predictions.csv")(folder)
    told = {"ended": "failed: the loss is nan at step 12", "members": [], "versions": {}}
    _with("run.json", lambda record: record.update(told))(folder)


def _failed_at_once(folder: Path) -> None:
    _without(*{path.name for path in folder.iterdir()} - {"run.json"})(folder)
    record = json.loads((folder / "run.json").read_text())
    few = {name: record[name] for name in ("schema", "bundle_hash", "config")}
    (folder / "run.json").write_text(json.dumps(few | {"ended": "started", "timings": {}}))


def _of_an_older_kit(folder: Path) -> None:
    def figures(told: Told) -> None:
        for name in ("intervals", "reliability", "brier", "calibration_error"):
            del told["held_out"][name]
        for one in told["held_out"]["per_language"].values():
            del one["intervals"]
        told["history"] = {"42": told["history"]["seed-42"]}

    def record(told: Told) -> None:
        del told["members"][1:], told["members"][0]["name"], told["config"]["prompt"]

    _with("metrics.json", figures)(folder)
    _with("run.json", record)(folder)


def _met_much(told: Told) -> None:
    told["members"][1] |= {"settings": "train.epochs=2", "stopped": "time limit", "notes": ["went on"]}
    told["left"] = {"train.csv": {"out": {"without a label": 3}, "odd": {}, "first": {}}}
    told |= {"answered_by": ["seed-42"], "unreached": ["seed-44", "seed-45"], "notes": ["cards fell out"]}
    told["failed"] = {"seed-43": "memory ran out"}


MET = (
    "cards fell out. The answers are those of seed-42. Not reached in the time: seed-44, seed-45. "
    "seed-43 failed and has no part in the answers: memory ran out "
    "train.csv: 3 left out (3 without a label). seed-43: train.epochs=2; stopped by time limit; went on"
)
NOT_HELD_OUT = dict.fromkeys(("baselines", "confusion", "length", "rows"), "No row was held out.")
LOST = _with("metrics.json", lambda told: told["history"]["seed-43"][30].update(loss=math.nan))
TWO_CARDS = _with("run.json", lambda told: told.update(ranks=2))
NEAR = _with("submission.json", lambda told: told.update(public_score="0.9"))
FAR = _with("submission.json", lambda told: told.update(public_score=0.05))
STORIES: dict[str, tuple[Told, Callable[[Path], None], dict[str, str], str]] = {
    "no oof": ({}, _without("oof.csv"), dict.fromkeys(["length", "rows", "baselines"], NO_ROWS), "confusion"),
    "other rows": ({}, _other_rows, {"baselines": "1 held-out rows are not in train.csv"}, "loss"),
    "all learned": ({"evaluate": "none"}, _without(), NOT_HELD_OUT, "probabilities"),
    "why all": ({"evaluate": "none"}, _without(), {"header": "evaluate.mode is none"}, "answers"),
    "failed": ({}, _failed_in_training, {"header": "the loss is nan at step 12"}, "members"),
    "no answer": ({}, _failed_in_training, {"answers": "The run answered no row."}, "time-line"),
    "at once": ({}, _failed_at_once, {"training": "No step of training is recorded."}, ""),
    "no stage": ({}, _failed_at_once, {"time": "run.json tells of no stage."}, ""),
    "lost": ({}, LOST, {"training": "seed-43: the loss is not a number at step 31."}, "loss"),
    "on a CPU": ({"cards": 0}, _without(), {"training": "seed-42 CPU 0 120"}, "time-line"),
    "both cards": ({"members": ["seed-42"]}, TWO_CARDS, {"training": "seed-42 cards 0–1 120"}, "time-line"),
    "troubles": ({}, _with("run.json", _met_much), {"training": MET}, "members"),
    "older kit": ({}, _of_an_older_kit, {"training": "seed-42 card 0 120"}, "members"),
    "near": ({}, NEAR, {"header": "varies by chance"}, "figures"),
    "far": ({}, FAR, {"header": "test rows are worded more like training rows"}, "figures"),
}  # fmt: skip


@pytest.mark.parametrize("story", STORIES)
def test_the_page_says_what_befell_the_run(tmp_path: Path, data: Path, story: str) -> None:
    """And shows what there is; nothing is invented, and no number that is none is drawn."""
    options, spoil, said, chart = STORIES[story]
    folder = made_run.make(tmp_path / "run", data, **options)
    spoil(folder)
    made = Page(page.write(folder, lambda _: [data]))
    for section, words in said.items():
        assert words in made.says(section)
    assert chart in made.charts if chart else made.charts == set()
    assert not re.search(r"\bnan\b", made.source.replace("loss is nan", ""), flags=re.IGNORECASE)
    assert ("The leaderboard says" in made.says("header")) == (story in ("near", "far"))


def test_a_run_without_its_train_csv_says_so(tmp_path: Path, data: Path) -> None:
    """The rows are named, their sentences are not there."""
    made = Page(page.write(made_run.make(tmp_path / "run", data), lambda _: [tmp_path]))
    assert "make data brings it" in made.says("rows")
    assert "Least certain" in made.says("rows")
    assert not [tag for tag, attributes in made.elements if attributes.get("class") == "sentence"]


def test_rows_without_a_language_need_none(tmp_path: Path) -> None:
    """A competition without that column has no section of languages."""
    data = made_run.data(tmp_path / "data", language=False)
    made = Page(page.write(made_run.make(tmp_path / "run", data, language=False), lambda _: [data]))
    assert "languages" not in made.texts
    assert "Languages" not in made.says("header")
    assert {"confusion", "reliability", "length"} <= made.charts


@pytest.mark.parametrize("count", [3, 20])
def test_any_number_of_labels_fits(tmp_path: Path, count: int) -> None:
    """The truth's own probability is shown beside the answer's; beyond four labels the cells are small."""
    data = made_run.data(tmp_path / "data", third="Mixed")
    labels = ("Positive", "Negative", "Mixed", *(f"label {at}" for at in range(count - 3)))
    folder = made_run.make(tmp_path / "run", data, labels=labels, evaluate="folds")
    made = Page(page.write(folder, lambda _: [data]))
    assert len(re.findall(r"\d+%", made.says("confusion"))) == count**2
    assert re.search(r"truth Mixed at \d+%", made.says("rows"))
    assert ('class="matrix small"' in made.source) == (count > 4)


def test_written_answers_are_counted_with_the_reasons_of_their_refusal(tmp_path: Path, data: Path) -> None:
    """In generate mode there is no probability to draw; the texts are shown as they were written."""
    folder = made_run.make(tmp_path / "run", data, mode="generate", evaluate="folds")
    made = Page(page.write(folder, lambda _: [data]))
    sources = Counter(row["source"] for row in _answers(folder))
    assert f"read from text {sources['parse']}" in made.says("answers")
    assert f"no clear label in the text, so scored {sources['score']}" in made.says("answers")
    refused = re.search(r"Refused texts of held-out rows: ([^.]+)\.", made.says("answers"))
    assert refused
    assert sum(map(int, re.findall(r"\d+", refused[1]))) == sources["score"]
    assert "reliability" not in made.charts
    assert re.search(r"wrote (Positive|Negative)", made.says("rows"))


def test_many_members_each_have_their_look(tmp_path: Path, data: Path) -> None:
    """Beyond six colours the dashes tell them apart."""
    names = [f"point-{point}-seed-42" for point in range(14)]
    made = Page(page.write(made_run.make(tmp_path / "run", data, members=names), lambda _: [data]))
    looks = re.findall(r'class="stroke (dash-\d)" style="--colour: (var\(--series-\d\))"', made.source)
    assert len(looks) == 14
    assert set(Counter(looks).values()) == {1}


def test_a_thousand_held_out_rows_stay_small_and_quick(tmp_path: Path) -> None:
    """Under 1.5 MB, and far from a minute even where everything is slow, baselines included."""
    data = made_run.data(tmp_path / "data", count=1000)
    folder = made_run.make(tmp_path / "run", data, evaluate="folds", members=["fold-0", "fold-1"], steps=3000)
    started = time.process_time()
    path = page.write(folder, lambda _: [data])
    assert path.stat().st_size < 1_500_000
    assert time.process_time() - started < 40


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


def test_the_verb_prints_the_path_of_the_page(folder: Path, data: Path) -> None:
    """For a folder that is no pushed run as well."""
    command = [sys.executable, str(PROJECT_ROOT / "scripts" / "report.py"), "--run", str(folder)]
    ended = subprocess.run(
        [*command, "--data", str(data)], capture_output=True, text=True, timeout=60, check=False
    )
    assert (ended.returncode, ended.stdout.strip()) == (0, str(folder / page.NAME)), ended.stderr


def test_a_folder_that_holds_no_run_is_refused(tmp_path: Path) -> None:
    """In one line, and nothing is written."""
    with pytest.raises(InputInvalid, match=r"run\.json is missing"):
        page.write(tmp_path, lambda _: [])
    assert list(tmp_path.iterdir()) == []


def _spoil_steps(figures: Told) -> None:
    for steps in figures["history"].values():
        steps[3]["loss"], steps[4]["loss"], steps[5]["step"] = math.nan, 1e308, math.inf
        steps[6]["learning_rate"], steps[7]["loss"], steps[8], steps[9]["step"] = (
            -math.inf,
            10**400,
            None,
            "x",
        )


def _many_members(record: Told) -> None:
    record["members"] = [{**record["members"][0], "name": f"m{at}", "slot": at % 40} for at in range(3000)]


def _spoil_timings(record: Told) -> None:
    record["timings"] = {"install": math.nan, "download": 10**400, "train": -math.inf}
    record["members"][0]["timings"] = {"train": 1e308, "load": math.nan}


@pytest.mark.parametrize(
    ("name", "spoil"),
    [
        ("metrics.json", _spoil_steps),
        ("run.json", _spoil_timings),
        ("run.json", _many_members),
        ("metrics.json", lambda figures: figures["held_out"].update(confusion=[[1, 2], [3]])),
        ("metrics.json", lambda figures: figures["held_out"].update(confusion=[[1, 2, 3]] * 3)),
        ("metrics.json", lambda figures: figures["held_out"].update(intervals={"macro_f1": [math.nan, 1]})),
        (
            "metrics.json",
            lambda figures: figures["held_out"].update(
                reliability=[{"rows": 10**400}, {"rows": 5, "confidence": -9, "accuracy": 7}, None]
            ),
        ),
        (
            "metrics.json",
            lambda figures: figures.update(
                history={f"m{at}": steps for at in range(3000) for steps in [figures["history"]["seed-42"]]}
            ),
        ),
    ],
)
def test_no_value_costs_more_than_its_own_place(
    tmp_path: Path, data: Path, name: str, spoil: Callable[[Told], object]
) -> None:
    """Numbers that are none, a ragged matrix, thousands of members: the page is there, and soon."""
    folder = made_run.make(tmp_path / "run", data)
    _with(name, spoil)(folder)
    started = time.process_time()
    made = Page(page.write(folder, lambda _: [data]))
    assert time.process_time() - started < 40
    assert {"figures", "members", "answers"} <= made.charts
    assert len(made.source) < 600_000
