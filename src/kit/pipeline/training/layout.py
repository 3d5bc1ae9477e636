"""Choose how one optimizer step is laid out in memory, and the next smaller layout where that does not fit.

Every layout of a run teaches the same tokens a step, up to rounding. Knows nothing of models or trainers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from kit.config import Config
from kit.task.effort import BIN, TILE, shortest_bin

BYTES_A_TOKEN = 30
"""What a token holds until its backward pass, for each layer and each number of its width.

Llama 3.1 8B reserved 13.7 GiB with bins of 2,048 and 10.4 with 1,152, both without checkpointing.
"""


@dataclass(frozen=True)
class Layout:
    """What goes through the model at once and how often before a step; pack_tokens 0 is one row a place."""

    pack_tokens: int
    batch_size: int
    gradient_accumulation: int
    gradient_checkpointing: bool

    def has_bins_of(self, other: Layout) -> bool:
        """Tell whether both go through the rows in the same order and portions."""
        return replace(self, gradient_checkpointing=other.gradient_checkpointing) == other

    def __str__(self) -> str:
        what = f"bins of {self.pack_tokens} tokens" if self.pack_tokens else "single rows"
        how = "with" if self.gradient_checkpointing else "without"
        return f"{what}, {self.batch_size} x {self.gradient_accumulation} a step, {how} checkpointing"


@dataclass(frozen=True)
class Bounds:
    """What a layout must obey: tokens (or rows, unpacked) of a step, of the longest row, and free memory."""

    step: int
    longest: int
    free_bytes: int = 0
    """Card memory beside the base model; 0 where nobody knows."""
    ranks: int = 1
    """Processes that share a step."""


def first(config: Config, bounds: Bounds) -> Layout:
    """Return the layout to begin with: the settings, and the fastest one that should fit where they leave it.

    Long bins are the faster ones; without checkpointing an estimate says how long they may be.
    """
    settings = config.train
    checkpointing = settings.gradient_checkpointing is True
    bins = settings.pack_tokens
    if not bins:
        shortest = shortest_bin(bounds.longest)
        bytes_a_token = BYTES_A_TOKEN * max(1, config.model.layers * config.model.width)
        room = BIN if checkpointing else bounds.free_bytes // bytes_a_token // settings.batch_size
        bins = max(shortest, min(BIN, room, bounds.step) // TILE * TILE)
    return _layout(config, bounds, bins, settings.batch_size, checkpointing)


def smaller(layout: Layout, config: Config, bounds: Bounds) -> Layout | None:
    """Return the next layout that needs less memory at once, or None where there is none."""
    bins, rows, checkpointing = layout.pack_tokens, layout.batch_size, layout.gradient_checkpointing
    shortest = min(bins, shortest_bin(bounds.longest))
    if config.train.gradient_checkpointing == "auto" and not checkpointing:
        if not config.train.pack_tokens and bins > shortest:
            return _layout(config, bounds, shortest, rows, checkpointing)
        return replace(layout, gradient_checkpointing=True)
    if bins > shortest:
        return _layout(config, bounds, max(shortest, bins // 2), rows, checkpointing)
    if rows > 1:
        return _layout(config, bounds, bins, rows // 2, checkpointing)
    return None


def _layout(config: Config, bounds: Bounds, bins: int, rows: int, checkpointing: bool) -> Layout:
    """Return the layout whose steps come nearest to the tokens, or unpacked the rows, that a step has."""
    bins = bins if config.train.packing else 0
    passes = max(1, round(bounds.step / ((bins or 1) * rows * bounds.ranks)))
    return Layout(bins, rows, passes, checkpointing)
