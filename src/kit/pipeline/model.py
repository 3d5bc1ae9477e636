"""A loaded base model with its LoRA adapter: made ready to train or to answer, renewed, scaled, saved.

Knows nothing of rows, prompts or labels.
"""

from __future__ import annotations

import copy
import math
import re
import resource
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kit.config import Lora
from kit.errors import InputInvalid, KitError
from kit.files import read_json, write_json

OUT_OF_MEMORY = re.compile(
    "out of memory|(cublas|cudnn)_status_alloc_failed|cudaErrorMemoryAllocation|failed to cuda calloc|"
    "(cannot|can't) allocate memory|bad_alloc",
    re.IGNORECASE,
)
"""How torch, Triton, cuBLAS, cuDNN, the driver, NCCL, the C library and C++ say it."""
CARD = """---
base_model: {name}
library_name: peft
pipeline_tag: text-generation
---
A LoRA adapter of `{name}`:

    from peft import PeftModel
    from transformers import AutoModelForCausalLM
    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained("{name}"), "this folder")
"""


@dataclass
class Loaded:
    """A model with its adapter; `loader` is "unsloth" or "plain", `dtype` a torch dtype's name."""

    model: Any
    tokenizer: Any
    loader: str
    dtype: str
    device: str
    name: str
    """The base model's, as the settings have it."""
    free_bytes: int = 0
    """Card memory for activations, by estimate; 0 on a CPU."""
    unpacked: list[tuple[Any, Any, Any]] = field(default_factory=list)
    """4-bit parameters with what training needs of them, while the model answers on a CPU."""


def fast_language_model() -> Any:
    """Import Unsloth, here alone and before transformers, trl and peft, which it patches."""
    from unsloth import FastLanguageModel

    return FastLanguageModel


def prepare_to_answer(loaded: Loaded, *, generating: bool) -> None:
    """Put the model in evaluation mode, for generation in Unsloth's own faster one."""
    if loaded.device == "cpu" and not loaded.unpacked:
        from bitsandbytes.nn import Linear4bit

        packed = [module.weight for module in loaded.model.modules() if isinstance(module, Linear4bit)]
        loaded.unpacked = [(weight, weight.data, copy.copy(weight.quant_state)) for weight in packed]
    loaded.model.eval()
    if generating and loaded.loader == "unsloth":
        fast_language_model().for_inference(loaded.model)


def prepare_to_train(loaded: Loaded) -> None:
    """Make the model fit for training again after it has answered.

    On a CPU with AVX512-BF16 bitsandbytes 0.50.2 packs 4-bit weights anew for answering. Its product with
    packed weights has no gradient, so that training would go on without the base's share of it, and its own
    way back rounds the scales.
    """
    for weight, data, quant_state in loaded.unpacked:
        weight.data, weight.quant_state = data, quant_state
    loaded.unpacked = []
    loaded.model.train()


def peak_memory(loaded: Loaded) -> int:
    """Return the most bytes that this process held: on its card, or resident where there is none."""
    if loaded.device == "cuda":
        import torch

        return int(torch.cuda.max_memory_reserved())
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def is_out_of_memory(error: Exception) -> bool:
    """Tell whether an error says that memory ran out: a card's, torch's on the CPU, C++'s or Python's."""
    return isinstance(error, MemoryError) or OUT_OF_MEMORY.search(str(error)) is not None


def forget(loaded: Loaded) -> None:
    """Let go of what a member that failed left in memory."""
    from accelerate.utils.memory import clear_device_cache

    loaded.model.zero_grad(set_to_none=True)
    loaded.tokenizer.padding_side = "left"
    clear_device_cache(garbage_collection=True)
    if loaded.device == "cuda":
        import torch

        torch.cuda.reset_peak_memory_stats()


def renew_adapter(loaded: Loaded, seed: int) -> None:
    """Make the LoRA weights anew from `seed`, as a fresh process with that seed would have them."""
    from transformers import set_seed

    set_seed(seed)
    for module in _adapted(loaded):
        for adapter in module.scaling:
            module.reset_lora_parameters(adapter, init_lora_weights=True)
    _drop_copies(loaded)


