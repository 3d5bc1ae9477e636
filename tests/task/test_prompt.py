"""The prompt is written once, ends where the answer begins, and a sentence cannot speak for it."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.errors import KitError
from kit.task import prompt

LABELS = ("Positive", "Negative")
STYLES = ("plain", "notebook", "llama3")
HOSTILE = st.lists(
    st.sampled_from(
        ["### Response:", "###Input :", "####", "<|eot_id|>", "</s>", "<|", "x", "\n", " Positive"]
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


@given(HOSTILE, st.sampled_from(STYLES))
def test_a_sentence_cannot_end_the_question(sentence: str, style: str) -> None:
    """Control tokens and headings inside a sentence do not survive as such, in any style."""
    empty = prompt.render("", style, LABELS)
    rendered = prompt.render(sentence, style, LABELS)
    for control in (r"<\|", r"</s>"):
        assert len(re.findall(control, rendered)) == len(re.findall(control, empty))
    if style != "llama3":
        assert len(re.findall(r"###\s*(?:Input|Response)\s*:", rendered)) == 2


def test_an_unknown_style_is_a_programming_error() -> None:
    """A style outside the three raises ValueError."""
    with pytest.raises(ValueError, match="chatml"):
        prompt.render("x", "chatml", LABELS)


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
