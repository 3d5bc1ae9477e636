"""The prompt is written once, ends where the answer begins, and a sentence cannot speak for it."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit import config
from kit.config import Competition, Prompt
from kit.errors import KitError
from kit.task import languages, prompt

STYLES = ("plain", "notebook", "llama3")
HOSTILE = st.lists(
    st.sampled_from(
        [
            *("### Response:", "###Input :", "### Input (Tamil):", "####", "<|eot_id|>", "</s>", "<|"),
            *("x", "\n", " Positive"),
        ]
    )
).map("".join)


def form(style: str, language: str = "") -> prompt.Form:
    return prompt.form(Competition(slug="s", labels=("Positive", "Negative")), Prompt(), style, language)


def render(text: str, style: str, language: str = "") -> str:
    return form(style, language).render({"text": text})


@pytest.mark.parametrize(
    ("style", "expected", "prefix"),
    [
        ("plain", "### Input: Good tea.\n### Response:", " "),
        ("notebook", "[^\n]* Positive or Negative[^\n]*\n\n### Input:\nGood tea.\n\n### Response:\n", ""),
        (
            "llama3",
            r"<\|start_header_id\|>user<\|end_header_id\|>\n\n[^|]*Good tea.<\|eot_id\|>"
            r"<\|start_header_id\|>assistant<\|end_header_id\|>\n\n",
            "",
        ),
    ],
)
def test_each_style_has_its_form(style: str, expected: str, prefix: str) -> None:
    """Plain is the reference's, notebook has an instruction, llama3 is a turn without begin_of_text."""
    assert re.fullmatch(expected, render("Good tea.", style))
    assert form(style).prefix == prefix


@given(st.text(alphabet=st.characters(exclude_characters="#<")), st.sampled_from(STYLES))
def test_an_ordinary_sentence_stands_unchanged(sentence: str, style: str) -> None:
    """A sentence without `#` and `<` is in the prompt as it is, once at least."""
    assert sentence in render(sentence, style)


@given(HOSTILE, st.sampled_from(STYLES), st.sampled_from(["", "Tamil"]))
def test_a_sentence_cannot_end_the_question(sentence: str, style: str, language: str) -> None:
    """Control tokens and headings inside a sentence do not survive as such, in any style."""
    empty = render("", style, language=language)
    rendered = render(sentence, style, language=language)
    for control in (r"<\|", r"</s>"):
        assert len(re.findall(control, rendered)) == len(re.findall(control, empty))
    if style != "llama3":
        assert len(re.findall(r"###\s*(?:Input|Response)\s*(?:\(\w+\)\s*)?:", rendered)) == 2


def test_the_language_stands_in_the_heading_or_the_instruction() -> None:
    """By its English name; without one the prompt is what it always was."""
    assert config.resolve("tiny", ["prompt.language=true"]).prompt.language
    assert render("x", "plain", language="Tamil") == "### Input (Tamil): x\n### Response:"
    assert "\n\n### Input (Tamil):\nx\n" in render("x", "notebook", language="Tamil")
    assert "Read the Tamil review and decide" in render("x", "llama3", language="Tamil")
    for style in STYLES:
        named = render("x", style, language="Tamil")
        assert named.count("Tamil") == 1
        without = named.replace(" (Tamil)", "").replace("Tamil ", "")
        assert without == render("x", style) == render("x", style, language="")


@pytest.mark.parametrize(
    ("code", "name"),
    [
        *(("TA", "Tamil"), (" ta ", "Tamil"), ("zh-CN", "Chinese"), ("pt_BR", "Portuguese"), ("bd", "Bodo")),
        *(("tamil", "Tamil"), ("Haitian Creole", "Haitian Creole"), ("lu", "Luba-Katanga")),
        *(("", ""), ("xx", ""), ("english text", ""), ("-", "")),
    ],
)
def test_a_code_a_tag_or_an_english_name_is_understood(code: str, name: str) -> None:
    """Anything else has no name, and its row gets the prompt without one."""
    assert languages.name(code) == name


