"""Fine-tune an adapter on labelled rows with TRL's SFTTrainer, packed, the loss on the answer.

Goes on in a smaller layout where memory runs out, stops in time, and goes on from a checkpoint. Leaves
scoring, files of a run and the choice of rows to others.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from kit.config import Config
from kit.environment import ranks
from kit.pipeline import events, model, tokens
from kit.pipeline.answers import FailsAgain, Trained
from kit.pipeline.model import Loaded
from kit.pipeline.training import arguments, oversee
from kit.pipeline.training import checkpoint as checkpoints
from kit.pipeline.training import layout as layouts
from kit.pipeline.training.checkpoint import Keeper
from kit.pipeline.training.layout import Bounds, Layout
from kit.pipeline.training.oversee import Overseer
from kit.task import effort

if TYPE_CHECKING:
    from datasets import Dataset
    from trl import SFTTrainer

GIB = 2**30
HISTORY = ("step", "loss", "learning_rate")


@dataclass
class _Training:
    """One training, whatever its layout."""

    loaded: Loaded
    config: Config
    seed: int
    scratch: Path
    checkpoint: Path | None
    examples: list[dict[str, list[int]]]
    bounds: Bounds
    overseer: Overseer
    notes: list[str] = field(default_factory=list)

    def attempt(self, layout: Layout, place: Path | None) -> Trained:
        """Train in one layout, from the checkpoint at `place` or from the adapter as it is."""
        overseer, keeper = self.overseer, None
        if self.checkpoint:
            keeper = Keeper(self.checkpoint, overseer.member, layout, self.notes)
        trainer = self.prepared(layout, keeper)
        bins, started = len(trainer.train_dataset), time.monotonic()
        steps = arguments.steps(self.config, layout, bins, self.bounds.ranks)
        if overseer.is_late(trainer.args.device):
            overseer.stopped = oversee.TIME_LIMIT
        if place:
            trainer.state = trainer.state.load_from_json(str(place / "trainer_state.json"))
        if not overseer.stopped and trainer.state.global_step < steps:
            trainer.train(resume_from_checkpoint=str(place) if place else None)
            steps = trainer.state.max_steps
        elif place:
            model.load_adapter(self.loaded, place)
        self.loaded.tokenizer.padding_side = "left"  # the trainer leaves it on the right
        if keeper:
            keeper.close()
        if overseer.skipped:
            self.notes.append(f"fp16 skipped {overseer.skipped} steps, whose gradients overflowed")
        reached = trainer.state
        overseer.refuse_skipped(reached.global_step)
        return Trained(
            history=[
                {name: each[name] for name in HISTORY} for each in reached.log_history if "loss" in each
            ],
            seconds=round(time.monotonic() - started, 2),
            tokens=int(overseer.tokens * (reached.epoch or 0.0)),
            bins=bins,
            step=reached.global_step,
            steps=steps,
            skipped=overseer.skipped,
            stopped=overseer.stopped,
            notes=self.notes,
            layout=layout,
        )

    def prepared(self, layout: Layout, keeper: Keeper | None) -> SFTTrainer:
        """Return the trainer of one layout, with its callback, checked before its first step."""
        from datasets import Dataset

        loaded, config, overseer = self.loaded, self.config, self.overseer
        loaded.model.train()
        model.set_checkpointing(loaded, layout.gradient_checkpointing)
        dataset = Dataset.from_list(self.examples)
        trainer = _trainer(loaded, dataset, config, self.seed, self.scratch, layout, keeper)
        steps = arguments.steps(config, layout, len(trainer.train_dataset), self.bounds.ranks)
        trainer.args.warmup_steps = effort.warmup_steps(config, steps)
        overseer.skipped, overseer.in_a_row, overseer.ends = 0, 0, []
        trainer.add_callback(overseer.callback())
        if config.train.packing:
            _assert_packed(trainer)
            _assert_whole(trainer, overseer.tokens)
        model.settle_precision(loaded)
        if trainer.accelerator.scaler is not None:
            trainer.accelerator.scaler._init_scale = config.train.loss_scale_start
        return trainer

    def retreat(self, layout: Layout, said: str) -> Layout:
        """Return the next smaller layout and make the adapter and the memory as before the first step.

        Raises FailsAgain where there is none, with the settings that are left to the user.
        """
        held = f"{model.peak_memory(self.loaded) / GIB:.1f} GiB held"
        smaller = layouts.smaller(layout, self.config, self.bounds)
        if smaller is None:
            more = "" if layout.gradient_checkpointing else "train.gradient_checkpointing=true, "
            raise FailsAgain(
                f"training does not fit into memory in {layout}, {held}: {said}",
                hint=f"{more}a model.max_row_tokens below {self.bounds.longest}, or a lower lora.r",
            )
        self.notes.append(f"out of memory in {layout}, {held}; began anew in {smaller}")
        named = {"before": str(layout), "after": str(smaller)}
        events.emit("retreat", member=self.overseer.member, **named, reason=said)
        if self.checkpoint:
            checkpoints.clear(self.checkpoint)
        model.renew_adapter(self.loaded, self.seed)
        model.forget(self.loaded)
        return smaller


def train(
    loaded: Loaded,
    rows: Sequence[dict[str, str]],
    config: Config,
    *,
    seed: int,
    scratch: Path,
    name: str = "",
    until: float | None = None,
    checkpoint: Path | None = None,
) -> Trained:
    """Train the adapter of `loaded` on `rows`, each with `text` and `label`; events call it `name`.

    Training ends before `until`, a monotonic time. It goes on from the newest checkpoint in the folder
    `checkpoint` and leaves its own there; with such a folder SIGTERM ends it behind the step that is on.
    Raises FailsAgain where the loss stops being a number, where gradients overflow too often, and where no
    layout fits into memory; KitError where the checkpoint is damaged.
    """
    examples = tokens.teach(loaded.tokenizer, rows, config, seed)
    lengths = [len(example["input_ids"]) for example in examples]
    step = effort.step_size(config, len(rows), sum(lengths))
    bounds = Bounds(step, max(lengths), loaded.free_tokens, ranks())
    seconds = 60 * config.train.checkpoint_minutes if checkpoint else None
    overseer = Overseer(loaded, name or str(seed), sum(lengths), until, seconds)
    training = _Training(loaded, config, seed, scratch, checkpoint, examples, bounds, overseer)
    chosen = layouts.first(config, bounds)
    layout = loaded.fitted.get(chosen, chosen)
    if place := checkpoints.newest(checkpoint) if checkpoint else None:
        start = checkpoints.read(place)
        layout = start.layout
        training.notes.append(f"went on from step {start.step} of {start.steps}")
    elif config.train.packing and not config.train.pack_tokens:
        training.notes.append(f"{layout}: the longest row has {bounds.longest} tokens")
    with overseer.heeding_sigterm() if checkpoint else nullcontext():
        while True:
            try:
                trained = training.attempt(layout, place)
                loaded.fitted[chosen] = layout
                return trained
            except (RuntimeError, MemoryError) as error:
                # A rank cannot go back alone: the others wait for its gradients.
                if ranks() > 1 or not model.is_out_of_memory(error):
                    raise
                said = str(error).splitlines()[0] if str(error) else type(error).__name__
            # Behind the except block, whose traceback holds the tensors that were too many.
            layout, place = training.retreat(layout, said), None


def _trainer(
    loaded: Loaded,
    dataset: Dataset,
    config: Config,
    seed: int,
    scratch: Path,
    layout: Layout,
    keeper: Keeper | None = None,
) -> SFTTrainer:
    """Return TRL's trainer on `dataset`, laid out so."""
    import trl
    from transformers import PrinterCallback, Trainer

    class KeepingTrainer(trl.SFTTrainer):  # type: ignore[misc]
        """SFTTrainer whose checkpoints are whole or not there."""

        def _save_checkpoint(self, model: object, trial: object) -> None:
            if keeper:
                keeper.write(self, lambda: super(KeepingTrainer, self)._save_checkpoint(model, trial))

    if loaded.device == "cpu":
        KeepingTrainer.compute_loss = Trainer.compute_loss  # TRL 1.15 writes its fused loss in Triton
    # TRL advises Flash Attention, which a T4 has not; tests prove that bins do not leak.
    advice = "the attention implementation is not set to a supported Flash Attention"
    logging.getLogger("trl.trainer.sft_trainer").addFilter(lambda told: advice not in told.getMessage())
    trainer = KeepingTrainer(
        model=loaded.model,
        processing_class=loaded.tokenizer,
        train_dataset=dataset,
        args=arguments.arguments(
            loaded, config, layout, seed, keeper.part if keeper else scratch / "trainer"
        ),
    )
    trainer.remove_callback(PrinterCallback)  # our step events say the same
    return trainer


def _assert_packed(trainer: SFTTrainer) -> None:
    """Unsloth turns packing off without an error for a custom collator and in a few other cases."""
    columns = trainer.train_dataset.column_names
    flattens = getattr(trainer.data_collator, "padding_free", False)
    if not (trainer.args.packing and "seq_lengths" in columns and flattens):
        raise AssertionError(f"packing was turned off: columns {columns}, padding_free {flattens}")


def _assert_whole(trainer: SFTTrainer, tokens_before: int) -> None:
    """TRL cuts a row that is longer than its bin without a word, and with the end goes the label."""
    packed = sum(map(len, trainer.train_dataset["input_ids"]))
    if packed != tokens_before:
        raise AssertionError(f"packing kept {packed} of {tokens_before} tokens")
