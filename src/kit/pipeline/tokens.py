"""Turn rows into token ids: one prompt, one answer, one end token, cut inside the sentence where too long.

Uses the tokenizer that it is given; knows nothing of tensors or models.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kit.config import Config
from kit.errors import KitError
from kit.task import languages, prompt


@dataclass(frozen=True)
class Question:
    """One row as the model sees it: prompt token ids, and whether the sentence had to be cut."""

    id: str
    prompt_ids: list[int]
    was_cut: bool


def tokenize(tokenizer: Any, text: str) -> list[int]:
    """Return the token ids of a whole text, with the one BOS that the tokenizer adds, if it adds any."""
    ids: list[int] = tokenizer(text, add_special_tokens=True)["input_ids"]
    # Some tokenizers (SmolLM2) add nothing, some (a few Llama exports) end the text as well.
    return (
        ids[:-1]
        if ids and ids[-1] == tokenizer.eos_token_id and not text.endswith(tokenizer.eos_token)
        else ids
    )


def answer_ids(tokenizer: Any, config: Config, style: str | None = None) -> list[list[int]]:
    """Return each label's token ids as they follow a prompt of `style`, or of training's, in label order.

    Taken behind a rendered prompt, never alone: `Positive` and ` Positive` are different tokens.
    """
    labels, style = config.competition.labels, style or config.prompt.style
    rendered = prompt.render("x", style, labels)
    return [
        prompt.answer_token_ids(lambda text: tokenize(tokenizer, text), rendered, prompt.answer(label, style))
        for label in labels
    ]


def ask(
    tokenizer: Any, rows: Sequence[dict[str, str]], config: Config, *, reserve: int, style: str | None = None
) -> list[Question]:
    """Return every row's question, at most `max_row_tokens - reserve` tokens long, in row order.

    `style` is the one that training uses unless given.
    """
    limit = config.model.max_row_tokens - reserve
    return [_ask(tokenizer, row, config, limit, style or config.prompt.style) for row in rows]


def teach(
    tokenizer: Any, rows: Sequence[dict[str, str]], config: Config, seed: int
) -> list[dict[str, list[int]]]:
    """Return `input_ids` and `completion_mask` of prompt + answer + end token for each labelled row.

    The mask is 1 where a token counts in the loss: the answer and the end token always, a prompt token with
    probability `train.prompt_loss_weight`. A mask keeps packing, which a custom loss would silently turn off.
    """
    answers = answer_ids(tokenizer, config)
    label_order = {label: index for index, label in enumerate(config.competition.labels)}
    longest = max(len(answer) for answer in answers) + 1
    chance = random.Random(seed)  # noqa: S311 - a reproducible draw, not a secret
    weight = config.train.prompt_loss_weight
    examples = []
    for row, question in zip(rows, ask(tokenizer, rows, config, reserve=longest), strict=True):
        completion = [*answers[label_order[row["label"]]], tokenizer.eos_token_id]
        prompt_mask = [int(chance.random() < weight) for _ in question.prompt_ids]
        examples.append(
            {
                "input_ids": question.prompt_ids + completion,
                "completion_mask": prompt_mask + [1] * len(completion),
            }
        )
    return examples


def _ask(tokenizer: Any, row: dict[str, str], config: Config, limit: int, style: str) -> Question:
    text = row["text"]
    language = languages.name(row.get("language", "")) if config.prompt.language else ""

    def prompt_ids(sentence: str) -> list[int]:
        return tokenize(tokenizer, prompt.render(sentence, style, config.competition.labels, language))

    ids = prompt_ids(text)
    was_cut = len(ids) > limit
    while len(ids) > limit:
        frame = len(prompt_ids(""))
        offsets = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]
        # By proportion, since rendering may lengthen a sentence that imitates the prompt.
        keep = min(len(offsets) - 1, len(offsets) * (limit - frame) // (len(ids) - frame))
        if keep <= 0:
            raise KitError(
                f"the prompt of row {row['id']!r} has no room for its sentence in {limit} tokens",
                hint="a larger model.max_row_tokens",
            )
        shorter = text[: offsets[keep - 1][1]]
        text = shorter if len(shorter) < len(text) else text[:-1]
        ids = prompt_ids(text)
    return Question(row["id"], ids, was_cut)
