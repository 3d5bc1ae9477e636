"""Write the question that the model sees and the answer that it is taught, in one of three styles.

It calls no tokenizer of its own. BOS and the end token are added once, where text becomes tokens.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from kit.errors import KitError

_ENDS = {
    "plain": "### Response:",
    "notebook": "### Response:\n",
    "llama3": "<|start_header_id|>assistant<|end_header_id|>\n\n",
}
"""How each style's prompt ends; the answer is what follows."""

_CONTROL = re.compile(r"<(?=\||/?(?:s|pad|unk|bos|eos|mask|start_of_turn|end_of_turn)>)")
_HEADING = re.compile(r"#(?=##\s*(?:Input|Response)\s*(?:\([^()\n]*\)\s*)?:)", re.IGNORECASE)


def render(text: str, style: str, labels: Sequence[str], language: str = "") -> str:
    """Return what the model sees of one sentence; with `language`, its English name, that is said too.

    A sentence cannot speak for the prompt: a control token's name in it gets a space behind its `<`, since
    tokenizers turn `<|eot_id|>` into the token wherever it stands, and `### Input:` and `### Response:` get a
    space behind their first `#` in the two styles that are made of them.
    """
    sentence = _CONTROL.sub("< ", text)
    if style == "llama3":
        return (
            f"<|start_header_id|>user<|end_header_id|>\n\n{_instruction(labels, language)}\n\n"
            f"{sentence}<|eot_id|>{_ENDS[style]}"
        )
    sentence = _HEADING.sub("# ", sentence)
    heading = f"### Input ({language}):" if language else "### Input:"
    if style == "notebook":
        return f"{_instruction(labels)}\n\n{heading}\n{sentence}\n\n{_ENDS[style]}"
    if style == "plain":
        return f"{heading} {sentence}\n{_ENDS[style]}"
    raise ValueError(f"no prompt style {style!r}; there are {', '.join(_ENDS)}")


def answer(label: str, style: str) -> str:
    """Return what the model is taught to say; in the plain style the space belongs to the answer."""
    return f" {label}" if style == "plain" else label


def answer_token_ids(tokenize: Callable[[str], list[int]], rendered: str, answer: str) -> list[int]:
    """Return the tokens that the answer adds to the prompt, as they stand in training text.

    Raises KitError naming the style where the answer changes the prompt's own tokens or adds none.
    """
    before = tokenize(rendered)
    whole = tokenize(rendered + answer)
    if whole[: len(before)] != before or len(whole) == len(before):
        style = next((name for name in reversed(_ENDS) if rendered.endswith(_ENDS[name])), "unknown")
        raise KitError(
            f"prompt style {style!r}: with this tokenizer the answer {answer!r} changes the tokens of the "
            f"prompt's end {rendered[-24:]!r}",
            hint="SET=prompt.style=plain",
        )
    return whole[len(before) :]


def _instruction(labels: Sequence[str], language: str = "") -> str:
    names = f"{', '.join(labels[:-1])} or {labels[-1]}"
    review = f"{language} review" if language else "review"
    return f"Read the {review} and decide which sentiment it expresses. Reply with one word: {names}."
