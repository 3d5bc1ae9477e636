"""Write the question that the model sees and the answer that it is taught. A new style is a row of STYLES.

It calls no tokenizer of its own. BOS and the end token are added once, where text becomes tokens.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kit.errors import KitError

if TYPE_CHECKING:
    from kit.config import Competition, Prompt

_TEXT = "\0"  # where a text goes
Turn = tuple[str, str]  # what stands before and behind a question that is a turn of a chat


@dataclass(frozen=True)
class Style:
    """How a question is framed where `prompt.template` does not say it: each text under its heading."""

    field: str = "{heading}: " + _TEXT + "\n\n"
    end: str = ""
    instructs: bool = True  # whether an instruction line stands above
    turn: Turn | None = ("", "")  # none asks the tokenizer's chat template


STYLES = {
    "plain": Style("### {heading}: " + _TEXT + "\n", "### {answer}:", instructs=False),
    "notebook": Style("### {heading}:\n" + _TEXT + "\n\n", "### {answer}:\n"),
    "llama3": Style(
        turn=(
            "<|start_header_id|>user<|end_header_id|>\n\n",
            "<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
        )
    ),
    "chat": Style(turn=None),
}
_FIELD = re.compile(r"\{([^{}]+)\}")
_CONTROL = r"<(?=\||/?(?:s|pad|unk|bos|eos|mask|start_of_turn|end_of_turn)>)|\[(?=/?INST\])"


@dataclass(frozen=True)
class Form:
    """A question with its texts left out: literals and, between them, names of texts; and its answers."""

    style: str
    literals: tuple[str, ...]
    names: tuple[str, ...]
    turn: Turn
    prefix: str  # stands between prompt and answer; a space here belongs to the answer's first token

    def render(self, texts: Mapping[str, str]) -> str:
        """Return what the model sees of one row.

        A text cannot speak for the prompt: a control token's name in it gets a space behind its first
        character, since tokenizers turn `<|eot_id|>` into the token wherever it stands, and so does what
        looks like a heading of the form.
        """
        lines = [line.strip() for literal in self.literals for line in literal.split("\n")]
        first = "|".join([_CONTROL, *filter(None, map(_imitation, lines))])
        told = [re.sub(first, r"\g<0> ", texts[name], flags=re.I | re.M) for name in self.names]
        inside = [part for pair in zip(self.literals, told, strict=False) for part in pair]
        return "".join([self.turn[0], *inside, self.literals[-1], self.turn[1]])

    def answer_ids(self, tokenize: Callable[[str], list[int]], answer: str) -> list[int]:
        """Return the tokens that `answer` adds to the prompt, as they stand in training text.

        Raises KitError naming the style where it changes the prompt's own tokens or adds none.
        """
        rendered = self.render(dict.fromkeys(self.names, "x"))
        before = tokenize(rendered)
        whole = tokenize(rendered + self.prefix + answer)
        if whole[: len(before)] != before or len(whole) == len(before):
            raise KitError(
                f"prompt style {self.style!r}: with this tokenizer the answer {answer!r} changes the tokens "
                f"of the prompt's end {rendered[-24:]!r}",
                hint="SET=prompt.style=plain",
            )
        return whole[len(before) :]


def form(
    competition: Competition, asked: Prompt, style: str = "", language: str = "", turn: Turn = ("", "")
) -> Form:
    """Return the form of `style`, or of `asked`; `language` is an English name, `turn` a chat template's."""
    style, names, label = style or asked.style, competition.texts, competition.label
    frame = STYLES[style]
    is_turn = frame.turn != ("", "")
    if asked.template:
        literals = _FIELD.split(asked.template.replace("{language}", language))
        names, literals = tuple(literals[1::2]), literals[::2]
    else:
        headings = names if len(names) > 1 else ("Input",)
        labels = list(map(competition.word, competition.labels))
        above = _instruction(names, label, labels, language if is_turn else "") if frame.instructs else ""
        within = _TEXT if is_turn and len(names) == 1 else frame.field
        shown = f" ({language})" if language and not is_turn else ""
        fields = "".join(within.replace("{heading}", heading + shown) for heading in headings)
        end = frame.end.replace("{answer}", label if len(names) > 1 else "Response")
        literals = (f"{above}\n\n{fields}{end}" if above else fields + end).split(_TEXT)
    # A blank at the end would be one token with the answer or not, as the vocabulary has it.
    end = literals[-1].rstrip()
    is_line = literals[-1] != end and literals[-1][len(end) :].count("\n") > 0
    literals[-1] = f"{end}\n" if is_line and not is_turn else end
    prefix = "" if is_line or is_turn else " "
    return Form(style, tuple(literals), names, frame.turn or turn, prefix)


def fields(template: str) -> tuple[str, ...]:
    """Return the names in a template's braces."""
    return tuple(_FIELD.findall(template))


def texts_of(row: Mapping[str, str], names: Sequence[str]) -> dict[str, str]:
    """Return a row's texts by column."""
    return {name: row[f"text_{name}" if len(names) > 1 else "text"] for name in names}


def shares(lengths: Sequence[int], room: int) -> list[int]:
    """Return how much of each text stays where all together have `room`: the longest give way first."""
    kept = [0] * len(lengths)
    for left, at in enumerate(sorted(range(len(lengths)), key=lengths.__getitem__)):
        kept[at] = min(lengths[at], room // (len(lengths) - left))
        room -= kept[at]
    return kept


def _imitation(line: str) -> str:
    """Return a pattern of the first character of what reads like `line`, or nothing where words do."""
    if not re.search(r"\w", line) or (line[0].isalnum() and line[-1].isalnum()):
        return ""
    *before, last = re.findall(r"\w+|[^\w\s]+", re.sub(r"\s*\([^()]*\)(?=:$)", "", line))
    parts = [*map(re.escape, before), r"(?:\([^()\n]*\)\s*)?" + re.escape(last)]
    start = "" if not line[0].isalnum() else r"^[^\S\n]*"
    rest = r"\s*".join([re.escape(before[0][1:]) if before else "", *parts[1:]])
    return f"{start}{re.escape(line[0])}(?={rest})"


def _instruction(names: Sequence[str], label: str, labels: Sequence[str], language: str = "") -> str:
    either = f"{', '.join(labels[:-1])} or {labels[-1]}"
    if len(names) > 1:
        read = f"the {', the '.join(names[:-1])} and the {names[-1]}"
        said = f" The language is {language}." if language else ""
        return f"Read {read}, and decide on the {label}.{said} Reply with one of: {either}."
    review = f"{language} review" if language else "review"
    return f"Read the {review} and decide which sentiment it expresses. Reply with one word: {either}."
