"""report.html is sensible for every kind of run, whatever befell it and whatever its files hold."""

from __future__ import annotations

import json
import math
import re
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import made_run
import pandas
import pytest
from made_run import Told
from report_page import Page

from kit.review.report import page

NO_ROWS = "This run kept no oof.csv, so its held-out rows cannot be told apart."


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
    answers = pandas.read_csv(folder / "predictions.csv", dtype=str, keep_default_na=False)
    answers.drop(columns="source").to_csv(folder / "predictions.csv", index=False)


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
    "no sources": ({}, _of_an_older_kit, {"answers": "scored by probability 44 108"}, "members"),
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
    sources = Counter(pandas.read_csv(folder / "oof.csv")["source"])
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


def _spoil_steps(figures: Told) -> None:
    for steps in figures["history"].values():
        steps[3]["loss"], steps[4]["loss"], steps[5]["step"] = math.nan, 1e308, math.inf
        steps[6]["learning_rate"], steps[7]["loss"] = -math.inf, 10**400
        steps[8], steps[9]["step"] = None, "x"


def _many_histories(figures: Told) -> None:
    figures["history"] = {f"m{at}": figures["history"]["seed-42"] for at in range(3000)}


def _many_members(record: Told) -> None:
    record["members"] = [{**record["members"][0], "name": f"m{at}", "slot": at % 40} for at in range(3000)]


def _spoil_timings(record: Told) -> None:
    record["timings"] = {"install": math.nan, "download": 10**400, "train": -math.inf}
    record["members"][0]["timings"] = {"train": 1e308, "load": math.nan}


ODD_BINS = [{"rows": 10**400}, {"rows": 5, "confidence": -9, "accuracy": 7}, None]


def _held_out(**figures: object) -> Callable[[Told], object]:
    return lambda told: told["held_out"].update(figures)


@pytest.mark.parametrize(
    ("name", "spoil"),
    [
        ("metrics.json", _spoil_steps),
        ("run.json", _spoil_timings),
        ("run.json", _many_members),
        ("metrics.json", _many_histories),
        ("metrics.json", _held_out(confusion=[[1, 2], [3]])),
        ("metrics.json", _held_out(confusion=[[1, 2, 3]] * 3)),
        ("metrics.json", _held_out(intervals={"macro_f1": [math.nan, 1]})),
        ("metrics.json", _held_out(reliability=ODD_BINS)),
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
