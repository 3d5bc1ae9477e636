"""Say what the kernel-metadata.json of a build holds: the template with what the settings decide."""

import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from kit.config import PROJECT_ROOT, Config
from kit.errors import InputInvalid, SettingInvalid

PLACEHOLDER_OWNER = "your-username"
TEMPLATE = PROJECT_ROOT / "kernel-metadata.json"
LONGEST_TITLE = 50  # Kaggle refuses longer kernel titles
CODE_FILES = {"script": "kernel.py", "notebook": "kernel.ipynb"}  # what a build is called, by its form
PREPARE = "prepare"  # stands for a preset in the kernel that downloads what runs without internet attach


class Metadata(BaseModel):
    """What kernel-metadata.json says of a push; further keys of the template travel along."""

    model_config = ConfigDict(extra="allow", frozen=True)

    id: str = ""
    title: str = ""
    code_file: str = ""
    language: str = "python"
    kernel_type: str = "script"
    is_private: bool = True
    enable_gpu: bool = False
    enable_internet: bool = True
    machine_shape: str | None = None
    docker_image: str | None = None
    docker_image_pinning_type: str | None = None
    competition_sources: list[str] = []
    dataset_sources: list[str] = []
    kernel_sources: list[str] = []
    model_sources: list[str] = []


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


def build(config: Config, *, owner: str = PLACEHOLDER_OWNER, template: Path = TEMPLATE) -> Metadata:
    """Return the metadata of one push: the template, what the settings decide, and the sources of both."""
    kept, kernel, slug_here = read(template), config.kernel, config.competition.slug
    gpu = kernel.accelerator != "none"
    # The template may be another competition's.
    competitions = kept.competition_sources if slug_here in kept.competition_sources else []
    models = [config.model.name] if config.model.name.count("/") == 4 else []
    sources = {
        "dataset_sources": [*kernel.dataset_sources, *kept.dataset_sources],
        "competition_sources": [slug_here, *competitions],
        "kernel_sources": [*kernel.kernel_sources, *kept.kernel_sources],
        "model_sources": [*models, *kept.model_sources],
    }
    decided = {
        "id": f"{owner}/{slug(config)}",
        "title": title(config),
        "code_file": CODE_FILES[kernel.form],
        "kernel_type": kernel.form,
        "is_private": kernel.private,
        "enable_gpu": gpu,
        "enable_internet": kernel.internet,
        "machine_shape": kernel.accelerator if gpu else None,
        "docker_image": kernel.image if kernel.image != "default" else kept.docker_image,
    }
    unique = {name: list(dict.fromkeys(handles)) for name, handles in sources.items()}
    return kept.model_copy(update=decided | unique)


def read(template: Path) -> Metadata:
    """Return what a template says; raises InputInvalid for what Kaggle refuses."""
    try:
        data = template.read_bytes()
        return Metadata.model_validate_json(data.decode(json.detect_encoding(data)))
    except OSError as error:
        why = f" cannot be read: {error.strerror}"
    except ValidationError as error:
        first = error.errors()[0]
        why = ":" + "".join(f" {part}:" for part in first["loc"]) + f" {first['msg']}"
    except UnicodeError as error:
        why = f" is no text: {error}"
    raise InputInvalid(f"{template}{why}", hint=f"mend it, or git checkout {template.name}")
