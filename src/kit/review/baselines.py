"""Score what any model must beat: the majority class, and character n-grams with logistic regression.

On the rows that a run held out, and on the test rows where there is a solution, as only rehearsals have.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kit import files
from kit.errors import InputInvalid
from kit.review import record, tables
from kit.review.made import Made
from kit.review.record import Judged
from kit.task import submission

if TYPE_CHECKING:
    import numpy
    from pandas import DataFrame

    from kit.config import Competition, Config

NGRAMS = "character n-grams"
MAJORITY = "majority class"


def held_out_baselines(train: DataFrame, oof: DataFrame) -> dict[str, Judged]:
    """Return the metrics of both baselines on the held-out rows of a run, by name.

    `train` holds the rows that the run worked with, `oof` its held-out rows. As a run's members do, a
    baseline answers the rows of a fold after learning from every row outside it. The majority class gives the
    shares of the labels as probabilities. Raises InputInvalid where `oof` has rows that `train` has not, or
    nothing is left to learn from.
    """
    import numpy

    from kit.task import metrics

    columns = [str(name) for name in oof.columns]
    labels = [name.removeprefix("probability_") for name in columns if name.startswith("probability_")]
    asked = _asked_rows(train, oof)
    folds = oof["fold"].to_numpy()
    shares = {name: numpy.zeros((len(oof), len(labels))) for name in (NGRAMS, MAJORITY)}
    for fold in sorted(set(folds)):
        rows = asked[folds == fold]
        fit = train[~train["id"].isin(rows["id"])]
        if fit.empty:
            raise InputInvalid("every training row is held out, so no baseline can learn", hint="make data")
        for name in shares:
            shares[name][folds == fold] = answers(fit, rows, labels, name)
    language = asked["language"].tolist() if "language" in asked else None
    truth, told = asked["label"].tolist(), {}
    for name, values in shares.items():
        predicted = [labels[index] for index in values.argmax(axis=1)]
        judged = record.judged(
            metrics.evaluate(truth, predicted, labels, probability=values, language=language)
        )
        told[name] = judged or Judged(figures={})
    return told


def answers(train: DataFrame, rows: DataFrame, labels: Sequence[str], name: str) -> numpy.ndarray:
    """Return the probabilities, rows x labels, that a baseline gives after learning from `train`."""
    import numpy

    if name == NGRAMS:
        return _ngram_shares(train, rows, labels)
    return numpy.tile(_label_shares(train, labels), (len(rows), 1))


def make(config: Config, data: Path, name: str) -> Made:
    """Return a baseline as a run: the rows of a default run held out, then every test row answered.

    Raises InputInvalid where train.csv or test.csv is missing or malformed.
    """
    from kit.task import metrics, sample
    from kit.task.rows import read, split

    competition = config.competition
    train, _ = read(data / "train.csv", competition, labelled=True)
    test, _ = read(data / "test.csv", competition, labelled=False)
    fit, held_out = split(train, config.evaluate.holdout, config.evaluate.seed)
    oof = _table(held_out, answers(fit, held_out, competition.labels, name), competition.labels, "predicted")
    oof.insert(2, "fold", "")
    oof.insert(3, "label", held_out["label"].tolist())
    given = sample.find(data / "test.csv", test["id"].tolist(), competition)
    return Made(
        name=f"baseline-{competition.slug}" + ("-majority" if name == MAJORITY else ""),
        competition=competition,
        config={
            "preset": "baseline",
            **config.model_dump(mode="json", include={"seed", "competition", "evaluate"}),
        },
        predictions=_table(test, answers(train, test, competition.labels, name), competition.labels, "label"),
        oof=oof,
        held_out=metrics.evaluate(
            oof["label"].tolist(),
            oof["predicted"].tolist(),
            competition.labels,
            probability=oof[[f"probability_{label}" for label in competition.labels]],
            language=oof["language"].tolist() if competition.language else None,
        ),
        test_sha256=files.sha256_of(data / "test.csv"),
        columns=submission.columns(competition, given),
    )


def _table(rows: DataFrame, shares: numpy.ndarray, labels: Sequence[str], answer: str) -> DataFrame:
    """Return the columns of predictions.csv."""
    from pandas import DataFrame

    table = DataFrame({"id": rows["id"].tolist()})
    table["language"] = rows["language"].tolist() if "language" in rows else ""
    table[answer] = [labels[index] for index in shares.argmax(axis=1)]
    table["source"] = "score"
    for index, label in enumerate(labels):
        table[f"probability_{label}"] = shares[:, index]
    return table.assign(completion="")


def _ngram_model(train: DataFrame, seed: int) -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    vectors = TfidfVectorizer(analyzer="char_wb", ngram_range=(1, 4), sublinear_tf=True, min_df=2)
    model = make_pipeline(vectors, LogisticRegression(C=10.0, max_iter=1000, random_state=seed))
    return model.fit(train["text"], train["label"])


def _asked_rows(train: DataFrame, oof: DataFrame) -> DataFrame:
    """Return the held-out rows as train.csv has them, in the order of `oof`."""
    known = set(train["id"])
    foreign = [name for name in oof["id"] if name not in known]
    if foreign:
        raise InputInvalid(
            f"{len(foreign)} held-out rows are not in train.csv, the first is {foreign[0]!r}",
            hint="make data",
        )
    return train.set_index("id", drop=False).loc[oof["id"].tolist()].reset_index(drop=True)


def _label_shares(fit: DataFrame, labels: Sequence[str]) -> numpy.ndarray:
    import numpy

    counts = Counter(fit["label"])
    return numpy.array([counts[label] / len(fit) for label in labels])


def _ngram_shares(fit: DataFrame, rows: DataFrame, labels: Sequence[str]) -> numpy.ndarray:
    """Return rows x labels; a label that does not occur in `fit` gets nothing."""
    import numpy

    if fit["label"].nunique() == 1:  # nothing to regress on
        return numpy.tile(_label_shares(fit, labels), (len(rows), 1))
    model = _ngram_model(fit, seed=0)
    found = numpy.zeros((len(rows), len(labels)))
    found[:, [labels.index(label) for label in model.classes_]] = model.predict_proba(rows["text"])
    return found


def show(data: Path, submission: Path, competition: Competition) -> None:
    """Print the scores of a valid submission beside the baselines; `data` holds the solution."""
    import pandas

    from kit.task import metrics, rows

    train, _ = rows.read(data / "train.csv", competition, labelled=True)
    test, _ = rows.read(data / "test.csv", competition, labelled=False)
    answered = pandas.read_csv(submission, dtype=str, keep_default_na=False)
    test = test[test["id"].isin(answered.iloc[:, 0])]  # a smoke run answers some rows only
    label_by_word = {competition.written(label): label for label in competition.labels}
    solution = pandas.read_csv(data / "solution.csv", dtype=str, keep_default_na=False)
    truth, predicted = (
        test["id"].map(dict(zip(frame.iloc[:, 0], frame.iloc[:, 1].map(label_by_word), strict=True))).tolist()
        for frame in (solution, answered)
    )
    labels = competition.labels
    shown = list(dict.fromkeys(["accuracy", "macro_f1", competition.metric]))
    titles = (metrics.METRICS[name].title for name in shown)
    table = tables.table("against the solution", f"{len(test)} test rows", *titles)
    rivals = {name: answers(train, test, labels, name).argmax(axis=1) for name in (NGRAMS, MAJORITY)}
    answered_by = {name: [labels[at] for at in likeliest] for name, likeliest in rivals.items()}
    for name, answer in {"this run": predicted, **answered_by}.items():
        figures = metrics.evaluate(truth, answer, labels)
        table.add_row(name, *(tables.figure(figures.get(one)) for one in shown))
    tables.console().print(table)
