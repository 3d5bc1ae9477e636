"""Score what any model must beat: the majority class, and character n-grams with logistic regression.

On the rows that a run held out, as runs of their own that answer the test rows, and on those where there is
a solution.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy

from kit import files
from kit.config import Competition, Config
from kit.errors import InputInvalid
from kit.review import results, tables
from kit.review.made import Made
from kit.review.record import Judged
from kit.review.results import Results
from kit.task import competition_files, metrics, rows

if TYPE_CHECKING:
    from pandas import DataFrame

NGRAMS = "character n-grams"
MAJORITY = "majority class"


class Beside(NamedTuple):
    """What the competition's files add to a run, or why they add nothing."""

    missing: str = ""
    text_by_id: Mapping[str, str] = {}
    rivals: Mapping[str, Judged] = {}  # the figures of the baselines
    files: tuple[DataFrame, DataFrame] | None = None  # training rows and test rows


def beside(run: Results, oof: DataFrame, places: Callable[[str], Sequence[Path]]) -> Beside:
    """Return what the files of a run's competition, in one of the `places` by its slug, say of `oof`."""
    data = results.data_folder(run.run.test_sha256, places(run.competition.slug))
    if data is None or not (data / "train.csv").is_file():
        return Beside("The train.csv of this run is not at hand; make data brings it.")
    import sklearn.linear_model  # noqa: F401 - only a library that is loaded can be limited
    from threadpoolctl import threadpool_limits

    try:
        train = results.training_rows(run, data)
        test, _ = rows.read(data / "test.csv", run.competition, labelled=False)
        # OpenBLAS's threads wait by spinning, which took four times as long on a busy machine.
        with threadpool_limits(limits=1, user_api="blas"):
            rivals = held_out_baselines(train, oof)
    except InputInvalid as error:
        return Beside(f"{error.message}.")
    return Beside("", dict(zip(train["id"], train["text"], strict=True)), rivals, (train, test))


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
    if asked.empty:
        return numpy.zeros((0, len(labels)))
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
    brought = competition_files.read(data, competition)
    train, test = brought.train, brought.test
    fit, held = train, train[:0]
    if config.evaluate.mode != "none":
        fit, held = rows.split(train, config.evaluate.holdout, config.evaluate.seed)
    oof = _table(held, answers(fit, held, labels, name), labels, "predicted")
    settings = config.model_dump(mode="json", include={"seed", "competition", "evaluate"})
    return Made(
        name=f"baseline-{competition.slug}" + ("-majority" if name == MAJORITY else ""),
        competition=competition,
        config={"preset": "baseline", **settings},
        predictions=_table(test, answers(train, test, labels, name), labels, "label"),
        oof=oof,
        test_sha256=files.sha256_of(data / "test.csv"),
        columns=brought.columns,
    )


def show(data: Path, answered: Path, competition: Competition) -> None:
    """Print the scores of a valid submission beside the baselines; `data` holds the solution."""
    import pandas

    train, _ = rows.read(data / "train.csv", competition, labelled=True)
    test, _ = rows.read(data / "test.csv", competition, labelled=False)
    labels = competition.labels
    label_by_word = dict(zip(labels, labels, strict=True)) | {competition.written(own): own for own in labels}
    told, solution = (
        pandas.read_csv(path, dtype=str, keep_default_na=False, index_col=0)
        for path in (answered.with_name("predictions.csv"), data / "solution.csv")
    )
    truth = solution.iloc[:, 0].map(label_by_word).dropna()
    test = test[test["id"].isin(told.index.intersection(truth.index))]  # a smoke run answers some rows only
    if test.empty:  # a solution of probabilities names no labels
        return
    shown = list(dict.fromkeys(["accuracy", "macro_f1", competition.metric]))
    titles = (metrics.METRICS[name].title for name in shown)
    table = tables.table("against the solution", f"{len(test)} test rows", *titles)
    answers_by = {"this run": told["label"][test["id"]].tolist()}
    for name in (NGRAMS, MAJORITY):
        answers_by[name] = [labels[at] for at in answers(train, test, labels, name).argmax(axis=1)]
    for name, own in answers_by.items():
        figures = metrics.evaluate(truth[test["id"]].tolist(), own, labels)
        values = (figures.get(one) for one in shown)
        table.add_row(name, *(tables.figure(one if isinstance(one, float) else None) for one in values))
    tables.console().print(table)


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
