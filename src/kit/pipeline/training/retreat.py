"""Choose how one optimizer step is laid out in memory, and the next smaller layout where that does not fit.

Every layout of a run teaches the same tokens a step, up to rounding. Knows nothing of models or trainers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from kit.config import Config

TILE = 128
"""A bin that is chosen is a multiple of this; matrix kernels work in such tiles."""
BIN = 2048
"""Length of a bin with checkpointing, and the measure of gradient_accumulation where the bin is chosen."""


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


def first(config: Config, longest_row: int) -> Layout:
    """Return the layout to begin with: the settings, and the fastest choice where they leave one.

    `longest_row` is the most tokens of a training row; no bin is shorter.
    """
    settings = config.train
    checkpointing = settings.gradient_checkpointing is True
    bins = settings.pack_tokens or max(BIN if checkpointing else 0, _shortest_bin(longest_row))
    return _layout(config, bins, settings.batch_size, checkpointing)


def smaller(layout: Layout, config: Config, longest_row: int) -> Layout | None:
    """Return the next layout that needs less memory at once, or None where there is none."""
    bins, rows, checkpointing = layout.pack_tokens, layout.batch_size, layout.gradient_checkpointing
    shortest = min(bins, _shortest_bin(longest_row))
    if config.train.gradient_checkpointing == "auto" and not checkpointing:
        return replace(layout, gradient_checkpointing=True)
    if bins > shortest:
        return _layout(config, max(shortest, bins // 2), rows, checkpointing)
    if rows > 1:
        return _layout(config, bins, rows // 2, checkpointing)
    return None


def _shortest_bin(longest_row: int) -> int:
    return max(1, -(-longest_row // TILE)) * TILE


def _layout(config: Config, pack_tokens: int, batch_size: int, checkpointing: bool) -> Layout:
    """Return the layout whose steps come nearest to the tokens that the settings give a step."""
    settings = config.train
    whole = settings.batch_size * settings.gradient_accumulation
    if not settings.packing:
        return Layout(0, batch_size, max(1, round(whole / batch_size)), checkpointing)
    tokens = (settings.pack_tokens or BIN) * whole
    return Layout(pack_tokens, batch_size, max(1, round(tokens / (pack_tokens * batch_size))), checkpointing)
