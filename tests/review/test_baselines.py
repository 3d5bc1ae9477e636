"""What any model must beat is measured on the same rows, and by a model that has not seen them either."""

from __future__ import annotations

import re
from pathlib import Path

import pandas
import pytest

from kit.config import resolve
from kit.errors import InputInvalid
from kit.fetch.inputs import SAMPLE
from kit.remote import runs
from kit.review import baselines, made, results
from kit.review.checks.validate import validate
from kit.task import rows

BOTH = ["Positive", "Negative"]


def training(texts: list[str], labels: list[str]) -> pandas.DataFrame:
    """Return training rows whose ids are their numbers."""
    return pandas.DataFrame({"text": texts, "label": labels}).assign(id=[str(at) for at in range(len(texts))])


def held_out(train: pandas.DataFrame, folds: list[str]) -> pandas.DataFrame:
    """Return an oof table of the rows of `train`, a fold or nothing each."""
    return train[["id"]].assign(fold=folds, probability_Positive=0.5, probability_Negative=0.5)


def test_a_baseline_has_not_seen_the_fold_that_it_answers() -> None:
    """Two folds in which the same words mean the opposite: who peeks is right half of the time."""
    train = training(["zorg zorg", "blip blip"] * 20, BOTH * 10 + BOTH[::-1] * 10)
    found = baselines.held_out_baselines(train, held_out(train, ["0"] * 20 + ["1"] * 20))
    assert found[baselines.NGRAMS].figures["accuracy"] == 0.0
    assert found[baselines.NGRAMS].figures["rows"] == 40


def test_a_holdout_is_answered_from_all_other_rows() -> None:
    """The words of the other rows are learned, the held-out rows stay in the order of the run."""
    train = training(["good fine", "awful bad"] * 12, BOTH * 12)
    found = baselines.held_out_baselines(train, held_out(train.iloc[[3, 0]], ["", ""]))
    assert found[baselines.NGRAMS].figures["accuracy"] == 1.0
    assert found[baselines.NGRAMS].figures["log_loss"] < 0.2
    assert found[baselines.MAJORITY].figures["log_loss"] == pytest.approx(0.6931, abs=1e-4)
    assert found[baselines.MAJORITY].figures["accuracy"] == 0.5


def test_the_majority_knows_the_shares_of_the_other_rows() -> None:
    """Its probabilities are the shares of the labels outside the held-out rows."""
    train = training(["words"] * 11, ["Positive"] * 8 + ["Negative"] * 3)
    found = baselines.held_out_baselines(train, held_out(train.iloc[[10]], [""]))
    assert found[baselines.MAJORITY].reliability[0].confidence == pytest.approx(0.8)
    assert found[baselines.MAJORITY].confusion == ((0, 0), (1, 0))


def test_real_sentences_are_answered_better_than_by_chance() -> None:
    """On the sample's training rows in four folds, with figures of each language and probabilities."""
    train, _ = rows.read(SAMPLE / "train.csv", resolve("t4x2").competition, labelled=True)
    found = baselines.held_out_baselines(train, held_out(train, [str(at % 4) for at in range(len(train))]))
    ngrams, majority = found[baselines.NGRAMS], found[baselines.MAJORITY]
    assert ngrams.figures["macro_f1"] > 0.6 > majority.figures["macro_f1"]
    assert ngrams.figures["log_loss"] < majority.figures["log_loss"]
    assert len(ngrams.per_language) == 18
    low, high = ngrams.intervals["macro_f1"]
    assert low < ngrams.figures["macro_f1"] < high


def test_rows_of_another_file_are_refused() -> None:
    """The first foreign id is named; so is a run that held everything out."""
    train = training(["x", "y"], BOTH)
    held = held_out(train, ["", ""])
    with pytest.raises(InputInvalid, match=r"1 held-out rows are not in train\.csv, the first is 'z'"):
        baselines.held_out_baselines(train, held.assign(id=["0", "z"]))
    with pytest.raises(InputInvalid, match="every training row is held out"):
        baselines.held_out_baselines(train, held)


def test_one_label_alone_teaches_nothing() -> None:
    """With a single label outside the held-out rows the n-grams answer with it instead of failing."""
    train = training(["x", "y", "z"], ["Positive"] * 2 + ["Negative"])
    found = baselines.held_out_baselines(train, held_out(train.iloc[[2]], [""]))
    assert found[baselines.NGRAMS].confusion == ((0, 0), (1, 0))


def test_rows_without_ids_are_answered_under_those_of_the_sample(tmp_path: Path) -> None:
    """As a run in a kernel answers them."""
    settings = resolve("t4x2", ["competition.id="])
    for name, kept in (("train", ["sentence", "language", "label"]), ("test", ["sentence", "language"])):
        table = pandas.read_csv(SAMPLE / f"{name}.csv", dtype=str)
        table[kept].to_csv(tmp_path / f"{name}.csv", index=False)
    answers = pandas.DataFrame({"row": [f"q{at}" for at in range(len(table))], "label": "Positive"})
    answers.to_csv(tmp_path / "sample_submission.csv", index=False)
    folder = made.write(baselines.make(settings, tmp_path, baselines.MAJORITY), tmp_path)
    assert (folder / "submission.csv").read_text().startswith("row,label\nq0,")
    none = baselines.make(
        resolve("t4x2", ["competition.id=", "evaluate.mode=none"]), tmp_path, baselines.NGRAMS
    )
    assert (len(none.oof), none.held_out, len(none.predictions)) == (0, None, len(table))
    assert validate(folder, lambda _: [tmp_path], settings.competition).valid


@pytest.mark.parametrize("kind", ["label", "probabilities", "ranking"])
def test_labels_are_held_against_a_solution(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    """Whatever the submission gives of a row."""
    settings = resolve("tiny", [f"competition.submission={kind}"])
    folder = made.write(baselines.make(settings, SAMPLE, baselines.MAJORITY), tmp_path)
    baselines.show(SAMPLE, folder / "submission.csv", settings.competition)
    assert re.search(r"this run +0\.500", capsys.readouterr().out)


def test_a_baseline_is_a_run_of_its_own(tmp_path: Path) -> None:
    """Valid, read and found like any other, its held-out rows those of a default run."""
    settings = resolve("t4x2")
    for name in (baselines.MAJORITY, baselines.NGRAMS):
        folder = made.write(baselines.make(settings, SAMPLE, name), tmp_path)
        told = results.read(folder)
        train, _ = rows.read(SAMPLE / "train.csv", settings.competition, labelled=True)
        held = rows.split(train, settings.evaluate.holdout, settings.evaluate.seed)[1]
        assert told.oof["id"].tolist() == held["id"].tolist()
        assert validate(folder, lambda _: [SAMPLE], settings.competition).valid
        assert runs.load(folder).name == folder.name
    assert told.held_out.figures["macro_f1"] > 0.6
    assert [path.name for path in sorted(tmp_path.iterdir())] == [
        "baseline-sample-sentiment",
        "baseline-sample-sentiment-majority",
    ]
