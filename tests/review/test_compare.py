"""Two runs are compared on the rows that both held out, and how sure the difference is comes with it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import made_run
import numpy as np
import pytest
import scipy.stats
from made_run import Answer, answers, run, write

from kit.config import PROJECT_ROOT
from kit.fetch.inputs import SAMPLE
from kit.review import compare, results
from kit.review.baselines import Beside
from kit.review.results import Results

SCRIPT = PROJECT_ROOT / "scripts" / "compare.py"


def test_the_paired_bootstrap_agrees_with_scipy(tmp_path: Path) -> None:
    """The interval of the difference of log loss is SciPy's for the per-row differences, but for chance."""
    draw = np.random.default_rng(0)
    truth = "".join(draw.choice(["P", "N"], 300))
    hit = np.array([letter == "P" for letter in truth])
    shares = [np.clip(0.5 + (hit - 0.5) * 0.6 + draw.normal(0, 0.25, 300), 0.01, 0.99) for _ in range(2)]
    first, second = (run(tmp_path / str(at), held_out=answers(side, truth)) for at, side in enumerate(shares))
    found = compare.compare(first, second).differences["log_loss"]
    losses = [-np.log(np.where(hit, side.round(6), 1 - side.round(6))) for side in shares]
    draws = {"n_resamples": 10_000, "method": "percentile", "rng": np.random.default_rng(1)}
    drawn = scipy.stats.bootstrap((losses[1] - losses[0],), np.mean, **draws).confidence_interval
    assert [found.first, found.second] == pytest.approx([losses[0].mean(), losses[1].mean()])
    assert found.interval == pytest.approx(list(drawn), abs=(drawn.high - drawn.low) / 20)


def test_equal_runs_do_not_differ(tmp_path: Path) -> None:
    """Every difference is 0 in every resample, and neither run is better."""
    first, second = (
        run(tmp_path / name, held_out=answers([0.9, 0.4, 0.2], "PPN"), test=answers([0.9, 0.1]))
        for name in "ab"
    )
    compared = compare.compare(first, second)
    assert set(compared.differences) == {"accuracy", "macro_f1", "log_loss", "brier", "calibration_error"}
    for found in compared.differences.values():
        assert (found.interval, found.better_share) == ([0.0, 0.0], 0.0)
    assert (len(compared.changed), compared.test_rows, compared.test_changed) == (0, 2, 0)


def test_a_run_that_is_better_in_every_row_is_better_in_every_resample(tmp_path: Path) -> None:
    """Lower is better for losses, higher for shares of right answers."""
    truth = "PN" * 20
    wrong = run(tmp_path / "a", held_out=answers([0.3, 0.7] * 20, truth))
    right = run(tmp_path / "b", held_out=answers([0.8, 0.2] * 20, truth))
    better, worse = compare.compare(wrong, right), compare.compare(right, wrong)
    for name in ("accuracy", "macro_f1", "log_loss", "brier"):
        assert better.differences[name].better_share == 1.0
        assert worse.differences[name].better_share == 0.0
    low, high = better.differences["accuracy"].interval
    assert low == high == 1.0
    assert better.differences["log_loss"].interval[1] < 0


def test_only_shared_rows_count(tmp_path: Path) -> None:
    """A holdout and folds meet on the holdout's rows, whose labels that differ are listed with the truth."""
    folds = run(tmp_path / "a", held_out=answers([0.9, 0.8, 0.3, 0.1], "PPPN"), test=answers([0.9, 0.1]))
    holdout = run(tmp_path / "b", held_out=answers([0.7, 0.3], "PN", start=2), test=answers([0.1, 0.1, 0.1]))
    compared = compare.compare(folds, holdout)
    assert compared.rows == 2
    assert compared.changed.to_numpy().tolist() == [["r2", "hi", "Positive", "Negative", "Positive"]]
    assert (compared.test_rows, compared.test_changed) == (2, 1)


