"""Score what any model must beat: the majority class, and character n-grams with logistic regression.

On the rows that a run held out, or as runs of their own that answer the test rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy

from kit import files
from kit.config import Config
from kit.errors import InputInvalid
from kit.review import results
from kit.review.made import Made
from kit.review.record import Judged
from kit.task import rows, sample, submission

if TYPE_CHECKING:
    from pandas import DataFrame

NGRAMS = "character n-grams"
MAJORITY = "majority class"


def held_out_baselines(train: DataFrame, oof: DataFrame) -> dict[str, Judged]:
    """Return the metrics of both baselines on the held-out rows of a run, by name.

    `train` holds the rows that the run worked with, `oof` its held-out rows. As a run's members do, a
    baseline answers the rows of a fold after learning from every row outside it. The majority class gives the
    shares of the labels as probabilities. Raises InputInvalid where `oof` has rows that `train` has not, or
    nothing is left to learn from.
    """
    columns = [str(name) for name in oof.columns]
    labels = [name.removeprefix("probability_") for name in columns if name.startswith("probability_")]
    if foreign := set(oof["id"]).difference(train["id"]):
        what = f"{len(foreign)} held-out rows are not in train.csv, the first is {min(foreign)!r}"
        raise InputInvalid(what, hint="make data")
    asked = train.set_index("id", drop=False).loc[oof["id"].tolist()].reset_index(drop=True)
    folds = oof["fold"].to_numpy()
    told = {}
    for name in (NGRAMS, MAJORITY):
        shares = numpy.zeros((len(oof), len(labels)))
        for fold in sorted(set(folds)):
            held = asked[folds == fold]
            fit = train[~train["id"].isin(held["id"])]
            if fit.empty:
                raise InputInvalid("every training row is held out, so no baseline learns", hint="make data")
            shares[folds == fold] = answers(fit, held, labels, name)
        told[name] = Judged.model_validate(results.judge(_table(asked, shares, labels, "predicted"), labels))
    return told


def answers(train: DataFrame, asked: DataFrame, labels: Sequence[str], name: str) -> numpy.ndarray:
    """Return the probabilities, rows x labels, that a baseline gives after learning from `train`."""
    counts = train["label"].value_counts()
    if name == MAJORITY or len(counts) == 1:  # of one label there is nothing to regress on
        return numpy.tile([counts.get(label, 0) / len(train) for label in labels], (len(asked), 1))
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    vectors = TfidfVectorizer(analyzer="char_wb", ngram_range=(1, 4), sublinear_tf=True, min_df=2)
    model = make_pipeline(vectors, LogisticRegression(C=10.0, max_iter=1000, random_state=0))
    model.fit(train["text"], train["label"])
    found = numpy.zeros((len(asked), len(labels)))  # a label that `train` has not gets nothing
    found[:, [labels.index(label) for label in model.classes_]] = model.predict_proba(asked["text"])
    return found


def make(config: Config, data: Path, name: str) -> Made:
    """Return a baseline as a run: a default run's held-out rows and every test row. Raises InputInvalid."""
    competition = config.competition
    labels = competition.labels
    train, _ = rows.read(data / "train.csv", competition, labelled=True)
    test, _ = rows.read(data / "test.csv", competition, labelled=False)
    fit, held = rows.split(train, config.evaluate.holdout, config.evaluate.seed)
    oof = _table(held, answers(fit, held, labels, name), labels, "predicted")
    settings = config.model_dump(mode="json", include={"seed", "competition", "evaluate"})
    given = sample.find(data / "test.csv", test["id"].tolist(), competition)
    return Made(
        name=f"baseline-{competition.slug}" + ("-majority" if name == MAJORITY else ""),
        competition=competition,
        config={"preset": "baseline", **settings},
        predictions=_table(test, answers(train, test, labels, name), labels, "label"),
        oof=oof,
        held_out=results.judge(oof, labels),
        test_sha256=files.sha256_of(data / "test.csv"),
        columns=submission.columns(competition, given),
    )


def _table(asked: DataFrame, shares: numpy.ndarray, labels: Sequence[str], answer: str) -> DataFrame:
    """Return the columns of predictions.csv; of oof.csv where the answer is `predicted` beside a truth."""
    from pandas import DataFrame

    table = DataFrame({"id": asked["id"].tolist()})
    table["language"] = asked["language"].tolist() if "language" in asked else ""
    if answer == "predicted":
        table["fold"], table["label"] = "", asked["label"].tolist()
    table[answer] = [labels[index] for index in shares.argmax(axis=1)]
    table["source"] = "score"
    table[[f"probability_{label}" for label in labels]] = shares
    return table.assign(completion="")
