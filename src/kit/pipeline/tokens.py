"""Turn rows into token ids: one prompt, one answer, one end token, cut inside the sentence where too long.

Uses the tokenizer that it is given; knows nothing of tensors or models.
"""

from __future__ import annotations

import functools
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kit.config import Config
from kit.errors import KitError
from kit.task import languages, prompt
from kit.task.prompt import Form


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
    adds_end = ids[-1:] == [tokenizer.eos_token_id] and not text.endswith(tokenizer.eos_token)
    return ids[:-1] if adds_end else ids


def form(tokenizer: Any, config: Config, style: str | None = None, language: str = "") -> Form:
    """Return the question of `style`, or of training's, as a turn of the tokenizer's own chat where asked."""
    style = style or config.prompt.style
    turn = _turn(tokenizer) if prompt.STYLES[style].turn is None else ("", "")
    return prompt.form(config.competition, config.prompt, style, language, turn)


@functools.lru_cache(maxsize=8)
def _turn(tokenizer: Any) -> tuple[str, str]:
    """Return what the chat template puts around a question, without the BOS that `tokenize` adds."""
    if not tokenizer.chat_template:
        raise KitError("this model's tokenizer has no chat template", hint="SET=prompt.style=plain")
    asked = [{"role": "user", "content": "\0"}]
    text = tokenizer.apply_chat_template(
        asked, tokenize=False, add_generation_prompt=True, enable_thinking=False
    )
    before, _, after = text.partition("\0")
    return before.removeprefix(tokenizer.bos_token or "") if tokenize(tokenizer, "") else before, after


def answer_ids(tokenizer: Any, config: Config, style: str | None = None) -> list[list[int]]:
    """Return each label's token ids as they follow a prompt of `style`, or of training's, in label order.

    Taken behind a rendered prompt, never alone: `Positive` and ` Positive` are different tokens.
    """
    asked = form(tokenizer, config, style)
    words = map(config.competition.word, config.competition.labels)
    return [asked.answer_ids(lambda text: tokenize(tokenizer, text), word) for word in words]


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
        mask = prompt_mask + [1] * len(completion)
        examples.append({"input_ids": question.prompt_ids + completion, "completion_mask": mask})
    return examples


def _ask(tokenizer: Any, row: dict[str, str], config: Config, limit: int, style: str) -> Question:
    language = languages.name(row.get("language", "")) if config.prompt.language else ""
    asked = form(tokenizer, config, style, language)
    texts = prompt.texts_of(row, config.competition.texts)
    ids = tokenize(tokenizer, asked.render(texts))
    was_cut = len(ids) > limit
    while len(ids) > limit:
        frame = len(tokenize(tokenizer, asked.render(dict.fromkeys(texts, ""))))
        ends = {name: _ends(tokenizer, text) for name, text in texts.items()}
        there = sum(map(len, ends.values()))
        # By proportion, since rendering may lengthen a text that imitates the prompt.
        room = min(there - 1, there * (limit - frame) // (len(ids) - frame))
        if room <= 0:
            raise KitError(
                f"the prompt of row {row['id']!r} has no room for its texts in {limit} tokens",
                hint="a larger model.max_row_tokens",
            )
        kept = prompt.shares([len(each) for each in ends.values()], room)
        shorter = {
            name: texts[name][: ends[name][share - 1] if share else 0]
            if share < len(ends[name])
            else texts[name]
            for name, share in zip(texts, kept, strict=True)
        }
        longest = max(texts, key=lambda name: len(texts[name]))
        texts = shorter if shorter != texts else {**texts, longest: texts[longest][:-1]}
        ids = tokenize(tokenizer, asked.render(texts))
    return Question(row["id"], ids, was_cut)


def _ends(tokenizer: Any, text: str) -> list[int]:
    """Return where each token of a text ends in it."""
    offsets = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]
    return [end for _, end in offsets]
