"""Write the kernel-metadata.json of a build: the project's template with what the settings decide filled in.

The result is what Kaggle's own command line reads. Talks to nobody.
"""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

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


def build(
    config: Config, *, owner: str = PLACEHOLDER_OWNER, template: Path = TEMPLATE
) -> dict[str, JsonValue]:
    """Return the metadata of one push: the template, what the settings decide, and the sources of both."""
    kept, listed = _read(template)
    gpu, kernel = config.kernel.accelerator != "none", config.kernel
    slug_here = config.competition.slug
    # The template may be another competition's.
    competitions = listed.competition_sources if slug_here in listed.competition_sources else []
    models = [config.model.name] if config.model.name.count("/") == 4 else []
    sources = {
        "dataset_sources": [*kernel.dataset_sources, *listed.dataset_sources],
        "competition_sources": [slug_here, *competitions],
        "kernel_sources": [*kernel.kernel_sources, *listed.kernel_sources],
        "model_sources": [*models, *listed.model_sources],
    }
    decided: dict[str, JsonValue] = {
        "id": f"{owner}/{slug(config)}",
        "title": title(config),
        "code_file": CODE_FILES[kernel.form],
        "kernel_type": kernel.form,
        "is_private": kernel.private,
        "enable_gpu": gpu,
        "enable_internet": kernel.internet,
    }
    decided |= {name: list(dict.fromkeys(handles)) for name, handles in sources.items()}
    decided |= {"docker_image": kernel.image} if kernel.image != "default" else {}
    decided |= {"machine_shape": kernel.accelerator} if gpu else {}
    merged: dict[str, JsonValue] = {"language": "python", **kept, **decided}
    return merged if gpu else {name: value for name, value in merged.items() if name != "machine_shape"}


def write(config: Config, folder: Path, *, owner: str = PLACEHOLDER_OWNER) -> Path:
    """Write `folder`/kernel-metadata.json and return its path."""
    path = folder / "kernel-metadata.json"
    files.write_json(path, build(config, owner=owner))
    return path


def _read(template: Path) -> tuple[dict[str, JsonValue], _Template]:
    """Return a template as it stands, and its lists; raises InputInvalid for what Kaggle refuses."""
    hint = f"mend it, or git checkout {template.name}"
    try:
        data = template.read_bytes()
        text = data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
        listed = _Template.model_validate_json(text)
        return json.loads(text), listed
    except OSError as error:
        why = f" cannot be read: {error.strerror}"
    except ValidationError as error:
        first = error.errors()[0]
        why = ":" + "".join(f" {part}:" for part in first["loc"]) + f" {first['msg']}"
    except UnicodeError as error:
        why = f" is no text: {error}"
    raise InputInvalid(f"{template}{why}", hint=hint)
