"""A folder holds a base model whole, or the run ends before an hour is spent on it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kit.errors import InputInvalid
from kit.pipeline.machine import base_model

LLAMA = {"architectures": ["LlamaForCausalLM"], "num_hidden_layers": 32, "hidden_size": 4096}


def _weights(path: Path, *, size: int = 8, cut: int = 0) -> None:
    """Write a real safetensors file with one tensor, less its last `cut` bytes."""
    header = json.dumps({"weight": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}}).encode()
    whole = len(header).to_bytes(8, "little") + header + bytes(size)
    path.write_bytes(whole[: len(whole) - cut])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of a model with one file of weights."""
    (tmp_path / "config.json").write_text(json.dumps(LLAMA))
    _weights(tmp_path / "model.safetensors")
    return tmp_path


def test_a_whole_model_passes(folder: Path) -> None:
    """One file of weights or several."""
    base_model.check(folder)
    (folder / "model.safetensors").rename(folder / "model-00001-of-00001.safetensors")
    index = {"weight_map": {"weight": "model-00001-of-00001.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    base_model.check(folder)


@pytest.mark.parametrize("cut", [1, 8, 60, 80])
def test_a_cut_download_is_told_from_the_header(folder: Path, cut: int) -> None:
    """Within the tensors, the header or before it; the size on disk stands in the line."""
    _weights(folder / "model.safetensors", cut=cut)
    size = (folder / "model.safetensors").stat().st_size
    with pytest.raises(InputInvalid, match=rf"model\.safetensors.*{size} bytes"):
        base_model.check(folder)


def test_every_file_that_the_index_names_must_be_there(folder: Path) -> None:
    """A snapshot that lacks a shard would fail an hour later, or load with random weights."""
    names = {f"layer-{number}": f"model-0000{number}-of-00002.safetensors" for number in (1, 2)}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": names}))
    _weights(folder / "model-00001-of-00002.safetensors")
    with pytest.raises(InputInvalid, match=r"lacks 1 of 2 files of weights.*model-00002-of-00002"):
        base_model.check(folder)
    (folder / "model.safetensors.index.json").unlink()
    (folder / "model.safetensors").unlink()
    with pytest.raises(InputInvalid, match=r"lacks 1 of 1 files of weights.*'model\.safetensors'"):
        base_model.check(folder)


@pytest.mark.parametrize("text", ["", "[]", "{"])
def test_a_damaged_configuration_is_one_line(folder: Path, text: str) -> None:
    """It names the file; an empty mount looks like this."""
    (folder / "config.json").write_text(text)
    with pytest.raises(InputInvalid, match=r"config\.json"):
        base_model.check(folder)
