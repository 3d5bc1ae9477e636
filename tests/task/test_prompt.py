"""The prompt is written once, ends where the answer begins, and a sentence cannot speak for it."""

from __future__ import annotations

import csv
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit import config
from kit.errors import KitError, SettingInvalid
from kit.task import languages, prompt

LABELS = ("Positive", "Negative")
STYLES = tuple(prompt.STYLES)
HOSTILE = st.lists(
    st.sampled_from(
        [
            *("### Response:", "###Input :", "### Input (Tamil):", "####", "<|eot_id|>", "</s>", "<|"),
            *("x", "\n", " Positive"),
        ]
    )
).map("".join)


def test_plain_is_the_references_format() -> None:
    """The plain prompt ends without a space, and the answer brings it."""
    assert prompt.render("Good tea.", "plain", LABELS) == "### Input: Good tea.\n### Response:"
    assert prompt.answer("Positive", "plain") == " Positive"


def test_notebook_has_an_instruction_and_newlines() -> None:
    """The notebook prompt has one instruction line naming the labels and a newline behind each colon."""
    rendered = prompt.render("Good tea.", "notebook", LABELS)
    instruction, rest = rendered.split("\n\n", 1)
    assert "\n" not in instruction
    assert "Positive or Negative" in instruction
    assert rest == "### Input:\nGood tea.\n\n### Response:\n"
    assert prompt.answer("Positive", "notebook") == "Positive"


def test_llama3_writes_the_headers_out() -> None:
    """The llama3 prompt is one user turn and an open assistant turn, without begin_of_text."""
    rendered = prompt.render("Good tea.", "llama3", LABELS)
    assert rendered.startswith("<|start_header_id|>user<|end_header_id|>\n\n")
    assert rendered.endswith("Good tea.<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n")
    assert "begin_of_text" not in rendered
    assert prompt.answer("Negative", "llama3") == "Negative"


@given(st.text(alphabet=st.characters(exclude_characters="#<")), st.sampled_from(STYLES))
def test_an_ordinary_sentence_stands_unchanged(sentence: str, style: str) -> None:
    """A sentence without `#` and `<` is in the prompt as it is, once at least."""
    assert sentence in prompt.render(sentence, style, LABELS)


@given(HOSTILE, st.sampled_from(STYLES), st.sampled_from(["", "Tamil"]))
def test_a_sentence_cannot_end_the_question(sentence: str, style: str, language: str) -> None:
    """Control tokens and headings inside a sentence do not survive as such, in any style."""
    empty = prompt.render("", style, LABELS, language)
    rendered = prompt.render(sentence, style, LABELS, language)
    for control in (r"<\|", r"</s>"):
        assert len(re.findall(control, rendered)) == len(re.findall(control, empty))
    if style != "llama3":
        assert len(re.findall(r"###\s*(?:Input|Response)\s*(?:\(\w+\)\s*)?:", rendered)) == 2


def test_the_language_stands_in_the_heading_or_the_instruction() -> None:
    """By its English name; without one the prompt is what it always was."""
    assert prompt.render("x", "plain", LABELS, "Tamil") == "### Input (Tamil): x\n### Response:"
    assert "\n\n### Input (Tamil):\nx\n" in prompt.render("x", "notebook", LABELS, "Tamil")
    assert "Read the Tamil review and decide" in prompt.render("x", "llama3", LABELS, "Tamil")
    for style in STYLES:
        named = prompt.render("x", style, LABELS, "Tamil")
        assert named.count("Tamil") == 1
        without = named.replace(" (Tamil)", "").replace("Tamil ", "")
        assert without == prompt.render("x", style, LABELS) == prompt.render("x", style, LABELS, "")


def test_every_sample_language_has_its_name() -> None:
    """All eighteen, with Bodo as `bd`."""
    sample = config.PROJECT_ROOT / "src" / "local_kaggle" / "competition" / "train.csv"
    with sample.open(encoding="utf-8", newline="") as file:
        codes = {row["language"] for row in csv.DictReader(file)}
    names = {code: languages.name(code) for code in codes}
    assert len(set(names.values()) - {""}) == len(codes) == 18
    assert (names["bd"], names["bn"], names["ta"]) == ("Bodo", "Bengali", "Tamil")


