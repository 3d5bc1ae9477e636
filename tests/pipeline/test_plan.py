"""Which members a run has, and when an earlier run's members are the same ones."""

from __future__ import annotations

import pytest
from pandas import DataFrame

from kit import config as settings
from kit.errors import InputInvalid
from kit.pipeline import plan


def _train(count: int = 40) -> DataFrame:
    return DataFrame(
        {
            "id": [str(number) for number in range(count)],
            "text": [f"sentence {number}" for number in range(count)],
            "label": ["Positive" if number % 2 else "Negative" for number in range(count)],
        }
    )


def test_every_seed_holds_out_the_same_rows() -> None:
    """Only then is the average of the seeds judged on rows that none of them has seen."""
    members = plan.members(settings.resolve("tiny", ["run.members=3"]), _train())
    assert [member.name for member in members] == ["seed-42", "seed-43", "seed-44"]
    assert len({tuple(member.held_out) for member in members}) == 1
    assert all(not set(member.fit) & set(member.held_out) for member in members)
    assert all(len(member.fit) + len(member.held_out) == 40 for member in members)


@pytest.mark.parametrize("mode", ["holdout", "folds"])
def test_runs_of_other_seeds_hold_out_the_same_rows(mode: str) -> None:
    """The split has a seed of its own, so that compare and blend find shared rows; that seed changes them."""

    def held_out(*settings_given: str) -> list[list[str]]:
        config = settings.resolve("tiny", [f"evaluate.mode={mode}", *settings_given])
        return [member.held_out for member in plan.members(config, _train())]

    assert held_out("seed=7") == held_out("seed=8") != held_out("evaluate.seed=7")


def test_folds_hold_out_every_row_once_for_each_seed() -> None:
    """Two seeds of four folds are eight members."""
    members = plan.members(
        settings.resolve("tiny", ["evaluate.mode=folds", "evaluate.folds=4", "run.members=2"]), _train()
    )
    assert len(members) == 8
    for seed in (42, 43):
        judged = [key for member in members if member.seed == seed for key in member.held_out]
        assert sorted(judged) == sorted(plan.keys(_train(), "train"))
    assert all(not set(member.fit) & set(member.held_out) for member in members)


def test_points_of_a_sweep_hold_out_the_same_rows_whatever_their_seed() -> None:
    """Otherwise their figures would not be of the same question."""
    config = settings.resolve("tiny", ['run.grid=["seed=1 train.epochs=1", "seed=2 train.epochs=1"]'])
    members = plan.members(config, _train())
    assert [member.name for member in members] == ["point-0-seed-1", "point-1-seed-2"]
    assert members[0].held_out == members[1].held_out
    assert plan.settings_of(config, members[1]).train.epochs == 1


def test_a_member_that_would_never_see_a_label_is_refused() -> None:
    """It would answer everything with the other one."""
    member = plan.Member("seed-1", 1, None, None, "", [f"train/{number}" for number in range(0, 40, 2)], [])
    with pytest.raises(InputInvalid, match="no row labelled"):
        plan.refuse_missing_labels([member], _train(), ("Positive", "Negative"))


@pytest.mark.parametrize(
    ("names", "slots", "dealt"),
    [
        ("ab", 2, [["a"], ["b"]]),
        ("abc", 2, [["a", "c"], ["b"]]),
        ("a", 2, [["a"]]),
        ("ab", 1, [["a", "b"]]),
    ],
)
def test_members_are_dealt_out_in_turn(names: str, slots: int, dealt: list[list[str]]) -> None:
    """No slot is left empty: a single member uses one."""
    assert plan.deal(list(names), slots) == dealt
