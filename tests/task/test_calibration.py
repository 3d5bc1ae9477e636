"""A temperature and a threshold are chosen out-of-fold, and only where they prove to help."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.task import calibration, metrics
from kit.task.calibration import Calibration

LABELS = ("Positive", "Negative")


def _answers(
    rows: int, seed: int, *, sharper: float = 1.0, shift: float = 0.0
) -> tuple[np.ndarray, list[str]]:
    """Return probabilities whose log-odds are `sharper` times what they should be, and `shift` off.

    Normal log-odds with mean +-m and variance 2m are their own log likelihood ratio: 1 and 0 are calibrated.
    """
    draw = np.random.default_rng(seed)
    true = draw.integers(0, 2, rows)
    log_odds = np.where(true == 0, 2.0, -2.0) + draw.normal(0, 2.0, rows)
    first = 1 / (1 + np.exp(-sharper * (log_odds + shift)))
    return np.stack([first, 1 - first], axis=1), [LABELS[index] for index in true]


def _log_loss(probabilities: np.ndarray, truth: list[str], labels: tuple[str, ...] = LABELS) -> float:
    at_truth = [row[labels.index(label)] for row, label in zip(probabilities, truth, strict=True)]
    return -sum(math.log(max(share, 1e-15)) for share in at_truth) / len(truth)


def test_a_calibrated_model_is_left_alone() -> None:
    """Of a hundred, no temperature is changed, and about as many thresholds as the interval allows."""
    found = [calibration.choose(*_answers(300, seed), LABELS, seed=seed) for seed in range(100)]
    assert [each.temperature for each in found] == [1.0] * 100
    assert sum(each.threshold != 0.5 for each in found) <= 6


@pytest.mark.parametrize(("sharper", "low", "high"), [(3.0, 2.5, 3.5), (0.5, 0.4, 0.6)])
def test_a_model_that_is_too_sure_or_too_shy_gets_its_temperature(
    sharper: float, low: float, high: float
) -> None:
    """The factor on its log-odds is found again, and the log loss on other rows falls by it."""
    found = calibration.choose(*_answers(1000, 1, sharper=sharper), LABELS)
    assert low < found.temperature < high
    assert found.temperature_gain is not None
    assert found.temperature_gain.is_proven
    fresh, truth = _answers(1000, 2, sharper=sharper)
    assert _log_loss(calibration.apply(found, fresh)[0], truth) < _log_loss(fresh, truth) - 0.01


def test_a_model_that_leans_to_one_label_gets_a_threshold() -> None:
    """The cut stands where the lean puts it, and macro F1 on other rows rises."""
    found = calibration.choose(*_answers(1000, 3, shift=2.0), LABELS)
    assert found.threshold_gain is not None
    assert found.threshold_gain.is_proven
    # Log-odds of 2 at a temperature near 2.
    assert 0.6 < found.threshold < 0.9
    fresh, truth = _answers(1000, 4, shift=2.0)

    def macro_f1(how: Calibration) -> float:
        chosen = [LABELS[index] for index in calibration.apply(how, fresh)[1]]
        return float(metrics.evaluate(truth, chosen, LABELS)["macro_f1"])

    assert macro_f1(found) > macro_f1(Calibration()) + 0.02


def test_a_gain_is_measured_on_rows_that_the_choice_did_not_see() -> None:
    """Folds that disagree choose nothing: what helps one half harms the other."""
    first, first_truth = _answers(500, 5, sharper=3.0)
    second, second_truth = _answers(500, 6, sharper=0.4)
    mixed, truth = np.vstack([first, second]), first_truth + second_truth
    by_half = calibration.choose(mixed, truth, LABELS, [0] * 500 + [1] * 500)
    assert by_half.temperature == 1.0
    assert by_half.temperature_gain is not None
    assert by_half.temperature_gain.after > by_half.temperature_gain.before
    # Dealt out evenly, every part holds both kinds.
    assert calibration.choose(mixed, truth, LABELS).temperature > 1.0


def test_folds_may_have_any_names_and_one_alone_is_dealt_out() -> None:
    """The column of a file holds texts, empty for held-out rows."""
    answers = _answers(400, 7, sharper=2.0)
    folds = [index % 4 for index in range(400)]
    assert calibration.choose(*answers, LABELS, folds) == calibration.choose(
        *answers, LABELS, [f"fold-{fold}" for fold in folds]
    )
    assert calibration.choose(*answers, LABELS, [""] * 400, seed=3) == calibration.choose(
        *answers, LABELS, seed=3
    )


def test_the_same_seed_chooses_the_same() -> None:
    """And another one draws other rows."""
    answers = _answers(200, 8, sharper=2.0)
    assert calibration.choose(*answers, LABELS, seed=1) == calibration.choose(*answers, LABELS, seed=1)
    assert calibration.choose(*answers, LABELS, seed=1) != calibration.choose(*answers, LABELS, seed=2)


def test_few_rows_or_a_rare_label_change_nothing() -> None:
    """An interval would say little; no gain is claimed either."""
    probabilities, truth = _answers(39, 9, sharper=5.0)
    assert calibration.choose(probabilities, truth, LABELS) == Calibration()
    many, _ = _answers(200, 9, sharper=5.0)
    rare = ["Negative"] * 4 + ["Positive"] * 196
    assert calibration.choose(many, rare, LABELS) == Calibration()


def test_three_labels_get_a_temperature_and_no_threshold() -> None:
    """A cut belongs to two."""
    labels = ("a", "b", "c")
    draw = np.random.default_rng(10)
    logits = draw.normal(0, 1.5, (900, 3))
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    truth = [labels[draw.choice(3, p=row)] for row in shares]
    sharp = shares**3 / (shares**3).sum(axis=1, keepdims=True)
    found = calibration.choose(sharp, truth, labels)
    assert 2.5 < found.temperature < 3.5
    assert found.threshold_gain is None
    tempered, chosen = calibration.apply(found, sharp)
    assert tempered.sum(axis=1) == pytest.approx(np.ones(900))
    assert (chosen == sharp.argmax(axis=1)).all()


def test_the_temperature_is_the_best_of_a_fine_grid() -> None:
    """Bisection finds the least log loss, within its bounds."""
    shares, truth = _answers(500, 11, sharper=1.7)
    true = np.array([LABELS.index(label) for label in truth])
    best = calibration._temperature(shares, true)
    grid = np.exp(np.linspace(math.log(0.2), math.log(10), 400))
    losses = [_log_loss(calibration._tempered(shares, temperature), truth) for temperature in grid]
    assert _log_loss(calibration._tempered(shares, best), truth) <= min(losses) + 1e-12
    certain = np.array([[0.9, 0.1], [0.1, 0.9]])
    assert calibration._temperature(certain, np.array([0, 1])) == pytest.approx(0.2)
    assert calibration._temperature(certain, np.array([1, 0])) == pytest.approx(10.0)


@given(st.lists(st.tuples(st.integers(0, 20), st.booleans()), min_size=2, max_size=30))
def test_the_threshold_is_the_best_of_every_cut(rows: list[tuple[int, bool]]) -> None:
    """As the metric itself counts it; of equal ones the nearest to 0.5."""
    first = np.array([share / 20 for share, _ in rows])
    true = np.array([0 if positive else 1 for _, positive in rows])
    shares = np.stack([first, 1 - first], axis=1)
    values = sorted(set(first))
    cuts = [0.5, *((low + high) / 2 for low, high in itertools.pairwise(values))]

    def f1(cut: float) -> float:
        # Over both labels even where one neither occurs nor is chosen.
        chosen = calibration.apply(Calibration(threshold=cut), shares)[1]
        hits = [((true == label) & (chosen == label)).sum() for label in (0, 1)]
        size = [(true == label).sum() + (chosen == label).sum() for label in (0, 1)]
        return float(sum(2 * hit / max(each, 1) for hit, each in zip(hits, size, strict=True)))

    found = calibration._threshold(first, true)
    assert f1(found) == pytest.approx(max(map(f1, cuts)))
    equal = [cut for cut in cuts if f1(cut) == pytest.approx(f1(found))]
    assert abs(found - 0.5) == pytest.approx(min(abs(cut - 0.5) for cut in equal))


@given(
    st.lists(st.floats(0, 1), min_size=1, max_size=20),
    st.floats(0.2, 10.0),
    st.floats(0.05, 0.95),
)
def test_a_temperature_moves_no_label_across_one_half(
    first: list[float], temperature: float, threshold: float
) -> None:
    """Probabilities stay probabilities, in their order; ties go to the first label."""
    shares = np.array([[share, 1 - share] for share in first])
    tempered, chosen = calibration.apply(Calibration(temperature), shares)
    assert tempered.sum(axis=1) == pytest.approx(np.ones(len(first)))
    clear = np.abs(shares[:, 0] - 0.5) > 1e-9
    assert ((tempered[:, 0] > 0.5) == (shares[:, 0] > 0.5))[clear].all()
    assert (chosen == np.where(tempered[:, 0] >= 0.5, 0, 1)).all()
    untouched, cut = calibration.apply(Calibration(threshold=threshold), shares)
    assert (untouched == shares).all()
    assert (cut == np.where(shares[:, 0] >= threshold, 0, 1)).all()
    assert calibration.apply(Calibration(), [[0.5, 0.5]])[1].tolist() == [0]


def test_what_is_no_probability_is_refused() -> None:
    """As the metrics refuse it, and folds must be as many as rows."""
    shares, truth = _answers(100, 12)
    shares[3, 0] = math.nan
    with pytest.raises(ValueError, match="probabilit"):
        calibration.choose(shares, truth, LABELS)
    shares, truth = _answers(100, 12)
    with pytest.raises(ValueError, match="100 rows and 3 folds"):
        calibration.choose(shares, truth, LABELS, [1, 2, 3])
