"""Answer questions with a trained model: compare the labels in one pass, or write and decode text.

Does not choose a label and does not parse; it returns what the model said.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from typing import TYPE_CHECKING, Any

from kit.config import Config
from kit.errors import KitError
from kit.pipeline import events, model, tokens
from kit.pipeline.model import Loaded
from kit.pipeline.tokens import Question

if TYPE_CHECKING:
    import torch

PROGRESS_SECONDS = 10.0


def score(loaded: Loaded, rows: Sequence[dict[str, str]], config: Config) -> dict[str, list[float]]:
    """Return each row's probability of every label, in label order, by row id; each sums to 1.

    Where the labels' first tokens differ, one pass compares them; otherwise every answer is scored whole.
    Raises KitError naming the row where the model's answer is not a number.
    """
    answers = tokens.answer_ids(loaded.tokenizer, config)
    first = [answer[0] for answer in answers]
    longest = max(len(answer) for answer in answers)
    questions = tokens.ask(loaded.tokenizer, rows, config, reserve=longest)
    whole = len(set(first)) < len(first)
    probability_by_id: dict[str, list[float]] = {}
    with _answering(loaded):
        for batch in _batches(questions, config, "score", widest=longest if whole else 0):
            prompts = [question.prompt_ids for question in batch]
            logits = (
                _whole_answers(loaded, prompts, answers) if whole else _next_token(loaded, prompts, first)
            )
            for question, row in zip(batch, logits.softmax(-1).tolist(), strict=True):
                if any(value != value for value in row):
                    raise KitError(
                        f"the model's answer to row {question.id!r} is not a number",
                        hint="a lower learning rate",
                    )
                probability_by_id[question.id] = row
    return {question.id: probability_by_id[question.id] for question in questions}


def generate(loaded: Loaded, rows: Sequence[dict[str, str]], config: Config, *, seed: int) -> dict[str, str]:
    """Return the text that the model writes after each row's prompt, never the prompt, by row id."""
    import torch

    settings = config.predict
    questions = tokens.ask(loaded.tokenizer, rows, config, reserve=settings.max_new_tokens)
    torch.manual_seed(seed)
    sampling: dict[str, Any] = {"do_sample": False}
    if settings.temperature > 0:
        sampling = {"do_sample": True, "temperature": settings.temperature}
    completion_by_id: dict[str, str] = {}
    with _answering(loaded, generating=True):
        for batch in _batches(questions, config, "generate", widest=settings.max_new_tokens):
            ids, mask = _left_padded(loaded, [question.prompt_ids for question in batch])
            written = loaded.model.generate(
                input_ids=ids,
                attention_mask=mask,
                max_new_tokens=settings.max_new_tokens,
                pad_token_id=loaded.tokenizer.pad_token_id,
                eos_token_id=loaded.tokenizer.eos_token_id,
                use_cache=True,
                **sampling,
            )
            texts = loaded.tokenizer.batch_decode(written[:, ids.shape[1] :], skip_special_tokens=True)
            completion_by_id |= {question.id: text for question, text in zip(batch, texts, strict=True)}
    return {question.id: completion_by_id[question.id] for question in questions}


def _next_token(loaded: Loaded, prompts: Sequence[list[int]], first: Sequence[int]) -> torch.Tensor:
    """Return the logits of each label's first token behind each prompt, prompts x labels, float32."""
    ids, mask = _left_padded(loaded, prompts)
    logits: torch.Tensor = loaded.model(input_ids=ids, attention_mask=mask, logits_to_keep=1).logits
    return logits[:, -1, list(first)].float().cpu()


def _whole_answers(
    loaded: Loaded, prompts: Sequence[list[int]], answers: Sequence[list[int]]
) -> torch.Tensor:
    """Return the log-probability of each whole answer and its end token, prompts x labels, float32."""
    import torch

    columns = []
    for answer in answers:
        target = [*answer, loaded.tokenizer.eos_token_id]
        ids, mask = _left_padded(loaded, [[*prompt_ids, *answer] for prompt_ids in prompts])
        logits = loaded.model(input_ids=ids, attention_mask=mask, logits_to_keep=len(target)).logits
        chosen = logits[:, -len(target) :].float().log_softmax(-1)
        columns.append(chosen[:, range(len(target)), target].sum(-1).cpu())
    return torch.stack(columns, dim=1)


def _left_padded(loaded: Loaded, rows: Sequence[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    import torch

    width = max(len(row) for row in rows)
    padding = loaded.tokenizer.pad_token_id
    ids = torch.tensor([[padding] * (width - len(row)) + row for row in rows], device=loaded.device)
    mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows], device=loaded.device)
    return ids, mask


def _batches(
    questions: Sequence[Question], config: Config, stage: str, *, widest: int
) -> Iterator[list[Question]]:
    """Yield questions longest first, so that memory peaks at once, in batches under the token budget.

    `widest` is how many tokens the answer may add to each row. Emits progress.
    """
    waiting = sorted(questions, key=lambda question: (-len(question.prompt_ids), question.id))
    started = reported = time.monotonic()
    done = 0
    while done < len(waiting):
        width = len(waiting[done].prompt_ids) + widest
        size = max(1, config.predict.batch_tokens // width)
        if config.predict.batch_rows:
            size = min(size, config.predict.batch_rows)
        batch = waiting[done : done + size]
        yield batch
        done += len(batch)
        now = time.monotonic()
        if now - reported > PROGRESS_SECONDS or done == len(waiting):
            left = (now - started) / done * (len(waiting) - done)
            events.emit(stage, rows=done, of=len(waiting), seconds_left=round(left, 1))
            reported = now


def _answering(loaded: Loaded, *, generating: bool = False) -> AbstractContextManager[object]:
    """Put the model in evaluation mode and return the context to answer in."""
    import torch

    model.prepare_to_answer(loaded, generating=generating)
    stack = ExitStack()
    stack.enter_context(torch.inference_mode())
    mixed = loaded.device == "cuda" and loaded.dtype in {"float16", "bfloat16"}
    stack.enter_context(torch.autocast("cuda", getattr(torch, loaded.dtype)) if mixed else nullcontext())
    return stack
