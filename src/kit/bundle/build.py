"""Build what a push uploads: the script or notebook and its metadata, in a folder of the preset's own."""

from dataclasses import dataclass
from pathlib import Path

from kit.bundle import metadata
from kit.bundle.metadata import Metadata
from kit.bundle.script import Bundle, bundle
from kit.bundle.tree import collect_project
from kit.config import PROJECT_ROOT, Config
from kit.files import write_json, write_whole

PREPARE_ENTRY = "kernel/prepare.py"
PREPARE_MINUTES = 60.0  # some 6 GB are downloaded, in minutes


@dataclass(frozen=True)
class Built:
    """A build: `script` and kernel-metadata.json stand in `folder`, as Kaggle's command line wants them."""

    folder: Path
    script: Path
    metadata: Metadata
    bundle: Bundle


def preparation(config: Config) -> Config:
    """Return the settings of the kernel that downloads what runs of `config` without internet attach."""
    told: dict[str, object] = {"accelerator": "none", "form": "script", "internet": True}
    told |= {"dataset_sources": (), "kernel_sources": ()}
    kernel = config.kernel.model_copy(update=told)
    run = config.run.model_copy(update={"time_limit_minutes": PREPARE_MINUTES})
    return config.model_copy(update={"preset": metadata.PREPARE, "kernel": kernel, "run": run})


def build(config: Config, *, owner: str = metadata.PLACEHOLDER_OWNER, path: Path | None = None) -> Built:
    """Bundle the sources with `config` into build/<preset>/, or as `path`, and return what was written."""
    entry = PREPARE_ENTRY if metadata.is_preparation(config) else None
    title = metadata.title(config) if config.kernel.form == "notebook" else ""
    made = bundle(collect_project(PROJECT_ROOT, entry), config.model_dump(mode="json"), title=title)
    script = path or PROJECT_ROOT / "build" / config.preset / metadata.CODE_FILES[config.kernel.form]
    write_whole(script, made.text)
    facts = metadata.build(config, owner=owner).model_copy(update={"code_file": script.name})
    write_json(script.parent / metadata.TEMPLATE.name, facts.model_dump(exclude_none=True))
    return Built(script.parent, script, facts, made)
