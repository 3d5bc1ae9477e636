"""Fine-tune an adapter on labelled rows with TRL's SFTTrainer, packed, the loss on the answer.

Leaves scoring, files and the choice of rows to others.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kit.config import Config
from kit.errors import KitError
from kit.pipeline import events, model, tokens
from kit.pipeline.model import Loaded


@dataclass(frozen=True)
class Trained:
    """What training did: one (step, loss, learning rate) per optimizer step, and the packed tokens seen."""

    history: list[dict[str, float]]
    seconds: float
    tokens: int
    bins: int


def train(
    loaded: Loaded, rows: Sequence[dict[str, str]], config: Config, *, seed: int, scratch: Path
) -> Trained:
    """Train the adapter of `loaded` on `rows`, each with `text` and `label`.

    Raises KitError where the loss stops being a number.
    """
    from datasets import Dataset

    examples = tokens.teach(loaded.tokenizer, rows, config, seed)
    trainer = _trainer(loaded, Dataset.from_list(examples), config, seed, scratch)
    per_epoch = sum(len(example["input_ids"]) for example in examples)
    trainer.add_callback(_progress(loaded, seed, per_epoch))
    # Before step 1: what is packed, and that fp16 is fp16 throughout.
    if config.train.packing:
        _assert_packed(trainer)
    model.settle_precision(loaded)
    if trainer.accelerator.scaler is not None:
        trainer.accelerator.scaler._init_scale = config.train.loss_scale_start
    started = time.monotonic()
    trainer.train()
    seconds = time.monotonic() - started
    history = [
        {"step": entry["step"], "loss": entry["loss"], "learning_rate": entry["learning_rate"]}
        for entry in trainer.state.log_history
        if "loss" in entry
    ]
    bins = len(trainer.train_dataset)
    loaded.tokenizer.padding_side = "left"  # the trainer leaves it on the right, where scoring would be wrong
    return Trained(history, round(seconds, 2), int(per_epoch * trainer.state.epoch), bins)


def _hush_packing_warning() -> None:
    """Drop TRL's advice to use Flash Attention, which a T4 has not; tests prove that bins do not leak."""
    import logging

    logger = logging.getLogger("trl.trainer.sft_trainer")
    advice = "the attention implementation is not set to a supported Flash Attention"
    logger.addFilter(lambda record: advice not in record.getMessage())


def _trainer(loaded: Loaded, dataset: Any, config: Config, seed: int, scratch: Path) -> Any:
    import trl
    from transformers import PrinterCallback, Trainer

    class CpuTrainer(trl.SFTTrainer):  # type: ignore[misc]
        """SFTTrainer without its fused loss, which TRL 1.15 writes in Triton."""

        compute_loss = Trainer.compute_loss

    _hush_packing_warning()
    trainer_class = CpuTrainer if loaded.device == "cpu" else trl.SFTTrainer
    trainer = trainer_class(
        model=loaded.model,
        processing_class=loaded.tokenizer,
        train_dataset=dataset,
        args=_arguments(loaded, config, seed, scratch),
    )
    trainer.remove_callback(PrinterCallback)  # our step events say the same
    return trainer


def _arguments(loaded: Loaded, config: Config, seed: int, scratch: Path) -> Any:
    import trl

    settings = config.train
    checkpointing = settings.gradient_checkpointing
    return trl.SFTConfig(
        output_dir=str(scratch / "trainer"),
        num_train_epochs=settings.epochs,
        max_steps=settings.max_steps or -1,
        per_device_train_batch_size=settings.batch_size,
        gradient_accumulation_steps=settings.gradient_accumulation,
        learning_rate=settings.learning_rate,
        lr_scheduler_type=settings.schedule,
        warmup_steps=settings.warmup_steps,
        weight_decay=settings.weight_decay,
        optim=settings.optimizer,
        packing=settings.packing,
        packing_strategy="bfd",
        max_length=settings.pack_tokens if settings.packing else config.model.max_row_tokens,
        completion_only_loss=True,
        fp16=loaded.dtype == "float16",
        bf16=loaded.dtype == "bfloat16",
        use_cpu=loaded.device == "cpu",
        # Unsloth has its own checkpointing, switched on when the adapter was made.
        gradient_checkpointing=checkpointing and loaded.loader == "plain",
        gradient_checkpointing_kwargs={"use_reentrant": False} if checkpointing else None,
        dataloader_pin_memory=loaded.device != "cpu",
        logging_steps=1,
        logging_nan_inf_filter=False,  # the default reports a NaN as the loss before it
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        seed=seed,
    )


def _assert_packed(trainer: Any) -> None:
    """Unsloth turns packing off without an error for a custom collator and in a few other cases."""
    columns = trainer.train_dataset.column_names
    flattens = getattr(trainer.data_collator, "padding_free", False)
    if not (trainer.args.packing and "seq_lengths" in columns and flattens):
        raise AssertionError(f"packing was turned off: columns {columns}, padding_free {flattens}")


def _progress(loaded: Loaded, seed: int, tokens_an_epoch: int) -> Any:
    import math

    from transformers import TrainerCallback

    class Progress(TrainerCallback):  # type: ignore[misc]
        """Print a step event for each optimizer step; stop at a loss that is not a number."""

        def on_train_begin(self, *_: Any, **__: Any) -> None:
            self.started = time.monotonic()

        def on_log(self, _args: Any, state: Any, _control: Any, logs: dict[str, float], **_: Any) -> None:
            if "loss" not in logs:
                return
            loss = float(logs["loss"])
            elapsed = time.monotonic() - self.started
            left = elapsed / max(state.global_step, 1) * (state.max_steps - state.global_step)
            events.emit(
                "step",
                member=seed,
                step=state.global_step,
                steps=state.max_steps,
                loss=round(loss, 5),
                learning_rate=logs.get("learning_rate"),
                tokens_per_second=round(state.epoch * tokens_an_epoch / max(elapsed, 1e-9)),
                memory_bytes=model.peak_memory(loaded),
                seconds_left=round(left, 1),
            )
            if not math.isfinite(loss):
                raise KitError(
                    f"the loss is {loss} at step {state.global_step}",
                    hint="a lower train.learning_rate, or train.loss_scale_start=1024",
                )

    return Progress()
