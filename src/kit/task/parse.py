"""Read a label out of what a model wrote, or say why there is none.

It never guesses: no default label, no part of a word, no negation turned round. It reads the completion
alone, never the prompt, in time linear in its length. The words that mean a label stand in `words`.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from kit.task import words

Reason = Literal["empty", "no-label", "both-labels", "negated", "truncated"]
REASONS: tuple[Reason, ...] = ("empty", "no-label", "both-labels", "negated", "truncated")

NEGATION_REACH = 7
"""Farthest that a denial may stand from the label that it denies, in tokens of one clause."""


@dataclass(frozen=True, slots=True)
class Unparsed:
    """A completion without one clear label: the raw text, and why."""

    text: str
    reason: Reason


@dataclass(frozen=True, slots=True)
class _Vocabulary:
    """The words of one label set, folded as `_normalise` folds the text."""

    label_by_answer: Mapping[str, str]
    """Whole completions that need no reading."""
    labels_by_token: Mapping[str, frozenset[str]]
    """Tokens that name a label; two labels where both claim the word."""
    role_by_token: Mapping[str, str]
    """What the other tokens that matter do: `ends` a clause, `affirms`, `denies`, `denies behind` too."""
    beginnings: frozenset[str]
    """First letters of label words, three or more: what a completion cut short ends in."""
    token: re.Pattern[str]
    token_unspaced: re.Pattern[str]
    """The same for text in scripts that write no spaces, such as Chinese."""


# Python's \w leaves out the vowel signs of Indic and Arabic scripts, which would cut words in two.
_LETTERS = r"\w\u0300-\u036f\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06ed\u0900-\u0963\u0966-\u0dff"
_UNSPACED_LETTERS = r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff"
_UNSPACED = re.compile(rf"[{_UNSPACED_LETTERS}]")
_CLAUSE_ENDS = ".!;,…।॥。；！、،؛۔|\n"
_FAR = -NEGATION_REACH - 1

_OPENING = re.compile(
    r"(?:\s+|<\|begin_of_text\|>|<s>|<bos>|<\|start_header_id\|>\s*assistant\s*<\|end_header_id\|>"
    r"|#+\s*(?:response\b\s*:?|(?!#|\s|input\b|instruction\b)))+",
    re.IGNORECASE,
)
_CLOSING = re.compile(
    r"###|<\|(?:eot_id|end_of_text|eom_id|endoftext|im_end|im_start|end|start_header_id)\|>"
    r"|</s>|<eos>|<(?:start|end)_of_turn>"
)
# Two Arabic ligatures go with the invisible marks: NFKC makes up to 18 characters of one of them.
_INVISIBLE = re.compile(
    r"[\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufdfa\ufdfb\ufe00-\ufe0f\ufeff]+"
)
# Putting a run of combining marks in order takes quadratic time; no word has 32 of them.
_MARK_RUN = re.compile(r"([^\w\s\x00-\x7f]{32})[^\w\s\x00-\x7f]+")
_MARKDOWN = {"*": "", "`": "", "~": "", "_": " ", "\t": " ", "\r": "\n", "\u2019": "'", "\u2018": "'"}
_JSON_OPENING = re.compile(r"(?:json\b)?\s*[{\[]")
_JSON_ANSWER = re.compile(
    r"[\"'](?:sentiment|label|answer|response|output|prediction|classification|class|polarity|result)[\"']"
    r"\s*:\s*[\"']?([^\"',}\]\n]*)"
)
_TRIM = " \t\r\n.!*`\"'"


def parse(
    text: str, labels: Sequence[str], synonyms: Mapping[str, Sequence[str]] | None = None
) -> str | Unparsed:
    """Return the one label that `text` states, spelled as in `labels`, or Unparsed with the reason.

    `synonyms` adds words to the built-in ones of Positive and Negative, by label. Total: any str is read.
    The first line decides where it names one label and does not deny it; otherwise the whole text must.
    """
    extra = tuple((label, tuple(others)) for label, others in synonyms.items()) if synonyms else ()
    vocabulary = _vocabulary(tuple(labels), extra)
    alone = vocabulary.label_by_answer.get(text.strip(_TRIM).lower())
    if alone is not None:
        return alone
    shown, ended = _normalise(text)
    if not shown:
        return Unparsed(text, "empty")
    first, _, rest = shown.partition("\n")
    found, denied = _read(first, vocabulary)
    cut_off = not ended and _is_cut_off(shown, vocabulary)
    if len(found) == 1 and not denied and (rest or not cut_off):
        return next(iter(found))
    if rest:
        found, denied = _read(shown, vocabulary)
    if len(found) > 1:
        return Unparsed(text, "both-labels")
    if cut_off:
        return Unparsed(text, "truncated")
    if not found:
        return Unparsed(text, "no-label")
    return Unparsed(text, "negated") if denied else next(iter(found))


def _normalise(text: str) -> tuple[str, bool]:
    """Return the answer itself, folded, and whether the model ended it."""
    if not text.isascii():
        text = _compose(text)
    opening = _OPENING.match(text)
    start = opening.end() if opening else 0
    closing = _CLOSING.search(text, start)
    shown = _fold(text[start : closing.start() if closing else None])
    if _JSON_OPENING.match(shown):
        shown = "\n".join(filter(None, _JSON_ANSWER.findall(shown))) or shown
    return shown, closing is not None


def _compose(text: str) -> str:
    return unicodedata.normalize("NFKC", _MARK_RUN.sub(r"\1", _INVISIBLE.sub("", text)))


def _fold(text: str) -> str:
    for mark, replacement in _MARKDOWN.items():
        text = text.replace(mark, replacement)
    text = text.casefold().strip()
    return re.sub("  +", " ", text) if "  " in text else text


def _tokens(text: str, vocabulary: _Vocabulary) -> list[str]:
    spaced = text.isascii() or not _UNSPACED.search(text)
    return (vocabulary.token if spaced else vocabulary.token_unspaced).findall(text)


def _read(text: str, vocabulary: _Vocabulary) -> tuple[set[str], bool]:
    """Return the labels that `text` names, and whether a denial stands near one of them in its clause."""
    found: set[str] = set()
    denied = False
    denial_at = label_at = _FAR
    tokens = _tokens(text, vocabulary)
    for position, token in enumerate(tokens):
        meant = vocabulary.labels_by_token.get(token)
        if meant is not None:
            found |= meant
            label_at = position
            denied = denied or position - denial_at <= NEGATION_REACH
            continue
        role = vocabulary.role_by_token.get(token)
        if role is None and not ("'" in token and (token.endswith("n't") or token.startswith("n'"))):
            continue
        if role == "ends":
            denial_at = label_at = _FAR
        elif role == "affirms" and position - denial_at <= 2:
            denial_at = _FAR
        else:
            denial_at = position
            behind = role == "denies behind" and position - label_at <= NEGATION_REACH
            # "Positive? No", "Positive: no"
            answered = position - label_at == 2 and tokens[position - 1] in "?:"
            denied = denied or behind or answered
    return found, denied


def _is_cut_off(text: str, vocabulary: _Vocabulary) -> bool:
    """Say whether the text stops inside a label or inside a JSON object."""
    if text[0] in "{[":
        return text[-1] not in "}]"
    tail = _tokens(text[-64:], vocabulary)
    return bool(tail) and tail[-1] in vocabulary.beginnings and text.endswith(tail[-1])


@functools.lru_cache(maxsize=64)
def _vocabulary(labels: tuple[str, ...], synonyms: tuple[tuple[str, tuple[str, ...]], ...]) -> _Vocabulary:
    claims: dict[str, set[str]] = {}
    for label in labels:
        others = [other for name, others in synonyms if name == label for other in others]
        for word in (label, *words.SENTIMENT.get(label.casefold(), ()), *others):
            folded = _fold(_compose(word))
            if folded:
                claims.setdefault(folded, set()).add(label)
    roles = dict.fromkeys(_CLAUSE_ENDS, "ends")
    roles |= dict.fromkeys(map(_compose, words.NEGATION), "denies")
    roles |= dict.fromkeys(map(_compose, words.NEGATION_BEHIND), "denies behind")
    roles |= dict.fromkeys(words.AFFIRMED, "affirms")
    known = [*claims, *roles, *words.HAN_OTHER]
    return _Vocabulary(
        label_by_answer={word: next(iter(names)) for word, names in claims.items() if len(names) == 1},
        labels_by_token={word: frozenset(names) for word, names in claims.items()},
        role_by_token=roles,
        beginnings=frozenset(word[:end] for word in claims for end in range(3, len(word))) - claims.keys(),
        token=_token_pattern(known, f"[{_LETTERS}]"),
        token_unspaced=_token_pattern(known, f"(?:(?![{_UNSPACED_LETTERS}])[{_LETTERS}])"),
    )


def _token_pattern(known: Sequence[str], letter: str) -> re.Pattern[str]:
    """Return what finds words made of `letter`, the marks that matter, and the known texts that are neither.

    Those are labels of several words or with marks in them, and words in scripts without spaces.
    """
    word = f"{letter}+(?:['-]{letter}+)*"
    mark = f"[{re.escape(_CLAUSE_ENDS)}?:]"
    plain = re.compile(f"{word}|{mark}")
    others = sorted((text for text in known if not plain.fullmatch(text)), key=len, reverse=True)
    unspaced = [re.escape(text) for text in others if _UNSPACED.match(text)]
    phrases = [re.escape(text) for text in others if not _UNSPACED.match(text)]
    bounded = [rf"(?<!{letter})(?:{'|'.join(phrases)})(?!-?{letter})"] if phrases else []
    return re.compile("|".join([*unspaced, *bounded, word, mark]))
