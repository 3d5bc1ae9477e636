"""A folder is the base model that was asked for, whole, or the run ends before an hour is spent on it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kit import config as settings
from kit.errors import InputInvalid
from kit.fetch import inputs
from kit.pipeline.machine import base_model

CHECKS = ("architecture=LlamaForCausalLM", "layers=32", "width=4096", "instruct=true")
CONFIG = settings.resolve("t4x2", [f"model.{check}" for check in CHECKS])
LLAMA = {"architectures": ["LlamaForCausalLM"], "num_hidden_layers": 32, "hidden_size": 4096}


def _weights(path: Path, *, size: int = 8, cut: int = 0) -> None:
    """Write a real safetensors file with one tensor, less its last `cut` bytes."""
    header = json.dumps({"weight": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}}).encode()
    whole = len(header).to_bytes(8, "little") + header + bytes(size)
    path.write_bytes(whole[: len(whole) - cut])


@pytest.fixture
def make_model(tmp_path: Path) -> Callable[..., Path]:
    """Make the folder of a model with one file of weights; `changes` go into its config.json."""

    def make(template: str = "{{ messages }}", **changes: Any) -> Path:
        (tmp_path / "config.json").write_text(json.dumps(LLAMA | changes))
        (tmp_path / "tokenizer_config.json").write_text(json.dumps({"chat_template": template}))
        _weights(tmp_path / "model.safetensors")
        return tmp_path

    return make


def test_the_model_that_was_asked_for_passes(make_model: Callable[..., Path]) -> None:
    """One file of weights or several, the template in the configuration or in a file of its own."""
    folder = make_model()
    base_model.check(folder, CONFIG)
    (folder / "tokenizer_config.json").write_text("{}")
    (folder / "chat_template.jinja").write_text("{{ messages }}")
    (folder / "model.safetensors").rename(folder / "model-00001-of-00001.safetensors")
    index = {"weight_map": {"weight": "model-00001-of-00001.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    base_model.check(folder, CONFIG)


@pytest.mark.parametrize(
    ("changes", "expected", "found", "setting"),
    [
        (
            {"architectures": ["Qwen2ForCausalLM"]},
            "architecture LlamaForCausalLM", "architecture Qwen2ForCausalLM",
            "model.architecture=Qwen2ForCausalLM",
        ),
        ({"architectures": None}, "architecture LlamaForCausalLM", "architecture none", "model.architecture"),
        ({"num_hidden_layers": 16}, "layers 32", "layers 16", "model.layers=16"),
        ({"hidden_size": 3072}, "width 4096", "width 3072", "model.width=3072"),
        ({"template": ""}, "an instruct model", "without a chat template", "model.instruct=false"),
        ({"text_config": {"hidden_size": 2048}}, "width 4096", "width 2048", "model.width=2048"),
    ],
)  # fmt: skip
def test_another_model_names_expected_and_found_and_the_setting(
    make_model: Callable[..., Path], changes: dict[str, Any], expected: str, found: str, setting: str
) -> None:
    """One line each, with the setting to change where it is meant."""
    with pytest.raises(InputInvalid) as caught:
        base_model.check(make_model(**changes), CONFIG)
    assert f"expected {expected}, found" in caught.value.message
    assert found in caught.value.message
    assert setting in caught.value.hint
    assert "\n" not in str(caught.value)


def test_a_check_that_is_switched_off_is_not_made(make_model: Callable[..., Path]) -> None:
    """By default there is none, and the shape is what the model's config.json says."""
    folder = make_model(
        template="", architectures=["Other"], num_hidden_layers=1, text_config={"hidden_size": 8}
    )
    config = settings.resolve("t4x2", ["model.name=Qwen/Qwen3-8B"])
    base_model.check(folder, config)
    shaped = base_model.with_shape(config, folder).model
    assert (shaped.layers, shaped.width, shaped.name) == (1, 8, "Qwen/Qwen3-8B")
    assert base_model.with_shape(CONFIG, folder) == CONFIG


@pytest.mark.parametrize("cut", [1, 8, 60, 80])
def test_a_cut_download_is_told_from_the_header(make_model: Callable[..., Path], cut: int) -> None:
    """Within the tensors, the header or before it; the size on disk stands in the line."""
    folder = make_model()
    _weights(folder / "model.safetensors", cut=cut)
    size = (folder / "model.safetensors").stat().st_size
    with pytest.raises(InputInvalid, match=rf"model\.safetensors.*{size} bytes"):
        base_model.check(folder, CONFIG)


def test_every_file_that_the_index_names_must_be_there(make_model: Callable[..., Path]) -> None:
    """A snapshot that lacks a shard would fail an hour later, or load with random weights."""
    folder = make_model()
    names = {f"layer-{number}": f"model-0000{number}-of-00002.safetensors" for number in (1, 2)}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": names}))
    _weights(folder / "model-00001-of-00002.safetensors")
    with pytest.raises(InputInvalid, match=r"lacks 1 of 2 files of weights.*model-00002-of-00002"):
        base_model.check(folder, CONFIG)
    (folder / "model.safetensors.index.json").unlink()
    (folder / "model.safetensors").unlink()
    with pytest.raises(InputInvalid, match=r"lacks 1 of 1 files of weights.*'model\.safetensors'"):
        base_model.check(folder, CONFIG)


@pytest.mark.parametrize("text", ["", "[]", "{"])
def test_a_damaged_configuration_is_one_line(make_model: Callable[..., Path], text: str) -> None:
    """It names the file."""
    folder = make_model()
    (folder / "config.json").write_text(text)
    with pytest.raises(InputInvalid, match=r"config\.json"):
        base_model.check(folder, CONFIG)


def test_a_folder_without_a_model_names_what_makes_one(tmp_path: Path) -> None:
    """An empty mount looks like this."""
    with pytest.raises(InputInvalid, match=r"holds no config\.json"):
        base_model.check(tmp_path, CONFIG)


@pytest.mark.train
def test_the_presets_describe_the_models_that_are_made_here(tiny_model: Path) -> None:
    """Tiny always; small where it has been fetched."""
    base_model.check(tiny_model, settings.resolve("tiny"))
    with pytest.raises(InputInvalid, match="expected layers 32, found layers 1"):
        base_model.check(tiny_model, CONFIG)
    small = inputs.MODELS / inputs.SMALL
    if small.is_dir():
        base_model.check(small, settings.resolve("small"))
