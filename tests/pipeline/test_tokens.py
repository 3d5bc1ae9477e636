"""Token ids of prompts and answers, with every vocabulary that the kit meets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import hypothesis
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from kit import config as settings
from kit.config import PROJECT_ROOT, Competition, Config, Prompt
from kit.errors import KitError
from kit.pipeline import tokens
from kit.task import prompt

pytestmark = pytest.mark.train

STYLES = ("plain", "notebook", "llama3")
ROWS = [
    {"id": "1", "text": "Battery lasts two days, love it!", "label": "Positive", "language": "en"},
    {"id": "2", "text": "சேவை மோசம் ### Response: Positive", "label": "Negative", "language": "ta"},
    {"id": "3", "text": "not good\nnot bad <|eot_id|> 👍", "label": "Negative", "language": "xx"},
]


def _config(style: str = "plain", *more: str) -> Config:
    return settings.resolve("tiny", [f"prompt.style={style}", *more])


@pytest.fixture(scope="session", params=["tiny", "llama3", "smollm2"])
def tokenizer(request: pytest.FixtureRequest, tiny_model: Path) -> Any:
    """The tokenizers of the tiny model, of Llama 3 and of SmolLM2."""
    from transformers import AutoTokenizer

    folder = {
        "tiny": tiny_model,
        "llama3": PROJECT_ROOT / "models/kit/llama3-vocabulary",
        "smollm2": PROJECT_ROOT / "models/kit/small/transformers/default/1",
    }[request.param]
    if not (folder / "tokenizer.json").is_file():
        pytest.skip(f"{folder.relative_to(PROJECT_ROOT)} is not there: make vocabulary, make small-model")
    return AutoTokenizer.from_pretrained(folder)


@pytest.fixture(params=STYLES)
def style(request: pytest.FixtureRequest, tokenizer: Any) -> str:
    """Every prompt style that the tokenizer can keep apart from its answer."""
    if request.param == "llama3" and "<|eot_id|>" not in tokenizer.get_vocab():
        with pytest.raises(KitError, match="changes the tokens of the prompt's end"):
            tokens.answer_ids(tokenizer, _config("llama3"))
        pytest.skip("the chat format of Llama 3 is refused for a vocabulary that has not its headers")
    return str(request.param)


@pytest.mark.parametrize("names", [("", "", ""), ("English", "Tamil", "")], ids=["plain", "language"])
def test_training_text_is_prompt_answer_and_end_token(
    tokenizer: Any, style: str, names: tuple[str, ...]
) -> None:
    """Token for token: what is taught begins with exactly what will be asked, a language's name included."""
    config = _config(style, f"prompt.language={str(any(names)).lower()}")
    taught = tokens.teach(tokenizer, ROWS, config, seed=1)
    for row, name, example in zip(ROWS, names, taught, strict=True):
        form = tokens.form(tokenizer, config, style, name)
        whole = tokenizer(form.render({"sentence": row["text"]}) + form.prefix + row["label"])["input_ids"]
        assert example["input_ids"] == [*whole, tokenizer.eos_token_id]
        asked = tokens.ask(tokenizer, [row], config, reserve=2)[0].prompt_ids
        assert example["input_ids"][: len(asked)] == asked
        assert example["completion_mask"] == [0] * len(asked) + [1] * (len(whole) + 1 - len(asked))


def test_another_style_asks_what_training_in_it_would(tokenizer: Any, style: str) -> None:
    """Templates at scoring go through the same rendering and the same answers."""
    trained, other = _config("plain"), _config(style)
    assert tokens.answer_ids(tokenizer, trained, style) == tokens.answer_ids(tokenizer, other)
    asked = tokens.ask(tokenizer, ROWS, trained, reserve=2, style=style)
    assert asked == tokens.ask(tokenizer, ROWS, other, reserve=2)


def test_the_begin_token_stands_once(tokenizer: Any, style: str) -> None:
    """Two of them is a silent loss of quality; SmolLM2 has none at all."""
    begin = tokenizer.bos_token_id
    ids = tokens.ask(tokenizer, ROWS[:1], _config(style), reserve=2)[0].prompt_ids
    adds_one = tokenizer("x")["input_ids"][0] == begin
    assert ids.count(begin) == (1 if adds_one else ids[1:].count(begin))


def test_labels_differ_in_their_first_token(tokenizer: Any, style: str) -> None:
    """Then one pass over the prompt compares them."""
    first = [ids[0] for ids in tokens.answer_ids(tokenizer, _config(style))]
    assert len(set(first)) == len(first)


def test_a_label_is_the_token_that_follows_a_prompt(tokenizer: Any) -> None:
    """With the plain style the space belongs to the answer: ` Positive`, never `Positive`."""
    positive, _ = tokens.answer_ids(tokenizer, _config("plain"))
    assert tokenizer.decode(positive) == " Positive"


WORDS = st.text(st.characters(codec="utf-8", exclude_characters="{}<[", exclude_categories=["Cs", "Cc"]))


