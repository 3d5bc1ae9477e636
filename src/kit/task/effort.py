"""Tell what a training will be before it runs: tokens and number of its steps, its warm-up, and its minutes.

Plain arithmetic on rows and tokens, for the kernel, which counts tokens, and for home, which estimates them.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from kit import files
from kit.config import PROJECT_ROOT, Config

TILE = 128  # a bin that is chosen is a multiple of this; matrix kernels work in such tiles
BIN = 2048  # length of a chosen bin where memory allows, and the measure of gradient_accumulation
MOST_BINS = 4
"""Bins of 2,048, or rows where they are not packed, that a step has at most where the kit chooses."""
ENOUGH_STEPS = 100
"""Optimizer steps that a fine-tuning should have; fewer leave the learning rate's schedule no room."""
WARMUP = 0.1  # most of the steps that may pass until the peak learning rate

T4_FLOPS = 13.5e12  # what a T4 gives in fp16, measured on the reference's own run
LLAMA_8B = 32 * 4096**2  # layers x width² of the model that the costs below were counted for
TRAIN_FLOP, SCORE_FLOP = 30.3e9, 13.96e9  # a token's cost in training without checkpointing, and in scoring
TWO_CARDS = 1.6  # what two cards gain on one member, measured
BEGIN_SECONDS = 170  # install, download, import, load and the first passes, which compile


@dataclass(frozen=True)
class Effort:
    """What one member's training comes to, and how long the whole run takes on two T4."""

    rows: int
    bins: int
    steps: int
    warmup_steps: int
    tokens: int  # over all epochs
    minutes: float
    told_by: str = ""
    """The run whose pace the minutes go by; without one they are a forecast from a T4's arithmetic."""

    def __str__(self) -> str:
        pace = f"at the pace of {self.told_by}" if self.told_by else "a forecast until a smoke run has passed"
        return (
            f"{self.rows:,} rows in {self.bins:,} bins, {self.steps:,} steps ({self.warmup_steps} of them "
            f"warm-up), {self.tokens / 1e6:.2f} M tokens a member; about {self.minutes:.0f} min on two T4, "
            + pace
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
    wanted = (wanted // BIN * BIN or wanted) if train.packing else wanted
    least = train.batch_size * (train.pack_tokens or TILE if train.packing else 1)
    return max(least, min(wanted, (BIN if train.packing else 1) * MOST_BINS))


def warmup_steps(config: Config, steps: int) -> int:
    """Return the steps until the peak learning rate: the setting, at most a tenth of all."""
    return min(config.train.warmup_steps, int(steps * WARMUP))


def pace(config: Config, tokens: int, seconds: float) -> float:
    """Return the arithmetic, in FLOPS, of a card that learned so many tokens in so many seconds."""
    return tokens * TRAIN_FLOP * _size(config) / max(seconds, 1.0)


def of_run(
    config: Config, train: Sequence[str], test: Sequence[str], flops: float = T4_FLOPS, told_by: str = ""
) -> Effort:
    """Return what a run comes to whose members learn from these sentences, by estimated tokens."""
    kept = {"none": 1.0, "holdout": 1 - config.evaluate.holdout, "folds": 1 - 1 / config.evaluate.folds}
    lengths = [estimate_tokens(text) for text in train]
    fit = lengths[: round(len(lengths) * kept[config.evaluate.mode])]
    asked = sum(map(estimate_tokens, test)) + sum(lengths) - sum(fit)
    return plan(config, len(fit), sum(fit), max(lengths, default=1), asked, flops, told_by)


def plan(
    config: Config, rows: int, tokens: int, longest: int, asked: int, flops: float = T4_FLOPS, by: str = ""
) -> Effort:
    """Return what learning from `rows` and answering `asked` tokens comes to, in bins of 2,048 at most."""
    train, step = config.train, step_size(config, rows, tokens)
    bins = train.pack_tokens or max(shortest_bin(longest), min(BIN, step) // TILE * TILE)
    bins = bins if train.packing else 1
    count = math.ceil(tokens / bins) if train.packing else rows
    passes = math.ceil(count / max(1, round(step / bins)))
    steps = train.max_steps or math.ceil(train.epochs * passes)
    learned = int(tokens * (steps / max(1, passes) if train.max_steps else train.epochs))
    parts = config.evaluate.folds if config.evaluate.mode == "folds" else 1
    members = config.run.members * parts * max(1, len(config.run.grid))
    turns = 1 / TWO_CARDS if members == 1 and config.run.one_member_on_all_cards else math.ceil(members / 2)
    scale = _size(config)
    work = learned * TRAIN_FLOP + asked * (1 + len(config.predict.templates)) * SCORE_FLOP
    minutes = (BEGIN_SECONDS + turns * scale * work / flops) / 60
    return Effort(rows, count, steps, warmup_steps(config, steps), learned, minutes, by)


def _size(config: Config) -> float:
    """Return the model's size beside Llama 3.1 8B's: by its shape, its folder at home, or its name."""
    told = files.read_json(PROJECT_ROOT / "models" / config.model.name / "config.json")
    layers = config.model.layers or told.get("num_hidden_layers", 0)
    width = config.model.width or told.get("hidden_size", 0)
    named = re.search(r"(\d+(?:\.\d+)?)([bm])\b", config.model.name, re.IGNORECASE)
    billions = float(named[1]) / (1 if named[2] in "bB" else 1000) if named else 8.0
    return layers * width**2 / LLAMA_8B or billions / 8


def estimate_tokens(text: str) -> int:
    """Return about how many tokens Llama 3 makes of a sentence with its prompt and answer, 28 of them.

    By its vocabulary on reviews a letter is 0.25 of a token up to Arabic, 0.6 in Arabic and Devanagari, 1.5
    from Bengali to Malayalam, and 0.75 elsewhere.
    """
    ends = ((0x600, 0.25), (0x980, 0.6), (0xE00, 1.5), (0x110000, 0.75))
    return round(28 + sum(next(cost for end, cost in ends if ord(letter) < end) for letter in text))
