"""Read a label out of what a model wrote, or say why there is none.

A bare label is read, and a label among words that are known to change nothing; whatever else is written is
Unparsed, for a score by probability costs little and a wrong label is silent. It reads the completion alone,
never the prompt, in time linear in its length. The rules are in the tables CUTS, REFUSALS and DOUBTS.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

from kit.task.reading.cuts import CUTS
from kit.task.reading.refusals import DOUBTS, REFUSALS
from kit.task.reading.sentences import Reason, Sentence, sentences
from kit.task.reading.vocabulary import TRIM, Vocabulary, compose, cut_off, fold, vocabulary_of

LONGEST = 100_000
"""Characters; more is no answer to a question for a label, and takes long to read."""
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
    alone = vocabulary.label_by_answer.get(text.strip(TRIM).rstrip(".!" + TRIM).lower())
    if alone is not None:
        return alone
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
    for one in read:
        if one.labels:
            one.reason = next(filter(None, (rule.apply(one, vocabulary) for rule in REFUSALS)), None)
    chosen = _choose(read)
    unfinished = cut_off(shown, vocabulary)
    if not isinstance(chosen, Sentence):
        return "", "truncated" if unfinished and chosen != "both-labels" else chosen
    label, *_ = chosen.labels
    if unfinished - {label}:
        return "", "truncated"
    return label, next(filter(None, (rule.apply(read, chosen) for rule in DOUBTS)), None)


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
