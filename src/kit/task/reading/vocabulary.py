"""Cut text into words and marks, and say what each does: the labels' words and those of `words`.

It knows single words and phrases; what a sentence of them states is for `sentences`.
"""

import functools
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kit.task.reading import words

Token = tuple[str, str]
"""A word or mark as folded, and its role: a value of ROLES or MARKS, `label`, `number`, or nothing."""


@dataclass(frozen=True, slots=True, eq=False)
class Vocabulary:
    """The words of one label set, folded as the text is."""

    labels_by_word: Mapping[str, frozenset[str]]
    labels_by_beginning: Mapping[str, frozenset[str]]
    """First letters of label words, three or more: what a completion cut short ends in."""
    token: re.Pattern[str]
    is_nested: bool  # one label holds another, as Very Positive does: then no intensifier is plain
    has_negative: bool  # a label is a number below 0: then `- 1` is one too, and no bullet


# Python's \w leaves out the vowel signs of Indic and Arabic scripts, which would cut words in two.
_MARKED = (
    r"\u0300-\u036f\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06ed\u0900-\u0963\u0966-\u0dff\u200c"
)
_UNSPACED = r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005\u3040-\u30ff\u3400-\u9fff"
_LETTER = rf"(?:(?![{_UNSPACED}])[\w{_MARKED}])"
_TOKEN = (
    rf"[#$€£~^@<>±≥≤≈×÷]?(?:[-+] ?)?\.?(?<![\w{_MARKED}])\d+(?:[.,:/⁄-]\d+)*(?: ?[%€$°])?(?!'?{_LETTER})"
    rf"|{_LETTER}+(?:['-]{_LETTER}+)*|[{_UNSPACED}]+|\[ *\]|\( *\)|[^\s\w]"
)
_INVISIBLE = re.compile(
    r"[\u00ad\u061c\u180e\u200b\u200d-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufdfa\ufdfb\ufe00-\ufe0f\ufeff]+"
)
"""Marks that nobody sees, and two Arabic ligatures of which NFKC makes up to 18 characters."""
_MARK_RUN = re.compile(r"([^\w\s\x00-\x7f]{32})[^\w\s\x00-\x7f]+")
"""Putting a run of combining marks in order takes quadratic time; no word has 32 of them."""
_MINUS = re.compile(r"[\u2010-\u2013\u2212\ufe63](?= ?\d)")
"""Gemma and others write -1 with a minus sign, a dash or a hyphen that does not break."""
_MARKDOWN = {"~~": " ✗ ", "*": "", "`": "", "_": " ", "\t": " ", "\r": "\n", "’": "'", "‘": "'", "->": "→"}
TRIM = " \t\r\n*`\"'"
MARKS = {
    mark: role
    for role, marks in {
        "end": ".!;…।॥。；！؛۔·", "ask": "?？؟❓❔", "colon": ":=→⇒", "comma": ",،、，", "dash": "–—-",
        "open": "(", "odd": "/\\|%+&$€£^~@±≥≤≈×÷", "cross": words.CROSSES, "json": "\x02", "boxed": "\x03",
    }.items()
    for mark in marks
}  # fmt: skip


def compose(text: str) -> str:
    """Return the text with one spelling for each character, and without those that nobody sees."""
    return _MINUS.sub("-", unicodedata.normalize("NFKC", _MARK_RUN.sub(r"\1", _INVISIBLE.sub("", text))))


def fold(text: str) -> str:
    """Return the text without Markdown, in small letters, with single blanks."""
    for mark, replacement in _MARKDOWN.items():
        text = text.replace(mark, replacement)
    text = re.sub(r"(?<!\S)!=? ?(?=\w)", "¬", text.casefold().strip())
    return re.sub("  +", " ", text)


ROLES = {
    fold(compose(word)): role
    for role in (
        *("known", "plain", "intense", "aims", "cause", "topic", "verdict", "final", "concludes", "hedges"),
        "denies",
    )
    for word in words.BY_KIND[role]
}
"""What each known word does; a word of several kinds is of the last."""


@functools.lru_cache(maxsize=64)
def vocabulary_of(labels: tuple[str, ...], synonyms: tuple[tuple[str, tuple[str, ...]], ...]) -> Vocabulary:
    """Return the words of a label set, with the built-in ones of Positive and Negative."""
    claims: dict[str, set[str]] = {}
    for label in labels:
        others = [other for name, others in synonyms if name == label for other in others]
        spellings = (label, *words.SENTIMENT.get(label.casefold(), ()), *others)
        for word in filter(None, map(fold, map(compose, spellings))):
            endings = ("", *words.HANGUL_ENDINGS) if "가" <= word[-1] <= "힣" else ("",)
            for ending in endings:
                claims.setdefault(word + ending, set()).add(label)
    begun: dict[str, set[str]] = {}
    for word, names in claims.items():
        for end in range(3, len(word)):
            begun.setdefault(word[:end], set()).update(names)
    known = sorted([*claims, *ROLES], key=len, reverse=True)
    # `not at all` and `A+` count as one; so do known words in a run of letters that has no spaces.
    several = (text for text in known if re.findall(_TOKEN, text) != [text])
    joined = [re.escape(text) for text in several if not re.fullmatch(r"[-+]?[\d.,]+", text)]
    unspaced = filter(re.compile(f"[{_UNSPACED}]+").fullmatch, known)
    whole = rf"(?<!{_LETTER})(?:{'|'.join(joined)})(?!['-]?{_LETTER}|(?<=\d)[.,:/⁄]\d)"
    return Vocabulary(
        labels_by_word={word: frozenset(names) for word, names in claims.items()},
        labels_by_beginning={word: frozenset(names) for word, names in begun.items() if word not in claims},
        token=re.compile("|".join([whole, *unspaced, f"[{_UNSPACED}]", _TOKEN])),
        is_nested=any(f" {one} " in f" {other} " for one in claims for other in claims if one != other),
        has_negative=any(re.match(r"-\d", word) for word in claims),
    )


def tokens_of(line: str, vocabulary: Vocabulary) -> list[Token]:
    tokens: list[Token] = []
    for word in vocabulary.token.findall(line):
        token = _token(word, tokens, vocabulary)
        if token is not None:
            tokens.append(token)
    return tokens


def _token(word: str, before: Sequence[Token], vocabulary: Vocabulary) -> Token | None:
    if vocabulary.has_negative and word[-1].isdigit() and before and before[-1][1] == "dash":
        return word, "number"
    if word in vocabulary.labels_by_word:
        return word, "label"
    role = ROLES.get(word) or MARKS.get(word)
    if role:
        return word, role
    if len(word) > 1 and word[0] in "[(":
        return word, "cross"
    if word[-1].isdigit() or word[-1] in "%€$°":
        is_signed = vocabulary.has_negative and (not before or before[-1][1] in ("colon", "end"))
        word = (word.replace(" ", "") if is_signed else word).lstrip("+")
        return word, "label" if word in vocabulary.labels_by_word else "number"
    if "'" in word and (word.endswith("n't") or word.startswith("n'")):
        return word, "denies"
    return (word, "") if unicodedata.category(word[0])[0] in "LMN" else None


def cut_off(text: str, vocabulary: Vocabulary) -> frozenset[str]:
    """Return the labels inside whose writing the text stops."""
    tail = text[-64:]
    begun = (
        vocabulary.labels_by_beginning.get(tail[at:], frozenset())
        for at in range(len(tail) - 2)
        if at == 0 or not tail[at - 1].isalnum() or re.match(f"[{_UNSPACED}]", tail[at - 1])
    )
    return frozenset().union(*begun)
