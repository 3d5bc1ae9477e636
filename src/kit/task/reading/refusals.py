"""REFUSALS: why a sentence with a label does not state it. DOUBTS: why the text around does not bear it out.

No rule here gives a label; a rule gives the reason to leave the text unread, or None.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from kit.task.reading import words
from kit.task.reading.sentences import MARKERS, OPENERS, Reason, Rule, Sentence, has, is_plain
from kit.task.reading.vocabulary import MARKS, Token, Vocabulary

SHORT = 5
"""Words of a sentence that, behind an answer, can take it back: `No, that is not it`."""
_SCRIPTS = (
    "\u0000\u052f",
    "\u0590\u06ff",
    "\u0900\u0d7f",
    "\u0e00\u0e7f",
    "\u1e00\u2bff",
    "\u3000\u9fff",
    "\uac00\ud7a3",
)
"""First and last letter of the scripts of the languages in `words`."""
_SILENT = frozenset({*MARKS.values(), "number"})


def _is_known(tokens: Sequence[Token]) -> bool:
    """Say whether the script, and in alphabets enough words, are of languages whose denials are known."""
    spoken = [(word[0], role) for word, role in tokens if role not in _SILENT]
    alphabetic = [role for letter, role in spoken if letter < "\u0900"]
    return all(any(script[0] <= letter <= script[1] for script in _SCRIPTS) for letter, _ in spoken) and (
        sum(role != "" for role in alphabetic) * 5 >= len(alphabetic)
    )


def _denial(one: Sentence, _: Vocabulary) -> Reason | None:
    stated = one.core if has(one.tail[:1], "cause") else one.core + one.tail
    return "negated" if has(stated, "denies") else None


def _value(one: Sentence, _: Vocabulary) -> Reason | None:
    is_key = has(one.tokens[one.at + 1 : one.at + 2], "colon")
    return "value" if is_key or has(one.core + one.tail[:2], "number", "odd", "cross") else None


def _question(one: Sentence, _: Vocabulary) -> Reason | None:
    first = one.tokens[0][0]
    is_open = one.asks or first in words.COMMANDS or (first in words.ASKS and len(one.tokens) > 2)
    return "hedged" if is_open else None


def _hedge(one: Sentence, _: Vocabulary) -> Reason | None:
    return "hedged" if has(one.aside + one.core, "hedges") else None


def _colon(one: Sentence, _: Vocabulary) -> Reason | None:
    at = next((at for at, (_, role) in enumerate(one.core) if role == "colon"), 0)
    is_aspect = at and one.strength < 2 and one.core[at - 1][0] not in ("as", "is")
    is_echo = has(one.aside, "colon") and not has(one.aside, *MARKERS)
    return "unfamiliar" if is_aspect or is_echo else None


def _short_label(one: Sentence, _: Vocabulary) -> Reason | None:
    word = one.tokens[one.at][0]
    if not word[-1].isdigit() and not (len(word) == 1 and word.isascii()) and word not in words.VAGUE:
        return None
    before = one.tokens[one.at - 1 : one.at]
    is_marked = has(before, "colon") or any(name in words.NUMBERED for name, _ in before)
    is_shown = one.is_alone and not one.tail and (one.is_bare or (one.strength >= 2 and is_marked))
    return None if is_shown else "unfamiliar"


def _tail(one: Sentence, _: Vocabulary) -> Reason | None:
    if is_plain(one.tail):
        return None
    opener = one.tail[0][1]
    if has(one.tail, "hedges") and opener != "cause":
        return "hedged"
    is_reason = opener in (OPENERS if one.strength >= 2 and not one.is_bare else ("cause", "aims", "open"))
    return None if is_reason and len(one.tail) > 2 and _is_known(one.tail) else "unfamiliar"


def _unknown_word(one: Sentence, vocabulary: Vocabulary) -> Reason | None:
    intense = vocabulary.is_nested and has(one.core, "intense")
    around = [word for word, _ in one.tokens[max(0, one.at - 1) : one.at + 2]]
    is_verb = around[0] in words.SUBJECTS or around[-1] in words.DETERMINERS
    return "unfamiliar" if intense or is_verb or not is_plain(one.core) else None


def _dangling(one: Sentence, _: Vocabulary) -> Reason | None:
    last, role = one.tokens[-1]
    return "truncated" if last in words.DANGLES and role != "label" else None


def _fragment(one: Sentence, _: Vocabulary) -> Reason | None:
    before = one.before
    if before is None or before.line != one.line or is_plain(before.tokens) or one.strength >= 2:
        return None
    spoken = [word for word, role in before.tokens if role not in _SILENT]
    is_listed = len(before.tokens) == 1 and has(before.tokens, "number")
    is_abbreviation = (len(spoken) < 3 and not is_listed) or (
        before.tokens[-1][1] == "" and len(spoken[-1]) < 4
    )
    return "unfamiliar" if is_abbreviation or not _is_known(before.tokens) else None


def _run_on(one: Sentence, _: Vocabulary) -> Reason | None:
    before = one.before
    if before is None or before.line == one.line or not (one.is_bare or has(one.core, "boxed")):
        return None
    if has(before.tokens, "denies", "cross"):
        return "negated"
    return (
        "hedged" if has(before.tokens, "hedges") or before.explains or not _is_known(before.tokens) else None
    )


REFUSALS: tuple[Rule[Callable[[Sentence, Vocabulary], Reason | None]], ...] = (
    Rule("several", "any: `Positive or Negative`, or a word that two labels claim",
         lambda one, _: "both-labels" if len(one.labels) > 1 else None),
    Rule("question", "Llama asks back or repeats the task: `Is it positive?`, `Choose Positive`", _question),
    Rule("denial", "every language of the words: not, pas, nicht, नहीं, 不, ない, değil", _denial),
    Rule("value", "score tables and check boxes: `Positive: 0.1`, `[ ] Positive`, `Positive ❌`", _value),
    Rule("hedge", "Gemma: if, or, but, maybe, mixed leave it open", _hedge),
    Rule("short-label", "labels such as 0, A and No are also counts, articles, denials", _short_label),
    Rule("colon", "aspects, `Food: positive`: the answer is behind label, answer or sentiment", _colon),
    Rule("tail", "what follows a label is a reason, in a language whose denials are known", _tail),
    Rule("unknown-word", "any language: every other word must be one that changes nothing", _unknown_word),
    Rule("dangling", "a completion cut short: `Positive is the`", _dangling),
    Rule("fragment", "abbreviations: the stop of `No. 1` or `i.e. positive` ends no sentence", _fragment),
    Rule("run-on", "Phi: `The review is not` and, on the next line, `Positive`", _run_on),
)  # fmt: skip


def _others(sentences: Sequence[Sentence], chosen: Sentence) -> Iterator[tuple[bool, Sentence]]:
    """Give the other sentences, each with whether it comes after the chosen one."""
    at = next(at for at, one in enumerate(sentences) if one is chosen)
    return ((place > at, one) for place, one in enumerate(sentences) if place != at)


def _other_label(sentences: Sequence[Sentence], chosen: Sentence) -> Reason | None:
    for is_later, one in _others(sentences, chosen):
        is_rival = is_later or (one.strength >= chosen.strength and has(one.core, "colon"))
        if not one.labels - chosen.labels or (not is_rival and chosen.strength >= 2):
            continue
        explains = one.explains and is_later and not is_plain(one.tokens[2:])
        is_aside = explains or _is_denied_once(one) or (chosen.strength >= 2 and _is_aspect(one))
        if not one.reason or not is_aside:
            return "both-labels"
    return None


def _is_denied_once(one: Sentence) -> bool:
    head = one.tokens[: one.at]
    denials = [at for at, (_, role) in enumerate(head) if role == "denies"]
    return len(denials) == 1 and not one.asks and not has(head[denials[0] :], "comma", "hedges", "colon")


def _is_aspect(one: Sentence) -> bool:
    named = [at for at, (_, role) in enumerate(one.tokens) if role == "label"]
    return all(at + 1 < len(one.tokens) and one.tokens[at + 1][0] in words.ASPECTS for at in named)


def _same_label(sentences: Sequence[Sentence], chosen: Sentence) -> Reason | None:
    for is_later, one in _others(sentences, chosen):
        counts = one.labels & chosen.labels and (is_later or chosen.strength < 2)
        if counts and one.reason in ("negated", "value", "hedged"):
            return one.reason
    return None


def _retracted(sentences: Sequence[Sentence], chosen: Sentence) -> Reason | None:
    for is_later, one in _others(sentences, chosen):
        if not is_later:
            continue
        is_short = len(one.tokens) <= SHORT
        takes_back = is_short or has(one.tokens[:1], "denies") or has(one.tokens, *MARKERS)
        if any(word in words.RETRACTS for word, _ in one.tokens):
            return "negated"
        if takes_back and has(one.tokens, "denies", "cross"):
            return "negated"
        if is_short and one.asks:
            return "hedged"
    return None


def _reluctant(sentences: Sequence[Sentence], chosen: Sentence) -> Reason | None:
    for is_later, one in _others(sentences, chosen):
        is_own = len(one.tokens) <= 3 or one.tokens[0][0] in ("i", "i'm", "we") or has(one.tokens, *MARKERS)
        answers = has(one.tokens, *MARKERS) and has(one.tokens, "colon") and not one.labels
        is_open = answers or (is_own and has(one.tokens, "denies", "hedges"))
        if is_open and not is_later and chosen.strength < 2:
            return "hedged"
    return None


def _unsure(sentences: Sequence[Sentence], _: Sentence) -> Reason | None:
    return "value" if any(word == "0%" for one in sentences for word, _ in one.tokens) else None


def _language(sentences: Sequence[Sentence], chosen: Sentence) -> Reason | None:
    later = [_is_known(one.tokens) for is_later, one in _others(sentences, chosen) if is_later]
    return "unfamiliar" if later and (not later[0] or sum(later) * 2 < len(later)) else None


DOUBTS: tuple[Rule[Callable[[Sequence[Sentence], Sentence], Reason | None]], ...] = (
    Rule(
        "other-label", "R1 and Qwen3 weigh both sides; only an explanation may name the other", _other_label
    ),
    Rule("same-label", "the label is denied, asked or scored in another sentence", _same_label),
    Rule("retracted", "R1, Qwen3: `Wait, that is wrong.` behind the answer", _retracted),
    Rule("reluctant", "Llama: `I'm not sure. Positive`", _reluctant),
    Rule("unsure", "gpt-oss: `Confidence: 0.12` below the answer", _unsure),
    Rule("language", "prose behind the answer in a language whose denials are not known", _language),
)