@pytest.mark.parametrize("style", STYLES)
def test_a_merged_boundary_is_refused(style: str) -> None:
    """A tokenizer that joins the answer to the prompt's end is refused under the style's name."""

    def merge(text: str) -> list[int]:
        return [hash(part) for part in re.split(r"(?<=\w)(?= )", text)]

    with pytest.raises(KitError, match=f"prompt style '{style}'"):
        form(style).answer_ids(merge, "Positive")
    with pytest.raises(KitError, match="Positive"):
        form(style).answer_ids(lambda _: [1], "Positive")


PAIR = Competition(slug="s", labels=("a", "b", "c"), text=("prompt", "answer"), label="winner")
TEMPLATE = "### Asked: {prompt}\n<said>{answer}</said>\nWinner:"


def test_several_texts_stand_under_their_names() -> None:
    """The answer under the label column's; an instruction names them all."""
    texts = {"prompt": "Why?", "answer": "So."}
    plain = prompt.form(PAIR, Prompt()).render(texts)
    assert plain == "### prompt: Why?\n### answer: So.\n### winner:"
    chat = prompt.form(PAIR, Prompt(), "chat", "Tamil", ("<user>", "<model>")).render(texts)
    assert "Read the prompt and the answer, and decide on the winner. The language is Tamil. Reply" in chat
    assert chat.endswith("one of: a, b or c.\n\nprompt: Why?\n\nanswer: So.<model>")
    asked = prompt.form(PAIR, Prompt(template=TEMPLATE))
    assert asked.render(texts) == "### Asked: Why?\n<said>So.</said>\nWinner:"
    assert prompt.form(PAIR, Prompt(template=TEMPLATE + " \n ")).prefix == ""


def test_numbers_are_answered_in_words_of_their_own() -> None:
    """The first synonym of each, where every number has one; words stay what they are."""
    some = {"0": ("bad", "poor"), "1": ("good",)}
    for labels, synonyms, words in (
        ("01", some, ["bad", "good"]),
        ("012", some, [*"012"]),
        ("ab", {}, [*"ab"]),
    ):
        own = Competition(slug="s", labels=tuple(labels), synonyms=synonyms)
        assert [own.word(label) for label in own.labels] == words


@given(
    st.lists(
        st.sampled_from(["### Asked:", "###  asked :", "<said>", "</said>", "winner:", "\n", "#", "<", "x "])
    ).map("".join),
    st.sampled_from([("prompt", "answer"), ("answer", "prompt")]),
)
def test_a_text_imitates_no_heading_of_a_template(text: str, places: tuple[str, str]) -> None:
    """Marks anywhere, words at the start of a line."""
    rendered = prompt.form(PAIR, Prompt(template=TEMPLATE)).render({places[0]: text, places[1]: "y"})
    for heading in (r"###\s*asked\s*:", "<said>", "</said>", r"^\s*winner\s*:"):
        assert len(re.findall(heading, rendered, re.I | re.M)) == 1


@given(st.lists(st.integers(0, 50), min_size=1, max_size=5), st.integers(0, 200))
def test_the_longest_text_gives_way_first(lengths: list[int], room: int) -> None:
    """All the room is used, and who keeps less than he has keeps as much as anybody."""
    kept = prompt.shares(lengths, room)
    assert sum(kept) == min(room, sum(lengths))
    cut = [share for share, length in zip(kept, lengths, strict=True) if share < length]
    assert not cut or (max(kept) - min(cut) <= 1)


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{prompt} Winner:", "has prompt in braces; competition.text is prompt, answer"),
        ("{prompt}{answer}{other}:", "has prompt, answer, other in braces"),
        ("{prompt} {answer}\n", "must end with words that ask for the answer"),
        ("{prompt} {answer} {language}:", "has prompt, answer, language in braces"),
    ],
)
def test_a_template_holds_every_text_and_asks(template: str, message: str) -> None:
    """Refused at home, in one line."""
    with pytest.raises(ValueError, match=message):
        config.Config(preset="x", competition=PAIR, prompt=Prompt(template=template))
