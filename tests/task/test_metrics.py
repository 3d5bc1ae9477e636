"""Metrics agree with scikit-learn where it is right, and survive JSON."""

from __future__ import annotations

import json
import math
import time

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sklearn_metrics
from sklearn.calibration import calibration_curve

from kit import config
from kit.task import metrics, sums
from kit.task.metrics import METRICS, evaluate
from kit.task.sums import BINS

LABELS = ("Positive", "Negative")
THREE = ("Good", "Mixed", "Bad")
THEIRS = {
    "accuracy": (sklearn_metrics.accuracy_score, {}),
    "macro_f1": (sklearn_metrics.f1_score, {"average": "macro"}),
    "micro_f1": (sklearn_metrics.f1_score, {"average": "micro"}),
    "weighted_f1": (sklearn_metrics.f1_score, {"average": "weighted"}),
    "qwk": (sklearn_metrics.cohen_kappa_score, {"weights": "quadratic"}),
    "mcc": (sklearn_metrics.matthews_corrcoef, {}),
    "log_loss": (sklearn_metrics.log_loss, {}),
    "brier": (sklearn_metrics.brier_score_loss, {"scale_by_half": False}),
    "auc": (sklearn_metrics.roc_auc_score, {"multi_class": "ovr"}),
}
"""scikit-learn's function for each metric that it has."""
PAIRS = st.lists(st.tuples(st.sampled_from(LABELS), st.sampled_from(LABELS)), min_size=1)


@given(PAIRS)
@pytest.mark.filterwarnings("ignore")
def test_agrees_with_scikit_learn(pairs: list[tuple[str, str]]) -> None:
    """Accuracy, macro F1 and confusion are scikit-learn's, to the last digits, and go through JSON."""
    truth, predicted = map(list, zip(*pairs, strict=True))
    result = evaluate(truth, predicted, LABELS)
    assert result["rows"] == len(pairs)
    for name, (theirs, options) in THEIRS.items():
        if not METRICS[name].needs_probabilities and not (name == "qwk" and len({*truth, *predicted}) < 2):
            expected = theirs(
                [LABELS.index(one) for one in truth], [LABELS.index(one) for one in predicted], **options
            )
            assert result[name] == pytest.approx(expected), name
    assert result["confusion"] == sklearn_metrics.confusion_matrix(truth, predicted, labels=LABELS).tolist()
    assert json.loads(json.dumps(result)) == result


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
    intervals = result["per_language"]["ta"].pop("intervals")
    assert result["per_language"]["ta"] == {"rows": 2, "accuracy": 0.5, "macro_f1": pytest.approx(1 / 3)}
    assert intervals == {"accuracy": [pytest.approx(0.0945, abs=1e-4), pytest.approx(0.9055, abs=1e-4)]}
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
        (["Positive"], ["Positive"], {"probability": [[1.5, -0.5]]}),
        (["Positive", "Positive"], ["Positive", "Positive"], {"probability": [[0.5, 0.5]]}),
    ],
)
def test_what_does_not_fit_is_refused(
    truth: list[str], predicted: list[str], extra: dict[str, object]
) -> None:
    """No rows, unknown labels, differing lengths and probabilities that are none raise ValueError."""
    with pytest.raises(ValueError):
        evaluate(truth, predicted, LABELS, **extra)


def answers(rows: int, labels: tuple[str, ...], seed: int = 0) -> tuple[list[str], list[str], np.ndarray]:
    """Draw truth, the likeliest label and probabilities that are too sure of themselves."""
    generator = np.random.default_rng(seed)
    shares = generator.dirichlet([1.0] * len(labels), rows)
    truth = [labels[generator.choice(len(labels), p=row)] for row in shares]
    sure = shares**1.5 / (shares**1.5).sum(axis=1, keepdims=True)
    return truth, [labels[index] for index in sure.argmax(axis=1)], sure