def test_parsed_texts_leave_labels_to_compare(tmp_path: Path) -> None:
    """Accuracy and macro F1 are there for both, figures of probabilities for neither."""
    scored = run(tmp_path / "a", held_out=answers([0.9, 0.2], "PN"))
    parsed = run(tmp_path / "b", held_out=answers([1.0, 1.0], "PN", source="parse"))
    assert set(compare.compare(scored, parsed).differences) == {"accuracy", "macro_f1"}


def test_settings_that_differ_are_named(tmp_path: Path) -> None:
    """By their dotted names; one that only one run knows has a dash in the other."""
    first = run(tmp_path / "a", settings={"train": {"epochs": 2.0, "schedule": "linear"}})
    second = run(tmp_path / "b", settings={"train": {"epochs": 3.0, "schedule": "linear", "until": 5}})
    assert compare.settings_that_differ(first, second) == [
        ("train.epochs", "2.0", "3.0"),
        ("train.until", "–", "5"),
    ]
    assert compare.settings_that_differ(first, first) == []


def _shown(
    first: Results, second: Results, text_by_id: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> str:
    compared = compare.compare(first, second)
    compare.show(first, second, compared, Beside(text_by_id=text_by_id))
    return capsys.readouterr().out


def test_runs_that_share_no_rows_get_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Their own figures are still side by side."""
    first = run(tmp_path / "a", held_out=answers([0.9], "P"), judged={"rows": 1, "accuracy": 1.0})
    second = run(tmp_path / "b", held_out=answers([0.9], "P", start=7))
    third = run(tmp_path / "c")
    shown = _shown(first, second, {}, capsys)
    assert "the runs share no held-out rows, so their figures are not of the same rows\n" in shown
    assert "the settings are the same\n" in shown
    assert "the runs answered no test row in common\n" in shown
    assert "1.000" in shown
    assert "c kept no held-out rows (oof.csv), so nothing can be paired\n" in _shown(first, third, {}, capsys)


def test_a_hostile_sentence_draws_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Markup, terminal codes, line breaks and turned text arrive as plain words on one line."""
    first = run(tmp_path / "a", held_out=answers([0.9], "P"))
    second = run(tmp_path / "b", held_out=answers([0.1], "P"))
    shown = _shown(first, second, {"r0": "[red]so\x1b[31m\n bad\u202e[/]"}, capsys)
    line = next(line for line in shown.splitlines() if "r0" in line)
    assert "[red]so [31m bad [/]" in line
    assert "\x1b" not in shown
    assert "\u202e" not in shown


def test_many_changed_rows_are_cut(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All are counted, the first twenty are shown."""
    first = run(tmp_path / "a", held_out=answers([0.9] * 25, "P" * 25))
    second = run(tmp_path / "b", held_out=answers([0.1] * 25, "P" * 25))
    shown = _shown(first, second, {}, capsys)
    assert "25 of 25 held-out rows have another label in b" in shown
    assert "the first 20 of 25" in shown
    assert "r19" in shown
    assert "r20" not in shown


def script(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_the_script_shows_baselines_and_sentences(tmp_path: Path) -> None:
    """Where the competition's files are at hand; the runs are named by their folders."""
    first = made_run.make(tmp_path / "s" / "v1", SAMPLE)
    second = made_run.make(tmp_path / "s" / "v2", SAMPLE, seed=5)
    done = script(first, second)
    assert (done.returncode, done.stderr) == (0, "")
    assert "character n-grams" in done.stdout
    assert "majority class" in done.stdout
    assert f"on the {len(results.read(first).oof)} rows that both held out" in done.stdout
    assert " held-out rows have another label in b" in done.stdout


@pytest.mark.parametrize("named", [[], ["one"], ["one", "two", "three"]])
def test_two_runs_are_compared(named: list[str]) -> None:
    """Another number is refused in one line with an example."""
    done = script(*named)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f'error: two runs are compared, {len(named)} are named (try: make compare RUNS="v1 v2")\n'
    )


def test_a_run_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    """So is one whose figures are missing."""
    done = script(tmp_path / "none", tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("error: no run ")
    folder = write(tmp_path / "a", held_out=[Answer("x", 0.5, "Positive")])
    (folder / "metrics.json").unlink()
    done = script(folder, folder)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert "metrics.json is missing" in done.stderr
