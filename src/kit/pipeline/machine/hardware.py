"""Ask the machine once which cards it has, and choose the number format with its reason.

Uses nvidia-smi, so that the process that only starts others never loads torch or opens a CUDA context.
"""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass

from kit.accelerators import ACCELERATORS, DEFAULT
from kit.errors import HardwareUnfit


@dataclass(frozen=True)
class Card:
    """One GPU: memory in bytes, CUDA compute capability as (major, minor)."""

    name: str
    memory: int
    capability: tuple[int, int]


@dataclass(frozen=True)
class Precision:
    """The number format of activations, by its torch name, and why."""

    dtype: str
    reason: str


def cards() -> tuple[Card, ...]:
    """Return the GPUs that the driver shows, in the order of CUDA's PCI numbering."""
    if shutil.which("nvidia-smi") is None:
        return ()
    query = ["nvidia-smi", "--query-gpu=name,memory.total,compute_cap", "--format=csv,noheader,nounits"]
    answer = subprocess.run(query, capture_output=True, text=True, timeout=60, check=False)
    if answer.returncode != 0:
        return ()
    found = []
    for line in answer.stdout.strip().splitlines():
        name, mebibytes, capability = (part.strip() for part in line.split(","))
        major, minor = capability.split(".")
        found.append(Card(name, int(mebibytes) * 2**20, (int(major), int(minor))))
    return tuple(found)


def choose(found: tuple[Card, ...], wanted: int, accelerator: str = DEFAULT) -> tuple[Card, ...]:
    """Return the cards to use: `wanted` of them, or with 0 the first one if there is any.

    Raises HardwareUnfit where cards are missing, smaller than the accelerator's, or too old for torch (sm_60
    was dropped; docker-python 1546).
    """
    if len(found) < wanted:
        names = ", ".join(card.name for card in found) or "none"
        raise HardwareUnfit(
            f"this preset needs {wanted} GPU(s), the machine has {names}",
            hint="kernel.accelerator=NvidiaTeslaT4, or SET=run.cards=1",
        )
    used = found[: wanted or 1]
    for card in used:
        if wanted and card.memory < ACCELERATORS[accelerator].memory_gib * 2**30:
            raise HardwareUnfit(
                f"{accelerator} was asked for, and {card.name} came, with {card.memory / 2**30:.0f} GiB",
                hint="another push, or kernel.accelerator=NvidiaTeslaT4",
            )
        if card.capability < (7, 0):
            capability = "{}.{}".format(*card.capability)
            raise HardwareUnfit(
                f"{card.name} is compute capability {capability}, which current torch no longer supports",
                hint="kernel.accelerator=NvidiaTeslaT4",
            )
    return used


def precision(used: tuple[Card, ...], wanted: str = "auto") -> Precision:
    """Return the number format for these cards; bfloat16 needs compute capability 8."""
    if wanted != "auto":
        return Precision(wanted, "set by model.dtype")
    if not used:
        return Precision("float32", "no GPU: float32 is the fastest format of a CPU here")
    weakest = min(used, key=lambda card: card.capability)
    if weakest.capability >= (8, 0):
        return Precision("bfloat16", f"{weakest.name} has bfloat16 units")
    return Precision("float16", f"{weakest.name} has no bfloat16 units")