@pytest.mark.filterwarnings("ignore:'k'")
@pytest.mark.parametrize("labels", [LABELS, THREE])
def test_every_metric_agrees_with_scikit_learn(labels: tuple[str, ...]) -> None:
    """Of two labels and of three; only the calibration error has no function there."""
    truth, predicted, shares = answers(300, labels)
    result = evaluate(truth, predicted, labels, probability=shares)
    true, guessed = ([labels.index(one) for one in side] for side in (truth, predicted))
    ranked = {f"map@{k}" for k in range(2, 10)}
    assert {*THEIRS, "calibration_error", *ranked} == set(METRICS)
    for k in range(2, 10) if len(labels) > 2 else ():
        found = [
            sklearn_metrics.top_k_accuracy_score(true, shares, k=place)
            for place in range(1, min(k, len(labels)) + 1)
        ]
        mean = sum(gain / place for place, gain in enumerate(np.diff([0, *found]), 1))
        assert result[f"map@{k}"] == pytest.approx(mean)
    for name, (theirs, options) in THEIRS.items():
        given = guessed
        if METRICS[name].needs_probabilities:
            given = shares[:, 1] if name == "auc" and len(labels) == 2 else shares
        assert result[name] == pytest.approx(theirs(true, given, **options)), name


def test_the_interval_of_the_area_is_the_bootstraps() -> None:
    """Its rows' influences scatter as scikit-learn's area does over resamples of rows."""
    truth, predicted, shares = answers(300, LABELS)
    positive = np.array([label == "Positive" for label in truth])
    generator = np.random.default_rng(1)
    drawn = generator.integers(0, 300, (400, 300))
    areas = [sklearn_metrics.roc_auc_score(positive[rows], shares[rows, 0]) for rows in drawn]
    low, high = np.quantile(areas, [0.025, 0.975])
    result = evaluate(truth, predicted, LABELS, probability=shares)["intervals"]["auc"]
    assert result == pytest.approx([low, high], abs=(high - low) / 10)


WORDS: dict[str | None, list[str]] = {
    "macro_f1": ["Macro F1 Score", "F1 Score (Macro)", "Macro-averaged F-Score"],
    "micro_f1": ["f1-score (micro)"],
    "weighted_f1": ["Weighted F1"],
    "log_loss": ["Log Loss", "MulticlassLoss", "Logarithmic Loss"],
    "auc": ["ROC AUC Score", "AreaUnderReceiverOperatingCharacteristicCurve"],
    "qwk": ["QuadraticWeightedKappa"],
    "accuracy": ["CategorizationAccuracy", "accuracy_score"],
    "mcc": ["MatthewsCorrelation"],
    "map@3": ["MAP@3"],
    "map@5": ["Mean Average Precision @ 5"],
    None: [
        *("MeanAveragePrecision", "Balanced Accuracy", "F1 Score", "Mean F1", "F2 macro", ""),
        *("Weighted log loss", "Mean columnwise AUC", "Cohen's kappa"),
    ],
}


@pytest.mark.parametrize("name", WORDS)
def test_a_hosts_words_name_a_metric_or_none(name: str | None) -> None:
    """A metric that is not ours is never taken for one that is."""
    assert {words: metrics.metric_named(words) for words in WORDS[name]} == dict.fromkeys(WORDS[name], name)


def test_every_metric_is_known_by_its_own_name_and_title() -> None:
    """Written as in kit.toml or as on the report; the calibration error is no competition's."""
    for name, one in METRICS.items():
        expected = None if name == "calibration_error" else name
        assert metrics.metric_named(name) == metrics.metric_named(one.title) == expected
        assert config.resolve("tiny", [f"competition.metric={name}"]).competition.metric == name


def test_the_better_figures_come_first() -> None:
    """By the metric in its own direction, then by log loss; what lacks the metric is last."""
    some = [{"auc": 0.7, "log_loss": 0.2}, {"auc": 0.9}, {"auc": 0.9, "log_loss": 0.5}, {"log_loss": 0.1}, {}]
    assert sorted(some, key=lambda one: metrics.order(one, "auc")) == [some[at] for at in (2, 1, 0, 3, 4)]
    assert sorted(some, key=lambda one: metrics.order(one, "log_loss"))[0] == some[3]


