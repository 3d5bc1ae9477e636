"""Tell what a training will be before it runs: tokens and number of its steps, its warm-up, and its minutes.

Plain arithmetic on rows and tokens, for the kernel, which counts tokens, and for home, which estimates them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from kit.config import Config

TILE = 128
"""A bin that is chosen is a multiple of this; matrix kernels work in such tiles."""
BIN = 2048
"""Length of a chosen bin where memory allows, and the measure of gradient_accumulation."""
MOST_BINS = 4
"""Bins of 2,048, or rows where they are not packed, that a step has at most where the kit chooses."""
ENOUGH_STEPS = 100
"""Optimizer steps that a fine-tuning should have; fewer leave the learning rate's schedule no room."""
WARMUP = 0.1
"""Most of the steps that may pass until the peak learning rate."""

T4_FLOPS = 13.5e12
"""What a T4 gives in fp16, measured on the reference's own run."""
LLAMA_8B = 32 * 4096**2
"""Layers x width² of the model that the costs below were counted for."""
TRAIN_FLOP, SCORE_FLOP = 30.3e9, 13.96e9
"""A token's cost in training without checkpointing, and in scoring."""
TWO_CARDS = 1.6
"""What two cards gain on one member, measured."""
BEGIN_SECONDS = 170
"""Install, download, import, load and the first passes, which compile."""


@dataclass(frozen=True)
class Effort:
    """What one member's training comes to, and how long the whole run takes on two T4."""

    rows: int
    bins: int
    steps: int
    warmup_steps: int
    tokens: int
    """Over all epochs."""
    minutes: float

    def __str__(self) -> str:
        return (
            f"{self.rows:,} rows in {self.bins:,} bins, {self.steps:,} steps ({self.warmup_steps} of them "
            f"warm-up), {self.tokens / 1e6:.2f} M tokens a member; about {self.minutes:.0f} min on two T4"
        )


def shortest_bin(longest_row: int) -> int:
    """Return the fewest tiles, in tokens, that hold the longest row."""
    return max(1, -(-longest_row // TILE)) * TILE


def step_size(config: Config, rows: int, tokens: int) -> int:
    """Return the tokens of one optimizer step, or its rows where they are not packed.

    What the settings say; where gradient_accumulation is 0 as many as leave 100 steps, up to a limit.
    """
    train = config.train
    unit = (train.pack_tokens or BIN) if train.packing else 1
    if train.gradient_accumulation:
        return unit * train.batch_size * train.gradient_accumulation
    wanted = int((tokens if train.packing else rows) * train.epochs / ENOUGH_STEPS)
    least = train.batch_size * (train.pack_tokens or TILE if train.packing else 1)
    return max(least, min(wanted, (BIN if train.packing else 1) * MOST_BINS))


def warmup_steps(config: Config, steps: int) -> int:
    """Return the steps until the peak learning rate: the setting, at most a tenth of all."""
    return min(config.train.warmup_steps, int(steps * WARMUP))


def plan(config: Config, tokens_by_row: Sequence[int], test_tokens: int, longest: int = 0) -> Effort:
    """Return what training one member on these rows comes to; `longest` is a row's most tokens."""
    train, rows, tokens = config.train, len(tokens_by_row), sum(tokens_by_row)
    step = step_size(config, rows, tokens)
    shortest = shortest_bin(longest or max(tokens_by_row, default=1))
    bins = train.pack_tokens or max(shortest, min(BIN, step) // TILE * TILE)
    count = math.ceil(tokens / bins) if train.packing else rows
    passes = max(1, round(step / (bins if train.packing else 1)))
    epochs = train.max_steps * passes / max(1, count) if train.max_steps else train.epochs
    steps = train.max_steps or math.ceil(train.epochs * math.ceil(count / passes))
    folds = config.evaluate.folds if config.evaluate.mode == "folds" else 1
    members = config.run.members * folds * max(1, len(config.run.grid))
    gain = TWO_CARDS if members == 1 and config.run.one_member_on_all_cards else 1.0
    scale = config.model.layers * config.model.width**2 / LLAMA_8B or 1.0
    seconds = math.ceil(members / 2) * scale / gain / T4_FLOPS
    work = tokens * epochs * TRAIN_FLOP + test_tokens * (1 + len(config.predict.templates)) * SCORE_FLOP
    minutes = (BEGIN_SECONDS + seconds * work) / 60
    return Effort(rows, count, steps, warmup_steps(config, steps), int(tokens * epochs), minutes)


def estimate_tokens(text: str) -> int:
    """Return about how many tokens Llama 3 makes of a sentence and its prompt, without its vocabulary.

    Measured on reviews: a Latin letter is a quarter of a token, one of Devanagari or Arabic 0.65, one of the
    scripts from Bengali to Malayalam 1.5, any other about one; the prompt and the answer are 28.
    """
    total = 28.0
    for letter in text:
        place = ord(letter)
        if place < 0x250:
            total += 0.25
        elif 0x600 <= place < 0x980:
            total += 0.65
        else:
            total += 1.5 if place < 0xE00 and place >= 0x980 else 1.0
    return round(total)
