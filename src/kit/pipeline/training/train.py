"""Fine-tune an adapter on labelled rows with TRL's SFTTrainer, packed, the loss on the answer.

Goes on in a smaller layout where memory runs out, stops in time, and goes on from a checkpoint. Leaves
scoring, files of a run and the choice of rows to others.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

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
from kit.task import effort

GIB = 2**30
HISTORY = ("step", "loss", "learning_rate")


@dataclass
class _Task:
    """One training, whatever its layout."""

    loaded: Loaded
    config: Config
    member: str
    seed: int
    scratch: Path
    until: float | None
    checkpoint: Path | None
    examples: list[dict[str, list[int]]]
    identity: str
    bounds: Bounds
    tokens: int
    seen: oversee.Seen = field(default_factory=oversee.Seen)
    notes: list[str] = field(default_factory=list)


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
    fitted: dict[Layout, Layout] | None = None,
) -> Trained:
    """Train the adapter of `loaded` on `rows`, each with `text` and `label`; events call it `name`.

    Training ends before `until`, a monotonic time. It goes on from the newest checkpoint in the folder
    `checkpoint` and leaves its own there; with such a folder SIGTERM ends it behind the step that is on.
    `fitted` remembers from one call to the next which layout fitted. Raises FailsAgain where the loss stops
    being a number, where gradients overflow too often, and where no layout fits into memory; KitError where
    the checkpoint is not of this very training.
    """
    examples = tokens.teach(loaded.tokenizer, rows, config, seed)
    named = checkpoints.identity(config, seed, examples)
    lengths = [len(example["input_ids"]) for example in examples]
    step = effort.step_size(config, len(rows), sum(lengths))
    bounds = Bounds(step, max(lengths), loaded.free_bytes, ranks())
    task = _Task(
        loaded, config, name or str(seed), seed, scratch, until, checkpoint, examples, named, bounds,
        sum(lengths),
    )  # fmt: skip
    fitted = {} if fitted is None else fitted
    place = checkpoints.newest(checkpoint) if checkpoint else None
    start = checkpoints.read(place, named) if place else None
    chosen = layouts.first(config, bounds)
    layout = start.layout if start else fitted.get(chosen, chosen)
    if start:
        task.notes.append(f"went on from step {start.step} of {start.steps}")
    elif config.train.packing and not config.train.pack_tokens:
        task.notes.append(f"{layout}: the longest row has {bounds.longest} tokens")
    with oversee.heeding_sigterm(task.seen) if checkpoint else nullcontext():
        while True:
            try:
                trained = _attempt(task, layout, place)
                fitted[chosen] = layout
                return trained
            except (RuntimeError, MemoryError) as error:
                # A rank cannot go back alone: the others wait for its gradients.
                if ranks() > 1 or not model.is_out_of_memory(error):
                    raise
                said = str(error).splitlines()[0] if str(error) else type(error).__name__
            # Behind the except block, whose traceback holds the tensors that were too many.
            smaller = _retreat(task, layout, said)
            if place and not smaller.has_bins_of(layout):
                task.notes.append("began anew, since the checkpoint's bins do not fit into memory")
                place = None
            if checkpoint and not place:
                checkpoints.clear(checkpoint)
            place = checkpoints.newest(checkpoint) if checkpoint else None
            layout = smaller


def _attempt(task: _Task, layout: Layout, place: Path | None) -> Trained:
    """Train in one layout, from the checkpoint at `place` or from the adapter as it is."""
    keeper = None
    if task.checkpoint:
        most_bytes = task.config.train.checkpoint_mib * checkpoints.MIB
        keeper = Keeper(task.checkpoint, task.member, task.identity, layout, most_bytes)
    trainer = _prepared(task, layout, keeper)
    bins, started = len(trainer.train_dataset), time.monotonic()
    steps = arguments.steps(task.config, layout, bins, task.bounds.ranks)
    reached: dict[str, Any] = {"log_history": [], "epoch": 0.0, "global_step": 0}
    if place:
        reached = json.loads((place / "trainer_state.json").read_text(encoding="utf-8"))
    if task.until is not None and oversee.any_rank(started >= task.until, trainer.args.device):
        task.seen.stopped = oversee.TIME_LIMIT
    if task.seen.stopped or reached["global_step"] >= steps:
        if place:
            model.load_adapter(task.loaded, place)
    else:
        trainer.train(resume_from_checkpoint=str(place) if place else None)
        reached, steps = vars(trainer.state), trainer.state.max_steps
    task.loaded.tokenizer.padding_side = "left"  # the trainer leaves it on the right: scoring would be wrong
    notes, skipped = list(task.notes), task.seen.skipped
    if keeper:
        keeper.close()
        notes += keeper.notes
    if skipped:
        notes.append(f"fp16 skipped {skipped} steps, whose gradients overflowed")
    oversee.refuse_skipped(task.seen, reached["global_step"])
    return Trained(
        history=[{name: each[name] for name in HISTORY} for each in reached["log_history"] if "loss" in each],
        seconds=round(time.monotonic() - started, 2),
        tokens=int(task.tokens * reached["epoch"]),
        bins=bins,
        step=reached["global_step"],
        steps=steps,
        skipped=skipped,
        stopped=task.seen.stopped,
        notes=notes,
        layout=layout,
    )


def _prepared(task: _Task, layout: Layout, keeper: Keeper | None) -> Any:
    """Return the trainer of one layout, with its callback, checked before its first step."""
    from datasets import Dataset

    loaded, config = task.loaded, task.config
    model.prepare_to_train(loaded)
    model.set_checkpointing(loaded, layout.gradient_checkpointing)
    dataset = Dataset.from_list(task.examples)
    trainer = _trainer(loaded, dataset, config, task.seed, task.scratch, layout, keeper)
    steps = arguments.steps(config, layout, len(trainer.train_dataset), task.bounds.ranks)
    trainer.args.warmup_steps = effort.warmup_steps(config, steps)
    task.seen.skipped = task.seen.in_a_row = 0
    trainer.add_callback(
        oversee.overseer(
            task.seen, loaded, member=task.member, tokens=task.tokens, until=task.until,
            checkpoint_seconds=60 * config.train.checkpoint_minutes if keeper else None,
        )
    )  # fmt: skip
    if config.train.packing:
        _assert_packed(trainer)
        _assert_whole(trainer, task.tokens)
    model.settle_precision(loaded)
    if trainer.accelerator.scaler is not None:
        trainer.accelerator.scaler._init_scale = config.train.loss_scale_start
    return trainer


def _retreat(task: _Task, layout: Layout, said: str) -> Layout:
    """Return the next smaller layout and make the adapter and the memory as they were before the first step.

    Raises KitError where there is none, with the settings that are left to the user.
    """
    loaded = task.loaded
    held = f"{model.peak_memory(loaded) / GIB:.1f} GiB held"
    smaller = layouts.smaller(layout, task.config, task.bounds)
    if smaller is None:
        more = "" if layout.gradient_checkpointing else "train.gradient_checkpointing=true, "
        raise FailsAgain(
            f"training does not fit into memory in {layout}, {held}: {said}",
            hint=f"{more}a model.max_row_tokens below {task.bounds.longest}, or a lower lora.r",
        )
    task.notes.append(f"out of memory in {layout}, {held}; went on in {smaller}")
    events.emit("retreat", member=task.member, before=str(layout), after=str(smaller), reason=said)
    model.renew_adapter(loaded, task.seed)
    model.forget(loaded)
    return smaller


def _trainer(
    loaded: Loaded,
    dataset: Any,
    config: Config,
    seed: int,
    scratch: Path,
    layout: Layout,
    keeper: Keeper | None = None,
) -> Any:
    """Return TRL's trainer on `dataset`, laid out so."""
    import trl
    from transformers import PrinterCallback, Trainer

    class CpuTrainer(trl.SFTTrainer):  # type: ignore[misc]
        """SFTTrainer without its fused loss, which TRL 1.15 writes in Triton."""

        compute_loss = Trainer.compute_loss

    # TRL advises Flash Attention, which a T4 has not; tests prove that bins do not leak.
    advice = "the attention implementation is not set to a supported Flash Attention"
    logging.getLogger("trl.trainer.sft_trainer").addFilter(lambda told: advice not in told.getMessage())
    trainer_class = CpuTrainer if loaded.device == "cpu" else trl.SFTTrainer
    trainer_class = checkpoints.keeping(trainer_class, keeper) if keeper else trainer_class
    folder = keeper.part if keeper else scratch / "trainer"
    trainer = trainer_class(
        model=loaded.model,
        processing_class=loaded.tokenizer,
        train_dataset=dataset,
        args=arguments.arguments(loaded, config, layout, seed, folder),
    )
    trainer.remove_callback(PrinterCallback)  # our step events say the same
    return trainer


def _assert_packed(trainer: Any) -> None:
    """Unsloth turns packing off without an error for a custom collator and in a few other cases."""
    columns = trainer.train_dataset.column_names
    flattens = getattr(trainer.data_collator, "padding_free", False)
    if not (trainer.args.packing and "seq_lengths" in columns and flattens):
        raise AssertionError(f"packing was turned off: columns {columns}, padding_free {flattens}")


def _assert_whole(trainer: Any, tokens_before: int) -> None:
    """TRL cuts a row that is longer than its bin without a word, and with the end goes the label."""
    packed = sum(map(len, trainer.train_dataset["input_ids"]))
    if packed != tokens_before:
        raise AssertionError(f"packing kept {packed} of {tokens_before} tokens")
