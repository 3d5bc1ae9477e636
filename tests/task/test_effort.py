"""What a training will be, told from rows and tokens alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit import config as settings
from kit.task import effort

MEAN_TOKENS, LONGEST = 205, 1081


@pytest.mark.parametrize(
    ("rows", "steps", "warmup"),
    [(60, 33, 3), (240, 105, 5), (900, 138, 5), (1000, 102, 5), (100_000, 7509, 5)],
)
def test_steps_follow_the_rows(rows: int, steps: int, warmup: int) -> None:
    """About 100 where the epochs allow, at most 8,192 tokens each, at most a tenth of them warm-up."""
    planned = effort.plan(settings.resolve("t4x2"), rows, rows * MEAN_TOKENS, LONGEST, 0)
    assert (planned.steps, planned.warmup_steps, planned.rows) == (steps, warmup, rows)
    assert planned.tokens == 3 * rows * MEAN_TOKENS


def test_a_known_run_takes_about_its_time() -> None:
    """900 rows, three epochs and two seeds were projected to 1,400 s; one member on both cards to less."""
    tokens = 900 * MEAN_TOKENS
    config = settings.resolve("t4x2")
    assert 22 < effort.plan(config, 900, tokens, LONGEST, 40_000).minutes < 28
    alone = effort.plan(settings.resolve("t4x2", ["run.members=1"]), 900, tokens, LONGEST, 40_000)
    assert 14 < alone.minutes < 19
    assert "900 rows in 9" in str(effort.plan(config, 900, tokens, LONGEST, 0))


def test_what_the_settings_say_is_taken() -> None:
    """A number of steps, of bins a step and their length; without packing rows are counted."""
    reference = effort.plan(settings.resolve("reference"), 1000, 1000 * MEAN_TOKENS, LONGEST, 0)
    assert (reference.steps, reference.warmup_steps) == (70, 5)
    assert reference.tokens == pytest.approx(1_147_000, rel=0.05)
    unpacked = settings.resolve("t4x2", ["train.packing=false", "train.gradient_accumulation=4"])
    assert effort.plan(unpacked, 400, 400 * MEAN_TOKENS, LONGEST, 0).steps == 300


@given(
    rows=st.integers(2, 200_000),
    mean=st.integers(20, 900),
    epochs=st.sampled_from([0.5, 1.0, 3.0]),
    packing=st.booleans(),
)
def test_a_plan_is_possible_whatever_the_data(rows: int, mean: int, epochs: float, packing: bool) -> None:
    """At least one step; where it has fewer than 50, a step is as small as the longest row allows."""
    config = settings.resolve("t4x2", [f"train.epochs={epochs}", f"train.packing={str(packing).lower()}"])
    planned = effort.plan(config, rows, rows * mean, mean + 200, rows)
    assert planned.steps >= 1
    assert planned.warmup_steps <= planned.steps / 10
    assert planned.minutes > 0
    size = effort.step_size(config, rows, rows * mean)
    assert planned.steps >= 50 or size <= effort.shortest_bin(mean + 200)


@pytest.mark.parametrize(
    ("text", "known"),
    [
        ("The battery died after two weeks and nobody answered my letters, so I sent it back.", 18),
        ("La batterie est morte après deux semaines et personne n'a répondu à mes lettres.", 22),
        ("Батарея умерла через две недели, и никто не ответил на мои письма.", 20),
        ("यह फोन बहुत अच्छा है और बैटरी लंबे समय तक चलती है, मैं सबको सलाह दूँगा", 35),
        ("এই ফোনটি খুব ভালো এবং ব্যাটারি অনেকক্ষণ চলে, আমি সবাইকে সুপারিশ করব", 86),
        ("ഈ ഫോൺ വളരെ നല്ലതാണ്, ബാറ്ററി ഏറെ നേരം നിലനിൽക്കും, എല്ലാവർക്കും ശുപാർശ ചെയ്യുന്നു", 135),
        ("这款手机非常好，电池续航时间很长，我推荐给大家", 17),
    ],
)
def test_tokens_are_estimated_by_script(text: str, known: int) -> None:
    """Within a third of what the vocabulary of Llama 3 makes of the sentence."""
    assert effort.estimate_tokens(text) - 28 == pytest.approx(known, rel=1 / 3)
