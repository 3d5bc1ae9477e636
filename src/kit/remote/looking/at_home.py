"""Check what can be seen at home before a push."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from kit.accelerators import ACCELERATORS
from kit.bundle import metadata, pins
from kit.bundle.build import Built
from kit.bundle.tree import LIMIT_BYTES
from kit.config import PROJECT_ROOT, Config
from kit.errors import InputInvalid
from kit.remote import runs
from kit.remote.joining import data
from kit.remote.looking.check import Check
from kit.remote.pushing import objections
from kit.remote.wire.client import Client
from kit.task import alike, competition_files, effort, rows

FREE_BYTES = 2_000_000_000
"""Room for two adapters of an 8B model with their tokenizers, pulled beside an older run."""
FEW_ALIKE = 0.02
"""The share of test rows like a training row that says nothing of the others."""


def script(client: Client, config: Config, built: Built, facts: dict[str, Any]) -> Iterator[Check]:
    """Check what stands in the build: the name to file it under, its size, the machine it asks for."""
    is_preparation = metadata.is_preparation(config)
    found = objections.objections(
        facts, built.bundle.text, is_local=client.is_local, is_preparation=is_preparation
    )
    if facts["title"][:1].isdigit():
        hint = f"kernel.title=Kernel {config.kernel.title}"
        yield Check("title", "warn", "Kaggle has refused titles that begin with a digit", hint)
    if not facts["is_private"]:
        yield Check("private", "warn", "everybody will see this kernel", "kernel.private=true")
    if "sources" in found:
        yield Check("source", "fail", found["sources"].message, found["sources"].hint)
    machine = ACCELERATORS[config.kernel.accelerator]
    size = len(built.bundle.text.encode())
    good = {
        "slug": facts["id"],
        "size": f"{size:,} of {LIMIT_BYTES:,} bytes",
        "accelerator": f"{config.kernel.accelerator}, {machine.note or f'{machine.cards} cards'}",
    }
    for name, text in good.items():
        objection = found.get("owner" if name == "slug" and "owner" in found else name)
        if objection is None:
            yield Check(name, "pass", text)
        else:
            yield Check(name, "fail", objection.message, objection.hint)


def offline(config: Config) -> Iterator[Check]:
    """Check that a GPU run without internet has something attached that can hold its wheels and its model."""
    kernel = config.kernel
    if kernel.internet or kernel.accelerator == "none":
        return
    attached = [*kernel.kernel_sources, *kernel.dataset_sources]
    if attached:
        yield Check("offline", "pass", f"packages are to come from {', '.join(attached)}")
    else:
        yield Check("offline", "fail", "no internet, and nothing attached holds the packages", "make prepare")


def files(client: Client, config: Config) -> Iterator[Check]:
    """Read the competition's files as the kernel will; a rehearsal may have them elsewhere."""
    folder = PROJECT_ROOT / "data" / config.competition.slug
    if folder.is_dir() or not client.is_local:
        yield Check("data", *data.readable(folder, config.competition))


def training(config: Config) -> Iterator[Check]:
    """Say how like the rows at home are to each other, and what training comes to, by estimated tokens."""
    folder = PROJECT_ROOT / "data" / config.competition.slug
    try:
        brought = competition_files.read(folder, config.competition)
    except InputInvalid:
        return  # the check of the data says why
    train, test = brought.train, brought.test
    near = alike.alike(test["text"].tolist(), train["text"].tolist())
    text = (
        f"{len(near):,} of {len(test):,} test rows are like a training row, but for a fifth of their letters"
    )
    if at := next(iter(near), None):
        text += f": {test['id'][at]!r} like {train['id'][near[at]]!r}"
    if len(near) < FEW_ALIKE * len(test):
        yield Check("duplicates", "pass", text)
    else:
        yield Check(
            "duplicates", "warn", text, "evaluate.group_duplicates=true; held-out scores may be lower"
        )
    if config.kernel.accelerator == "none":
        return
    train = rows.sample(train, config.data.train_rows, config.evaluate.seed)
    planned = effort.of_run(config, train["text"].tolist(), test["text"].tolist())
    if planned.minutes <= config.run.time_limit_minutes:
        yield Check("plan", "pass", str(planned))
    else:
        hint = "fewer train.epochs, or fewer data.train_rows"
        yield Check("plan", "warn", f"{planned}, its limit is {config.run.time_limit_minutes:.0f}", hint)


def image(config: Config, root: Path) -> Check:
    """Say which image is asked for, and which one the last run had that tells."""
    for path in sorted(runs.known_pushes(root), key=lambda path: path.stat().st_mtime, reverse=True):
        if had := runs.read_json(path.parent / "run.json").get("image") or runs.read_json(path).get("image"):
            run = runs.load(path.parent)
            age = datetime.now(UTC) - datetime.fromisoformat(run.pushed_at)
            text = f"{config.kernel.image}; {run.name}, {age.days} days ago, had kernel.image={had}"
            return Check("image", "pass", text)
    return Check("image", "pass", config.kernel.image)


def requirements(client: Client) -> Check:
    found, loose = pins.read(runs.REQUIREMENTS)
    where = f"{runs.REQUIREMENTS.parent.name}/{runs.REQUIREMENTS.name}"
    if loose:
        return Check(
            "requirements", "fail", f"{where} pins no exact version in {loose[0]!r}", "name==version"
        )
    if client.is_local:
        return Check("requirements", "pass", f"{len(found)} exact pins in {where}")
    missing, unknown = pins.unresolved(found)
    if missing:
        lacking = f"{where}: there is no wheel of {', '.join(missing)} for Python {pins.IMAGE_PYTHON}"
        return Check("requirements", "fail", lacking, "another version there")
    if unknown:
        return Check(
            "requirements", "warn", f"{where} could not be looked up: {unknown}", "make doctor again"
        )
    return Check("requirements", "pass", f"{len(found)} pins have a wheel for Python {pins.IMAGE_PYTHON}")


def disk(root: Path) -> Check:
    existing = next(folder for folder in (root, *root.parents) if folder.is_dir())
    free = shutil.disk_usage(existing).free
    verdict: Literal["pass", "warn"] = "pass" if free >= FREE_BYTES else "warn"
    return Check(
        "disk", verdict, f"{free / 1e9:.1f} GB free for outputs", "" if verdict == "pass" else "df -h"
    )
