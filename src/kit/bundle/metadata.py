"""Write the kernel-metadata.json of a build: the project's template with what the settings decide filled in.

The result is what Kaggle's own command line reads. Talks to nobody.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from kit import files
from kit.config import PROJECT_ROOT, Config
from kit.errors import InputInvalid, SettingInvalid

PLACEHOLDER_OWNER = "your-username"
TEMPLATE = PROJECT_ROOT / "kernel-metadata.json"
LONGEST_TITLE = 50
"""Kaggle refuses longer kernel titles."""
CODE_FILES = {"script": "kernel.py", "notebook": "kernel.ipynb"}
"""What a build is called, by its form."""
PREPARE = "prepare"
"""Stands for a preset in the kernel that downloads what runs without internet attach."""


class _Template(BaseModel):
    """The keys of the template that hold text, or lists of texts; there may be any more."""

    model_config = ConfigDict(extra="allow", strict=True)
    competition_sources: list[str] = []
    dataset_sources: list[str] = []
    kernel_sources: list[str] = []
    model_sources: list[str] = []
    language: str = ""
    kernel_type: str = ""
    docker_image: str = ""
    docker_image_pinning_type: str = ""


def is_preparation(config: Config) -> bool:
    """Tell whether these are the settings of that kernel, which needs no GPU and no pull."""
    return config.preset == PREPARE


def title(config: Config) -> str:
    """Return the kernel's title: the preset's name keeps a smoke run from replacing a full one."""
    # A kernel cannot be its own source, and what it goes on from must stay its newest output.
    onward = " resumed" if config.run.resume else " again" if config.run.adapters_from else ""
    form = " notebook" if config.kernel.form == "notebook" else ""
    whole = f"{config.kernel.title} {config.preset}{onward}{form}"
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
    """Return the metadata of one push: the template, what the settings decide, and the sources of both."""
    kept = _read(template)
    gpu = config.kernel.accelerator != "none"
    decided: dict[str, Any] = {
        "id": f"{owner}/{slug(config)}",
        "title": title(config),
        "code_file": CODE_FILES[config.kernel.form],
        "kernel_type": config.kernel.form,
        "is_private": config.kernel.private,
        "enable_gpu": gpu,
        "enable_internet": config.kernel.internet,
    }
    settings: dict[str, Sequence[str]] = {
        "dataset_sources": config.kernel.dataset_sources,
        "competition_sources": [config.competition.slug],
        "kernel_sources": config.kernel.kernel_sources,
        "model_sources": [config.model.name] if config.model.name.count("/") == 4 else [],
    }
    if config.competition.slug not in kept.get("competition_sources", ()):
        kept["competition_sources"] = []  # the template is another competition's
    sources = {name: list(dict.fromkeys([*own, *kept.get(name, ())])) for name, own in settings.items()}
    merged: dict[str, Any] = {"language": "python", **kept, **decided, **sources}
    if config.kernel.image != "default":
        merged["docker_image"] = config.kernel.image
    if gpu:
        merged["machine_shape"] = config.kernel.accelerator
    else:
        merged.pop("machine_shape", None)
    return merged


def write(config: Config, folder: Path, *, owner: str = PLACEHOLDER_OWNER) -> Path:
    """Write `folder`/kernel-metadata.json and return its path."""
    path = folder / "kernel-metadata.json"
    files.write_json(path, build(config, owner=owner))
    return path


def _read(template: Path) -> dict[str, Any]:
    """Return a template's object; raises InputInvalid for a value that Kaggle's own command would refuse."""
    hint = f"mend it, or git checkout {template.name}"
    try:
        data = template.read_bytes()
        text = data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
        _Template.model_validate_json(text)
        return dict(json.loads(text))  # in its own order
    except OSError as error:
        raise InputInvalid(f"{template} cannot be read: {error.strerror}", hint=hint) from None
    except UnicodeError as error:
        raise InputInvalid(f"{template} is no text: {error}", hint=hint) from None
    except ValidationError as error:
        first = error.errors()[0]
        where = "".join(f" {part}:" for part in first["loc"])
        raise InputInvalid(f"{template}:{where} {first['msg']}", hint=hint) from None