@hypothesis.settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    around=st.tuples(WORDS, WORDS, st.sampled_from(["Winner:", "is", "=>", "7", "(", "答え："])),
    tail=st.sampled_from(["", " ", "\n", " \n\n "]),
    labels=st.sampled_from([("A", "B"), ("0", "1"), ("-1", "+1"), ("not it", "not that"), ("是", "否")]),
)
def test_the_answer_begins_where_any_template_ends(
    tokenizer: Any, around: tuple[str, str, str], tail: str, labels: tuple[str, str]
) -> None:
    """Whatever stands around the texts, the answer's tokens follow those of the question."""
    template = f"{around[0]}{{a}}{around[1]}{{b}}{around[2]}{tail}"
    competition = Competition(slug="s", labels=labels, text=("a", "b"))
    config = Config(preset="x", competition=competition, prompt=Prompt(template=template))
    row = {"id": "1", "text": "", "text_a": "so", "text_b": "it is", "label": labels[1]}
    (example,) = tokens.teach(tokenizer, [row], config, seed=1)
    asked = tokens.ask(tokenizer, [row], config, reserve=9)[0].prompt_ids
    answer = tokens.answer_ids(tokenizer, config)[1]
    assert example["input_ids"] == [*asked, *answer, tokenizer.eos_token_id]
    assert tokenizer.decode(answer).strip() == labels[1]


def test_of_several_texts_the_longest_is_cut(tokenizer: Any) -> None:
    """The shorter one stays whole, and both where there is room."""
    competition = Competition(slug="s", labels=("A", "B"), text=("a", "b"))
    config = Config(preset="x", competition=competition).model_copy(
        update={"model": settings.resolve("tiny").model.model_copy(update={"max_row_tokens": 128})}
    )
    row = {"id": "1", "text": "", "text_a": "kept whole", "text_b": "word " * 500}
    question = tokens.ask(tokenizer, [row], config, reserve=2)[0]
    assert question.was_cut
    assert 100 < len(question.prompt_ids) <= 126
    shown = tokenizer.decode(question.prompt_ids, skip_special_tokens=True)
    assert shown.startswith("### a: kept whole\n### b: word word")
    assert shown.endswith("\n### label:")


def test_a_chat_is_the_models_own(tokenizer: Any) -> None:
    """One begin token at most, the template's headers around the question, a turn for the answer."""
    if not tokenizer.chat_template:
        with pytest.raises(KitError, match="no chat template"):
            tokens.ask(tokenizer, ROWS[:1], _config("chat"), reserve=2)
        return
    (question,) = tokens.ask(tokenizer, ROWS[:1], _config("chat"), reserve=2)
    said = [
        {
            "role": "user",
            "content": prompt.form(_config().competition, Prompt(), "chat").render(
                {"sentence": ROWS[0]["text"]}
            ),
        }
    ]
    own = tokenizer.apply_chat_template(said, add_generation_prompt=True, tokenize=True)["input_ids"]
    assert question.prompt_ids == own


@pytest.mark.parametrize("text", ["word " * 900, "क" * 3000, "😀" * 500, "### Response: " * 300])
@pytest.mark.parametrize("named", ["false", "true"])
def test_a_long_sentence_is_cut_and_keeps_its_label_slot(
    tokenizer: Any, style: str, text: str, named: str
) -> None:
    """The prompt's end is what training saw, whatever the sentence's length, and the answer still fits."""
    config = _config(style, "model.max_row_tokens=256", f"prompt.language={named}")
    row = {"id": "long", "text": text, "label": "Negative", "language": "ml"}
    example = tokens.teach(tokenizer, [row], config, seed=1)[0]
    short = tokens.ask(tokenizer, ROWS[:1], config, reserve=2)[0].prompt_ids
    question = tokens.ask(tokenizer, [row], config, reserve=2)[0]
    assert len(example["input_ids"]) <= 256
    assert question.was_cut
    assert len(question.prompt_ids) > 200
    assert question.prompt_ids[-3:] == short[-3:]


def test_a_prompt_that_leaves_no_room_is_refused(tokenizer: Any) -> None:
    """The message names the row and the setting."""
    config = _config("notebook", "model.max_row_tokens=32")
    with pytest.raises(KitError, match="row 'x' has no room"):
        tokens.ask(tokenizer, [{"id": "x", "text": "word " * 90}], config, reserve=30)


@pytest.mark.parametrize(("weight", "low", "high"), [(0.0, 0.0, 0.0), (0.3, 0.15, 0.45), (1.0, 1.0, 1.0)])
def test_prompt_loss_weight_is_the_share_of_prompt_tokens_that_count(
    tokenizer: Any, weight: float, low: float, high: float
) -> None:
    """The draw is seeded, and the answer always counts."""
    config = _config("plain", f"train.prompt_loss_weight={weight}")
    rows = [dict(ROWS[0], id=str(number)) for number in range(40)]
    first = tokens.teach(tokenizer, rows, config, seed=1)
    answer = len(tokens.answer_ids(tokenizer, config)[0]) + 1
    bits = [bit for example in first for bit in example["completion_mask"][:-answer]]
    assert low <= sum(bits) / len(bits) <= high
    assert all(example["completion_mask"][-answer:] == [1] * answer for example in first)
    assert first == tokens.teach(tokenizer, rows, config, seed=1)
    if 0 < weight < 1:
        assert first != tokens.teach(tokenizer, rows, config, seed=2)
