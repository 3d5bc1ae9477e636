"""CUTS: rules that take away what is no answer, or write it another way, before any sentence is read.

They know no label. A rule gives None where nothing but the beginning of an answer is left.
"""

import re
from collections.abc import Callable

from kit.task.reading import words
from kit.task.reading.sentences import MARKERS, Rule
from kit.task.reading.vocabulary import ROLES

_THOUGHT = re.compile(
    r"<(?P<a>/?) ?(?:\w{1,12}:)?(?:think\w{0,9}|thoughts?|reason\w{0,6}|scratch_?pad|reflect\w{0,4}|analysis"
    r"|cot|chain_of_thought|(?:inner_)?monologue|plan|deliberation|unused9(?P<u>[45])) ?>"
    r"|\[(?P<b>/?)THINK\]|◁(?P<c>/?)think▷|<\|(?P<d>begin|end)_of_(?:thought|thinking)\|>"
    r"|<\|(?P<e>/?)think(?:ing)?\|>|<\|channel>\s?thought|(?P<f><channel\|>)",
    re.IGNORECASE,
)
_CHANNEL = re.compile(
    r"<\|channel\|>\s?(\w+)(?:[^<]|<\|constrain\|>){0,40}(?:<\|message\|>|$)"
    r"|^analysis(?=\s?[A-Z])|(assistant ?final)"
)
_OPENING = re.compile(
    r"(?:\s|<\|(?:begin_of_text|im_start|assistant|return|begin_of_solution|message)\|>|<s>|<bos>|\[/?INST\]"
    r"|<\|start_header_id\|>\s{0,9}assistant\s{0,9}<\|end_header_id\|>|<start_of_turn>model\b|assistant\n"
    r"|###\s?(?:response|answer|output|assistant)\b:?)+",
    re.IGNORECASE,
)
_CLOSING = re.compile(
    r"<\|(?!begin)[a-z_]{2,20}\|>|</s>|<eos>|<turn\|>|<(?:start|end)_of_turn>|\[/?INST\]"
    r"|\s###?\s?(?:input|instruction|response|user|human|system|question|assistant|review|text)\b"
    r"|^###?\s?(?:input|instruction|user|human)\b|(?<=\S)###",
    re.IGNORECASE,
)
_NEXT_PROMPT = re.compile(
    r"(?<=\S)\s*\n[\s*#>-]{0,9}(?:next |another )?(?:input|instructions?|questions?|text|review|sentence"
    r"|tweet|comment|user|human|system|passage|article|headline|example|statement|message|post|q|premise"
    r"|hypothesis)\b ?#?\d{0,4}[*_ ]{0,5}:",
    re.IGNORECASE,
)
_PAIR = re.compile(
    r"[\"']([^\W_][\w -]{0,40})[\"']\s{0,9}:\s{0,9}"
    r"(\"(?:[^\"\\]|\\.)*\"?|'[^'\n]*'?|\[[^\[\]{}]*\]?|[^\s,{}\[\]\"']+)?"
)
_BOXED = re.compile(r"\$*\\f?boxed ?\{(?:\\(?:text|textbf|mathrm|texttt) ?\{)?([^{}]{0,99})(\}*)\$*")
_TAG = re.compile(r"<(/?)([^\W\d_][\w-]{0,30})(?: [^<>\n]{0,80})?/?>")
_CONFIDENCE = re.compile(
    r"[,;]?\s?\(?\s?\b(?:confidence|probability|certainty|score)\b(?: (?:score|level))?[*\"']{0,3}\s?"
    r"(?:[:=]|is|of)?[*\s]{0,3}(\d{1,3}(?:\.\d{1,9})?)"
    r"\s?(%?|(?:/|out of) ?10)(?![\w/.]|\s?/)\)?"
    r"|\(\s?(?:~|≈)?(\d{1,3}(?:\.\d{1,9})?)\s?(%?)"
    r"(?: (?:confidence|confident|probability|sure))?\s?\)",
    re.IGNORECASE,
)
_HTML = re.compile("a|b|i|u|em|strong|p|div|span|br|code|pre|li|ul|ol|h[1-6]|html|body|mark")


