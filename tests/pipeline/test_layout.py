"""How a step is laid out in memory at first, and what is smaller."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit import config as settings
from kit.config import Config
from kit.pipeline.loading import CARD_OVERHEAD_BYTES
from kit.pipeline.training import layout as layouts
from kit.pipeline.training.layout import Bounds, Layout
from kit.task import effort

PLENTY = 10**12
SHAPE = ("model.layers=32", "model.width=4096")
FOUR = "train.gradient_accumulation=4"


def _bounds(config: Config, longest: int, free: int = 0, rows: int = 4000) -> Bounds:
    return Bounds(effort.step_size(config, rows, 200 * rows), longest, free)


def _first(longest: int, *overrides: str, free: int = 0) -> Layout:
    config = settings.resolve("t4x2", [*SHAPE, *overrides])
    return layouts.first(config, _bounds(config, longest, free))


def _chain(longest: int, *overrides: str, free: int = 0) -> list[Layout]:
    config = settings.resolve("t4x2", [*SHAPE, *overrides])
    bounds = _bounds(config, longest, free)
    chain = [layouts.first(config, bounds)]
    while (smaller := layouts.smaller(chain[-1], config, bounds)) is not None:
        chain.append(smaller)
    return chain


@pytest.mark.parametrize(
    ("longest", "expected"), [(1081, 1152), (1152, 1152), (1153, 1280), (300, 384), (2048, 2048)]
)
def test_where_memory_is_unknown_a_bin_just_holds_the_longest_row(longest: int, expected: int) -> None:
    """The smallest multiple of 128, since memory grows with the bin."""
    layout = _first(longest)
    assert (layout.pack_tokens, layout.gradient_checkpointing) == (expected, False)


def test_a_t4_begins_with_the_longest_bin_that_should_fit() -> None:
    """2,048 tokens of an 8B model took 13.7 of the 14.5 GiB; a card with less begins with less."""
    free = 15 * 2**30 - 5_702_000_000 - CARD_OVERHEAD_BYTES
    assert _first(1081, free=free) == Layout(2048, 1, 4, False)
    assert _first(1081, free=free - 2**30) == Layout(1792, 1, 5, False)
    assert _first(1081, free=1) == Layout(1152, 1, 7, False)


def test_long_bins_give_way_to_short_ones_before_checkpointing_does() -> None:
    """1,152 tokens without it cost less card time than 2,048 with it."""
    chain = _chain(1081, free=PLENTY)
    assert chain == [Layout(2048, 1, 4, False), Layout(1152, 1, 7, False), Layout(1152, 1, 7, True)]


def test_ranks_share_the_tokens_of_a_step() -> None:
    """Two cards make the updates of one, each with half of the passes."""
    config = settings.resolve("t4x2")
    assert layouts.first(config, Bounds(8192, 1081, PLENTY, ranks=2)) == Layout(2048, 1, 2, False)


def test_with_checkpointing_a_bin_has_2048_tokens_or_more_where_a_row_is_longer() -> None:
    """Nothing is gained by less, and a row that is cut loses its label."""
    on = "train.gradient_checkpointing=true"
    assert _first(1081, on) == Layout(2048, 1, 4, True)
    assert _first(3000, on, "model.max_row_tokens=4096").pack_tokens == 3072


def test_a_chosen_bin_keeps_the_tokens_of_a_step() -> None:
    """Four bins of 2,048 are seven of 1,152, within one bin; the learning rate still fits."""
    assert _first(1081) == Layout(1152, 1, 7, False)
    assert abs(1152 * 7 - 2048 * 4) < 1152


def test_settings_that_are_set_are_taken() -> None:
    """Bins, rows and checkpointing as the user says; without packing there are no bins."""
    assert _first(300, "train.pack_tokens=2048", "train.batch_size=2", FOUR) == Layout(2048, 2, 4, False)
    assert _first(300, "train.packing=false") == Layout(0, 1, 4, False)


def test_memory_is_given_up_in_order() -> None:
    """Checkpointing first, then shorter bins down to the longest row, then fewer of them."""
    assert _chain(400, "train.pack_tokens=2048", "train.batch_size=3", FOUR) == [
        Layout(2048, 3, 4, False),
        Layout(2048, 3, 4, True),
        Layout(1024, 3, 8, True),
        Layout(512, 3, 16, True),
        Layout(512, 1, 48, True),
    ]


def test_checkpointing_that_is_refused_stays_off() -> None:
    """False is the user's word; only bins and batches shrink."""
    chain = _chain(500, "train.pack_tokens=2048", "train.gradient_checkpointing=false")
    assert [layout.pack_tokens for layout in chain] == [2048, 1024, 512]
    assert not any(layout.gradient_checkpointing for layout in chain)


@given(
    longest=st.integers(1, 2048),
    pack=st.sampled_from([0, 2048, 2500, 4096]),
    batch=st.integers(1, 9),
    accumulation=st.integers(1, 16),
    packing=st.booleans(),
)
def test_every_retreat_is_smaller_and_keeps_rows_whole_and_the_step(
    longest: int, pack: int, batch: int, accumulation: int, packing: bool
) -> None:
    """Less at once each time, never a bin below the longest row, the tokens of a step within rounding."""
    chain = _chain(
        longest,
        f"train.pack_tokens={pack}",
        f"train.batch_size={batch}",
        f"train.gradient_accumulation={accumulation}",
        f"train.packing={str(packing).lower()}",
    )
    whole = (pack or effort.BIN) * batch * accumulation if packing else batch * accumulation
    for before, after in pairwise(chain):
        at_once = (before.pack_tokens or 1) * before.batch_size
        assert after.has_bins_of(before) or (after.pack_tokens or 1) * after.batch_size < at_once
    for layout in chain:
        part = (layout.pack_tokens or 1) * layout.batch_size
        assert layout.pack_tokens >= longest or not packing
        assert (
            abs(part * layout.gradient_accumulation - whole) <= part / 2 or layout.gradient_accumulation == 1
        )
    assert chain[-1].batch_size == 1
