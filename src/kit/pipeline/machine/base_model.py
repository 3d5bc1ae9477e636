"""Check that a folder holds a base model whole, before an hour is spent on half of one.

Reads configuration files and the headers of the weights; loads neither tokenizer nor model.
"""

from __future__ import annotations

import json
from pathlib import Path

from kit.errors import InputInvalid
from kit.files import read_json

_LENGTH_BYTES = 8
"""A safetensors file begins with the length of its header (github.com/huggingface/safetensors, Format)."""
_AGAIN = "attach or fetch the model again"


def check(folder: Path) -> None:
    """Raise InputInvalid where `folder` is no model, or not all of it."""
    if not read_json(folder / "config.json"):
        raise InputInvalid(f"{folder} holds no config.json with an object in it", hint=_AGAIN)
    index = folder / "model.safetensors.index.json"
    names = sorted({*read_json(index).get("weight_map", {}).values()} or {"model.safetensors"})
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        told = f"{len(missing)} of {len(names)} files of weights, first {missing[0]!r}"
        raise InputInvalid(f"{folder} lacks {told}", hint=_AGAIN)
    for name in names:
        _check_whole(folder / name)


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
