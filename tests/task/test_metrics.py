"""Metrics agree with scikit-learn where it is right, and survive JSON."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sklearn_metrics

from kit.task.metrics import evaluate

LABELS = ("Positive", "Negative")
PAIRS = st.lists(st.tuples(st.sampled_from(LABELS), st.sampled_from(LABELS)), min_size=1)


@given(PAIRS)
@pytest.mark.filterwarnings("ignore")
def test_agrees_with_scikit_learn(pairs: list[tuple[str, str]]) -> None:
    """Accuracy, macro F1 and confusion are scikit-learn's, to the last digits, and go through JSON."""
    truth, predicted = map(list, zip(*pairs, strict=True))
    result = evaluate(truth, predicted, LABELS)
    assert result["rows"] == len(pairs)
    assert result["accuracy"] == pytest.approx(sklearn_metrics.accuracy_score(truth, predicted))
    assert result["macro_f1"] == pytest.approx(sklearn_metrics.f1_score(truth, predicted, average="macro"))
    assert result["confusion"] == sklearn_metrics.confusion_matrix(truth, predicted, labels=LABELS).tolist()
    assert json.loads(json.dumps(result)) == result


def test_confusion_has_truth_in_rows() -> None:
    """One Positive taken for Negative stands in the first row and second column."""
    assert evaluate(["Positive"], ["Negative"], LABELS)["confusion"] == [[0, 1], [0, 0]]


@given(st.lists(st.tuples(st.sampled_from(LABELS), st.floats(0.001, 0.999)), min_size=1))
def test_log_loss_follows_the_order_of_the_labels(rows: list[tuple[str, float]]) -> None:
    """The first column is the first label's probability, although it is last in the alphabet."""
    truth = [label for label, _ in rows]
    probability = np.array([[share, 1 - share] for _, share in rows])
    result = evaluate(truth, truth, LABELS, probability=probability)
    alphabetical = sklearn_metrics.log_loss(truth, probability[:, ::-1], labels=["Negative", "Positive"])
    assert result["log_loss"] == pytest.approx(alphabetical)


def test_a_certain_mistake_costs_a_finite_amount() -> None:
    """Probability 0 on the truth gives a large finite log loss."""
    loss = evaluate(["Positive"], ["Negative"], LABELS, probability=[[0.0, 1.0]])["log_loss"]
    assert loss == pytest.approx(-math.log(1e-15))


def test_each_language_has_its_own_figures() -> None:
    """Rows, accuracy and macro F1 are counted within each language, in the order of their codes."""
    result = evaluate(
        ["Positive", "Negative", "Positive", "Positive"],
        ["Positive", "Positive", "Positive", "Negative"],
        LABELS,
        language=["ta", "ta", "hi", "hi"],
    )
    assert list(result["per_language"]) == ["hi", "ta"]
    assert result["per_language"]["ta"] == {"rows": 2, "accuracy": 0.5, "macro_f1": pytest.approx(1 / 3)}
    assert result["majority_accuracy"] == 0.75


@pytest.mark.parametrize(
    ("truth", "predicted", "extra"),
    [
        ([], [], {}),
        (["Positive"], ["Neutral"], {}),
        (["Positive"], ["Positive", "Negative"], {}),
        (["Positive"], ["Positive"], {"language": ["hi", "ta"]}),
        (["Positive"], ["Positive"], {"probability": [[float("nan"), 1.0]]}),
        (["Positive"], ["Positive"], {"probability": [[1.0]]}),
        (["Positive", "Positive"], ["Positive", "Positive"], {"probability": [[0.5, 0.5]]}),
    ],
)
def test_what_does_not_fit_is_refused(
    truth: list[str], predicted: list[str], extra: dict[str, object]
) -> None:
    """No rows, unknown labels, differing lengths and probabilities that are none raise ValueError."""
    with pytest.raises(ValueError):
        evaluate(truth, predicted, LABELS, **extra)
