"""Find what the kernel was given: the competition's files and the base model, below the input root.

Mount layouts change, so files are looked for by name. A model that is not attached is fetched from
Hugging Face; `python -m kit.pipeline.machine.inputs owner/name` does only that, ahead of the pipeline.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from kit.errors import InputInvalid

MOUNT_WAIT_SECONDS = 20.0
"""Mounts may appear a moment after the script starts."""
MODEL_MARKER = "kit-model.json"
"""Stands beside a snapshot of Hugging Face in a kernel's output and tells its name there."""
READY = "ready"
"""The first line of the download that runs ahead: from here on, packages may change under it."""


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
    """Return the folder of a base model: attached, or for a name of Hugging Face without a copy from there.

    A Kaggle Model's handle is `owner/model/framework/variation/version`; the old layout drops the owner.
    """
    if is_on_hub(name):
        attached = attached_snapshot(root, name, wait_seconds=wait_seconds if offline else 0.0)
        return attached or fetch(name, offline=offline)
    wanted = [part.lower() for part in name.split("/")[1:]]
    found = _wait_for(root, "config.json", wait_seconds)
    for path in found:
        parts = [part.lower() for part in path.parent.relative_to(root).parts]
        if parts[-len(wanted) :] == wanted:
            return path.parent
    raise InputInvalid(
        f"model {name!r} is not below {root}, which holds {_tree(root)}", hint=_model_hint(name)
    )


def is_on_hub(name: str) -> bool:
    """Tell whether a model's name is one of Hugging Face, `owner/name`, and no Kaggle Model's handle."""
    return name.count("/") == 1


def fetch(name: str, *, offline: bool = False, folder: Path | None = None) -> Path:
    """Return the folder with a snapshot of Hugging Face, in its cache or as plain files in `folder`."""
    import httpx
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    keep = ["*.json", "*.safetensors", "*.model", "*.txt", "*.jinja"]
    try:
        return Path(snapshot_download(name, allow_patterns=keep, local_files_only=offline, local_dir=folder))
    except (HfHubHTTPError, LocalEntryNotFoundError, httpx.HTTPError, OSError) as error:
        if offline:
            raise InputInvalid(
                f"there is no internet, and no snapshot of model {name!r} is attached",
                hint="make prepare, then attach its output; or a Kaggle Model in model.name",
            ) from error
        raise InputInvalid(
            f"model {name!r} cannot be fetched from Hugging Face: {_first_line(error)}",
            hint="make prepare, or a Kaggle Model in model.name",
        ) from error


def mark_model(folder: Path, name: str) -> None:
    """Leave the marker by which `model_folder` finds this snapshot in an attached output."""
    text = json.dumps({"schema": 1, "name": name}) + "\n"
    (folder / MODEL_MARKER).write_text(text, encoding="utf-8")


def marked(root: Path, marker: str, wait_seconds: float = MOUNT_WAIT_SECONDS) -> list[Path]:
    """Return every file called `marker` below the input root, once there is one or the time is over."""
    return _wait_for(root, marker, wait_seconds)


def attached_snapshot(root: Path, name: str, *, wait_seconds: float = 0.0) -> Path | None:
    """Return the attached folder with a snapshot of this model of Hugging Face, or None."""
    for path in marked(root, MODEL_MARKER, wait_seconds):
        if json.loads(path.read_text(encoding="utf-8"))["name"] == name:
            return path.parent
    return None


def _fetch_ahead(name: str) -> None:
    """Fetch a snapshot and print the seconds that it took, while packages are being installed.

    What the download imports is imported before the first line is printed: huggingface_hub itself may be
    replaced after that.
    """
    for module in ("huggingface_hub.file_download", "huggingface_hub._snapshot_download"):
        importlib.import_module(module)
    with contextlib.suppress(ImportError):
        importlib.import_module("hf_xet")
    print(READY, flush=True)
    started = time.monotonic()
    fetch(name)
    print(f"{time.monotonic() - started:.2f}", flush=True)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


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


if __name__ == "__main__":
    _fetch_ahead(sys.argv[1])
