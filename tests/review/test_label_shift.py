"""Fisher's test is exact, fast for a million rows, and asks in both directions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import fisher_exact

from kit.review.checks.labels import fisher


@given(st.integers(0, 60), st.integers(1, 60), st.integers(0, 90), st.integers(1, 90))
def test_agrees_with_scipy(hits: int, rows: int, other_hits: int, other_rows: int) -> None:
    """The p-value is scipy's for every small table."""
    hits, other_hits = min(hits, rows), min(other_hits, other_rows)
    table = [[hits, rows - hits], [other_hits, other_rows - other_hits]]
    assert fisher(hits, rows, other_hits, other_rows) == pytest.approx(fisher_exact(table).pvalue, abs=1e-9)


def test_a_million_rows_are_judged() -> None:
    """Large samples far apart give zero, and equal ones give one."""
    assert fisher(600_000, 1_000_000, 500_000, 1_000_000) == 0.0
    assert fisher(500_000, 1_000_000, 500_000, 1_000_000) == pytest.approx(1.0, abs=1e-3)
