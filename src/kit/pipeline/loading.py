"""Load a base model in 4 bit and put a LoRA adapter on it, through Unsloth or through transformers with PEFT.

Both loaders answer with the same record.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kit.config import Config
from kit.errors import InputInvalid, KitError
from kit.pipeline.machine.hardware import Card, Precision
from kit.pipeline.model import Loaded, fast_language_model
from kit.task.effort import BIN

CARD_OVERHEAD_BYTES = int(1.85 * 2**30)
"""What a card holds beside base model and activations: context, adapter, optimizer, and a margin."""


def loader(config: Config, card: Card | None) -> str:
    """Return which loader the settings and the machine choose, "unsloth" or "plain"."""
    if config.model.loader == "unsloth" and card is None:
        raise KitError("Unsloth needs a GPU", hint="SET=model.loader=plain")
    if config.model.loader != "auto":
        return config.model.loader
    return "plain" if card is None else "unsloth"


def import_stack(chosen: str) -> None:
    """Import what training needs, to measure its time apart; Unsloth first, so that its patches land."""
    if chosen == "unsloth":
        fast_language_model()
    import peft  # noqa: F401
    import trl  # noqa: F401


def load(config: Config, folder: Path, card: Card | None, precision: Precision) -> Loaded:
    """Load the base model of `folder` with an adapter on it, ready to train."""
    if not (folder / "config.json").is_file():
        raise InputInvalid(f"{folder} holds no config.json", hint="make tiny-model or make small-model")
    chosen, device = loader(config, card), "cpu" if card is None else "cuda"
    load_with = _load_unsloth if chosen == "unsloth" else _load_plain
    model, tokenizer = load_with(config, folder, precision, device)
    loaded = Loaded(model, tokenizer, chosen, precision.dtype, device, config.model.name)
    model.config.use_cache = False
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    tokenizer.padding_side = "left"  # so that the last position is the last token
    if card is not None:
        weights = sum(path.stat().st_size for path in folder.glob("*.safetensors"))
        whole = int(config.run.memory_gib * 2**30 + 2**29) if config.run.memory_gib else card.memory
        loaded.free_bytes = max(1, min(whole, card.memory) - weights - CARD_OVERHEAD_BYTES)
    return loaded


def _lora(config: Config) -> dict[str, Any]:
    settings = config.lora
    shape = {"r": settings.r, "lora_alpha": settings.alpha, "target_modules": list(settings.modules)}
    return {**shape, "lora_dropout": settings.dropout, "use_rslora": settings.rslora, "bias": "none"}


def _load_unsloth(config: Config, folder: Path, precision: Precision, _device: str) -> tuple[Any, Any]:
    unsloth = fast_language_model()
    import torch

    model, tokenizer = unsloth.from_pretrained(
        model_name=str(folder),
        # Also the length of a bin: an explicit SFTConfig.max_length of 1,024 counts as unset in Unsloth.
        max_seq_length=max(config.model.max_row_tokens, config.train.pack_tokens or BIN),
        dtype=getattr(torch, precision.dtype),
        load_in_4bit=config.model.four_bit,
        local_files_only=True,
    )
    checkpointing = "unsloth" if config.train.gradient_checkpointing is True else False
    model = unsloth.get_peft_model(
        model, **_lora(config), use_gradient_checkpointing=checkpointing, random_state=config.seed
    )
    return model, tokenizer


def _load_plain(config: Config, folder: Path, precision: Precision, device: str) -> tuple[Any, Any]:
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig

    dtype = getattr(torch, precision.dtype)
    base_config = AutoConfig.from_pretrained(folder)
    quantized = getattr(base_config, "quantization_config", None)
    options = {"config": base_config, "dtype": dtype, "device_map": {"": device}}
    if quantized is not None:
        # A pre-quantised checkpoint keeps the compute dtype that it was saved with whatever `dtype` says.
        quantized["bnb_4bit_compute_dtype"] = precision.dtype
    elif config.model.four_bit:
        nf4 = {"bnb_4bit_quant_type": "nf4", "bnb_4bit_use_double_quant": True}
        options["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_compute_dtype=dtype, **nf4
        )
    base = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="sdpa", **options)
    if precision.dtype == "float16":
        for tensor in [*base.parameters(), *base.buffers()]:
            if tensor.dtype == torch.bfloat16:
                tensor.data = tensor.data.to(torch.float16)
    model = get_peft_model(base, LoraConfig(**_lora(config), task_type="CAUSAL_LM"))
    return model, AutoTokenizer.from_pretrained(folder)
