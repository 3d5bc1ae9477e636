"""Probabilities and rankings are held to range, sum, count and set, and to the test's ids."""

from __future__ import annotations

import pytest

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
        (EACH, "id,b,a\np,0.2,0.8\nq,0.6,0.6\n", {"value_sum"}),
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
