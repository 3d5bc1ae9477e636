"""Find what the kernel was given: the competition's files and the base model, below the input root.

Mount layouts change, so files are looked for by name. Fetches nothing: a model of Hugging Face that is not
attached lies in its cache by now (`download`).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from kit.errors import InputInvalid
from kit.files import read_json, sha256_of, write_json

MOUNT_WAIT_SECONDS = 20.0
"""Mounts may appear a moment after the script starts."""
MODEL_MARKER = "kit-model.json"
"""Stands beside a snapshot of Hugging Face in a kernel's output and tells its name there."""
SAMPLE_BYTES = 2**20
"""What is read of each end of a file of weights whose revision nobody tells."""


def competition_folder(root: Path, slug: str, *, wait_seconds: float = MOUNT_WAIT_SECONDS) -> Path:
    """Return the folder that holds train.csv and test.csv, the one named `slug` first."""
    found = marked(root, "train.csv", wait_seconds)
    folders = [path.parent for path in found if (path.parent / "test.csv").is_file()]
    if not folders:
        raise InputInvalid(
            f"no train.csv beside a test.csv below {root}, which holds {_tree(root)}",
            hint=f"accept the rules at https://www.kaggle.com/c/{slug}/rules, then make push",
        )
    return min(folders, key=lambda folder: (slug not in folder.parts, len(folder.parts), str(folder)))


def model_folder(root: Path, name: str, *, wait_seconds: float = MOUNT_WAIT_SECONDS) -> Path:
    """Return the folder of a base model: attached, or for a name of Hugging Face fetched before.

    A Kaggle Model's handle is `owner/model/framework/variation/version`; the old layout drops the owner.
    """
    if is_on_hub(name):
        ready = attached_snapshot(root, name) or _cached(name)
        if folder := ready or attached_snapshot(root, name, wait_seconds=wait_seconds):
            return folder
        raise InputInvalid(
            f"no snapshot of model {name!r} is attached, and none was fetched",
            hint="make prepare, then attach its output; or a Kaggle Model in model.name",
        )
    wanted = [part.lower() for part in name.split("/")[1:]]
    for path in marked(root, "config.json", wait_seconds):
        parts = [part.lower() for part in path.parent.relative_to(root).parts]
        if parts[-len(wanted) :] == wanted:
            return path.parent
    made_here = {"kit/tiny": "make tiny-model", "kit/small": "make small-model"}
    hint = made_here.get(
        "/".join(name.split("/")[:2]), "accept the model's licence on Kaggle, then make push"
    )
    raise InputInvalid(f"model {name!r} is not below {root}, which holds {_tree(root)}", hint=hint)


def is_on_hub(name: str) -> bool:
    """Tell whether a model's name is one of Hugging Face, `owner/name`, and no Kaggle Model's handle."""
    return name.count("/") == 1


def revision(folder: Path) -> str:
    """Return which version of a model a folder holds: the commit on Hugging Face, else a hash of samples."""
    if folder.parent.name == "snapshots":
        return folder.name
    if told := read_json(folder / MODEL_MARKER).get("revision"):
        return str(told)
    beside = folder / ".cache" / "huggingface" / "download" / "config.json.metadata"
    if beside.is_file():
        return beside.read_text(encoding="utf-8").split()[0]
    samples = []
    for path in sorted(folder.glob("*.json")) + sorted(folder.glob("*.safetensors")):
        with path.open("rb") as file:
            size = path.stat().st_size
            samples.append(f"{path.name} {size} {sha256_of(file.read(SAMPLE_BYTES))}")
            file.seek(max(0, size - SAMPLE_BYTES))
            samples.append(sha256_of(file.read()))
    return sha256_of("\n".join(samples))


def mark_model(folder: Path, name: str) -> None:
    """Leave the marker by which `model_folder` finds this snapshot in an attached output."""
    write_json(folder / MODEL_MARKER, {"schema": 1, "name": name, "revision": revision(folder)})


def attached_snapshot(root: Path, name: str, *, wait_seconds: float = 0.0) -> Path | None:
    """Return the attached folder with a snapshot of this model of Hugging Face, or None."""
    found = marked(root, MODEL_MARKER, wait_seconds)
    return next((path.parent for path in found if read_json(path).get("name") == name), None)


def _cached(name: str) -> Path | None:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, local_files_only=True))
    except LocalEntryNotFoundError:
        return None


def marked(root: Path, name: str, wait_seconds: float = MOUNT_WAIT_SECONDS) -> list[Path]:
    """Return every file called `name` below the input root, once there is one or the time is over."""
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
