"""Answer questions with a trained model: compare the labels in one pass, or write and decode text.

Rows are tokenised in windows, so memory hardly grows with their number. Does not choose a label and does not
parse; it returns what the model said.
"""

from __future__ import annotations

import itertools
import math
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from kit.config import Config
from kit.errors import KitError
from kit.pipeline import events, model, tokens
from kit.pipeline.answering import batches, forward
from kit.pipeline.model import Loaded
from kit.pipeline.tokens import Question

T = TypeVar("T")
Row = dict[str, str]

PROGRESS_SECONDS = 10.0


def score(
    loaded: Loaded, rows: Sequence[Row], config: Config, *, stage: str = "score"
) -> dict[str, list[float]]:
    """Return each row's probability of every label by row id, in label order; each sums to 1.

    The mean over the training style and `predict.templates`. What all labels begin with goes with the
    prompt; where their next tokens differ, one pass compares them, otherwise every answer is scored whole.
    Raises KitError naming the row whose answer is not a number, whose id stands twice, or that is too long
    for the memory.
    """
    _refuse_doubles(rows)
    styles = (config.prompt.style, *config.predict.templates)
    answers_by_style = {style: tokens.answer_ids(loaded.tokenizer, config, style) for style in styles}
    longest = max(len(answer) for answers in answers_by_style.values() for answer in answers)
    limits = config.predict.batch_tokens, config.predict.batch_rows
    progress = _Stage(stage, len(rows), len(styles), *limits)
    found: dict[str, list[float]] = {}
    for window in batches.windows(rows):
        scored = []
        for style, answers in answers_by_style.items():
            questions = tokens.ask(loaded.tokenizer, window, config, reserve=longest, style=style)
            scored.append(_score_window(loaded, *_beyond_shared(questions, answers), progress))
        for row, by_style in zip(window, zip(*scored, strict=True), strict=True):
            found[row["id"]] = [math.fsum(label) / len(styles) for label in zip(*by_style, strict=True)]
    return found


def generate(loaded: Loaded, rows: Sequence[Row], config: Config, *, seed: int) -> dict[str, str]:
    """Return by row id the text that the model writes after each prompt; errors are those of `score`."""
    import torch

    _refuse_doubles(rows)
    settings = config.predict
    options: dict[str, object] = {"max_new_tokens": settings.max_new_tokens, "do_sample": False}
    if settings.temperature > 0:
        options |= {"do_sample": True, "temperature": settings.temperature}
    torch.manual_seed(seed)
    stage = _Stage("generate", len(rows), 1, settings.batch_tokens, settings.batch_rows)

    def answer(batch: list[Question]) -> list[str]:
        return forward.write(loaded, [question.prompt_ids for question in batch], **options)

    found: dict[str, str] = {}
    for window in batches.windows(rows):
        questions = tokens.ask(loaded.tokenizer, window, config, reserve=settings.max_new_tokens)
        with forward.answering(loaded, generating=True):
            texts = _in_batches(loaded, questions, stage, answer, widest=settings.max_new_tokens)
        found.update(zip((row["id"] for row in window), texts, strict=True))
    return found


