"""Check that a folder holds the base model that was asked for, whole, before an hour is spent on another.

Reads configuration files and the headers of the weights; loads neither tokenizer nor model.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from kit.config import Config
from kit.errors import InputInvalid

_WEIGHTS = "model.safetensors"
_INDEX = "model.safetensors.index.json"
_LENGTH_BYTES = 8
"""A safetensors file begins with the length of its header (github.com/huggingface/safetensors, Format)."""


def check(folder: Path, config: Config) -> None:
    """Raise InputInvalid where `folder` is not the model that `config.model` describes, or not all of it."""
    _check_shape(folder, config)
    for path in _weights(folder):
        _check_whole(path)
    if config.model.instruct and not _has_chat_template(folder):
        raise _other(folder, "an instruct model", "a tokenizer without a chat template", "instruct=false")


def with_shape(config: Config, folder: Path) -> Config:
    """Return the settings with the model's layers and width, where they leave those to its config.json."""
    told = _read(folder / "config.json")
    text = {**told, **(told.get("text_config") or {})}
    shape = {"layers": text.get("num_hidden_layers", 0), "width": text.get("hidden_size", 0)}
    missing = {name: value for name, value in shape.items() if not getattr(config.model, name)}
    return config.model_copy(update={"model": config.model.model_copy(update=missing)})


def _check_shape(folder: Path, config: Config) -> None:
    told = _read(folder / "config.json")
    # A model that also takes images keeps the language model's own figures one level down.
    text = {**told, **(told.get("text_config") or {})}
    expected = config.model
    architecture = (told.get("architectures") or ["none"])[0]
    if expected.architecture and architecture != expected.architecture:
        raise _other(folder, expected.architecture, architecture, f"architecture={architecture}")
    for name, key, wanted in (
        ("layers", "num_hidden_layers", expected.layers),
        ("width", "hidden_size", expected.width),
    ):
        found = text.get(key)
        if wanted and found != wanted:
            raise _other(folder, f"{name} {wanted}", f"{name} {found}", f"{name}={found}")


def _weights(folder: Path) -> list[Path]:
    """Return the files that hold the weights: those that the index names, or the only one."""
    index = folder / _INDEX
    names = sorted(set(_read(index)["weight_map"].values())) if index.is_file() else [_WEIGHTS]
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise InputInvalid(
            f"{folder} lacks {len(missing)} of {len(names)} files of weights, first {missing[0]!r}",
            hint="attach or fetch the model again",
        )
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
        raise InputInvalid(
            f"{path} is no safetensors file, or only the beginning of one: {size:,} bytes",
            hint="attach or fetch the model again",
        ) from None
    whole = _LENGTH_BYTES + length + end
    if size != whole:
        raise InputInvalid(
            f"{path} has {size:,} bytes, its header promises {whole:,}",
            hint="attach or fetch the model again",
        )


def _has_chat_template(folder: Path) -> bool:
    if (folder / "chat_template.jinja").is_file() or (folder / "chat_template.json").is_file():
        return True
    path = folder / "tokenizer_config.json"
    return path.is_file() and bool(_read(path).get("chat_template"))


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputInvalid(
            f"{path.parent} holds no {path.name}", hint="make tiny-model or make small-model"
        ) from None
    except ValueError as error:
        raise InputInvalid(f"{path}: {error}", hint="attach or fetch the model again") from None
    if not isinstance(found, dict):
        raise InputInvalid(f"{path} holds no JSON object", hint="attach or fetch the model again")
    return found


def _other(folder: Path, expected: str, found: str, setting: str) -> InputInvalid:
    return InputInvalid(
        f"{folder} holds another base model: expected {expected}, found {found}",
        hint=f"another model.name, or SET=model.{setting} where that is meant",
    )
