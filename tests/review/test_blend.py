"""Several runs become one submission, joined by id, scored only where all of them can be."""

from __future__ import annotations

import json
from pathlib import Path

import made_run
import pytest
from loop_project import Project
from made_run import Answer, answers, run
from report_page import Page

from kit import files
from kit.errors import InputInvalid, KitError
from kit.fetch.inputs import SAMPLE
from kit.remote import runs as runs_of_kaggle
from kit.review import blend, made, record, results
from kit.review.checks import validate
from kit.review.checks.facts import Facts
from kit.review.made import Made
from kit.review.report import page
from kit.review.results import Results
from kit.task import metrics
from kit.task.submission import Columns


def pair(root: Path, first: list[Answer], second: list[Answer], **told: object) -> list[Results]:
    return [run(root / "a", test=first, **told), run(root / "b", test=second, **told)]


def held_out_pair(root: Path, first: list[Answer], second: list[Answer]) -> list[Results]:
    return [
        run(root / name, test=answers([0.5]), held_out=rows) for name, rows in (("a", first), ("b", second))
    ]


def blend_of(runs: list[Results], *weights: str) -> Made:
    return blend.blend(runs, blend.normalised(weights, len(runs)))


def test_probabilities_are_averaged_by_id(tmp_path: Path) -> None:
    """By the weights, in the order of the first run, whatever the order of the second."""
    blended = blend_of(pair(tmp_path, answers([0.9, 0.2]), answers([0.1, 0.3])[::-1]), "3", "1")
    table = blended.predictions
    assert table["id"].tolist() == ["r0", "r1"]
    assert table["probability_Positive"].tolist() == pytest.approx([0.7, 0.225])
    assert table["probability_Negative"].tolist() == pytest.approx([0.3, 0.775])
    assert table["label"].tolist() == ["Positive", "Negative"]
    assert blend.normalised(["3", "1"], 2) == (0.75, 0.25)


def test_a_tie_goes_to_the_first_label(tmp_path: Path) -> None:
    """Two certain votes against each other leave a half for each."""
    runs = pair(tmp_path, answers([1.0], source="parse"), answers([0.0], source="parse"))
    table = blend_of(runs).predictions
    assert table.iloc[0].tolist() == ["r0", "hi", "Positive", "vote", 0.5, 0.5, ""]


def test_the_order_of_the_labels_may_differ(tmp_path: Path) -> None:
    """Columns are joined by their label, never by their place."""
    first = run(tmp_path / "a", test=answers([0.9]))
    second = run(tmp_path / "b", test=answers([0.3]), labels=("Negative", "Positive"))
    table = blend_of([first, second]).predictions
    assert table["probability_Positive"].tolist() == pytest.approx([0.8])