def _adapted(loaded: Loaded) -> list[Any]:
    from peft.tuners.lora import LoraLayer

    return [module for module in loaded.model.modules() if isinstance(module, LoraLayer)]


def _drop_copies(loaded: Loaded) -> None:
    """Let Unsloth cast the adapter anew for decoding; its copy is of the weights before."""
    for weight in loaded.model.parameters():
        if hasattr(weight, "_fast_lora"):
            del weight._fast_lora


def set_scaling(loaded: Loaded, lora: Lora) -> None:
    """Give the adapter another scale, alpha / r or alpha / sqrt(r), without making it anew."""
    for module in _adapted(loaded):
        for adapter, rank in module.r.items():
            module.lora_alpha[adapter] = lora.alpha
            module.scaling[adapter] = lora.alpha / (math.sqrt(rank) if lora.rslora else rank)
    for settings in loaded.model.peft_config.values():
        settings.lora_alpha, settings.use_rslora = lora.alpha, lora.rslora


def set_checkpointing(loaded: Loaded, on: bool) -> None:
    """Recompute activations in the backward pass from here on, or keep them; trainers leave it as it is."""
    if loaded.loader == "unsloth":
        mode = "unsloth" if on else False
        # Unsloth's trainer switches back to the recorded mode whenever it is built and whenever it trains.
        loaded.model._unsloth_gradient_checkpointing = mode
        loaded.model.for_training(use_gradient_checkpointing=mode)
        return
    base = loaded.model.get_base_model()
    base.disable_input_require_grads()
    if on:
        base.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    else:
        base.gradient_checkpointing_disable()


def load_adapter(loaded: Loaded, folder: Path) -> None:
    """Replace the adapter's weights by those that `save_pretrained` left in `folder`."""
    from peft import set_peft_model_state_dict
    from safetensors.torch import load_file

    path = folder / "adapter_model.safetensors"
    if not path.is_file():
        raise InputInvalid(f"{path} is missing", hint="a run folder that holds an adapter")
    outcome = set_peft_model_state_dict(loaded.model, load_file(path))
    if outcome.unexpected_keys:
        raise InputInvalid(f"{path} is an adapter of another model: {outcome.unexpected_keys[0]!r}")
    _drop_copies(loaded)


def save_adapter(loaded: Loaded, folder: Path) -> str:
    """Save the adapter whole or not at all; return why it could not be saved, else nothing.

    It names the base model as the settings do, so that it loads in any folder. Answers matter more: a full
    disk must not keep a member from giving them.
    """
    part = folder.with_name(".adapter.part")
    try:
        loaded.model.save_pretrained(part)
        loaded.tokenizer.save_pretrained(part)
        settings = read_json(part / "adapter_config.json")
        write_json(part / "adapter_config.json", {**settings, "base_model_name_or_path": loaded.name})
        (part / "README.md").write_text(CARD.format(name=loaded.name), encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)
        part.rename(folder)
    except Exception as error:
        # tokenizers and safetensors say in words only that a disk refuses.
        if not isinstance(error, OSError | KitError) and "os error " not in str(error).lower():
            raise
        return str(error).splitlines()[0]
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return ""


def settle_precision(loaded: Loaded) -> None:
    """Hold trainable weights in float32, and in fp16 assert that nothing in bfloat16 is left.

    TRL 1.15 casts LoRA weights of a quantised model to bfloat16 inside SFTTrainer, and the fp16 gradient
    scaler cannot unscale those on a T4. Call this after the trainer is built and before its first step.
    """
    import torch

    model = loaded.model
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
    if loaded.dtype != "float16":
        return
    for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
        if tensor.dtype == torch.bfloat16:
            raise AssertionError(f"{name} is bfloat16 in an fp16 run")
    for name, module in model.named_modules():
        compute = getattr(module, "compute_dtype", None)
        if compute is not None and compute != torch.float16:
            raise AssertionError(f"{name} computes its 4-bit product in {compute} in an fp16 run")
    assert any(parameter.requires_grad for parameter in model.parameters()), "nothing to train"  # noqa: S101
