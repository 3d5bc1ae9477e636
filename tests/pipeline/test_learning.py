"""Training and scoring on the CPU with the tiny model: real NF4, real LoRA, real packing."""

from __future__ import annotations

import resource
from pathlib import Path
from typing import Any

import pytest
from small_training import rows

from kit import config as settings
from kit.config import Config
from kit.pipeline import loading, model, tokens
from kit.pipeline.answering import forward, predict
from kit.pipeline.answers import Trained
from kit.pipeline.machine import hardware
from kit.pipeline.model import Loaded
from kit.pipeline.training import train
from kit.pipeline.training.layout import Layout

pytestmark = [pytest.mark.train, pytest.mark.timeout(180)]

LAYOUT = Layout(256, 1, 1, False)


def _config(*overrides: str) -> Config:
    return settings.resolve("tiny", overrides)


def _load(folder: Path, config: Config) -> Loaded:
    loaded = loading.load(config, folder, None, hardware.precision(()))
    model.renew_adapter(loaded, config.seed)
    return loaded


@pytest.fixture(scope="module")
def trained(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Loaded, Trained]:
    """A tiny model after 30 packed steps on forty easy rows."""
    config = _config("train.max_steps=30", "train.pack_tokens=256", "model.max_row_tokens=256")
    loaded = _load(tiny_model, config)
    return loaded, train.train(loaded, rows(40), config, seed=1, scratch=tmp_path_factory.mktemp("scratch"))


def test_the_base_is_held_in_four_bits_and_only_the_adapter_learns(
    trained: tuple[Loaded, Trained],
) -> None:
    """Seven linear modules a layer, each NF4 below and LoRA above."""
    from bitsandbytes.nn import Linear4bit
    from peft.tuners.lora import LoraLayer

    loaded = trained[0]
    layers = loaded.model.config.num_hidden_layers
    wrapped = [module for module in loaded.model.modules() if isinstance(module, LoraLayer)]
    assert len(wrapped) == 7 * layers
    assert all(isinstance(module.base_layer, Linear4bit) for module in wrapped)
    names = [name for name, weight in loaded.model.named_parameters() if weight.requires_grad]
    assert names
    assert all("lora_" in name for name in names)


def test_the_loss_falls(trained: tuple[Loaded, Trained]) -> None:
    """One entry a step, the last ones well below the first."""
    losses = [entry["loss"] for entry in trained[1].history]
    assert len(losses) == 30
    assert sum(losses[-5:]) / 5 < 0.7 * losses[0]


def test_scoring_whole_answers_agrees_with_the_chain_of_tokens(trained: tuple[Loaded, Trained]) -> None:
    """Labels of which two go on alike are compared by their whole text and end token."""
    import torch

    loaded = trained[0]
    labels = '["Positively so", "Positively not", "Positively not so"]'
    config = _config(f"competition.labels={labels}", "competition.synonyms={}")
    answers = tokens.answer_ids(loaded.tokenizer, config)
    assert answers[1] == answers[2][: len(answers[1])]
    row = rows(1)[0]
    expected = []
    for answer in answers:
        ids = tokens.ask(loaded.tokenizer, [row], config, reserve=8)[0].prompt_ids
        total = 0.0
        for token in [*answer, loaded.tokenizer.eos_token_id]:
            with forward.answering(loaded):  # some CPUs compute otherwise in it than while training
                logits = loaded.model(torch.tensor([ids])).logits[0, -1]
            total += float(logits.log_softmax(-1)[token])
            ids = [*ids, token]
        expected.append(total)
    wanted = torch.tensor(expected).softmax(-1).tolist()
    assert predict.score(loaded, [row], config)["r0"] == pytest.approx(wanted, abs=1e-4)


def test_the_label_that_is_likeliest_is_what_greedy_writing_gives(
    trained: tuple[Loaded, Trained],
) -> None:
    """On rows the model is sure of, one pass and writing agree; the prompt is never part of the text."""
    loaded, asked = trained[0], rows(24)
    scored = predict.score(loaded, asked, _config())
    written = predict.generate(loaded, asked, _config("predict.max_new_tokens=3"), seed=1)
    sure = [key for key, (positive, _) in scored.items() if abs(positive - 0.5) > 0.3]
    assert len(sure) >= 12
    for key in sure:
        assert written[key].strip() == ("Positive" if scored[key][0] > 0.5 else "Negative")


def test_documents_of_one_bin_do_not_see_each_other(tiny_model: Path, tmp_path: Path) -> None:
    """Replacing the documents before it leaves a document's loss alone; without the marks it would not."""
    import torch
    from datasets import Dataset

    config = _config("train.pack_tokens=256", "model.max_row_tokens=256")
    loaded = _load(tiny_model, config)
    examples = tokens.teach(loaded.tokenizer, rows(6), config, 1)
    trainer = train._trainer(loaded, Dataset.from_list(examples), config, 1, tmp_path, LAYOUT)
    bins = list(trainer.train_dataset)
    batch: dict[str, Any] = trainer.data_collator(bins[:1])
    boundary = sum(bins[0]["seq_lengths"][:-1])
    assert boundary > 0
    batch["labels"][:, :boundary] = -100
    other = dict(batch, input_ids=batch["input_ids"].clone())
    other["input_ids"][:, 1:boundary] = 7

    def loss(inputs: dict[str, Any], *, marked: bool) -> float:
        kept = {name: value for name, value in inputs.items() if marked or name != "position_ids"}
        with torch.no_grad():
            return float(loaded.model(**kept, use_cache=False).loss)

    assert loss(batch, marked=True) == pytest.approx(loss(other, marked=True), abs=1e-5)
    assert abs(loss(batch, marked=False) - loss(other, marked=False)) > 1e-3


