"""Score what any model must beat: the majority class, and character n-grams with logistic regression.

Uses the solution where there is one, which is only so for rehearsals.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pandas import DataFrame

    from kit.config import Competition


def majority(train: DataFrame, test: DataFrame) -> list[str]:
    """Return the commonest training label for every test row."""
    commonest = Counter(train["label"]).most_common(1)[0][0]
    return [commonest] * len(test)


def character_ngrams(train: DataFrame, test: DataFrame, *, seed: int = 0) -> list[str]:
    """Return the labels that TF-IDF of characters 1 to 4 with logistic regression gives the test rows."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    vectors = TfidfVectorizer(analyzer="char_wb", ngram_range=(1, 4), sublinear_tf=True, min_df=2)
    model = make_pipeline(vectors, LogisticRegression(C=10.0, max_iter=1000, random_state=seed))
    model.fit(train["text"], train["label"])
    return [str(label) for label in model.predict(test["text"])]


def compare(
    train: DataFrame, test: DataFrame, truth: Sequence[str], predicted: Sequence[str], labels: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Return the metrics of our answers and of both baselines, ours first."""
    from kit.task import metrics

    answers = {
        "this run": list(predicted),
        "character n-grams": character_ngrams(train, test),
        "majority class": majority(train, test),
    }
    return {name: metrics.evaluate(list(truth), answer, labels) for name, answer in answers.items()}


def show(data: Path, submission: Path, competition: Competition) -> None:
    """Print the scores of a valid submission beside the baselines; `data` holds the solution."""
    import pandas
    from rich.console import Console
    from rich.table import Table

    from kit.task import rows

    train = rows.read(data / "train.csv", competition, labelled=True)
    test = rows.read(data / "test.csv", competition, labelled=False)
    answered = pandas.read_csv(submission, dtype=str, keep_default_na=False)
    test = test[test["id"].isin(answered.iloc[:, 0])]  # a smoke run answers some rows only
    solution = pandas.read_csv(data / "solution.csv", dtype=str, keep_default_na=False)
    truth, predicted = (
        test["id"].map(dict(zip(frame.iloc[:, 0], frame.iloc[:, 1], strict=True))).tolist()
        for frame in (solution, answered)
    )
    table = Table(f"{len(test)} test rows", "accuracy", "macro F1", title="against the solution")
    for name, figures in compare(train, test, truth, predicted, competition.labels).items():
        table.add_row(name, f"{figures['accuracy']:.3f}", f"{figures['macro_f1']:.3f}")
    Console().print(table)
