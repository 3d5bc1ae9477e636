"""Cut an answer into sentences of words whose role is known, and say which of them state a label.

RULES give the reasons for which a sentence with a label does not state it; no rule gives a label.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Generic, Literal, TypeVar

from kit.task.reading import words
from kit.task.reading.vocabulary import MARKS, Token, Vocabulary, tokens_of

Reason = Literal["empty", "no-label", "both-labels", "negated", "truncated", "value", "hedged", "unfamiliar"]
Action = TypeVar("Action")
MARKERS = ("topic", "verdict", "final")
PLAIN = frozenset({"plain", "intense", "label", "colon", "comma", "dash", "open", "json", "boxed", *MARKERS})
_SILENT = frozenset({*MARKS.values(), "number"})
OPENERS = ("cause", "aims", "open", "dash", "comma")  # what may open a reason behind a label


@dataclass(frozen=True)
class Rule(Generic[Action]):
    """One thing that completions do, where it was seen, and what follows."""

    name: str
    why: str
    apply: Action
    reason: Reason = "unfamiliar"  # of a rule that says whether a text is left unread


@dataclass(slots=True)
class Sentence:
    """A sentence that may state a label; `core` is the part that does, without aside and reasons."""

    tokens: list[Token]
    line: int
    is_alone: bool  # whether it is all of its line
    asks: bool
    explains: bool
    before: "Sentence | None"  # the sentence before it, where that is on the same line or ends without a stop
    labels: frozenset[str] = frozenset()
    at: int = 0  # place of the first label among the tokens
    aside: list[Token] = field(default_factory=list)
    core: list[Token] = field(default_factory=list)
    tail: list[Token] = field(default_factory=list)
    strength: int = 0
    """3 for a last word, or a bare label in the first line; 2 for a marked label; 1 for another statement."""
    reason: Reason | None = None

    @property
    def is_bare(self) -> bool:
        return len(self.core) == 1 and not self.aside


def has(tokens: Sequence[Token], *roles: str) -> bool:
    """Say whether a token has one of the roles."""
    return any(role in roles for _, role in tokens)


def is_plain(tokens: Sequence[Token]) -> bool:
    """Say whether the tokens change nothing that a label beside them says."""
    return all(role in PLAIN for _, role in tokens)


def spoken(tokens: Sequence[Token]) -> list[Token]:
    """Return the words among the tokens."""
    return [token for token in tokens if token[1] not in _SILENT]


def is_known(tokens: Sequence[Token]) -> bool:
    """Say whether enough words are of languages whose denials are known."""
    roles = [role for _, role in spoken(tokens)]
    return sum(role != "" for role in roles) * 5 >= len(roles)


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
    """Yield the tokens between stops, and whether one of the stops right behind them asks."""
    piece: list[Token] = []
    for is_stop, run in itertools.groupby([*tokens, ("", "end")], lambda token: token[1] in ("end", "ask")):
        if not is_stop:
            piece = list(run)
        elif piece:
            yield piece, has(list(run), "ask")


def _dissect(one: Sentence, vocabulary: Vocabulary) -> None:
    """Find the labels of a sentence, its parts, how strong its statement is, and what speaks against it."""
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
    one.reason = next((rule.reason for rule in RULES if rule.apply(one, vocabulary)), None)


def _is_open_word(one: Sentence, _: Vocabulary) -> bool:
    """Labels such as 0, A and No are also counts, articles and denials: they are read alone or marked."""
    word = one.tokens[one.at][0]
    if not word[-1].isdigit() and not (len(word) == 1 and word.isascii()) and word not in words.VAGUE:
        return False
    before = one.tokens[one.at - 1 : one.at]
    is_marked = has(before, "colon") or any(name in words.NUMBERED for name, _ in before)
    return not (one.is_alone and not one.tail and (one.is_bare or (one.strength >= 2 and is_marked)))


def _is_aspect(one: Sentence, _: Vocabulary) -> bool:
    at = next((at for at, (_, role) in enumerate(one.core) if role == "colon"), 0)
    is_open = at and one.strength < 2 and one.core[at - 1][0] not in ("as", "is")
    return bool(is_open) or (has(one.aside, "colon") and not has(one.aside, *MARKERS))


def _is_no_reason(one: Sentence, _: Vocabulary) -> bool:
    openers = OPENERS if one.strength >= 2 and not one.is_bare else ("cause", "aims", "open")
    is_reason = has(one.tail[:1], *openers) and len(one.tail) > 2 and is_known(one.tail)
    return not is_plain(one.tail) and (not is_reason or has(one.tail, "hedges"))


def _is_odd(one: Sentence, vocabulary: Vocabulary) -> bool:
    around = [word for word, _ in one.tokens[max(0, one.at - 1) : one.at + 2]]
    is_verb = around[0] in words.SUBJECTS or around[-1] in words.DETERMINERS
    return (vocabulary.is_nested and has(one.core, "intense")) or is_verb or not is_plain(one.core)


def _runs_on(one: Sentence, _: Vocabulary) -> bool:
    before = one.before
    if before is None:
        return False
    if before.line == one.line:
        last, role = before.tokens[-1]
        is_cut = len(spoken(before.tokens)) < 3 or (not role and len(last) < 4) or not is_known(before.tokens)
        return is_cut and one.strength < 2 and not is_plain(before.tokens)
    leads_on = has(before.tokens, "denies", "cross", "hedges") or has(before.tokens[-1:], "intense")
    is_open = leads_on or before.explains or not is_known(before.tokens)
    return is_open and (one.is_bare or has(one.core, "boxed"))


RULES: tuple[Rule[Callable[[Sentence, Vocabulary], bool]], ...] = (
    Rule("several", "any: `Positive or Negative`, or a word that two labels claim",
         lambda one, _: len(one.labels) > 1, "both-labels"),
    Rule("question", "Llama asks back or repeats the task: `Is it positive?`, `Choose Positive`",
         lambda one, _: one.asks or one.tokens[0][0] in words.COMMANDS
         or (one.tokens[0][0] in words.ASKS and len(one.tokens) > 2), "hedged"),
    Rule("denial", "every language of the words: not, pas, nicht, नहीं, 不, ない, değil",
         lambda one, _: has(one.core if has(one.tail[:1], "cause") else one.core + one.tail, "denies")
         or any(word in words.RETRACTS for word, _ in one.tail), "negated"),
    Rule("value", "score tables and check boxes: `Positive: 0.1`, `[ ] Positive`, `Positive ❌`",
         lambda one, _: has(one.core + one.tail[:2], "number", "odd", "cross")
         or has(one.tokens[one.at + 1 : one.at + 2], "colon"), "value"),
    Rule("hedge", "Gemma: if, or, but, maybe, mixed leave it open",
         lambda one, _: has(one.aside + one.core, "hedges"), "hedged"),
    Rule("short-label", "labels such as 0, A and No are also counts, articles, denials", _is_open_word),
    Rule("colon", "aspects, `Food: positive`: the answer is behind label, answer or sentiment", _is_aspect),
    Rule("tail", "what follows a label is a reason, in a language whose denials are known",
         _is_no_reason),
    Rule("unknown-word", "any language: every other word must be one that changes nothing", _is_odd),
    Rule("dangling", "a completion cut short: `Positive is the`",
         lambda one, _: one.tokens[-1][0] in words.DANGLES and one.tokens[-1][1] != "label", "truncated"),
    Rule("run-on", "Phi: `The review is not` and, on the next line, `Positive`; `i.e. positive`", _runs_on),
)  # fmt: skip