@pytest.mark.parametrize("labels", [LABELS, THREE])
def test_calibration_agrees_with_scikit_learn(labels: tuple[str, ...]) -> None:
    """The bins are scikit-learn's calibration curve of the predicted labels; the error is their mean gap."""
    truth, predicted, shares = answers(500, labels)
    result = evaluate(truth, predicted, labels, probability=shares)
    right = [true == guess for true, guess in zip(truth, predicted, strict=True)]
    accuracy, confidence = calibration_curve(right, shares.max(axis=1), n_bins=BINS)
    bins = result["reliability"]
    assert [one["accuracy"] for one in bins] == pytest.approx(list(accuracy))
    assert [one["confidence"] for one in bins] == pytest.approx(list(confidence))
    assert sum(one["rows"] for one in bins) == 500
    places = [math.ceil(10 * one["confidence"]) for one in bins]
    assert places == sorted(set(places))
    gaps = sum(one["rows"] * abs(one["confidence"] - one["accuracy"]) for one in bins)
    assert result["calibration_error"] == pytest.approx(gaps / 500)


def test_intervals_agree_with_scipy() -> None:
    """The ends stand within a twentieth of the width of SciPy's percentile bootstrap of 10,000 resamples."""
    truth, predicted, shares = answers(400, LABELS)
    right = np.array([true == guess for true, guess in zip(truth, predicted, strict=True)], dtype=float)
    at_truth = shares[np.arange(400), [LABELS.index(true) for true in truth]]
    found = evaluate(truth, predicted, LABELS, probability=shares)["intervals"]
    assert list(found) == [name for name in METRICS if not name.startswith("map@")]
    drawn = scipy.stats.bootstrap(
        (-np.log(at_truth),), np.mean, n_resamples=10_000, method="percentile", rng=np.random.default_rng(1)
    ).confidence_interval
    assert found["log_loss"] == pytest.approx(list(drawn), abs=(drawn.high - drawn.low) / 20)
    wilson = scipy.stats.binomtest(int(right.sum()), 400).proportion_ci(method="wilson")
    assert found["accuracy"] == found["micro_f1"] == pytest.approx([wilson.low, wilson.high], abs=1e-6)


def test_rows_that_are_all_right_have_no_interval_of_no_width() -> None:
    """Three of three leave accuracy wide open, and macro F1 has no interval rather than 1 to 1."""
    found = evaluate(["Positive"] * 3, ["Positive"] * 3, LABELS)["intervals"]
    assert found["accuracy"] == [pytest.approx(0.4385, abs=1e-4), 1.0]
    assert "macro_f1" not in found


def test_blocks_of_rows_give_the_interval_of_rows() -> None:
    """Beyond MOST_UNITS rows are drawn in blocks, and a mean keeps its spread within 5 percent."""
    generator = np.random.default_rng(3)
    values = generator.exponential(size=(10 * sums.MOST_UNITS, 1))
    means = sums.resample(values)[:, 0] / len(values)
    spread = values.std() / math.sqrt(len(values))
    assert means.std() == pytest.approx(spread, rel=0.05)
    assert means.mean() == pytest.approx(values.mean(), abs=spread / 5)


@pytest.mark.parametrize(("hits", "rows"), [(0, 8), (8, 8), (7, 8), (63, 76)])
def test_a_share_of_few_rows_has_wilsons_interval(hits: int, rows: int) -> None:
    """It is SciPy's, and wider than nothing where every row is right."""
    expected = scipy.stats.binomtest(hits, rows).proportion_ci(method="wilson")
    low, high = sums.share_interval(hits, rows)
    assert [low, high] == pytest.approx([expected.low, expected.high], abs=1e-6)
    assert high > low


@pytest.mark.parametrize(("rows", "most_seconds"), [(1_000, 5), (100_000, 20)])
def test_intervals_take_no_time_worth_waiting_for(rows: int, most_seconds: int) -> None:
    """Half a second for 1,000 rows and two for 100,000 on a quiet machine; only a blow-up fails here."""
    truth, predicted, shares = answers(1_000, LABELS)
    times = rows // 1_000
    codes = [f"l{number % 13}" for number in range(rows)]
    started = time.process_time()
    evaluate(
        truth * times, predicted * times, LABELS, probability=np.tile(shares, (times, 1)), language=codes
    )
    assert time.process_time() - started < most_seconds
