"""Find what the kernel was given: the competition's files and the base model, below the input root.

Mount layouts change, so files are looked for by name. A model that is not attached is fetched from
Hugging Face.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from kit.errors import InputInvalid

MOUNT_WAIT_SECONDS = 20.0
"""Mounts may appear a moment after the script starts."""


def competition_folder(root: Path, slug: str, *, wait_seconds: float = MOUNT_WAIT_SECONDS) -> Path:
    """Return the folder that holds train.csv and test.csv, the one named `slug` first."""
    found = _wait_for(root, "train.csv", wait_seconds)
    folders = [path.parent for path in found if (path.parent / "test.csv").is_file()]
    if not folders:
        raise InputInvalid(
            f"no train.csv beside a test.csv below {root}, which holds {_tree(root)}",
            hint=f"accept the rules at https://www.kaggle.com/c/{slug}/rules, then make push",
        )
    return min(folders, key=lambda folder: (slug not in folder.parts, len(folder.parts), str(folder)))


def model_folder(root: Path, name: str, *, offline: bool, wait_seconds: float = MOUNT_WAIT_SECONDS) -> Path:
    """Return the folder of a base model: attached for a Kaggle Model handle, else from Hugging Face.

    A handle is `owner/model/framework/variation/version`; the old mount layout drops the owner.
    """
    if name.count("/") == 1:
        return _from_hub(name, offline=offline)
    wanted = [part.lower() for part in name.split("/")[1:]]
    found = _wait_for(root, "config.json", wait_seconds)
    for path in found:
        parts = [part.lower() for part in path.parent.relative_to(root).parts]
        if parts[-len(wanted) :] == wanted:
            return path.parent
    raise InputInvalid(
        f"model {name!r} is not below {root}, which holds {_tree(root)}", hint=_model_hint(name)
    )


def _from_hub(name: str, *, offline: bool) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    keep = ["*.json", "*.safetensors", "*.model", "*.txt", "*.jinja"]
    try:
        return Path(snapshot_download(name, allow_patterns=keep, local_files_only=offline))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        raise InputInvalid(
            f"model {name!r} cannot be fetched from Hugging Face: {reason}",
            hint="kernel.internet=true, or a Kaggle Model in model.name",
        ) from error


def _model_hint(name: str) -> str:
    made_here = {"kit/tiny": "make tiny-model", "kit/small": "make small-model"}
    return made_here.get(
        "/".join(name.split("/")[:2]), "accept the model's licence on Kaggle, then make push"
    )


def _wait_for(root: Path, name: str, wait_seconds: float) -> list[Path]:
    deadline = time.monotonic() + wait_seconds
    while not (found := sorted(_walk(root, name))) and time.monotonic() < deadline:
        time.sleep(1.0)
    return found


def _walk(root: Path, name: str, depth: int = 7) -> Iterator[Path]:
    """Yield files called `name` at most `depth` folders down, through links too, as mounts may be links."""
    for path in sorted(root.iterdir()) if depth and root.is_dir() else ():
        if path.is_dir():
            yield from _walk(path, name, depth - 1)
        elif path.name == name:
            yield path


def _tree(root: Path, most: int = 20) -> str:
    names = [str(path.relative_to(root)) for path in sorted(root.rglob("*"))[: most + 1]]
    return ", ".join([*names[:most], "…"] if len(names) > most else names) or "nothing"
