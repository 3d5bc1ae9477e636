"""A copy of this checkout, so that a verb that is run by a test leaves nothing in build/ and runs/."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from kit.files import PROJECT_ROOT

_STAYS = ("build", "runs", "data", "models", "__pycache__", "*.egg-info", ".[a-z]*")


def copy(folder: Path) -> dict[str, str]:
    """Copy the sources to `folder`, beside the same models, and return the environment of its scripts."""
    shutil.copytree(PROJECT_ROOT, folder, ignore=shutil.ignore_patterns(*_STAYS), dirs_exist_ok=True)
    (PROJECT_ROOT / "models").mkdir(exist_ok=True)
    (folder / "models").symlink_to(PROJECT_ROOT / "models")
    return {**os.environ, "PYTHONPATH": str(folder / "src")}