def test_an_adapter_saved_and_loaded_again_scores_the_same(
    trained: tuple[Loaded, Trained], tiny_model: Path, tmp_path: Path
) -> None:
    """What travels home is what was scored, and a decoder's own copy of the weights before goes."""
    loaded, asked = trained[0], rows(8)
    assert model.save_adapter(loaded, tmp_path / "adapter") == ""
    fresh = _load(tiny_model, _config("seed=999"))
    before = predict.score(fresh, asked, _config())
    stale = next(weight for name, weight in fresh.model.named_parameters() if "lora_A" in name)
    stale._fast_lora = "of the weights before"
    model.load_adapter(fresh, tmp_path / "adapter")
    assert not hasattr(stale, "_fast_lora")
    after = predict.score(fresh, asked, _config())
    expected = predict.score(loaded, asked, _config())
    assert after["r0"] == pytest.approx(expected["r0"], abs=1e-4)
    assert before["r0"] != pytest.approx(expected["r0"], abs=1e-3)


def test_stock_peft_loads_an_adapter_from_any_folder(
    trained: tuple[Loaded, Trained], tiny_model: Path, tmp_path: Path
) -> None:
    """It names the base model as the settings do; no file knows where it was made."""
    from peft import PeftConfig, PeftModel
    from transformers import AutoModelForCausalLM

    model.save_adapter(trained[0], tmp_path / "adapter")
    moved = (tmp_path / "adapter").rename(tmp_path / "elsewhere")
    assert PeftConfig.from_pretrained(moved).base_model_name_or_path == _config().model.name
    texts = [path.read_text() for path in moved.iterdir() if path.suffix in {".json", ".md"}]
    assert not any(str(tiny_model) in text for text in texts)
    assert f"base_model: {_config().model.name}" in (moved / "README.md").read_text()
    base = AutoModelForCausalLM.from_pretrained(tiny_model)
    assert any("lora" in name for name, _ in PeftModel.from_pretrained(base, moved).named_parameters())


def test_an_adapter_that_the_disk_refuses_is_left_out_whole(
    trained: tuple[Loaded, Trained], tmp_path: Path
) -> None:
    """Its weights, or its tokenizer, whose library knows no class for that."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    sizes = [path.stat().st_size for path in _saved(trained[0], tmp_path / "whole")]
    for most in sorted({1, 2000, max(sizes) - 1, *(size - 1 for size in sizes)}):
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, limits[1]))
        try:
            said = model.save_adapter(trained[0], tmp_path / "adapter")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert said, most
        assert [path.name for path in tmp_path.iterdir()] == ["whole"]


def _saved(loaded: Loaded, folder: Path) -> list[Path]:
    assert model.save_adapter(loaded, folder) == ""
    return list(folder.iterdir())


def test_a_second_member_on_a_used_base_equals_a_fresh_process(tiny_model: Path, tmp_path: Path) -> None:
    """The LoRA weights are made anew; nothing is left of the first member, though it has answered."""
    config = _config("train.max_steps=3", "train.pack_tokens=256", "model.max_row_tokens=256")
    used = _load(tiny_model, config)
    train.train(used, rows(20), config, seed=1, scratch=tmp_path)
    predict.score(used, rows(4), config)
    model.renew_adapter(used, 2)
    second = train.train(used, rows(20), config, seed=2, scratch=tmp_path)
    fresh = _load(tiny_model, config)
    model.renew_adapter(fresh, 2)
    alone = train.train(fresh, rows(20), config, seed=2, scratch=tmp_path)
    assert [entry["loss"] for entry in second.history] == pytest.approx(
        [entry["loss"] for entry in alone.history], abs=1e-5
    )
    scored = predict.score(used, rows(4), config)
    assert scored["r1"] == pytest.approx(predict.score(fresh, rows(4), config)["r1"], abs=1e-5)


def test_packing_that_was_turned_off_is_noticed(tiny_model: Path, tmp_path: Path) -> None:
    """Unsloth drops it without an error in several cases."""
    from datasets import Dataset

    config = _config("train.packing=false")
    loaded = _load(tiny_model, config)
    examples = tokens.teach(loaded.tokenizer, rows(6), config, 1)
    trainer = train._trainer(loaded, Dataset.from_list(examples), config, 1, tmp_path, LAYOUT)
    with pytest.raises(AssertionError, match="packing was turned off"):
        train._assert_packed(trainer)
