"""The machines that Kaggle lends, by its API's names; for any other name it gives another in silence."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Accelerator:
    """Its cards, the memory in GiB that each must show, and what else is known of getting it."""

    cards: int
    memory_gib: float
    note: str = ""


_LENT = "lent where its competition is attached"
ACCELERATORS = {
    "none": Accelerator(0, 0.0, "the CPU"),
    "NvidiaTeslaT4": Accelerator(2, 14.0),
    "NvidiaL4": Accelerator(4, 21.0, _LENT),
    "NvidiaL4X1": Accelerator(1, 21.0, _LENT),
    "NvidiaRtxPro6000": Accelerator(1, 90.0, _LENT),
    "NvidiaH100": Accelerator(1, 75.0, "nobody was seen to get one"),
    "NvidiaTeslaA100": Accelerator(1, 36.0, "nobody was seen to get one"),
}
DEFAULT = "NvidiaTeslaT4"
