"""Write the kernel-metadata.json of a build: the project's template with what the settings decide filled in.

The result is what Kaggle's own command line reads. Talks to nobody.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from kit import files
from kit.config import PROJECT_ROOT, Config
from kit.errors import InputInvalid, SettingInvalid

PLACEHOLDER_OWNER = "your-username"
TEMPLATE = PROJECT_ROOT / "kernel-metadata.json"
LONGEST_TITLE = 50
"""Kaggle refuses longer kernel titles."""
PREPARE = "prepare"
"""Stands for a preset in the kernel that downloads what runs without internet attach."""


def is_preparation(config: Config) -> bool:
    """Tell whether these are the settings of that kernel, which needs no GPU and no pull."""
    return config.preset == PREPARE


def title(config: Config) -> str:
    """Return the kernel's title: the preset's name keeps a smoke run from replacing a full one."""
    # A kernel cannot be its own source, and what it goes on from must stay its newest output.
    onward = " resumed" if config.run.resume else " again" if config.run.adapters_from else ""
    whole = f"{config.kernel.title} {config.preset}{onward}"
    if len(whole) > LONGEST_TITLE:
        raise SettingInvalid(
            f"kernel title {whole!r} has {len(whole)} characters, Kaggle takes {LONGEST_TITLE}",
            hint="a shorter kernel.title in kit.toml",
        )
    return whole


def slug(config: Config) -> str:
    """Return the slug that Kaggle makes from the title; any other would file the kernel elsewhere."""
    from slugify import slugify

    return str(slugify(title(config)))


def build(config: Config, *, owner: str = PLACEHOLDER_OWNER, template: Path = TEMPLATE) -> dict[str, Any]:
    """Return the metadata of one push; keys of the template that no setting decides stay as they are."""
    try:
        kept = json.loads(template.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputInvalid(f"{template} is missing", hint="git checkout kernel-metadata.json") from None
    except json.JSONDecodeError as error:
        raise InputInvalid(f"{template}: {error}", hint="mend that line") from None
    gpu = config.kernel.accelerator != "none"
    decided: dict[str, Any] = {
        "id": f"{owner}/{slug(config)}",
        "title": title(config),
        "code_file": "kernel.py",
        "is_private": config.kernel.private,
        "enable_gpu": gpu,
        "enable_internet": config.kernel.internet,
        "dataset_sources": list(config.kernel.dataset_sources),
        "competition_sources": [config.competition.slug],
        "kernel_sources": list(config.kernel.kernel_sources),
        "model_sources": [config.model.name] if config.model.name.count("/") == 4 else [],
    }
    merged: dict[str, Any] = {**kept, **decided}
    if gpu:
        merged["machine_shape"] = config.kernel.accelerator
    else:
        merged.pop("machine_shape", None)
    return merged


def write(config: Config, folder: Path, *, owner: str = PLACEHOLDER_OWNER) -> Path:
    """Write `folder`/kernel-metadata.json and return its path."""
    path = folder / "kernel-metadata.json"
    files.write_whole(path, json.dumps(build(config, owner=owner), indent=2) + "\n")
    return path