def _cut_thinking(text: str) -> str | None:
    outside, depth, start = [""], 0, 0
    for tag in _THOUGHT.finditer(text):
        closes = "/" in tag.group("a", "b", "c", "e") or tag["d"] == "end" or tag["u"] == "5" or tag["f"]
        if depth == 0 and closes:
            outside.clear()
        elif depth == 0:
            outside.append(text[start : tag.start()])
        depth = max(0, depth - 1 if closes else depth + 1)
        start = tag.end()
    return None if depth else "\n".join([*outside, text[start:]]) if start else text


def _cut_channels(text: str) -> str | None:
    marks = list(_CHANNEL.finditer(text))
    if not marks:
        return text
    return text[marks[-1].end() :] if marks[-1][1] == "final" or marks[-1][2] else None


def _cut_ends(text: str) -> str:
    opening = _OPENING.match(text)
    start = opening.end() if opening else 0
    closing = _CLOSING.search(text, start)
    return text[start : closing.start() if closing else None]


def _unfold_json(text: str) -> str:
    start = min((at for at in map(text.find, "{[") if at >= 0), default=-1)
    if start < 0 or not _PAIR.search(text, start):
        return text
    end = max(text.rfind("}"), text.rfind("]")) + 1 or len(text)
    pairs = _PAIR.findall(text, start, end)
    lines = (f"\x02{key}: " + re.sub(r"[\"'\[\]]|\s+", " ", value) for key, value in pairs)
    return "\n\n".join((text[:start].replace("```json", ""), *lines, text[end:]))


def _unbox(text: str) -> str | None:
    if "boxed" not in text:
        return text
    if any(not closed for _, closed in _BOXED.findall(text)):
        return None
    return _BOXED.sub("\n\x03final answer: \\1\n", text)


def _unfold_tags(text: str) -> str:
    def unfolded(tag: re.Match[str]) -> str:
        name = tag[2].lower().replace("_", " ").replace("-", " ")
        if _HTML.fullmatch(name):
            return " "
        if name in ("s", "del", "strike"):
            return " ✗ "
        if ROLES.get(name.rpartition(" ")[2]) in MARKERS or name in words.EXPLAINS:
            return "\n" if tag[1] else f"\n\n{name}: "
        return f" {name} "

    return _TAG.sub(unfolded, text) if "<" in text else text


def _cut_confidence(text: str) -> str:
    def kept(found: re.Match[str]) -> str:
        number, percent = (found[1], found[2]) if found[1] else (found[3], found[4])
        value = float(number)
        most = 10 if percent.endswith("10") else 100 if percent or value > 1 else 1
        is_high = most / 2 < value <= most and value != 1
        return " " if is_high else f" 0% {found[0]}"

    return _CONFIDENCE.sub(kept, text) if any(map(str.isdigit, text)) else text


CUTS: tuple[Rule[Callable[[str], str | None]], ...] = (
    Rule("thinking", "DeepSeek R1, Qwen3, Kimi, Gemma 4: <think>, or only its end or start", _cut_thinking),
    Rule("channels", "gpt-oss: the answer is in the channel `final`", _cut_channels),
    Rule("ends", "Llama, Qwen, Gemma, Phi: tokens of turns, and a prompt that is written on", _cut_ends),
    Rule("next-prompt", "base models write the next example, `Text: ...`, too",
         lambda text: _NEXT_PROMPT.split(text, maxsplit=1)[0]),
    Rule("json", "asked for JSON, a model gives keys and values: each becomes a line", _unfold_json),
    Rule("boxed", "Qwen, DeepSeek: `\\boxed{Negative}`", _unbox),
    Rule("tags", "prompts of Claude's kind, `<answer>Negative</answer>`, and HTML", _unfold_tags),
    Rule("confidence", "Gemma, Phi: `(98%)` says that it is sure, 50 % that it is not", _cut_confidence),
)  # fmt: skip
