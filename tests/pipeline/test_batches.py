"""Batches waste little on padding, keep to their budget and lose no row."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Mapping, Sequence

import length_profile
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.pipeline.answering import batches

WIDTHS = st.lists(st.integers(1, 300), min_size=1, max_size=80)


def _tokens(packed: Sequence[Sequence[int]], width_by_key: Mapping[int, int]) -> list[int]:
    return [max(width_by_key[key] for key in batch) * len(batch) for batch in packed]


def test_the_profile_is_the_published_one() -> None:
    """Median 150, mean 177, 95 % at 409, longest 1,055 tokens, and 26 of template."""
    sentences = [length - length_profile.TEMPLATE_TOKENS for length in length_profile.lengths(1000)]
    assert statistics.median(sentences) == pytest.approx(150, abs=1)
    assert statistics.mean(sentences) == pytest.approx(177, abs=2)
    assert statistics.quantiles(sentences, n=20)[-1] == pytest.approx(409, abs=5)
    assert max(sentences) == 1055


@pytest.mark.parametrize("rows", [108, 1000, batches.WINDOW_ROWS])
@pytest.mark.parametrize("most_tokens", [4096, 16384])
def test_padding_is_at_most_three_percent_on_the_reference_lengths(rows: int, most_tokens: int) -> None:
    """For a small test set, a large one and a whole window."""
    widths = dict(enumerate(length_profile.lengths(rows)))
    packed = batches.pack(widths, most_tokens)
    assert sum(_tokens(packed, widths)) <= 1.03 * sum(widths.values())
    # One row a batch would waste nothing, and be slow.
    assert len(packed) < rows / 3


@given(WIDTHS, st.integers(1, 2000), st.integers(0, 9))
def test_every_row_is_in_one_batch_within_the_budget(
    widths: list[int], most_tokens: int, most_rows: int
) -> None:
    """Only a row that is wider than the budget exceeds it, alone."""
    width_by_key = {7 * index: width for index, width in enumerate(widths)}
    packed = batches.pack(width_by_key, most_tokens, most_rows)
    assert sorted(itertools.chain(*packed)) == sorted(width_by_key)
    for batch, tokens in zip(packed, _tokens(packed, width_by_key), strict=True):
        assert len(batch) == 1 or tokens <= most_tokens
        assert not most_rows or len(batch) <= most_rows


@given(WIDTHS, st.integers(300, 2000))
def test_the_largest_batch_comes_first(widths: list[int], most_tokens: int) -> None:
    """What does not fit into memory shows at once; the same rows always give the same batches."""
    width_by_key = dict(enumerate(widths))
    packed = batches.pack(width_by_key, most_tokens)
    tokens = _tokens(packed, width_by_key)
    assert tokens == sorted(tokens, reverse=True)
    assert packed == batches.pack(dict(reversed(width_by_key.items())), most_tokens)


@given(st.lists(st.integers(1, 40), min_size=1, max_size=9), st.integers(40, 200), st.integers(1, 60))
def test_no_other_cut_costs_less(widths: list[int], most_tokens: int, price: int) -> None:
    """Against every way of cutting a few rows in sorted order."""
    falling = sorted(widths, reverse=True)

    def cost(ends: Sequence[int]) -> float:
        parts = [falling[start:end] for start, end in zip([0, *ends], ends, strict=False)]
        fits = all(part[0] * len(part) <= most_tokens for part in parts)
        return sum(part[0] * len(part) + price for part in parts) if fits else float("inf")

    every = range(1, len(falling))
    best = min(
        cost([*inner, len(falling)])
        for count in range(len(falling))
        for inner in itertools.combinations(every, count)
    )
    assert cost(batches._cut(falling, most_tokens, len(falling), price)) == best


def test_short_rows_share_a_batch_although_they_pad() -> None:
    """A batch of its own for each length would cost more than the padding."""
    widths = dict(enumerate([20, 22, 24, 26, 28] * 4))
    assert len(batches.pack(widths, 16384)) <= 3


@pytest.mark.parametrize(("rows", "sizes"), [(0, []), (5, [5]), (10, [10]), (23, [10, 10, 3])])
def test_windows_keep_the_order(rows: int, sizes: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """The last one is what is left."""
    monkeypatch.setattr(batches, "WINDOW_ROWS", 10)
    found = list(batches.windows(range(rows)))
    assert [len(window) for window in found] == sizes
    assert list(itertools.chain(*found)) == list(range(rows))
