"""Say to TRL's trainer what the settings and the chosen layout of a step mean. Builds no trainer."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from kit.config import Config
from kit.pipeline.model import Loaded
from kit.pipeline.training.layout import Layout

DDP_SECONDS = 300
"""How long a rank waits for another before both give up and seeds take their place."""


def arguments(loaded: Loaded, config: Config, layout: Layout, seed: int, folder: Path) -> Any:
    """Return the SFTConfig of one training; the trainer writes into `folder` only."""
    import trl

    settings = config.train
    made = trl.SFTConfig(
        output_dir=str(folder),
        num_train_epochs=settings.epochs,
        max_steps=settings.max_steps or -1,
        per_device_train_batch_size=layout.batch_size,
        gradient_accumulation_steps=layout.gradient_accumulation,
        learning_rate=settings.learning_rate,
        lr_scheduler_type=settings.schedule,
        warmup_steps=settings.warmup_steps,
        weight_decay=settings.weight_decay,
        optim=settings.optimizer,
        packing=settings.packing,
        packing_strategy="bfd",
        max_length=layout.pack_tokens or config.model.max_row_tokens,
        completion_only_loss=True,
        fp16=loaded.dtype == "float16",
        bf16=loaded.dtype == "bfloat16",
        use_cpu=loaded.device == "cpu",
        ddp_find_unused_parameters=False,
        ddp_timeout=DDP_SECONDS,
        gradient_checkpointing=False,  # model.set_checkpointing does it, the same way for both loaders
        dataloader_pin_memory=loaded.device != "cpu",
        logging_steps=1,
        logging_nan_inf_filter=False,  # the default reports a NaN as the loss before it
        save_strategy="no",  # the overseer asks for each checkpoint
        report_to="none",
        disable_tqdm=True,
        seed=seed,
    )
    if loaded.loader == "unsloth":
        # Unsloth takes a max_length of 1,024, which is TRL's default, for one that nobody set.
        made.max_seq_length = made.max_length
    return made


def steps(config: Config, layout: Layout, bins: int, ranks: int = 1) -> int:
    """Return the optimizer steps of a training on `bins` bins, or rows where they are not packed."""
    if config.train.max_steps:
        return config.train.max_steps
    passes = math.ceil(bins / layout.batch_size / ranks)
    return math.ceil(config.train.epochs * math.ceil(passes / layout.gradient_accumulation))
