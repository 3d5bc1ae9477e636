"""Download the kernel's wheels for one of Kaggle's Pythons into a folder that a private dataset is made of.

pip does the download, so its own configuration holds. What is pinned, and how a run finds the folder, is
decided elsewhere.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from kit import files
from kit.errors import InputInvalid, KitError
from kit.fetch import stage

SECONDS = 1800.0
DATASET = "dataset-metadata.json"
"""What Kaggle's command line reads beside the files of a dataset."""


def make(
    folder: Path, pins: Sequence[str], options: Sequence[str], *, finish: Callable[[Path], None]
) -> bool:
    """Download wheels of `pins` into `folder` unless they are there, and return whether it had to be done.

    `options` choose the Python and the platform, `finish` adds what marks the folder. Whole or not at all;
    what describes the folder as a dataset stays. Raises KitError where pip fails.
    """
    digest = stage.recipe(__file__, *pins, *options)
    if _is_current(folder, digest):
        return False
    with stage.staged(folder) as fresh:
        _download(fresh, pins, options)
        finish(fresh)
        stage.write_provenance(fresh, digest, {"pins": list(pins)})
        if (folder / DATASET).is_file():
            shutil.copy(folder / DATASET, fresh)
    return True


def describe(folder: Path, title: str, owner: str) -> str:
    """Return the dataset's handle, of its description beside the wheels, written where there is none yet."""
    path = folder / DATASET
    if not path.is_file():
        told = {"title": title, "id": f"{owner}/{_slug(title)}", "licenses": [{"name": "other"}]}
        files.write_whole(path, json.dumps(told, indent=1) + "\n")
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))["id"])
    except (ValueError, KeyError, TypeError) as error:
        raise InputInvalid(f"{path} cannot be read: {error!r}", hint=f"rm {path}, then make wheels") from None


def sizes(folder: Path) -> dict[str, int]:
    """Return the bytes of each wheel, the largest first."""
    found = {path.name: path.stat().st_size for path in folder.glob("*.whl")}
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))


def _slug(title: str) -> str:
    from slugify import slugify

    return str(slugify(title))


def _is_current(folder: Path, digest: str) -> bool:
    """Tell whether the folder holds what this recipe downloads; other files beside it do not matter."""
    try:
        told = json.loads((folder / stage.PROVENANCE).read_text(encoding="utf-8"))
        held = all((folder / name).stat().st_size == size for name, size in told["bytes"].items())
        return held and bool(told["recipe"] == digest)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _download(folder: Path, pins: Sequence[str], options: Sequence[str]) -> None:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--dest", str(folder), *options, *pins]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise KitError(f"pip took longer than {SECONDS:.0f} s", hint="make wheels again") from None
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR:")]
        reason = (lines or done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise KitError(f"pip could not download the wheels: {reason}", hint="the network, or pip config list")
