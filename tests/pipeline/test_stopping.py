"""When training has to stop, told from measured seconds alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.pipeline.training import oversee

SECONDS = st.floats(0.01, 1e4)


@pytest.mark.parametrize(
    ("durations", "expected"),
    [
        ([], 0.0),
        ([300.0], 0.0),
        ([300.0, 5.0], 5.0),
        ([300.0, 60.0, 5.0], 5.0),
        ([300.0, 60.0, 5.0, 5.2, 4.8, 5.0], 5.0),
        ([300.0] + [5.0] * 20 + [90.0], 5.0),
        ([300.0] + [5.0] * 20 + [8.0] * 9, 8.0),
    ],
)
def test_a_step_takes_what_recent_steps_took(durations: list[float], expected: float) -> None:
    """Neither the compiling first steps nor one that wrote a checkpoint count; a lasting change does."""
    assert oversee.step_seconds(durations) == pytest.approx(expected)


def test_compiling_for_minutes_does_not_end_a_training_that_has_time() -> None:
    """After a first step of two minutes, one minute still holds many steps."""
    assert not oversee.must_stop(now=1000.0, until=1060.0, durations=[120.0])
    assert not oversee.must_stop(now=1000.0, until=1060.0, durations=[120.0, 4.0])


@pytest.mark.parametrize(("until", "stops"), [(999.0, True), (1000.0, True), (1004.9, True), (1005.0, False)])
def test_training_stops_where_the_next_step_would_end_too_late(until: float, stops: bool) -> None:
    """A step of five seconds at second 1,000 ends at 1,005, which is in time."""
    assert oversee.must_stop(1000.0, until, [30.0, 5.0, 5.0, 5.0, 5.0, 5.0]) is stops


@given(step=SECONDS, until=SECONDS, first=SECONDS)
def test_training_at_an_even_pace_ends_in_time(step: float, until: float, first: float) -> None:
    """Only the second step may be one too many, since nothing is known before it."""
    now, durations = first, [first]
    while not oversee.must_stop(now, until, durations) and len(durations) < 500:
        now += step
        durations.append(step)
    if len(durations) > 2:
        assert now <= until * (1 + 1e-9)
    if len(durations) < 500:
        assert now + step > until or now >= until