@pytest.mark.parametrize(
    ("code", "name"),
    [
        *(("TA", "Tamil"), (" ta ", "Tamil"), ("zh-CN", "Chinese"), ("pt_BR", "Portuguese"), ("brx", "Bodo")),
        *(("tamil", "Tamil"), ("Haitian Creole", "Haitian Creole"), ("lu", "Luba-Katanga")),
        *(("", ""), ("xx", ""), ("english text", ""), ("-", "")),
    ],
)
def test_a_code_a_tag_or_an_english_name_is_understood(code: str, name: str) -> None:
    """Anything else has no name, and its row gets the prompt without one."""
    assert languages.name(code) == name


def test_the_table_of_languages_is_whole() -> None:
    """The 184 codes of two letters, seven more, and no entry torn by a line's end."""
    two = [code for code in languages.NAME_BY_CODE if len(code) == 2]
    assert len(two) == 184 + 1
    assert len(languages.NAME_BY_CODE) == 184 + 7
    for code, name in languages.NAME_BY_CODE.items():
        assert re.fullmatch("[a-z]{2,3}", code)
        assert re.fullmatch(r"[A-Z][\w-]+( [A-Z][\wå]+)?", name)


def test_a_style_is_not_counted_twice_among_the_templates() -> None:
    """Refused at home, with both settings named."""
    for templates in ("plain", 'notebook", "notebook'):
        with pytest.raises(SettingInvalid, match=r"predict\.templates.*twice.*prompt\.style = 'plain'"):
            config.resolve("tiny", [f'predict.templates=["{templates}"]'])
    resolved = config.resolve("tiny", ['predict.templates=["notebook", "llama3"]'])
    assert resolved.predict.templates == ("notebook", "llama3")


def test_a_language_in_the_prompt_needs_its_column() -> None:
    """Otherwise the setting would silently do nothing."""
    assert config.resolve("tiny", ["prompt.language=true"]).prompt.language
    with pytest.raises(SettingInvalid, match=r"prompt\.language = true needs competition\.language"):
        config.resolve("tiny", ["prompt.language=true", 'competition.language=""'])


def test_an_unknown_style_is_refused_with_the_nearest() -> None:
    """At home, with the styles that there are."""
    with pytest.raises(SettingInvalid, match=r"there are plain, notebook, llama3; did you mean 'llama3'"):
        config.resolve("tiny", ["prompt.style=llama"])


def test_more_than_two_labels_are_all_named() -> None:
    """The instruction lists every label."""
    assert "A, B or C." in prompt.render("x", "notebook", ("A", "B", "C"))


@pytest.mark.parametrize("style", STYLES)
def test_answer_tokens_are_what_the_answer_adds(style: str) -> None:
    """With a tokenizer that respects the boundary, the answer's tokens are the ones behind the prompt."""
    rendered, answer = prompt.render("Good tea.", style, LABELS), prompt.answer("Positive", style)
    ids = prompt.answer_token_ids(lambda text: [ord(letter) for letter in text], rendered, answer)
    assert "".join(map(chr, ids)) == answer


@pytest.mark.parametrize("style", STYLES)
def test_a_merged_boundary_is_refused(style: str) -> None:
    """A tokenizer that joins the answer to the prompt's end is refused under the style's name."""

    def merge(text: str) -> list[int]:
        return [hash(part) for part in re.split(r"(?<=\w)(?= )", text)]

    with pytest.raises(KitError, match=f"prompt style '{style}'"):
        prompt.answer_token_ids(merge, prompt.render("x", style, LABELS), "Positive")
    with pytest.raises(KitError, match="Positive"):
        prompt.answer_token_ids(lambda _: [1], prompt.render("x", style, LABELS), "Positive")
