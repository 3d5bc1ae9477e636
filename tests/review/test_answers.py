"""Probabilities and rankings are held to range, sum, count and set; shares of labels to training's."""

from __future__ import annotations

import random

import pytest
from scipy.stats import fisher_exact

from kit.review.checks.answers import FAR, chance
from kit.review.checks.facts import Facts
from kit.review.checks.validate import check
from kit.task.submission import Columns

PROBABILITY = Facts(Columns("id", "y"), ("0", "1"), ("p", "q"), kind="probability")
EACH = Facts(Columns("id", "y", probabilities=("b", "a")), ("a", "b"), ("p", "q"), kind="probabilities")
RANKING = Facts(Columns("id", "y"), ("a", "b", "c"), ("p", "q"), kind="ranking", places=2)


@pytest.mark.parametrize(
    ("facts", "text", "codes"),
    [
        (PROBABILITY, "id,y\np,0.2\nq,1\n", set()),
        (PROBABILITY, "id,y\np,0.2\nq,1.2\n", {"value_range"}),
        (PROBABILITY, "id,y\np,0.2\nq,nan\n", {"value_range"}),
        (PROBABILITY, "id,y\np,0.2\nq,yes\n", {"value_number"}),
        (PROBABILITY, "id,y\np,0.2\nq,0_1\n", {"value_number"}),
        (PROBABILITY, "id,y\np,0.2\nq,\u0e51\n", {"value_number"}),
        (PROBABILITY, "id,y\np,0.2\nq,\n", {"value_count"}),
        (PROBABILITY, "id,y\np,0.2\nr,0.7\n", {"id_missing", "id_unknown"}),
        (EACH, "id,b,a\np,0.2,0.8\nq,1.0,0\n", set()),
        (EACH, "id,b,a\np,0.5,0.5\nq,1.0,0\n", set()),
        (EACH, "id,b,a\np,0.2,0.8\nq,0.6,0.6\n", {"value_sum"}),
        (EACH, "id,b,a\np,0.2,0.8\nq,0.2 0.8,\n", {"value_count"}),
        (EACH, "id,b,a\np,0.2,0.8\nq,0.6\n", {"ragged_row"}),
        (EACH, "id,b,c\np,0.2,0.8\nq,0.6,0.4\n", {"header"}),
        (EACH, "id,b,a\np,0.2,0.8\n", {"row_count", "id_missing"}),
        (RANKING, "id,y\np,a\nq,b a\n", set()),
        (RANKING, "id,y\np,a\nq,b a c\n", {"value_count"}),
        (RANKING, "id,y\np,a\nq,b d\n", {"value_label"}),
        (RANKING, "id,y\np,a\nq,b b\n", {"value_twice"}),
    ],
)
def test_each_row_gives_what_is_asked(facts: Facts, text: str, codes: set[str]) -> None:
    """Its place is named; what else is wrong is found as with labels."""
    verdict, table = check(text.encode(), facts)
    found = {problem.code for problem in verdict.problems} - {"constant_label"}
    assert found == codes
    if not codes:
        assert table is not None
        assert set(table.labels) == set(facts.labels[:2])
    elif len(codes) == 1 and "value" in codes.pop()[:5]:
        assert verdict.errors[0].message.startswith("line 3: ")


def test_shares_are_told_apart_as_by_fishers_exact_test() -> None:
    """Of two thousand tables, ninety-nine in a hundred; a million rows are no trouble."""
    draw = random.Random(3)
    tables = [
        (draw.randint(0, rows), rows, draw.randint(0, other), other)
        for rows, other in ((draw.randint(1, 90), draw.randint(1, 900)) for _ in range(2000))
    ]
    exact = [fisher_exact([[a, n - a], [b, m - b]]).pvalue < FAR for a, n, b, m in tables]
    same = sum((chance(*table) < FAR) == far for table, far in zip(tables, exact, strict=True))
    assert same > 0.98 * len(tables)
    assert min(sum(exact), len(exact) - sum(exact)) > 300
    assert chance(600_000, 1_000_000, 500_000, 1_000_000) == 0.0
    assert chance(500_000, 1_000_000, 500_000, 1_000_000) == 1.0
