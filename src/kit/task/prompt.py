"""Write the question that the model sees and the answer that it is taught. A new style is a row of STYLES.

It calls no tokenizer of its own. BOS and the end token are added once, where text becomes tokens.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kit.errors import KitError


@dataclass(frozen=True)
class Style:
    """How a question is framed: `frame` with the sentence, `end` behind it, then the model's turn."""

    frame: str
    """Holds {sentence}, and {instruction} or {heading}; the heading is `### Input` with the language."""
    end: str
    answer_prefix: str = ""
    """What stands between the prompt and the label; a space here belongs to the answer's first token."""

    @property
    def has_heading(self) -> bool:
        """Whether it is made of `###` headings, which then name the language."""
        return "{heading}" in self.frame


STYLES = {
    "plain": Style("{heading} {sentence}\n", "### Response:", answer_prefix=" "),
    "notebook": Style("{instruction}\n\n{heading}\n{sentence}\n\n", "### Response:\n"),
    "llama3": Style(
        "<|start_header_id|>user<|end_header_id|>\n\n{instruction}\n\n{sentence}<|eot_id|>",
        "<|start_header_id|>assistant<|end_header_id|>\n\n",
    ),
}

_CONTROL = re.compile(r"<(?=\||/?(?:s|pad|unk|bos|eos|mask|start_of_turn|end_of_turn)>)")
_HEADING = re.compile(r"#(?=##\s*(?:Input|Response)\s*(?:\([^()\n]*\)\s*)?:)", re.IGNORECASE)


def render(text: str, style: str, labels: Sequence[str], language: str = "") -> str:
    """Return what the model sees of one sentence; with `language`, its English name, that is said too.

    A sentence cannot speak for the prompt: a control token's name in it gets a space behind its `<`, since
    tokenizers turn `<|eot_id|>` into the token wherever it stands, and `### Input:` and `### Response:` get a
    space behind their first `#` in the styles that are made of them.
    """
    frame = STYLES[style]
    sentence = _CONTROL.sub("< ", text)
    return (
        frame.frame.format(
            sentence=_HEADING.sub("# ", sentence) if frame.has_heading else sentence,
            heading=f"### Input ({language}):" if language else "### Input:",
            instruction=_instruction(labels, "" if frame.has_heading else language),
        )
        + frame.end
    )


def answer(label: str, style: str) -> str:
    """Return what the model is taught to say."""
    return STYLES[style].answer_prefix + label


def answer_token_ids(tokenize: Callable[[str], list[int]], rendered: str, answer: str) -> list[int]:
    """Return the tokens that the answer adds to the prompt, as they stand in training text.

    Raises KitError naming the style where the answer changes the prompt's own tokens or adds none.
    """
    before = tokenize(rendered)
    whole = tokenize(rendered + answer)
    if whole[: len(before)] != before or len(whole) == len(before):
        ended = (name for name in reversed(STYLES) if rendered.endswith(STYLES[name].end))
        raise KitError(
            f"prompt style {next(ended, 'unknown')!r}: with this tokenizer the answer {answer!r} changes the "
            f"tokens of the prompt's end {rendered[-24:]!r}",
            hint="SET=prompt.style=plain",
        )
    return whole[len(before) :]


def _instruction(labels: Sequence[str], language: str = "") -> str:
    names = f"{', '.join(labels[:-1])} or {labels[-1]}"
    review = f"{language} review" if language else "review"
    return f"Read the {review} and decide which sentiment it expresses. Reply with one word: {names}."
