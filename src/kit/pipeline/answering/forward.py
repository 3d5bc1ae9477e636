"""Put one batch of prompts through the model: the logits of the labels, or the text that it writes.

Knows nothing of rows, of the order of batches or of memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from kit.pipeline import model
from kit.pipeline.model import Loaded

if TYPE_CHECKING:
    import torch


@contextmanager
def answering(loaded: Loaded, *, generating: bool = False) -> Iterator[None]:
    """Put the model in evaluation mode and yield to answer in it."""
    import torch

    model.prepare_to_answer(loaded, generating=generating)
    mixed = loaded.device == "cuda" and loaded.dtype in {"float16", "bfloat16"}
    # Not inference_mode: what a model keeps from it (caches, tables) could not be trained with afterwards.
    with torch.no_grad(), torch.autocast(loaded.device, getattr(torch, loaded.dtype), enabled=mixed):
        yield


def label_logits(
    loaded: Loaded, prompts: Sequence[list[int]], answers: Sequence[list[int]], *, whole: bool
) -> torch.Tensor:
    """Return what the softmax over labels takes, prompts x labels, float32, on the CPU.

    That is the logit of each label's first token or, with `whole`, the log-probability of each whole answer
    and its end token.
    """
    import torch

    if whole:
        # The prompt is read once a label: Unsloth's cached forward is made for its own generation only.
        targets = [[*answer, loaded.tokenizer.eos_token_id] for answer in answers]
        return torch.stack([_whole_answer(loaded, prompts, target) for target in targets], dim=1).cpu()
    ids, mask = _left_padded(loaded, prompts)
    # No cache: for a full batch it would take 2 GB with an 8B model, and nothing follows.
    output = loaded.model(input_ids=ids, attention_mask=mask, logits_to_keep=1, use_cache=False)
    logits: torch.Tensor = output.logits[:, -1, [answer[0] for answer in answers]]
    return logits.float().cpu()


def write(loaded: Loaded, prompts: Sequence[list[int]], **options: object) -> list[str]:
    """Return what the model writes after each prompt, without the prompt, up to an end token."""
    ids, mask = _left_padded(loaded, prompts)
    written = loaded.model.generate(
        input_ids=ids,
        attention_mask=mask,
        pad_token_id=loaded.tokenizer.pad_token_id,
        eos_token_id=_end_ids(loaded),
        use_cache=True,
        **options,
    )
    texts: list[str] = loaded.tokenizer.batch_decode(written[:, ids.shape[1] :], skip_special_tokens=True)
    return texts


def _whole_answer(loaded: Loaded, prompts: Sequence[list[int]], target: Sequence[int]) -> torch.Tensor:
    ids, mask = _left_padded(loaded, [[*prompt_ids, *target[:-1]] for prompt_ids in prompts])
    output = loaded.model(input_ids=ids, attention_mask=mask, logits_to_keep=len(target), use_cache=False)
    return _log_probability(output.logits, target)


def _log_probability(logits: torch.Tensor, target: Sequence[int]) -> torch.Tensor:
    """Return the log-probability of `target` at the last positions of prompts x positions x vocabulary."""
    import torch

    total = torch.zeros(len(logits), device=logits.device)
    for position, token in enumerate(target, start=-len(target)):
        # One position at a time: float32 over a whole vocabulary is the largest thing here.
        step = logits[:, position].float()
        total += step[:, token] - step.logsumexp(-1)
    return total


def _end_ids(loaded: Loaded) -> list[int]:
    """Return the end token that training taught, and those that the model brought (Llama 3 has three)."""
    brought = loaded.model.generation_config.eos_token_id
    own = [brought] if isinstance(brought, int) else brought or []
    return sorted({*own, loaded.tokenizer.eos_token_id})


def _left_padded(loaded: Loaded, rows: Sequence[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    import torch

    width = max(len(row) for row in rows)
    padding = loaded.tokenizer.pad_token_id
    ids = torch.tensor([[padding] * (width - len(row)) + row for row in rows], device=loaded.device)
    mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows], device=loaded.device)
    return ids, mask