@dataclass
class _Stage:
    """How far one pass over the rows is, and how much its next batch may hold."""

    name: str
    rows: int
    answers_a_row: int
    most_tokens: int
    most_rows: int
    answers: int = 0
    tokens: int = 0
    started: float = field(default_factory=lambda: time.monotonic())
    reported: float = field(default_factory=lambda: time.monotonic())

    def advance(self, answers: int, tokens: int, waiting: Sequence[int], memory: int) -> None:
        """Count one batch and emit progress; `waiting` are the lengths left of this window."""
        self.answers += answers
        self.tokens += tokens
        now, in_all = time.monotonic(), self.rows * self.answers_a_row
        if now - self.reported < PROGRESS_SECONDS and self.answers < in_all:
            return
        self.reported = now
        # Time goes with tokens: rows of this window are counted, those of later ones taken to be like it.
        mean = (self.tokens + sum(waiting)) / (self.answers + len(waiting))
        ahead = sum(waiting) + mean * (in_all - self.answers - len(waiting))
        pace = self.tokens / max(now - self.started, 1e-9)
        events.emit(
            self.name,
            rows=self.answers // self.answers_a_row,
            of=self.rows,
            tokens_per_second=round(pace),
            memory_bytes=memory,
            seconds_left=round(ahead / pace, 1),
        )

    def shrink(self, batch: Sequence[Question], width: int) -> None:
        """Halve the batches after one, padded to `width` tokens, that found no memory.

        Raises KitError where it was a single row.
        """
        if len(batch) == 1:
            raise KitError(
                f"row {batch[0].id!r} of {width} tokens does not fit into memory, even alone",
                hint=f"SET=model.max_row_tokens={width // 2}",
            )
        self.most_tokens = width * (len(batch) // 2)
        events.emit("out_of_memory", stage=self.name, rows=len(batch), batch_tokens=self.most_tokens)


def _in_batches(
    loaded: Loaded,
    questions: Sequence[Question],
    stage: _Stage,
    answer: Callable[[list[Question]], list[T]],
    *,
    widest: int,
) -> list[T]:
    """Return one answer a question, in their order; `widest` is how many tokens an answer may add to each.

    A batch that does not fit into memory is cut in two, and so are those after it.
    """
    found: dict[int, T] = {}
    waiting = {index: len(question.prompt_ids) + widest for index, question in enumerate(questions)}
    while waiting:
        for batch in batches.pack(waiting, stage.most_tokens, stage.most_rows):
            asked = [questions[index] for index in batch]
            answers = _attempt(answer, asked)
            if answers is None:
                stage.shrink(asked, waiting[batch[0]])
                break
            found.update(zip(batch, answers, strict=True))
            spent = sum(waiting.pop(index) for index in batch)
            stage.advance(len(batch), spent, list(waiting.values()), model.peak_memory(loaded))
    return [found[index] for index in range(len(questions))]


def _attempt(answer: Callable[[list[Question]], list[T]], batch: list[Question]) -> list[T] | None:
    """Return the answers, or None where memory ran out, on a card or on the CPU."""
    from accelerate.utils.memory import clear_device_cache

    try:
        return answer(batch)
    except (RuntimeError, MemoryError) as error:
        if not model.is_out_of_memory(error):
            raise
    # Outside of the except block, whose traceback holds on to the tensors that were too large.
    clear_device_cache(garbage_collection=True)
    return None


def _beyond_shared(
    questions: Sequence[Question], answers: Sequence[list[int]]
) -> tuple[list[Question], list[list[int]]]:
    """Move the tokens that all answers begin with, such as the blank before a number, into the prompts."""
    by_place = zip(*(answer[:-1] for answer in answers), strict=False)
    shared = [tokens[0] for tokens in itertools.takewhile(lambda tokens: len(set(tokens)) == 1, by_place)]
    longer = [replace(question, prompt_ids=[*question.prompt_ids, *shared]) for question in questions]
    return longer, [answer[len(shared) :] for answer in answers]


def _score_window(
    loaded: Loaded, questions: Sequence[Question], answers: Sequence[list[int]], stage: _Stage
) -> list[list[float]]:
    whole = len({answer[0] for answer in answers}) < len(answers)

    def answer(batch: list[Question]) -> list[list[float]]:
        prompts = [question.prompt_ids for question in batch]
        logits = forward.label_logits(loaded, prompts, answers, whole=whole)
        for question, is_number in zip(batch, logits.isfinite().all(-1).tolist(), strict=True):
            if not is_number:
                raise KitError(
                    f"the model's answer to row {question.id!r} is not a number", hint="a lower learning rate"
                )
        return list(logits.softmax(-1).tolist())

    with forward.answering(loaded):
        widest = max(len(answer) for answer in answers) if whole else 0
        return _in_batches(loaded, questions, stage, answer, widest=widest)


def _refuse_doubles(rows: Sequence[Row]) -> None:
    key, count = Counter(row["id"] for row in rows).most_common(1)[0] if rows else ("", 1)
    if count > 1:
        raise KitError(
            f"row id {key!r} stands twice, and one answer would replace the other", hint="make data"
        )
