"""The tiny model: the same bytes every time, one token a label, and a shape that the training stack loads."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kit.config import Competition, Prompt
from kit.fetch import tiny_model, vocabulary
from kit.task import prompt

if TYPE_CHECKING:
    from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

pytestmark = pytest.mark.train

STYLES = ("plain", "notebook", "llama3")
MAKE = "import sys, pathlib; from kit.fetch import tiny_model; tiny_model.make(pathlib.Path(sys.argv[1]))"


@pytest.fixture(scope="module")
def tokenizer(tiny_model: Path) -> PreTrainedTokenizerFast:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(tiny_model)


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> LlamaForCausalLM:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(tiny_model).eval()


def test_the_same_recipe_gives_the_same_bytes(tmp_path: Path) -> None:
    """Processes with other numbers of threads and hash seeds write the same files on one machine."""
    made = []
    for threads in ("1", "2"):
        variables = {"OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads, "PYTHONHASHSEED": threads}
        command = [sys.executable, "-c", MAKE, str(tmp_path / threads)]
        subprocess.run(command, env=os.environ | variables, check=True, timeout=100)
        made.append({path.name: path.read_bytes() for path in (tmp_path / threads).iterdir()})
    assert made[0].keys() == made[1].keys()
    assert [name for name, data in made[0].items() if data != made[1][name]] == []


def test_it_is_made_once_for_each_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second call does nothing; other sentences or labels make it again."""
    source, place = tmp_path / "train.csv", tmp_path / "1"
    source.write_text("sentence\nA good film\nA bad film\nNo film at all\n", encoding="utf-8")
    monkeypatch.setattr(tiny_model, "SENTENCES", source)
    assert tiny_model.make(place)
    assert not tiny_model.make(place)
    assert tiny_model.make(place, labels=("Yes", "No"))
    source.write_text("sentence\nA good film\nA bad film\n", encoding="utf-8")
    assert tiny_model.make(place, labels=("Yes", "No"))


@pytest.mark.parametrize("style", STYLES)
def test_a_label_is_one_token_where_the_prompt_ends(tokenizer: PreTrainedTokenizerFast, style: str) -> None:
    """The answer adds exactly one token to the prompt, another one for each label."""
    form = prompt.form(Competition(slug="s", labels=tiny_model.LABELS), Prompt(), style)
    rendered = form.render({"text": "बढ़िया होटल 👍"})
    before = tokenizer(rendered)["input_ids"]
    added = []
    for label in tiny_model.LABELS:
        whole = tokenizer(rendered + form.prefix + label)["input_ids"]
        assert whole[:-1] == before
        added.append(whole[-1])
    assert len(set(added)) == 2
    assert before.count(tokenizer.bos_token_id) == 1


def test_the_specials_are_llamas(tokenizer: PreTrainedTokenizerFast) -> None:
    """Header tokens are single, the end is the end of turn, and padding is neither that nor unknown."""
    names = [vocabulary.HEADER_START, vocabulary.HEADER_END, vocabulary.END_OF_TURN]
    assert tokenizer.tokenize("".join(names)) == names
    assert (tokenizer.bos_token, tokenizer.eos_token) == (vocabulary.BEGIN, vocabulary.END_OF_TURN)
    assert tokenizer.pad_token_id not in (None, tokenizer.eos_token_id)


@settings(max_examples=50)
@given(st.text())
def test_no_text_is_unknown_to_it(tokenizer: PreTrainedTokenizerFast, text: str) -> None:
    """Every text comes back from its tokens as it was."""
    tokens = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert tokenizer.decode(tokens, skip_special_tokens=False) == text


def test_its_shape_fits_the_training_stack(model: LlamaForCausalLM, tiny_model: Path) -> None:
    """It is a Llama of 1 to 3 M parameters whose linear layers fill whole blocks of NF4."""
    count = sum(parameter.numel() for parameter in model.parameters())
    assert 1_000_000 < count < 3_000_000
    assert json.loads((tiny_model / "provenance.json").read_text(encoding="utf-8"))["parameters"] == count
    assert model.config.architectures == ["LlamaForCausalLM"]
    assert all(size % 64 == 0 for weight in model.parameters() for size in weight.shape)


def test_it_knows_the_form_of_an_answer_and_no_more(
    model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast
) -> None:
    """Untrained it says a label and ends, and is right about as often as a coin."""
    import csv

    with tiny_model.SENTENCES.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))[::4]
    right = 0
    for row in rows:
        form = prompt.form(Competition(slug="s", labels=tiny_model.LABELS), Prompt(), "plain")
        rendered = form.render({"text": row["sentence"]})
        ids = tokenizer(rendered, return_tensors="pt")
        said = model.generate(**ids, max_new_tokens=4, do_sample=False)[0, ids["input_ids"].shape[1] :]
        assert said[-1] == tokenizer.eos_token_id
        label = tokenizer.decode(said, skip_special_tokens=True).strip()
        assert label in tiny_model.LABELS
        right += label == row["label"]
    assert 0.35 < right / len(rows) < 0.65
