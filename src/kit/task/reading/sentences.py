"""Cut an answer into sentences of words whose role is known, and find in each what it may state.

It does not decide whether a sentence is believed; `refusals` does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Generic, Literal, TypeVar

from kit.task.reading import words
from kit.task.reading.vocabulary import Token, Vocabulary, tokens_of

Reason = Literal["empty", "no-label", "both-labels", "negated", "truncated", "value", "hedged", "unfamiliar"]
Action = TypeVar("Action")


@dataclass(frozen=True)
class Rule(Generic[Action]):
    """One thing that completions do, where it was seen, and what follows."""

    name: str
    why: str
    apply: Action


@dataclass(slots=True)
class Sentence:
    """A sentence that may state a label; `core` is the part that does, without aside and reasons."""

    tokens: list[Token]
    line: int
    is_alone: bool
    """Whether it is all of its line."""
    asks: bool
    explains: bool
    before: Sentence | None
    """The sentence before it, where that is on the same line or ends without a stop."""
    labels: frozenset[str] = frozenset()
    at: int = 0
    """Place of the first label among the tokens."""
    aside: list[Token] = field(default_factory=list)
    core: list[Token] = field(default_factory=list)
    tail: list[Token] = field(default_factory=list)
    strength: int = 0
    """3 for a last word, or a bare label in the first line; 2 for a marked label; 1 for another statement."""
    reason: Reason | None = None

    @property
    def is_bare(self) -> bool:
        return len(self.core) == 1 and not self.aside


MARKERS = ("topic", "verdict", "final")
PLAIN = frozenset({"plain", "intense", "label", "colon", "comma", "dash", "open", "json", "boxed", *MARKERS})
OPENERS = ("cause", "aims", "open", "dash", "comma")
"""What may open a reason behind a label."""


def has(tokens: Sequence[Token], *roles: str) -> bool:
    """Say whether a token has one of the roles."""
    return any(role in roles for _, role in tokens)


def is_plain(tokens: Sequence[Token]) -> bool:
    """Say whether the tokens change nothing that a label beside them says."""
    return all(role in PLAIN for _, role in tokens)


def sentences(text: str, vocabulary: Vocabulary) -> Iterator[Sentence]:
    """Cut folded text into sentences; a heading such as `Final answer` goes with the line below it."""
    heading: list[Token] = []
    before: Sentence | None = None
    explains = False
    for number, line in enumerate(text.split("\n")):
        tokens = tokens_of(line, vocabulary)
        if not tokens:
            continue
        if has(tokens, *MARKERS) and is_plain(tokens) and not has(tokens, "label"):
            heading, explains = [*tokens, (":", "colon")], False
            continue
        explains = any(word in words.EXPLAINS for word, _ in tokens[:2]) or (
            explains and not has(tokens, "colon")
        )
        pieces = list(_split(tokens))
        for piece, asks in pieces:
            one = Sentence([*heading, *piece], number, len(pieces) == 1, asks, explains, before)
            _dissect(one, vocabulary)
            yield one
            before, heading = one, []
        if has(tokens[-1:], "end", "ask"):
            before = None
        explains = explains and len(tokens) <= 3


def _split(tokens: Sequence[Token]) -> Iterator[tuple[list[Token], bool]]:
    piece: list[Token] = []
    for token in tokens:
        if token[1] not in ("end", "ask"):
            piece.append(token)
        elif piece:
            yield piece, token[1] == "ask"
            piece = []
    if piece:
        yield piece, False


def _dissect(one: Sentence, vocabulary: Vocabulary) -> None:
    """Find the labels of a sentence, its parts, and how strong its statement is."""
    tokens = one.tokens
    named = [at for at, (_, role) in enumerate(tokens) if role == "label"]
    if not named:
        return
    one.labels = frozenset().union(*(vocabulary.labels_by_word[tokens[at][0]] for at in named))
    one.at = first = named[0]
    start = 0
    for at in range(first):
        follows = at == 0 < first - 1 or has(tokens[max(0, at - 1) : at], "comma", "dash")
        if tokens[at][1] == "concludes" and follows:
            start = at + 1
    end = next((at for at in range(first + 1, len(tokens)) if tokens[at][1] in OPENERS), len(tokens))
    if has(tokens[end : end + 1], "comma", "dash") and has(tokens[end + 1 : end + 2], "cause", "aims"):
        del tokens[end]
    one.aside, one.core, one.tail = tokens[:start], tokens[start:end], tokens[end:]
    while has(one.core[:1], "dash", "open", "comma"):
        del one.core[0]
    is_marked = has(one.core, *MARKERS)
    if has(one.core, "final") or has(one.aside, "concludes") or (has(tokens, "json") and is_marked):
        one.strength = 3
    elif has(one.core, "verdict") or (is_marked and has(one.core, "colon", "dash")):
        one.strength = 2
    else:
        one.strength = 3 if one.line == 0 and one.is_alone and one.is_bare and not one.tail else 1
