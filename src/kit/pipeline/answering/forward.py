"""Put one batch of prompts through the model: the logits of the labels, or the text that it writes.

Knows nothing of rows, of the order of batches or of memory.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from typing import TYPE_CHECKING, Any

from kit.pipeline import model
from kit.pipeline.model import Loaded

if TYPE_CHECKING:
    import torch


def answering(loaded: Loaded, *, generating: bool = False) -> AbstractContextManager[object]:
    """Put the model in evaluation mode and return the context to answer in.

    Never hold it open across a yield: inference mode belongs to the thread, and would reach the caller.
    """
    import torch

    model.prepare_to_answer(loaded, generating=generating)
    stack = ExitStack()
    # Not inference_mode: what a model keeps from it (caches, tables) could not be trained with afterwards.
    stack.enter_context(torch.no_grad())
    mixed = loaded.device == "cuda" and loaded.dtype in {"float16", "bfloat16"}
    stack.enter_context(torch.autocast("cuda", getattr(torch, loaded.dtype)) if mixed else nullcontext())
    return stack


def label_logits(
    loaded: Loaded, prompts: Sequence[list[int]], answers: Sequence[list[int]], *, whole: bool
) -> torch.Tensor:
    """Return what the softmax over labels takes, prompts x labels, float32, on the CPU.

    That is the logit of each label's first token or, with `whole`, the log-probability of each whole answer
    and its end token.
    """
    if whole:
        return _whole_answers(loaded, prompts, answers).cpu()
    ids, mask = _left_padded(loaded, prompts)
    # No cache: for a full batch it would take 2 GB with an 8B model, and nothing follows.
    output = loaded.model(input_ids=ids, attention_mask=mask, logits_to_keep=1, use_cache=False)
    logits: torch.Tensor = output.logits[:, -1, [answer[0] for answer in answers]]
    return logits.float().cpu()


def write(loaded: Loaded, prompts: Sequence[list[int]], **options: Any) -> list[str]:
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


def _whole_answers(
    loaded: Loaded, prompts: Sequence[list[int]], answers: Sequence[list[int]]
) -> torch.Tensor:
    import torch

    targets = [[*answer, loaded.tokenizer.eos_token_id] for answer in answers]
    if loaded.loader == "unsloth":
        # Its cached forward is made for its own generation, so the prompt is read once a label.
        return torch.stack([_read_with_answer(loaded, prompts, target) for target in targets], dim=1)
    ids, mask = _left_padded(loaded, prompts)
    read = loaded.model(input_ids=ids, attention_mask=mask, logits_to_keep=1, use_cache=True)
    columns = []
    for target in targets:
        tail = ids.new_tensor(target[:-1]).expand(len(prompts), -1)
        follow = loaded.model(
            input_ids=tail,
            attention_mask=torch.cat([mask, torch.ones_like(tail)], dim=1),
            past_key_values=copy.deepcopy(read.past_key_values),  # a forward pass adds to the one it is given
            use_cache=True,
        )
        first = _log_probability(read.logits, target[:1])
        columns.append(first + _log_probability(follow.logits, target[1:]))
    return torch.stack(columns, dim=1)


def _read_with_answer(loaded: Loaded, prompts: Sequence[list[int]], target: Sequence[int]) -> torch.Tensor:
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
