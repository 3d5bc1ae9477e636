"""The small model as `make small-model` stored it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kit.fetch import inputs

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

FOLDER = inputs.MODELS / inputs.SMALL

pytestmark = [
    pytest.mark.train,
    pytest.mark.skipif(not (FOLDER / "config.json").is_file(), reason="make small-model has not run"),
]


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(FOLDER)


def test_its_tokenizer_is_smollm2s(tokenizer: PreTrainedTokenizerFast) -> None:
    """No begin token is added, digits stand alone, and the turn's end is the end."""
    assert tokenizer("hi")["input_ids"] == [6004]
    assert tokenizer.tokenize("a  5 22") == ["a", "ĠĠ", "5", "Ġ", "2", "2"]
    assert (tokenizer.bos_token, tokenizer.eos_token) == ("<|im_start|>", "<|im_end|>")
    assert tokenizer.pad_token_id not in (None, tokenizer.eos_token_id)


def test_it_answers_in_english(tokenizer: PreTrainedTokenizerFast) -> None:
    """Asked for a capital in its own chat format, it names it and ends its turn."""
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(FOLDER, dtype="float32")
    assert not hasattr(model.config, "quantization_config")
    chat = [{"role": "user", "content": "What is the capital of France? Answer briefly."}]
    ids = tokenizer.apply_chat_template(
        chat, add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    said = tokenizer.decode(model.generate(**ids, max_new_tokens=20, do_sample=False)[0])
    assert said.endswith("The capital of France is Paris.<|im_end|>")
