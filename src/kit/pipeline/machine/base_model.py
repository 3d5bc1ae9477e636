"""Check that a folder holds the base model that was asked for, whole, before an hour is spent on another.

Reads configuration files and the headers of the weights; loads neither tokenizer nor model.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from kit.config import Config
from kit.errors import InputInvalid
from kit.files import read_json

_LENGTH_BYTES = 8
"""A safetensors file begins with the length of its header (github.com/huggingface/safetensors, Format)."""
_AGAIN = "attach or fetch the model again"


def check(folder: Path, config: Config) -> None:
    """Raise InputInvalid where `folder` is not the model that `config.model` describes, or not all of it."""
    expected = config.model
    for name, found in _shape(folder).items():
        wanted = getattr(expected, name)
        if wanted and found != wanted:
            raise _other(folder, f"{name} {wanted}", f"{name} {found}", f"{name}={found}")
    for path in _weights(folder):
        _check_whole(path)
    if expected.instruct and not _has_chat_template(folder):
        raise _other(folder, "an instruct model", "a tokenizer without a chat template", "instruct=false")


def with_shape(config: Config, folder: Path) -> Config:
    """Return the settings with the model's layers and width, where they leave those to its config.json."""
    told = {name: found or 0 for name, found in _shape(folder).items() if name != "architecture"}
    missing = {name: found for name, found in told.items() if not getattr(config.model, name)}
    return config.model_copy(update={"model": config.model.model_copy(update=missing)})


def _shape(folder: Path) -> dict[str, Any]:
    told = _read(folder / "config.json")
    # A model that also takes images keeps the language model's own figures one level down.
    text = {**told, **(told.get("text_config") or {})}
    shape = {"layers": text.get("num_hidden_layers"), "width": text.get("hidden_size")}
    return {"architecture": (told.get("architectures") or ["none"])[0], **shape}


def _weights(folder: Path) -> list[Path]:
    """Return the files that hold the weights: those that the index names, or the only one."""
    index = folder / "model.safetensors.index.json"
    names = sorted(set(_read(index)["weight_map"].values())) if index.is_file() else ["model.safetensors"]
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        told = f"{len(missing)} of {len(names)} files of weights, first {missing[0]!r}"
        raise InputInvalid(f"{folder} lacks {told}", hint=_AGAIN)
    return [folder / name for name in names]


def _check_whole(path: Path) -> None:
    """Compare a safetensors file's size with what its own header promises: a broken download is shorter."""
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
        header = file.read(length) if length < size else b""
    try:
        tensors = json.loads(header)
        end = max(facts["data_offsets"][1] for name, facts in tensors.items() if name != "__metadata__")
    except (ValueError, TypeError, KeyError):
        told = f"is no safetensors file, or only the beginning of one: {size:,} bytes"
        raise InputInvalid(f"{path} {told}", hint=_AGAIN) from None
    if size != (whole := _LENGTH_BYTES + length + end):
        raise InputInvalid(f"{path} has {size:,} bytes, its header promises {whole:,}", hint=_AGAIN)


def _has_chat_template(folder: Path) -> bool:
    if any((folder / f"chat_template.{kind}").is_file() for kind in ("jinja", "json")):
        return True
    return bool(read_json(folder / "tokenizer_config.json").get("chat_template"))


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise InputInvalid(f"{path.parent} holds no {path.name}", hint="make tiny-model or make small-model")
    if not (found := read_json(path)):
        raise InputInvalid(f"{path} holds no JSON object", hint=_AGAIN)
    return found


def _other(folder: Path, expected: str, found: str, setting: str) -> InputInvalid:
    return InputInvalid(
        f"{folder} holds another base model: expected {expected}, found {found}",
        hint=f"another model.name, or SET=model.{setting} where that is meant",
    )
