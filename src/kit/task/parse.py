"""Read a label out of what a model wrote, or say why there is none.

A bare label is read, and a label among words that are known to change nothing; whatever else is written is
Unparsed, for a score by probability costs little and a wrong label is silent. It reads the completion alone,
never the prompt, in time linear in its length. The rules are in the tables CUTS and RULES.
"""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

from kit.task.reading import words
from kit.task.reading.cuts import CUTS
from kit.task.reading.sentences import MARKERS, Reason, Sentence, has, is_known, is_plain, sentences
from kit.task.reading.vocabulary import TRIM, Vocabulary, compose, cut_off, fold, vocabulary_of

LONGEST = 100_000  # characters; more is no answer to a question for a label, and takes long to read
SHORT = 5  # words of a sentence that, beside an answer, can take it back: `No, that is not it`
REASONS: tuple[Reason, ...] = get_args(Reason)


@dataclass(frozen=True, slots=True)
class Unparsed:
    """A completion without one clear label: the raw text, and why."""

    text: str
    reason: Reason


def parse(
    text: str, labels: Sequence[str], synonyms: Mapping[str, Sequence[str]] | None = None
) -> str | Unparsed:
    """Return the one label that `text` states, spelled as in `labels`, or Unparsed with the reason.

    `synonyms` adds words to the built-in ones of Positive and Negative, by label. Total: any str is read.
    """
    extra = tuple((label, tuple(others)) for label, others in synonyms.items()) if synonyms else ()
    vocabulary = vocabulary_of(tuple(labels), extra)
    alone = vocabulary.labels_by_word.get(text.strip(TRIM).rstrip(".!" + TRIM).lower(), ())
    if len(alone) == 1:  # it needs no reading
        return next(iter(alone))
    outcome = (_read_short if len(text) <= 64 else _read)(text, vocabulary)
    return Unparsed(text, outcome[1]) if outcome[1] else outcome[0]


def _read(text: str, vocabulary: Vocabulary) -> tuple[str, Reason | None]:
    """Return the label and None, or anything and the reason."""
    if len(text) > LONGEST:
        return "", "truncated"
    shown = text if text.isascii() else compose(text)
    for cut in CUTS:
        rest = cut.apply(shown)
        if rest is None:
            return "", "truncated"
        shown = rest
    shown = fold(shown)
    if not shown.strip(TRIM + "#"):
        return "", "empty"
    read = list(sentences(shown, vocabulary))
    chosen = _choose(read)
    unfinished = cut_off(shown, vocabulary)
    if not isinstance(chosen, Sentence):
        return "", "truncated" if unfinished and chosen != "both-labels" else chosen
    label, *_ = chosen.labels
    if unfinished - {label}:
        return "", "truncated"
    at = next(at for at, one in enumerate(read) if one is chosen)
    doubts = (_doubt(one, chosen, is_later=place > at) for place, one in enumerate(read) if place != at)
    return label, next(filter(None, doubts), None)


_read_short = functools.lru_cache(maxsize=1 << 14)(_read)


def _choose(cut: Sequence[Sentence]) -> Sentence | Reason:
    """Return the sentence that states the answer; of several labels only a stronger last one is."""
    stated = [one for one in cut if one.labels and not one.reason]
    if not stated:
        if len(frozenset().union(*(one.labels for one in cut))) > 1:
            return "both-labels"
        return next((one.reason for one in cut if one.reason), "no-label")
    last = stated[-1]
    others = [one.strength for one in stated if one.labels != last.labels]
    if not others:
        return max(stated, key=lambda one: one.strength)
    return last if last.strength > max(1, *others) else "both-labels"


def _doubt(one: Sentence, chosen: Sentence, *, is_later: bool) -> Reason | None:
    """Return why another sentence does not bear out the chosen one, or None where it does."""
    is_marked, is_short = has(one.tokens, *MARKERS), len(one.tokens) <= SHORT
    if one.labels - chosen.labels:
        is_rival = is_later or (one.strength >= chosen.strength and has(one.core, "colon"))
        is_aside = one.reason and one.explains and is_later and not is_plain(one.tokens[2:])
        return None if is_aside or (chosen.strength >= 2 and not is_rival) else "both-labels"
    if any(word == "0%" for word, _ in one.tokens):
        return "value"
    if not is_later:
        if chosen.strength >= 2 or one.strength >= chosen.strength:
            return None
        if one.labels or (is_marked and has(one.tokens, "colon")):
            return one.reason or "hedged"
        is_own = len(one.tokens) <= 3 or one.tokens[0][0] in ("i", "i'm", "we") or is_marked
        return "hedged" if is_own and has(one.tokens, "denies", "hedges") else None
    if one.reason in ("negated", "value", "hedged"):
        return one.reason
    if any(word in words.RETRACTS for word, _ in one.tokens):
        return "negated"
    if (is_short or is_marked or has(one.tokens[:1], "denies")) and has(one.tokens, "denies", "cross"):
        return "negated"
    if is_short and one.asks:
        return "hedged"
    return None if is_known(one.tokens) else "unfamiliar"