def test_only_rows_that_all_held_out_are_scored(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The figures of every run are of the same rows as the blend's, and a common fold stays."""
    first = [Answer(f"h{at}", 0.9, "Positive", fold="1") for at in range(4)]
    second = [
        Answer(f"h{at}", 0.2, "Negative" if at > 3 else "Positive", fold=str(at % 2)) for at in range(2, 9)
    ]
    runs = held_out_pair(tmp_path, first, second)
    blended = blend_of(runs)
    assert blended.oof["id"].tolist() == ["h2", "h3"]
    assert blended.oof["fold"].tolist() == ["", "1"]
    truth, shares = ["Positive"] * 2, [[0.55, 0.45]] * 2
    labels = runs[0].competition.labels
    expected = metrics.evaluate(truth, truth, labels, probability=shares, language=["hi"] * 2)
    assert blended.held_out == expected
    blend.show(blended, runs, (0.5, 0.5))
    assert "on the 2 rows that all held out" in capsys.readouterr().out


def test_without_shared_rows_there_is_no_score(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The blend is made all the same, and says so."""
    runs = held_out_pair(tmp_path, answers([0.5], "P"), answers([0.5], "P", start=9))
    blended = blend_of(runs)
    assert (blended.held_out, len(blended.oof)) == (None, 0)
    blend.show(blended, runs, (0.5, 0.5))
    assert "share no held-out rows" in capsys.readouterr().out
    folder = made.write(blended, tmp_path)
    assert not (folder / "oof.csv").exists()
    assert results.read(folder).held_out.figures == {}


def test_votes_of_parsed_texts_have_no_log_loss(tmp_path: Path) -> None:
    """Where one run scored, the mean is a probability; where none did, only labels are judged."""
    parsed = {"test": answers([1.0], source="parse"), "held_out": answers([1.0, 0.0], "PP", source="parse")}
    scored = {"test": answers([0.6]), "held_out": answers([0.6, 0.7], "PP")}
    one, two = run(tmp_path / "a", **parsed), run(tmp_path / "b", **parsed)
    three = run(tmp_path / "c", **scored)
    both = blend_of([one, two])
    assert both.held_out is not None
    assert "log_loss" not in both.held_out
    mixed = blend_of([one, three])
    assert mixed.held_out is not None
    assert mixed.oof["probability_Positive"].tolist() == pytest.approx([0.8, 0.35])
    assert mixed.predictions["source"].tolist() == ["score"]
    assert "log_loss" in mixed.held_out


def test_runs_that_cannot_be_blended_are_refused(tmp_path: Path) -> None:
    """Other ids, named in both directions, other labels, no predictions, and a run that is named twice."""
    first, more = pair(tmp_path, answers([0.5]), answers([0.5] * 5))
    other = run(tmp_path / "c", test=answers([0.5]), labels=("Good", "Bad"))
    for runs, message in (
        ([first, more], r"4 ids are .* alone, the first are 'r1', 'r2', 'r3'"),
        ([more, first], r"4 ids are .* alone, the first are 'r1', 'r2', 'r3'"),
        ([first, other], "a has the labels"),
        ([first, run(tmp_path / "d")], r"d.predictions\.csv is missing"),
        ([first, first], "a is named twice"),
    ):
        with pytest.raises(InputInvalid, match=message):
            blend_of(runs)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (["1"], "1 weights for 2 runs"),
        (["1", "x"], "weight 'x' is no number from 0 to 1e9"),
        (["1e308", "1e308"], "weight '1e308' is no number"),
        (["1", "-1"], "weight '-1' is no number"),
        (["1", "nan"], "weight 'nan' is no number"),
        (["inf", "1"], "weight 'inf' is no number"),
        (["0", "0"], "every weight is 0"),
    ],
)
def test_weights_that_are_none_are_refused(weights: list[str], message: str) -> None:
    """In one line with an example."""
    with pytest.raises(KitError, match=message) as refused:
        blend.normalised(weights, 2)
    assert refused.value.hint == 'make blend RUNS="v1 v2" WEIGHTS="0.6 0.4"'


def test_a_blend_is_a_run(tmp_path: Path) -> None:
    """Its folder reads back as it was made, its submission is valid, and it says what it was made of."""
    truth = "PNPN"
    runs = [
        run(
            tmp_path / "slug" / f"v{at}",
            test=answers([share, 0.1]),
            held_out=answers([share, 0.2, 0.6, 0.4], truth),
            push={"version": at, "owner": "someone"},
            test_sha256="f" * 64,
        )
        for at, share in ((2, 0.9), (3, 0.7))
    ]
    blended = blend_of(runs, "0.6", "0.4")
    folder = made.write(blended, tmp_path)
    assert folder == tmp_path / "blend-slug-v2+v3-0.6+0.4"
    again = results.read(folder)
    assert again.predictions.round(6).to_dict() == blended.predictions.round(6).to_dict()
    assert again.oof["probability_Positive"].tolist() == pytest.approx(blended.oof["probability_Positive"])
    assert again.held_out == record.Judged.model_validate(blended.held_out)
    told = json.loads((folder / "made.json").read_text())
    assert [part["run"] for part in told["members"]] == ["slug/v2", "slug/v3"]
    found = runs_of_kaggle.load(folder)
    assert (found.name, found.owner, found.is_rehearsal) == (folder.name, "someone", False)
    assert found.config["competition"]["slug"] == "reviews"
    assert told["sha256"] == files.sha256_of(folder / "submission.csv")
    assert json.loads((folder / "run.json").read_text())["test_ids"] == ["r0", "r1"]
    assert again.run.test_sha256 == "f" * 64
    drawn = Page(page.write(folder, lambda _: []))
    assert any("blend of slug/v2 (0.6), slug/v3 (0.4)" in drawn.says(section) for section in drawn.texts)
    facts = Facts(Columns("ID", "label"), again.competition.labels, ["r0", "r1"], training={})
    assert validate.check((folder / "submission.csv").read_bytes(), facts)[0].valid
    deeper = blend_of([again, runs[0]])
    assert deeper.held_out is not None


@pytest.mark.parametrize(
    ("asked", "submission"),
    [
        (
            {"submission": "probability", "submission_values": {"Positive": "1", "Negative": "0"}},
            "ID,label\nr0,0.800000000\nr1,0.300000000\n",
        ),
        (
            {"submission": "probabilities"},
            "ID,Positive,Negative\nr0,0.800000000,0.200000000\nr1,0.300000000,0.700000000\n",
        ),
        (
            {"submission": "ranking", "metric": "map@2"},
            "ID,label\nr0,Positive Negative\nr1,Negative Positive\n",
        ),
    ],
)
def test_a_blend_writes_what_its_competition_takes(
    tmp_path: Path, asked: dict[str, object], submission: str
) -> None:
    """Averaged probabilities, or the labels in their order."""
    competition = {"slug": "reviews", "id": "ID", "labels": list(made_run.LABELS), **asked}
    runs = pair(tmp_path, answers([0.9, 0.2]), answers([0.7, 0.4]), settings={"competition": competition})
    folder = made.write(blend_of(runs), tmp_path)
    assert (folder / "submission.csv").read_text() == submission


def test_a_blend_with_a_rehearsed_run_is_a_rehearsals(tmp_path: Path) -> None:
    """Kaggle must not be sent what a toy has answered."""
    urls = ("https://www.kaggle.com/code/someone/a", "http://127.0.0.1:9/code/a")
    runs = [
        run(tmp_path / "slug" / f"v{at}", test=answers([0.5]), push={"version": at, "url": url})
        for at, url in enumerate(urls, start=1)
    ]
    for ordered in (runs, runs[::-1]):
        folder = made.write(blend_of(ordered), tmp_path)
        assert runs_of_kaggle.load(folder).is_rehearsal
    deeper = blend_of([results.read(folder), run(tmp_path / "dry", test=answers([0.5]))])
    assert runs_of_kaggle.load(made.write(deeper, tmp_path)).is_rehearsal


def test_an_earlier_blend_is_replaced_whole(tmp_path: Path) -> None:
    """Nothing of it is left or beside the new one, whose name is without equal weights; a disk may refuse."""
    blended = blend_of(pair(tmp_path / "runs", answers([0.5]), answers([0.5])))
    assert blended.name == "blend-a+b"
    (tmp_path / "full").touch()
    with pytest.raises((KitError, OSError), match=r"cannot be written|not a directory|exists"):
        made.write(blended, tmp_path / "full")
    (tmp_path / "out" / blended.name).mkdir(parents=True)
    (tmp_path / "out" / blended.name / "report.html").write_text("of yesterday")
    folder = made.write(blended, tmp_path / "out")
    assert sorted(path.name for path in folder.iterdir()) == [
        "made.json", "metrics.json", "predictions.csv", "run.json", "submission.csv",
    ]  # fmt: skip
    assert list((tmp_path / "out").iterdir()) == [folder]


def test_a_blend_of_few_rows_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Below thirty shared rows a figure is mostly chance."""
    for count in (29, 30):
        rows = answers([0.6] * count, "P" * count)
        runs = held_out_pair(tmp_path / str(count), rows, rows)
        blend.show(blend_of(runs), runs, (0.5, 0.5))
        assert ("only 29 rows" in capsys.readouterr().out) == (count == 29)


@pytest.mark.slow
def test_the_verb_blends_and_validates(tmp_path: Path) -> None:
    """From two runs to a valid submission; the list of runs has the blend, and a refusal is one line."""
    project = Project(tmp_path / "project", SAMPLE)
    for number in (1, 2):
        made_run.make(project.runs.parent / "sample" / f"v{number}", SAMPLE, seed=number)
    environment = project.environment()
    said = project.run("blend", "sample/v1", "sample/v2", "--weights", "0.6", "0.4", **environment)
    assert said.status == 0, said
    folder = project.runs.parent / "blend-sample-v1+v2-0.6+0.4"
    assert "1 sample/v1, weight 0.6\n" in said.out
    assert f"{folder / 'submission.csv'}: valid, 108 rows, 0 errors" in said.out
    assert said.error == f"next: make submit RUN={folder.name}"
    assert folder.name in project.run("runs", **environment).out
    compared = project.run("compare", "sample/v1", folder.name, **environment)
    assert compared.status == 0, compared
    assert f"b {folder.name}\n" in compared.out
    refused = project.run("blend", "sample/v1", **environment)
    assert (refused.status, refused.out, refused.err.count("\n")) == (1, "", 1)
    assert "a blend needs two runs, 1 are named" in refused.error
