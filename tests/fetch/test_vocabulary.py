"""Tokenizers of the Llama-3 kind, and Llama 3's own where `make vocabulary` has stored it."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.config import Competition, Prompt
from kit.fetch import vocabulary
from kit.task import prompt

if TYPE_CHECKING:
    from tokenizers import Tokenizer

pytestmark = pytest.mark.train

PIECES = [*(bytes([byte]) for byte in range(256)), b"He", b"ll", b"llo", b"Hello", b" H", b"xyz"]
RANKS = b"\n".join(base64.b64encode(piece) + f" {rank}".encode() for rank, piece in enumerate(PIECES))


@pytest.fixture(scope="module")
def small() -> Tokenizer:
    return vocabulary.from_ranks(RANKS, vocabulary.SPECIALS)


def test_the_lower_rank_merges_first(small: Tokenizer) -> None:
    """A piece that is a token stays whole, and elsewhere the pair of the lowest rank is joined first."""
    # No two tokens make this one: only a whole piece is it.
    assert small.encode("xyz", add_special_tokens=False).ids == [PIECES.index(b"xyz")]
    assert len(small.encode("xyzx", add_special_tokens=False).ids) == 4
    spelled = [PIECES[token] for token in small.encode("Hellow", add_special_tokens=False).ids]
    assert spelled == [b"Hello", b"w"]
    spelled = [PIECES[token] for token in small.encode(" Hello", add_special_tokens=False).ids]
    assert spelled == [b" ", b"Hello"]


@given(st.text())
def test_no_text_is_unknown(small: Tokenizer, text: str) -> None:
    """Every text comes back from its tokens as it was."""
    tokens = small.encode(text, add_special_tokens=False).ids
    assert small.decode(tokens, skip_special_tokens=False) == text


def test_specials_follow_the_text_in_llamas_order(small: Tokenizer) -> None:
    """There are 256 of them, and the ones with a name stand where Llama 3 has them."""
    first = len(PIECES)
    assert len(vocabulary.SPECIALS) == len(set(vocabulary.SPECIALS)) == 256
    assert [small.token_to_id(name) - first for name in (vocabulary.BEGIN, vocabulary.PADDING)] == [0, 4]
    assert small.token_to_id(vocabulary.END_OF_TURN) - first == 9


def test_the_begin_token_stands_in_front_once(small: Tokenizer, tmp_path: Path) -> None:
    """The saved tokenizer adds it by itself, and padding is another token than the end."""
    from transformers import AutoTokenizer

    vocabulary.save(small, tmp_path, context_tokens=64)
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    assert loaded.convert_ids_to_tokens(loaded("Hello")["input_ids"]) == [vocabulary.BEGIN, "Hello"]
    assert (loaded.bos_token, loaded.eos_token) == (vocabulary.BEGIN, vocabulary.END_OF_TURN)
    assert loaded.pad_token == vocabulary.PADDING


@pytest.mark.skipif(not vocabulary.FOLDER.is_dir(), reason="make vocabulary has not run")
def test_llama_3s_own_label_tokens() -> None:
    """Each label is one token in every style: alone 36590 or 39589, after a space 45003 or 51957."""
    from transformers import AutoTokenizer

    llama = AutoTokenizer.from_pretrained(vocabulary.FOLDER)
    ids = (llama.bos_token_id, llama.eos_token_id, llama.pad_token_id)
    assert (len(llama), *ids) == (128256, 128000, 128009, 128004)
    for label, alone, spaced in (("Positive", 36590, 45003), ("Negative", 39589, 51957)):
        for style, expected in (("plain", spaced), ("notebook", alone), ("llama3", alone)):
            form = prompt.form(Competition(slug="s", labels=("Positive", "Negative")), Prompt(), style)
            rendered = form.render({"text": "Good tea."})
            before = llama(rendered)["input_ids"]
            whole = llama(rendered + form.prefix + label)["input_ids"]
            assert whole == [*before, expected]
            assert before.count(llama.bos_token_id) == 1
