"""Which cards are used, and in which number format."""

from __future__ import annotations

import pytest

from kit.errors import HardwareUnfit
from kit.pipeline.machine import hardware
from kit.pipeline.machine.hardware import Card

T4 = Card("Tesla T4", 15_636_037_632, (7, 5))
P100 = Card("Tesla P100-PCIE-16GB", 17_000_000_000, (6, 0))
H100 = Card("NVIDIA H100 80GB HBM3", 85_000_000_000, (9, 0))


@pytest.mark.parametrize(
    ("found", "wanted", "used"),
    [((T4, T4), 2, (T4, T4)), ((T4, T4), 1, (T4,)), ((T4,), 0, (T4,)), ((), 0, ())],
)
def test_as_many_cards_as_wanted_are_used(
    found: tuple[Card, ...], wanted: int, used: tuple[Card, ...]
) -> None:
    """With 0 wanted the first card is used where there is one, and the CPU where there is none."""
    assert hardware.choose(found, wanted) == used


@pytest.mark.parametrize(
    ("found", "wanted", "says"), [((T4,), 2, "has Tesla T4"), ((), 1, "has none"), ((P100,), 1, "6.0")]
)
def test_a_missing_or_retired_card_ends_the_run_with_the_reason(
    found: tuple[Card, ...], wanted: int, says: str
) -> None:
    """The message names what the machine has, so that a wrong accelerator is seen at once."""
    with pytest.raises(HardwareUnfit, match=says):
        hardware.choose(found, wanted)


def test_a_smaller_card_than_was_asked_for_ends_the_run() -> None:
    """Kaggle gives another machine in silence."""
    with pytest.raises(HardwareUnfit, match="NvidiaH100 was asked for, and Tesla T4 came"):
        hardware.choose((T4, T4), 1, "NvidiaH100")
    assert hardware.choose((H100,), 1, "NvidiaTeslaA100") == (H100,)


@pytest.mark.parametrize(
    ("used", "wanted", "dtype"),
    [((T4, T4), "auto", "float16"), ((H100,), "auto", "bfloat16"), ((H100, T4), "auto", "float16"),
     ((), "auto", "float32"), ((H100,), "float16", "float16")],
)  # fmt: skip
def test_the_number_format_suits_the_weakest_card(used: tuple[Card, ...], wanted: str, dtype: str) -> None:
    """A T4 has no bfloat16 units; the setting wins over the choice."""
    chosen = hardware.precision(used, wanted)
    assert chosen.dtype == dtype
    assert chosen.reason
